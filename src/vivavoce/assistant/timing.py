"""When each word of a sound was said whose text is known: the listener's phones along the best path through them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.audio.resample import resample
from vivavoce.core.errors import SpecError
from vivavoce.core.talk import Word
from vivavoce.models.listener import Listener
from vivavoce.nn.align import align, lattice
from vivavoce.runtime.model import RATE
from vivavoce.text.normalise import SpokenWord
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations

_SURE_SECONDS = 0.25
"""What is said so shortly before the end of a sound that goes on may still turn out to be something else."""


class WordTiming:
    """Finds words in sound; may be called from several threads."""

    def __init__(self, listener: Callable[[], Listener]) -> None:
        """``listener`` gives the part when it is first needed."""
        self._listener = listener

    @torch.inference_mode()
    def words(self, pcm: Float32[np.ndarray, " N"], said: Sequence[SpokenWord], whole: bool = True) -> tuple[Word, ...]:
        """The words in a sound at 24 kHz, with the spans of their text; those that are over for certain where more of
        the sound is to come (not ``whole``). Where words and sound do not fit they are spread evenly."""
        if not len(pcm) or not said:
            return ()
        listener = self._listener()
        tick = RATE // int(listener.config.rate)
        wave = resample(torch.from_numpy(pcm)[None], RATE, listener.config.mel.sample_rate)
        ways = lattice([[ids(form) for form in pronunciations(word.text)] for word in said])
        if not whole:
            ways = replace(ways, closes=np.ones_like(ways.closes))
        try:
            spans, _ = align(listener.listen(wave, chunk=0).frame[0], ways)
        except SpecError:
            return spread(len(pcm), said) if whole else ()
        places: dict[int, tuple[int, int]] = {}
        for span in spans:
            if span.word >= 0:
                begin, _ = places.get(span.word, (span.begin, 0))
                places[span.word] = (begin, span.end)
        found = [
            Word(said[number].text, begin * tick, min(end * tick, len(pcm)), span=said[number][1:3])
            for number, (begin, end) in sorted(places.items())
        ]
        if whole:
            return tuple(found)
        sure = len(pcm) - int(_SURE_SECONDS * RATE)
        return tuple(word for word in found[:-1] if word.end <= sure)


def spread(samples: int, said: Sequence[SpokenWord]) -> tuple[Word, ...]:
    """Words over so many samples, each for as long as it is written."""
    ends = np.cumsum([len(word.text) + 1 for word in said]) * samples // max(1, sum(len(w.text) + 1 for w in said))
    begins = [0, *ends[:-1].tolist()]
    return tuple(
        Word(word.text, int(begin), int(end), span=(word.begin, word.end))
        for word, begin, end in zip(said, begins, ends, strict=True)
    )
