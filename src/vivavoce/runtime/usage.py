"""How much of a conversation a reply depends on, and what it costs."""

from vivavoce.core.talk import Entry
from vivavoce.runtime.api import Window
from vivavoce.runtime.model import FRAME


def text_tokens(text: str) -> int:
    """How text is counted in usage: one token per four bytes."""
    return -(-len(text.encode(errors="replace")) // 4)


def audio_tokens(samples: int) -> int:
    """How sound is counted in usage: one token per 40 ms."""
    return -(-samples // FRAME)


def tokens_of(entry: Entry) -> tuple[int, int]:
    """Text and audio tokens of an entry; what was said counts as sound."""
    written = entry.written if entry.spoken else entry.text + entry.arguments + entry.output
    return text_tokens(written), audio_tokens(entry.samples) if entry.spoken else 0


class Fitting:
    """Leaves out the oldest entries where they are more than a window; what was left out once stays so."""

    def __init__(self) -> None:
        """Nothing was left out."""
        self._oldest: str | None = None

    def fit(self, entries: tuple[Entry, ...], window: Window | None) -> tuple[Entry, ...]:
        """The entries that fit."""
        if window is None:
            return entries
        first = next((place for place, entry in enumerate(entries) if entry.id == self._oldest), 0)
        sizes = [sum(tokens_of(entry)) for entry in entries]
        if sum(sizes[first:]) > window.tokens:
            while first < len(entries) - 1 and sum(sizes[first:]) > window.keep * window.tokens:
                first += 1
            self._oldest = entries[first].id
        return entries[first:]
