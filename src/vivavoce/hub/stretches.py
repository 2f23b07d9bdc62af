"""Transcripts of models that hear short sounds at once and tell no times: stretch by stretch, times by letters."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vivavoce.hub.whisper import RATE, Spelled, Transcribed, Wanted

Sound = Float32[np.ndarray, " N"]


class StretchRecogniser(ABC):
    """A folder's model as a recogniser, as `hub.whisper.Whisper` is one; in English."""

    languages = ("en",)
    multilingual = False

    def __init__(self, folder: Path) -> None:
        """Builds nothing yet."""
        self.folder, self.name = folder, folder.resolve().name

    @property
    @abstractmethod
    def longest(self) -> float:
        """Seconds of a stretch at most."""

    @abstractmethod
    def write(self, wave: Sound) -> str:
        """What is said in a stretch at 16 kHz."""

    def transcribe(self, wave: Sound, wanted: Wanted, between: Callable[[], None] = lambda: None) -> Transcribed:
        """The words of a sound at 16 kHz, in equal stretches; they share a stretch's time by their letters.

        Text before it and keywords are not taken into account.
        """
        words: list[Spelled] = []
        for start, stop in wanted.clips or ((0.0, len(wave) / RATE),):
            edges = np.linspace(start, stop, max(1, int(np.ceil((stop - start) / self.longest))) + 1)
            for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                between()
                if len(heard := wave[round(begin * RATE) : round(end * RATE)]):
                    words += _timed(self.write(heard).split(), begin, len(heard) / RATE)
        return Transcribed(tuple(words), "en")


def _timed(texts: list[str], begin: float, seconds: float) -> list[Spelled]:
    letters = [len(text) + 1 for text in texts]
    edges = begin + np.cumsum([0, *letters]) * (seconds / max(1, sum(letters)))
    times = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [Spelled(text, *at, 1.0) for text, at in zip(texts, times, strict=True)]
