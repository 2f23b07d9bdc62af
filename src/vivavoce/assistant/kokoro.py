"""Kokoro as a voice: words from our own front end become its symbols, its durations become the words' times."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vivavoce.assistant.reading import Breath
from vivavoce.assistant.synthesis import BreathSound, manner, named, no_voice
from vivavoce.assistant.timing import WordTiming
from vivavoce.core.description import understood
from vivavoce.core.errors import VoiceError
from vivavoce.core.stop import StopSignal
from vivavoce.core.talk import Word
from vivavoce.core.voice import STOCK, Voice
from vivavoce.hub.kokoro import LONGEST, RATE, TICK, Kokoro
from vivavoce.models.manner import manner_of
from vivavoce.runtime.model import Pcm
from vivavoce.text.ipa import ipa
from vivavoce.text.normalise import SpokenWord
from vivavoce.text.phones import VOWELS
from vivavoce.text.pronounce import pronunciations

_BEST = "af_heart"
_SILENT = 0.004
"""Loudest sample of what counts as silence."""
_KEPT_BEFORE, _KEPT_AFTER = RATE // 40, RATE // 20
"""Samples of silence that stay around the sound."""
_MARKED = frozenset(",.?!")


class Written(NamedTuple):
    """A breath in symbols, and the places [begin, end) of each word's symbols."""

    symbols: str
    places: tuple[tuple[int, int], ...]


def written(words: Sequence[SpokenWord]) -> Written:
    """Words as Kokoro reads them; its symbols hold no more than `LONGEST`, and a breath is far shorter."""
    forms = [pronunciations(word.text)[0] for word in words]
    symbols, places = "", []
    for number, (word, phones) in enumerate(zip(words, forms, strict=True)):
        after = forms[number + 1] if number + 1 < len(words) else ()
        next_vowel = bool(after) and after[0].symbol in VOWELS
        begin = len(symbols)
        symbols += ipa(word.text, phones, ends=bool(word.mark) or not after, next_vowel=next_vowel and not word.mark)
        places.append((begin, len(symbols)))
        symbols += word.mark + (" " if after else "")
    return Written(symbols, tuple(places))


def _symbols_of(word: str) -> str:
    return ipa(word, pronunciations(word)[0])


class KokoroVoice:
    """Makes the sound of breaths with a Kokoro."""

    lengths = (28, 60, 110, 170)
    at_once = 2
    reads = True

    def __init__(self, folder: Path, timing: WordTiming, name: str = "kokoro") -> None:
        """Reads the folder; ``timing`` finds words where the graph does not tell how long phones last."""
        self.name = name
        self._kokoro = Kokoro(folder)
        self._timing = timing
        self._kokoro.utter(_symbols_of("ready"), self.voices[0])  # so that dictionary and weights are read now

    @property
    def voices(self) -> tuple[str, ...]:
        """Its styles."""
        return self._kokoro.voices

    def style(self, voice: Voice) -> str:
        """The style of this name, or the one that answers to a name that OpenAI's clients use.

        Raises VoiceError, which names those that there are, for descriptions and clips.
        """
        wanted = named(voice).name
        if not voice.clip:
            if wanted in self.voices:
                return wanted
            if wanted in STOCK:
                return self._namesake(wanted)
        raise no_voice(self.name, voice, self.voices)

    def _namesake(self, name: str) -> str:
        """An American voice of this name, or of this sex."""
        sex = understood(STOCK[name]).sex
        wanted = [f"af_{name}", f"am_{name}", f"bf_{name}", f"bm_{name}"]
        wanted += [_BEST] if sex >= 0 else []
        kind = "m_" if sex < 0 else "f_"
        wanted += [voice for voice in self.voices if voice[1:3] == kind]
        return next((voice for voice in wanted if voice in self.voices), self.voices[0])

    def sound(self, text: str, breath: Breath, voice: Voice, stop: StopSignal) -> Iterator[BreathSound]:
        """The sound of a breath without the silence before it; where no mark ends it, without the one after it too.

        Of what is asked of a voice in words it can do one thing: be faster or slower.
        """
        said = written(breath.words)
        if len(said.symbols) > LONGEST:
            raise VoiceError(f"{self.name} says at most {LONGEST} phones in one breath, {text[:40]!r} has more")
        speed = manner_of(understood(manner(voice).replace("|", ",")), voice.speed).rate
        made = self._kokoro.utter(said.symbols, self.style(voice), speed, stop)
        if not len(made.pcm):
            return
        loud = np.flatnonzero(np.abs(made.pcm) > _SILENT)
        begin = max(0, int(loud[0]) - _KEPT_BEFORE) if len(loud) else 0
        end = len(made.pcm)
        if len(loud) and said.symbols[-1] not in _MARKED:
            end = min(end, int(loud[-1]) + _KEPT_AFTER)
        pcm = made.pcm[begin:end]
        if made.ticks is None:
            yield BreathSound(pcm, self._timing.words(pcm, breath.words))
        else:
            yield BreathSound(pcm, _timed(breath.words, said.places, made.ticks, begin, pcm))


def _timed(
    words: Sequence[SpokenWord], places: Sequence[tuple[int, int]], ticks: Sequence[int], cut: int, pcm: Pcm
) -> tuple[Word, ...]:
    """When words are said; the first of ``ticks`` is the silence before, of which ``cut`` samples are gone."""
    edges = np.cumsum(ticks) * TICK - cut
    return tuple(
        Word(
            word.text,
            int(np.clip(edges[begin], 0, len(pcm))),
            int(np.clip(edges[end], 0, len(pcm))),
            span=(word.begin, word.end),
        )
        for word, (begin, end) in zip(words, places, strict=True)
    )
