"""Scenes performed: lines of several voices laid into one sound, with the times of all words."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vivavoce.assistant.saying import Sayer
from vivavoce.core.errors import TextError, VivavoceError, VoiceError
from vivavoce.core.talk import Word
from vivavoce.core.voice import Consent, Voice
from vivavoce.runtime.model import RATE, Pcm
from vivavoce.text.playscript import Line, Part, Playscript


@dataclass(frozen=True, slots=True)
class Performed:
    """A line, where it begins in the sound of the scene (in samples), its own sound and words."""

    line: Line
    start: int
    pcm: Pcm
    words: tuple[Word, ...]

    def json(self) -> dict[str, Any]:
        """In seconds of the scene."""
        return {
            "speaker": self.line.who,
            "text": self.line.text,
            "start": round(self.start / RATE, 3),
            "end": round((self.start + len(self.pcm)) / RATE, 3),
            "words": word_times(self.words, self.start),
        }


def word_times(words: Sequence[Word], start: int = 0) -> list[dict[str, Any]]:
    """Words with their begin and end in seconds."""
    return [
        {"word": word.text, "start": round((start + word.start) / RATE, 3), "end": round((start + word.end) / RATE, 3)}
        for word in words
    ]


def perform(script: Playscript, find: Callable[[str], Voice | None], say: Sayer, seed: int = 0) -> Iterator[Performed]:
    """The lines in their order. ``find`` gives the voice that is known by a name.

    Raises TextError for a name without a voice and for a line that cannot be said, VoiceError for a voice that cannot
    be had, each before anything is said where that can be known.
    """
    cast = {line.who: _voice(line, script.parts.get(line.who), find) for line in script.lines}
    end = begun = 0
    for line in script.lines:
        voice = cast[line.who]
        if line.manner:
            voice = replace(voice, description=", ".join(filter(None, (voice.description, line.manner))))
        try:
            pcm, words = say(line.text, voice, seed)
        except VivavoceError as error:
            raise type(error)(f"line {line.number}, {line.who}: {error}") from error
        begun = max(begun, end + round(line.gap * RATE))  # nobody begins before the one whom they interrupt
        yield Performed(line, begun, pcm, tuple(words))
        end = max(end, begun + len(pcm))


def mixed(lines: Sequence[Performed]) -> Pcm:
    """All lines in one sound, made quieter where they are too loud together."""
    sound = np.zeros(max(one.start + len(one.pcm) for one in lines), dtype=np.float32)
    for one in lines:
        sound[one.start : one.start + len(one.pcm)] += one.pcm
    return sound / max(1.0, float(np.abs(sound).max()))


def _voice(line: Line, part: Part | None, find: Callable[[str], Voice | None]) -> Voice:
    if part is None:
        found = find(line.who)
        if found is None:
            raise TextError(
                f"line {line.number}: {line.who} has no voice; add a line such as {line.who} = a low, slow voice"
            )
        return found
    if part.clip is None:
        return Voice.described(part.description, part.identity)
    try:
        return Voice.like(part.clip, Consent(part.agreed))
    except VoiceError as error:
        raise VoiceError(f"line {line.number}, {line.who}: {error}") from error
