"""What was said so far, kept as exactly what was heard.

An `Entry` is a message, a call or a call's result. A spoken entry carries its words with their times, so that it can
be cut at any sample: text and sound always end at the same moment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from vivavoce.core.errors import ProtocolError

KEPT_AUDIO_SECONDS = 300
NO_ITEM = "item_not_found"
"""Code of the error that an id is of no entry; whoever knows what was to be done with it says it more exactly."""


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
    words: tuple[Any, ...] = ()
    """`Word`s with times from the beginning of this entry."""
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


def _heard_text(text: str, words: Sequence[Any], count: int) -> str:
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


class History:
    """The entries in their order; ids are unique and all changes go through here."""

    def __init__(self) -> None:
        """An empty conversation."""
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        """Number of entries."""
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All, oldest first."""
        return tuple(self._entries)

    @property
    def characters(self) -> int:
        """Length of all text in it."""
        return sum(entry.characters for entry in self._entries)

    @property
    def last(self) -> str | None:
        """Id of the newest entry."""
        return self._entries[-1].id if self._entries else None

    def find(self, entry: str) -> Entry:
        """The entry of this id."""
        return self._entries[self._index(entry)]

    def knows(self, entry: str) -> bool:
        """Whether there is such an entry."""
        return any(e.id == entry for e in self._entries)

    def previous(self, entry: str) -> str | None:
        """Id of the one before."""
        index = self._index(entry)
        return self._entries[index - 1].id if index else None

    def add(self, entry: Entry, after: str | None = None) -> str | None:
        """Puts an entry at the end, after another one, or first (``root``); gives the id of the one before it."""
        if self.knows(entry.id):
            message = f"There is an item {entry.id!r} already; choose another id or leave it out."
            raise ProtocolError(message, "item_create_duplicate_item_id")
        if entry.kind == "result" and not any(e.kind == "call" and e.call == entry.call for e in self._entries):
            message = f"No call {entry.call!r} is known; a function_call_output needs the call_id of a call."
            raise ProtocolError(message, "invalid_tool_call_id")
        index = len(self._entries) if after is None else 0 if after == "root" else self._index(after) + 1
        self._entries.insert(index, entry)
        self._forget_old_audio()
        return self._entries[index - 1].id if index else None

    def put(self, entry: Entry) -> None:
        """Replaces the entry of the same id; one that was deleted meanwhile stays deleted."""
        if self.knows(entry.id):
            self._entries[self._index(entry.id)] = entry
            self._forget_old_audio()

    def delete(self, entry: str) -> None:
        """Forgets an entry."""
        del self._entries[self._index(entry)]

    def truncate(self, entry: str, samples: int) -> Entry:
        """Shortens a spoken reply to what was heard."""
        old = self.find(entry)
        self.check_truncation(old, samples, old.samples)
        new = old.cut(samples)
        self.put(new)
        return new

    @staticmethod
    def check_truncation(entry: Entry, samples: int, made: int) -> None:
        """ProtocolError where an entry, of which so many samples were made, cannot be shortened like that."""
        if entry.role != "assistant" or not entry.spoken or entry.kind != "message":
            message = f"The item {entry.id!r} is not a spoken message of the assistant; only those can be truncated."
            raise ProtocolError(message, "unsupported_content_type")
        if samples > made + 24:
            raise ProtocolError(f"Audio content of {made // 24} ms is already shorter than {samples // 24} ms.")

    def _index(self, entry: str) -> int:
        for index, known in enumerate(self._entries):
            if known.id == entry:
                return index
        raise ProtocolError(f"There is no item {entry!r} in this conversation.", NO_ITEM)

    def _forget_old_audio(self) -> None:
        """Keeps the memory of a long conversation bounded: the oldest sound goes, its words stay."""
        left = KEPT_AUDIO_SECONDS * 24_000
        for index in range(len(self._entries) - 1, -1, -1):
            audio = self._entries[index].audio
            if audio is None:
                continue
            left -= len(audio)
            if left < 0:
                self._entries[index] = replace(self._entries[index], audio=None)
