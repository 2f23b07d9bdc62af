"""A language model with ears from a folder: the part ``salmonn``, its chat text, and its encoders below.

It also serves as a recogniser of open speech beside Whisper. Words are in lower case, as it learnt them; nothing tells
when each was said, so they share the time of their stretch by their letters.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.core.parts import check_part, load_part
from vivavoce.core.streams import sound
from vivavoce.data.phrasings import phrased
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.whisper import RATE, Spelled, Transcribed, Wanted
from vivavoce.systems.salmonn import Salmonn, pieces_of

PART = "salmonn"
_MOST = 200
"""Words of a stretch."""


def is_salmonn(choice: str | Path) -> bool:
    """Whether a choice is such a folder."""
    return bool(str(choice)) and (Path(choice) / f"{PART}.json").is_file()


def load_salmonn(folder: Path, scale: float | None = None) -> Salmonn:
    """The model of a run; ``scale`` as in `Salmonn`. PartError when something of it is missing or damaged."""
    model = load_part(folder, PART)
    second = None if model.config.bridge.second is None else load_part(folder / "second", "encoder")
    return Salmonn(model, ChatText.load(folder), load_part(folder / "first", "encoder"), second, scale=scale)


class SalmonnRecogniser:
    """Writes down what is said, as `hub.whisper.Whisper` does; in English."""

    languages = ("en",)
    multilingual = False

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet; PartError when the part is damaged."""
        check_part(folder, PART)
        self.folder, self.name = folder, folder.resolve().name

    @cached_property
    def system(self) -> Salmonn:
        """The model, read when it is first needed."""
        return load_salmonn(self.folder)

    def transcribe(
        self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None] = lambda: None
    ) -> Transcribed:
        """The words of a sound at 16 kHz; text before it and keywords are not taken into account."""
        most, words = self.system.model.config.seconds - 1, []
        for start, stop in wanted.clips or ((0.0, len(wave) / RATE),):
            parts = max(1, int(np.ceil((stop - start) / most)))
            edges = np.linspace(start, stop, parts + 1)
            for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                between()
                words += self._stretch(wave[round(begin * RATE) : round(end * RATE)], begin)
        return Transcribed(tuple(words), "en")

    def _stretch(self, wave: Float32[np.ndarray, " N"], begin: float) -> list[Spelled]:
        if not len(wave):
            return []
        system, config = self.system, self.system.model.config
        heard = system.heard(sound(torch.from_numpy(wave), RATE))
        pieces = pieces_of(system.text, config.question or phrased("recognise", "…"), told=config.told)
        (ids,) = system.model.write(heard, pieces, system.text.ends, _MOST)
        texts = system.text.read(ids).split()
        ends = begin + np.cumsum([len(text) + 1 for text in texts]) * (
            len(wave) / RATE / max(1, sum(len(text) + 1 for text in texts))
        )
        starts = [begin, *ends[:-1].tolist()]
        return [Spelled(text, at, end, 1.0) for text, at, end in zip(texts, starts, ends.tolist(), strict=False)]
