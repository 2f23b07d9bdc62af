"""What was said so far, kept as exactly what was heard."""

from dataclasses import replace

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry
from vivavoce.runtime.api import EntryAdded, EntryDone, Output

KEPT_AUDIO_SECONDS = 300
NO_ITEM = "item_not_found"
"""Code of the error for an unknown id; `inbox.refusal` replaces it by the code that clients expect of that input."""


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

    def keep(self, output: Output) -> Output:
        """Takes entries from a reply's output into the conversation; gives the output with their place in it."""
        match output:
            case EntryAdded(entry):
                return replace(output, previous=self.add(entry))
            case EntryDone(entry) if self.knows(entry.id):
                self.put(entry)
                return replace(output, previous=self.previous(entry.id))
            case EntryDone():
                return replace(output, gone=True)
            case _:
                return output

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
