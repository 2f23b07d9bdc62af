"""Transcripts of models that hear short sounds at once and tell no times: stretch by stretch, times by letters."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from vivavoce.hub.whisper import RATE, Spelled, Transcribed, Wanted

Sound = Float32[np.ndarray, " N"]


def transcribed(
    wave: Sound, wanted: Wanted, longest: float, write: Callable[[Sound], str], between: Callable[[], None]
) -> Transcribed:
    """English words of a sound at 16 kHz, in equal stretches of at most ``longest`` seconds; ``write`` hears one.

    The words of a stretch share its time by their letters.
    """
    words: list[Spelled] = []
    for start, stop in wanted.clips or ((0.0, len(wave) / RATE),):
        edges = np.linspace(start, stop, max(1, int(np.ceil((stop - start) / longest))) + 1)
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            between()
            if len(heard := wave[round(begin * RATE) : round(end * RATE)]):
                words += _timed(write(heard).split(), begin, len(heard) / RATE)
    return Transcribed(tuple(words), "en")


def _timed(texts: list[str], begin: float, seconds: float) -> list[Spelled]:
    letters = [len(text) + 1 for text in texts]
    edges = begin + np.cumsum([0, *letters]) * (seconds / max(1, sum(letters)))
    times = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [Spelled(text, *at, 1.0) for text, at in zip(texts, times, strict=True)]
