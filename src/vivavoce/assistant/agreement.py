"""Words that need not be taken back: of a turn that is heard again and again, those that two hearings in a row share.

A recogniser hears a window of the turn, from ``start`` to where the speaker is now. What it writes near the end of the
window changes with the next hearing; what both wrote is certain, is not changed any more, and the window may begin
behind it. All times are samples of the turn at 24 kHz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.core.talk import Word
from vivavoce.runtime.model import RATE

_EDGE = RATE // 5
"""A word that ends nearer than this to the end of what was heard may be a part of one."""
_LONG, _LONGEST = 15 * RATE, 27 * RATE
"""From the first on a window is shortened at a good place, from the second on wherever it has to be."""
_FRESH = 2 * RATE
"""The window's end that is always heard again."""


@dataclass(slots=True)
class Agreement:
    """The certain words, what the last hearing had behind them and how far it went, and where the window begins."""

    words: tuple[Word, ...] = ()
    last: tuple[Word, ...] = ()
    heard_to: int = 0
    start: int = 0

    def more(self, found: Sequence[Word], heard_to: int) -> None:
        """Takes what another hearing of the window found, up to this sample."""
        rest = self.rest(found)
        same = 0
        for before, now in zip(self.last, rest, strict=False):
            if before.text != now.text or now.end > self.heard_to - _EDGE:
                break
            same += 1
        self.words += rest[:same]
        self.last, self.heard_to = rest[same:], heard_to
        if heard_to - self.start > _LONG:
            self._shorten()

    def rest(self, found: Sequence[Word]) -> tuple[Word, ...]:
        """What a hearing of the window found behind the certain words."""
        known = [word for word in self.words if word.start >= self.start]
        if not known:
            return tuple(found)
        costs = list(range(len(found) + 1))
        for i, word in enumerate(known, 1):
            before, costs[0] = costs[0], i
            for j, other in enumerate(found, 1):
                differs = _plain(word.text) != _plain(other.text)
                before, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, before + differs)

        def misfit(count: int) -> tuple[int, int]:
            behind = found[count].start if count < len(found) else self.heard_to
            return costs[count], abs(behind - known[-1].end)

        return tuple(found[min(range(len(found) + 1), key=misfit) :])

    def _shorten(self) -> None:
        """Begins the window behind a sentence, or a pause, or somewhere."""
        limit = self.heard_to - _FRESH
        ends = [word for word in self.words if self.start < word.end <= limit]
        if not ends and self.heard_to - self.start > _LONGEST:
            taken = [word for word in self.last if word.end <= limit]
            self.words += tuple(taken)
            self.last = self.last[len(taken) :]
            ends = taken[-1:]
            self.start = limit if not taken else self.start
        if ends:
            sentences = [word for word in ends if word.text[-1] in ".?!" and word.end > self.start + _FRESH]
            self.start = (sentences or ends)[-1].end

    def before(self, characters: int = 300) -> str:
        """The end of the certain text that the window continues."""
        text = " ".join(word.text for word in self.words if word.start < self.start)
        return text if len(text) <= characters else text[-characters:].partition(" ")[2]


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == "'")
