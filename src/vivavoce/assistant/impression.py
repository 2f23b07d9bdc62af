"""What a voice sounds like, measured: fast or slow, high or low, loud or quiet."""

import numpy as np
import torch

from vivavoce.audio.loudness import active_level_db
from vivavoce.audio.pitch import track_pitch
from vivavoce.core.talk import Word
from vivavoce.runtime.model import RATE
from vivavoce.text.pronounce import pronunciations

_RATE = (9.0, 14.0)
"""Phones per second of speech: slower is slow, faster is fast; readers of books say about 12."""
_PITCH = (120.0, 200.0)
"""Median pitch in Hz: deeper is low, above is high; these divide most men from most women."""
_LEVEL = (-32.0, -18.0)
"""Level of the speech parts in dB below full scale."""
_NAMES = (("slow", "medium", "fast"), ("low", "medium", "high"), ("quiet", "medium", "loud"))


def _third(value: float, edges: tuple[float, float], names: tuple[str, str, str]) -> str:
    return names[int(value > edges[0]) + int(value > edges[1])]


def impression(sound: np.ndarray, words: tuple[Word, ...]) -> tuple[str, str, str] | None:
    """Rate, pitch and loudness of speech at 24 kHz as words; None where nobody speaks."""
    wave = torch.from_numpy(np.asarray(sound, dtype=np.float32))
    if not words or not len(wave):
        return None
    phones = sum(len(pronunciations(word.text)[0]) for word in words)
    seconds = max((words[-1].end - words[0].start) / RATE, 0.2)
    pitch = track_pitch(wave, RATE).median()
    measured = (phones / seconds, pitch, active_level_db(wave, RATE))
    rate, high, loud = (_third(v, e, n) for v, e, n in zip(measured, (_RATE, _PITCH, _LEVEL), _NAMES, strict=True))
    return rate, high if pitch > 0 else "medium", loud
