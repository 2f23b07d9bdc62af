"""Does the microphone hear a person, or our own loudspeaker?

Two looks at the last third of a second of the microphone and at what was being played, at every delay up to 700 ms. A
room and a loudspeaker are nearly linear: what a short filter makes of the played sound explains an echo, and next to
nothing of a person. Where an echo canceller has left distorted remains, how the energy in fourteen bands rises and
falls is still the same. Somebody who speaks over the echo is explained by neither.
"""

from collections import deque
from functools import cache
from itertools import pairwise

import numpy as np

from vivavoce.runtime.model import FRAME, RATE, Pcm

HOP = 240
WINDOW = 32
BANDS = 14
SPECTRUM = 512
ALIKE, EXPLAINED = 0.88, 0.45
"""Correlation of the bands, and share of the energy that a filter explains, from which on it is an echo."""
LOW = 3
"""The filter works at 8 kHz."""
TAPS, EARLY = 96, 16
"""Taps of the filter at 8 kHz, and how many of them lie before the strongest delay."""


@cache
def _analysis() -> tuple[np.ndarray, np.ndarray]:
    """A window of two hops, and weights that sum the bins of its spectrum into bands from 150 to 6000 Hz."""
    edges = np.geomspace(150, 6000, BANDS + 1)
    bins = np.arange(SPECTRUM // 2 + 1) * RATE / SPECTRUM
    bands = np.stack([(bins >= low) & (bins < high) for low, high in pairwise(edges)])
    return np.hanning(2 * HOP).astype(np.float32), bands.T.astype(np.float32)


def envelope(pcm: np.ndarray) -> np.ndarray:
    """Compressed energies, one row per 10 ms, one column per band."""
    window, bands = _analysis()
    pcm = np.concatenate((np.zeros(HOP, np.float32), pcm))
    frames = np.lib.stride_tricks.sliding_window_view(pcm, 2 * HOP)[::HOP]
    return (np.abs(np.fft.rfft(frames * window, SPECTRUM)) ** 2 @ bands) ** 0.3


def _low(pcm: np.ndarray) -> np.ndarray:
    return np.convolve(pcm, np.hanning(9).astype(np.float32) / 4.5, "same")[::LOW]


class Echo:
    """Remembers the microphone's last third of a second and compares it."""

    def __init__(self) -> None:
        """Silence."""
        self._mic: deque[Pcm] = deque(maxlen=WINDOW * HOP // FRAME)

    def listen(self, pcm: Pcm) -> None:
        """The next frame of the microphone."""
        self._mic.append(pcm)

    def sounds_like(self, played: np.ndarray) -> bool:
        """Whether the microphone hears what was played (Int16[N] at 24 kHz, oldest first)."""
        if len(self._mic) < WINDOW * HOP // FRAME or len(played) < (WINDOW + 1) * HOP:
            return False
        mic, ours = np.concatenate(self._mic), played.astype(np.float32) / 32768
        if np.square(mic).mean() < 1e-9 or not ours.any():
            return False
        return explained(mic, ours) >= EXPLAINED or likeness(mic, ours) >= ALIKE


def likeness(mic: np.ndarray, played: np.ndarray) -> float:
    """The best correlation of the bands over all delays, from -1 to 1."""
    heard = envelope(mic)
    theirs = np.lib.stride_tricks.sliding_window_view(envelope(played), len(heard), axis=0)
    theirs = theirs - theirs.mean(axis=-1, keepdims=True)
    ours = (heard - heard.mean(axis=0)).T
    norms = np.linalg.norm(ours) * np.linalg.norm(theirs, axis=(1, 2)) + 1e-6
    return float(np.max((theirs * ours).sum(axis=(1, 2)) / norms))


def explained(mic: np.ndarray, played: np.ndarray) -> float:
    """The share of the microphone's energy that a filter of 12 ms makes of what was played, at the likeliest delay."""
    heard, source = _low(mic), _low(played)
    size = 1 << (len(heard) + len(source)).bit_length()
    one, other = np.fft.rfft(source, size), np.fft.rfft(heard, size)
    floor = 1e-6 * float(np.abs(one).max() * np.abs(other).max()) + 1e-12
    phases = np.fft.irfft(one * np.conj(other) / (np.abs(one) * np.abs(other) + floor), size)
    place = int(np.argmax(phases[: len(source) - len(heard) + 1]))
    first, last = max(0, place + EARLY - TAPS + 1), min(len(source) - len(heard), place + EARLY)
    delayed = np.lib.stride_tricks.sliding_window_view(source[first : last + len(heard)], len(heard))
    energies = delayed @ delayed.T
    energies[np.diag_indices_from(energies)] += 1e-4 * np.trace(energies) / len(energies) + 1e-9
    taps = np.linalg.solve(energies, delayed @ heard)
    return float(1 - np.square(heard - taps @ delayed).sum() / (np.square(heard).sum() + 1e-9))
