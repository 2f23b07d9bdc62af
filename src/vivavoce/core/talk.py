"""What a conversation is made of, for systems and runtime alike: what was heard, what is to be done, what was said.

An `Entry` is a message, a call or a call's result. A spoken entry carries its words with their times, so that it can
be cut at any sample: text and sound always end at the same moment. All times are samples at 24 kHz.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

from vivavoce.core.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call; ``parameters`` is a JSON schema of an object."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it is said, in samples from the beginning of its turn; how likely it is the right one, and how
    likely it is that somebody speaks there at all, 0 to 1.

    ``span``: the characters [begin, end) of the reply's text that it was read from. Words of one number share theirs;
    words that were heard have none.
    """

    text: str
    start: int
    end: int
    confidence: float = 1.0
    speech: float = 1.0
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a turn sounds like so far: all its words, and how likely it is that the speaker is done.

    ``backchannel``: how likely it is that so short a sound is a sign of listening, or a cough; None where the
    words have to tell.
    """

    words: tuple[Word, ...] = ()
    done: float = 0.0
    backchannel: float | None = None
    speech: float = 1.0
    """How likely it is that anybody speaks at all."""
    certain: int | None = None
    """How many of the words will not change any more; None where the ears cannot tell while somebody speaks."""
    language: str = ""
    """The code of the language that was spoken, where the ears know more than one."""

    def until(self, samples: int) -> "Heard":
        """The same for a turn of so many samples: no word begins or ends behind it."""
        return replace(self, words=within(self.words, samples))


def within(words: tuple[Word, ...], samples: int) -> tuple[Word, ...]:
    """The words with their times inside a sound of so many samples."""
    return tuple(replace(word, start=min(word.start, samples), end=min(word.end, samples)) for word in words)


@dataclass(frozen=True, slots=True)
class Say:
    """Text to be said next, best a phrase or a sentence at a time; pieces join without a separator."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to be called; ``arguments`` is JSON that its schema accepts."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Restyle:
    """From here on speak in this voice."""

    voice: Voice


@dataclass(frozen=True, slots=True, eq=False)
class Utter:
    """Something that the mind said itself, in sound at 24 kHz, and the text that goes with it; no speaker is needed."""

    text: str
    pcm: Float32[np.ndarray, " N"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """The mind could not answer as it should; what was said stands, and whoever runs the conversation is told why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What a duplex model says in a step, on one row: sound, the text that goes with it, and tools that it calls.

    ``marks``: names of what else it tells of this moment.
    """

    pcm: Float[Tensor, " N"]
    text: str = ""
    calls: tuple[Call, ...] = ()
    marks: tuple[str, ...] = ()


Thought = Say | Utter | Call | Restyle | Trouble


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One item of a conversation; ``words`` and ``audio`` (24 kHz, 16 bit) only where it was spoken."""

    id: str
    kind: Literal["message", "call", "result"] = "message"
    role: Literal["system", "user", "assistant"] = "user"
    text: str = ""
    written: str = ""
    """The beginning of ``text`` that was written beside the sound; the rest was said."""
    spoken: bool = False
    audio: np.ndarray | None = None
    samples: int = 0
    words: tuple[Word, ...] = ()
    """With times from the beginning of this entry."""
    status: Literal["completed", "incomplete", "in_progress"] = "completed"
    call: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""
    reply: int = 0
    """The turn of ours that it is part of; 0 for what is not ours or was made by the client."""
    trimmed: bool = False

    @property
    def said(self) -> str:
        """What of the text was said."""
        return self.text[len(self.written) :].lstrip()

    @property
    def characters(self) -> int:
        """Length of all that is written in it."""
        return len(self.text) + len(self.arguments) + len(self.output)

    def cut(self, samples: int) -> "Entry":
        """The entry as somebody knows it who heard only so many samples.

        A word counts as heard once half of it was played. Words carry their place in the text; where only some of those
        that are written as one were heard ("four dollars" of "$4.50"), these stand there as they were said.
        """
        heard = [word for word in self.words if (word.start + word.end) / 2 <= samples]
        text = self.text
        if len(heard) < len(self.words):
            text = _heard_text(self.text, self.words, len(heard))
        elif not self.words and self.samples:
            text = self.text[: len(self.text) * samples // self.samples]
        audio = None if self.audio is None else self.audio[:samples].copy()
        return replace(
            self, text=text, words=tuple(heard), audio=audio, samples=min(samples, self.samples), trimmed=True
        )


def as_known(entries: Sequence[Entry]) -> list[Entry]:
    """Entries in the order in which we knew of them.

    What came while we answered, a call's result above all, stands behind the whole answer: it was said without it.
    """
    found: list[Entry] = []
    for entry in entries:
        place = len(found)
        if entry.reply:
            place = next((n for n in range(len(found), 0, -1) if found[n - 1].reply == entry.reply), place)
        found.insert(place, entry)
    return found


def _heard_text(text: str, words: Sequence[Word], count: int) -> str:
    """The beginning of a text that the first ``count`` of its words make, and the full stop if a sentence does."""
    if not count:
        return ""
    span = words[count - 1].span
    if span is None:
        return " ".join(word.text for word in words[:count])
    begin, end = span
    first = next(place for place, word in enumerate(words) if word.span == span)
    if words[count].span == span:
        return text[:begin] + " ".join(word.text for word in words[first:count])
    after = words[count].span
    closed = _CLOSING.match(text, end, after[0] if after else len(text))
    return text[: closed.end() if closed else end]


_CLOSING = re.compile(r"[.!?…]*[\"'”’)\]*_`~]*(?=\s|\Z)")
