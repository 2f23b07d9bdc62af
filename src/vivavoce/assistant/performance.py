"""Scenes performed: lines of several voices laid into one sound, with the times of all words."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import floor
from typing import Any

import numpy as np

from vivavoce.assistant.saying import Sayer
from vivavoce.core.errors import TextError, VivavoceError
from vivavoce.core.talk import Word
from vivavoce.core.voice import Consent, Voice
from vivavoce.runtime.model import RATE, Pcm
from vivavoce.text.normalise import phrases
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
    """Words with their begin and end in seconds, and the characters of the text that each stands for."""
    return [
        {
            "word": word.text,
            "start": round((start + word.start) / RATE, 3),
            "end": round((start + word.end) / RATE, 3),
            **({"characters": list(word.span)} if word.span else {}),
        }
        for word in words
    ]


def perform(script: Playscript, find: Callable[[str], Voice | None], say: Sayer, seed: int = 0) -> Iterator[Performed]:
    """The lines in their order. ``find`` gives the voice that is known by a name.

    Raises TextError for a name without a voice, for a line that cannot be said and for one that would begin before the
    line that it overlaps, VoiceError for a voice that cannot be had, each before anything is said where that can be
    known.
    """
    cast: dict[str, Voice] = {}
    for line in script.lines:
        with _at(line):
            phrases(line.text)
            Voice.described(line.manner)  # says what contradicts itself
            cast[line.who] = cast.get(line.who) or _voice(line, script.part(line.who), find)
    end = begun = 0
    for place, line in enumerate(script.lines):
        voice = cast[line.who]
        if line.manner:
            voice = replace(voice, description=", ".join(filter(None, (voice.description, line.manner))))
        begins = end + round(line.gap * RATE)
        if begins < begun:
            most, before = floor((end - begun) / RATE * 100) / 100, script.lines[place - 1].who
            raise TextError(
                f"line {line.number}: {line.who} would begin before {before}, whose words are overlapped; "
                f"write (overlap {most:g}) or less"
            )
        with _at(line):
            pcm, words = say(line.text, voice, seed)
        begun = begins
        yield Performed(line, begun, pcm, tuple(words))
        end = max(end, begun + len(pcm))


def mixed(lines: Sequence[Performed]) -> Pcm:
    """All lines in one sound, made quieter where they are too loud together."""
    sound = np.zeros(max(one.start + len(one.pcm) for one in lines), dtype=np.float32)
    for one in lines:
        sound[one.start : one.start + len(one.pcm)] += one.pcm
    return sound / max(1.0, float(np.abs(sound).max()))


@contextmanager
def _at(line: Line) -> Iterator[None]:
    """Says of an error to which line it belongs."""
    try:
        yield
    except VivavoceError as error:
        raise type(error)(f"line {line.number}, {line.who}: {error}") from error


def _voice(line: Line, part: Part | None, find: Callable[[str], Voice | None]) -> Voice:
    if part is None:
        found = find(line.who)
        if found is None:
            raise TextError(
                f"this name has no voice; add a line such as {line.who} = a low, slow voice, or take a name that "
                "`vivavoce voices` lists"
            )
        return found
    if part.clip is None:
        known = find(part.description) or Voice.described(part.description)
        return replace(known, identity=part.identity) if part.identity else known
    return Voice.like(part.clip, Consent(part.agreed))
