"""What the user said, word by word, as far as nothing was made of it yet."""

from collections.abc import Sequence
from typing import Final

from vivavoce.systems.mini.spots import NO, STOPS, alike

_ENDS: Final = STOPS - {"the", "of", "a", "an", "no", "not"} | {
    *"today tomorrow tonight saying says called named titled".split()
}
LONGEST: Final = 6


class UnusedWords:
    """What the user said: each word is used once."""

    def __init__(self, words: Sequence[str | None]) -> None:
        self.words: list[str | None] = list(words)

    def find(self, parts: Sequence[str]) -> int | None:
        """Where these words stand in a row, endings aside."""
        size = len(parts)
        for first in range(len(self.words) - size + 1) if size else ():
            if all(alike(self.words[first + n], part) for n, part in enumerate(parts)):
                return first
        return None

    def take(self, parts: Sequence[str]) -> bool:
        """Uses these words."""
        first = self.find(parts)
        if first is not None:
            self.words[first : first + len(parts)] = [None] * len(parts)
        return first is not None

    def denied(self, first: int) -> bool:
        """Whether a "no" stands before a word."""
        return any(word in NO for word in self.words[max(first - 2, 0) : first])

    def after(self, cue: Sequence[str], to_end: bool = False) -> list[str]:
        """The words behind a cue, up to where a name or a thing ends (``to_end``: up to the end)."""
        first = self.find(cue)
        while first is not None:
            start = first + len(cue)
            span: list[str] = []
            for word in self.words[start:]:
                if word is None or (not to_end and span and word in _ENDS) or (not to_end and len(span) == LONGEST):
                    break
                span.append(word)
            while span and (span[-1] in STOPS if not to_end else span[-1] == "please"):
                span.pop()
            while span and span[0] in ("a", "an", "the"):
                span.pop(0)
            if span and (span[0] not in STOPS or (to_end and not set(span) <= STOPS)):
                return span
            later = UnusedWords([*([None] * start), *self.words[start:]])
            first = later.find(cue)
        return []
