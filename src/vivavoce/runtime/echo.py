"""Does the microphone hear only our own loudspeaker, or a person?

Two looks at every frame. An adaptive filter learns the way from the loudspeaker to the microphone, 0.64 s of it: what
it makes of the sound that was played explains an echo, and nothing of somebody who speaks over it. It is a Kalman
filter on blocks of a spectrum (Enzner and Vary 2006; partitioned as in Kuech, Mabande and Enzner 2014), which knows how
far it can be trusted, so that it learns in a second and is not led astray by a person.
And, where the loudspeaker distorts or an echo canceller has left remains: does the energy in fourteen bands rise and
fall as that of what was played, at any delay up to 0.6 s? How much each look counts was fitted (`recipes.echoes`).
"""

import math
from collections import deque
from functools import cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from vivavoce.runtime.model import FRAME, RATE, Pcm

HOP = 240
WINDOW = 32
"""Hops of the microphone that are compared with every stretch of what was played lately."""
PAST = 96
"""Hops of what was played that are kept."""
BANDS = 14
SPECTRUM = 512
LOW = 3
"""The filter works at 8 kHz."""
BLOCK = FRAME // LOW
PARTS = 16
LASTING, SMOOTHING = 0.9998, 0.5
"""How much of the filter is believed to be the same a frame later; smoothing of the power that it does not explain."""
WEIGHTS = (-1.195, 1.378, 15.638, -15.227)
"""Weights of the decision: of the decibels that the filter explains before and after it has learnt from a frame, of the
likeness of the bands; and the constant."""


@cache
def _analysis() -> tuple[np.ndarray, np.ndarray]:
    """A window of two hops, and weights that sum the bins of its spectrum into bands from 150 to 6000 Hz."""
    edges = np.geomspace(150, 6000, BANDS + 1)
    bins = np.arange(SPECTRUM // 2 + 1) * RATE / SPECTRUM
    bands = np.stack([(bins >= low) & (bins < high) for low, high in pairwise(edges)])
    return np.hanning(2 * HOP).astype(np.float32), bands.T.astype(np.float32)


_SMOOTH = np.hanning(9).astype(np.float32) / 4.5


class _Sound:
    """What is remembered of one side: compressed energies, one row per 10 ms, and the last samples."""

    def __init__(self, hops: int) -> None:
        self.bands = np.zeros((hops, BANDS), np.float32)
        self._tail = np.zeros(HOP, np.float32)

    def take(self, pcm: Pcm) -> Float[np.ndarray, " B"]:
        """Remembers a frame; gives it at 8 kHz."""
        window, bands = _analysis()
        past = np.concatenate((self._tail, pcm))
        frames = np.lib.stride_tricks.sliding_window_view(past, 2 * HOP)[::HOP]
        fresh = (np.abs(np.fft.rfft(frames * window, SPECTRUM)) ** 2 @ bands) ** 0.3
        self.bands = np.concatenate((self.bands[len(fresh) :], fresh))
        low = np.convolve(past[HOP - len(_SMOOTH) + 1 :], _SMOOTH, "valid")[::LOW]
        self._tail = past[-HOP:]
        return low


class _Path:
    """The adaptive filter from the loudspeaker to the microphone."""

    def __init__(self) -> None:
        bins = BLOCK + 1
        self._played = np.zeros((PARTS, bins), np.complex64)
        self._filter = np.zeros((PARTS, bins), np.complex64)
        # rooms fade: what comes late is expected to be soft
        self._doubt = np.repeat(np.exp(-np.arange(PARTS, dtype=np.float32) / 4)[:, None], bins, axis=1)
        self._unexplained = np.zeros(bins, np.float32)
        self._last = np.zeros(BLOCK, np.float32)

    def take(self, mic: Float[np.ndarray, " B"], played: Float[np.ndarray, " B"]) -> tuple[float, float]:
        """Learns from a frame; gives by how many dB the microphone is louder than what is left of it, by the filter
        before and after that."""
        self._played = np.roll(self._played, 1, axis=0)
        self._played[0] = np.fft.rfft(np.concatenate((self._last, played)))
        self._last = played
        before = mic - self._echo()
        error = np.fft.rfft(np.concatenate((np.zeros(BLOCK, np.float32), before)))
        power = np.abs(self._played) ** 2
        self._unexplained = SMOOTHING * self._unexplained + (1 - SMOOTHING) * np.abs(error).astype(np.float32) ** 2
        expected = (power * self._doubt).sum(axis=0) + 2 * self._unexplained + 1e-6
        gain = self._doubt * np.conj(self._played) / expected
        step = np.fft.irfft(gain * error, 2 * BLOCK, axis=1)
        step[:, BLOCK:] = 0
        self._filter = (LASTING * self._filter + np.fft.rfft(step, axis=1)).astype(np.complex64)
        shrunk = LASTING**2 * (1 - 0.5 * (gain * self._played).real) * self._doubt
        self._doubt = (shrunk + (1 - LASTING**2) * np.abs(self._filter) ** 2).astype(np.float32)
        return _louder(mic, before), _louder(mic, mic - self._echo())

    def _echo(self) -> Float[np.ndarray, " B"]:
        return np.fft.irfft((self._played * self._filter).sum(axis=0), 2 * BLOCK)[BLOCK:]


def _louder(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * math.log10((float(np.dot(one, one)) + 1e-6) / (float(np.dot(other, other)) + 1e-6))


class Echo:
    """Follows the microphone and the loudspeaker, frame by frame."""

    def __init__(self) -> None:
        """Silence, and nothing known of the room."""
        self._mic, self._ours = _Sound(WINDOW), _Sound(PAST)
        self._path = _Path()
        self._recent: deque[bool] = deque([False] * PARTS, maxlen=PARTS)
        self._explained = 0.0, 0.0

    def listen(self, mic: Pcm, played: Pcm) -> None:
        """The next frame of both; what was played is silence while nothing is."""
        heard, ours = self._mic.take(mic), self._ours.take(played)
        self._recent.append(bool(played.any()))
        self._explained = self._path.take(heard, ours) if any(self._recent) else (0.0, 0.0)

    def chance(self) -> float:
        """Probability that the last frame of the microphone was nothing but an echo."""
        if not any(self._recent):
            return 0.0
        *slopes, bias = WEIGHTS
        score = sum(w * x for w, x in zip(slopes, self.evidence(), strict=True)) + bias
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))

    def evidence(self) -> tuple[float, float, float]:
        """What `chance` weighs: dB that the filter explains before and after it learns, and the `likeness`."""
        return *self._explained, likeness(self._mic.bands, self._ours.bands)


def likeness(heard: Float[np.ndarray, "T B"], played: Float[np.ndarray, "P B"]) -> float:
    """The best correlation of the bands over all delays, from -1 to 1."""
    theirs = np.lib.stride_tricks.sliding_window_view(played, len(heard), axis=0)
    ours = (heard - heard.mean(axis=0)).T
    # ours has no mean, so that of theirs does not matter to the product
    products = np.einsum("lbt,bt->l", theirs, ours)
    squares = _windowed(played**2, len(heard)) - _windowed(played, len(heard)) ** 2 / len(heard)
    norms = np.linalg.norm(ours) * np.sqrt(np.maximum(squares.sum(axis=1), 0)) + 1e-6
    return float(np.max(products / norms))


def _windowed(rows: Float[np.ndarray, "P B"], length: int) -> Float[np.ndarray, "L B"]:
    """Sums over every stretch of so many rows."""
    sums = np.concatenate((np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)))
    return sums[length:] - sums[:-length]
