"""Does the microphone hear a person, or our own loudspeaker?

The last third of a second of the microphone is compared with what was being played, at every delay up to 700 ms: how
the energy in eight bands rises and falls is the same in an echo, whatever the room does to its level and colour.
"""

from collections import deque
from functools import cache
from itertools import pairwise

import numpy as np

from vivavoce.runtime.model import Pcm

HOP = 240
WINDOW = 32
BANDS = 8
ALIKE = 0.72
FLOOR = 1e-7


@cache
def _bands() -> np.ndarray:
    """Weights that sum the bins of a 512-point spectrum at 24 kHz into bands from 150 to 6000 Hz."""
    edges = np.geomspace(150, 6000, BANDS + 1)
    bins = np.arange(257) * 24_000 / 512
    return np.stack([(bins >= low) & (bins < high) for low, high in pairwise(edges)]).astype(np.float32)


def envelope(pcm: np.ndarray) -> np.ndarray:
    """Log energies, one row per 10 ms, one column per band."""
    frames = pcm[: len(pcm) // HOP * HOP].reshape(-1, HOP)
    power = np.abs(np.fft.rfft(frames * np.hanning(HOP), 512)) ** 2
    return np.log(power @ _bands().T + FLOOR * HOP)


class Echo:
    """Remembers the microphone's last third of a second and compares it."""

    def __init__(self) -> None:
        """Silence."""
        self._mic: deque[np.ndarray] = deque(maxlen=WINDOW)

    def listen(self, pcm: Pcm) -> None:
        """More of the microphone."""
        self._mic.extend(envelope(pcm))

    def sounds_like(self, pcm: Pcm, played: np.ndarray) -> bool:
        """Whether the microphone with these newest samples hears what was played (16 bit, oldest first)."""
        self.listen(pcm)
        return self.likeness(played) >= ALIKE

    def likeness(self, played: np.ndarray) -> float:
        """The best correlation over all delays, from -1 to 1."""
        if len(self._mic) < WINDOW or len(played) < (WINDOW + 1) * HOP:
            return 0.0
        mic = np.stack(list(self._mic))
        theirs = np.lib.stride_tricks.sliding_window_view(envelope(played / np.float32(32768)), WINDOW, axis=0)
        theirs = theirs - theirs.mean(axis=-1, keepdims=True)
        ours = (mic - mic.mean(axis=0)).T
        ours_norm, their_norm = np.linalg.norm(ours), np.linalg.norm(theirs, axis=(1, 2))
        if ours_norm < 1e-3:
            return 0.0
        return float(np.max((theirs * ours).sum(axis=(1, 2)) / (ours_norm * their_norm + 1e-3)))
