"""What is to be said while it is being written: text becomes phrases, phrases become what is said in one breath."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from vivavoce.core.errors import TextError
from vivavoce.text.normalise import Phrase, Reader, SpokenWord


@dataclass
class Reading:
    """A text so far: its phrases that nobody has taken yet, and what of it cannot be said."""

    reader: Reader = field(default_factory=Reader)
    phrases: deque[Phrase] = field(default_factory=deque)
    written: bool = False
    """Whether there was anything but space in the text."""
    last: bool = False
    unsaid: list[str] = field(default_factory=list)
    """Why parts of the text cannot be said; not given out yet."""

    def read(self, text: str, last: bool) -> None:
        """More of the text; ``last``: nothing follows."""
        self.written |= not text.isspace() and bool(text)
        self.last |= last
        self.phrases.extend(self.reader.feed(text, last))

    def refusals(self) -> tuple[str, ...]:
        """Takes what cannot be said."""
        unsaid, self.unsaid = tuple(self.unsaid), []
        return unsaid

    def nothing(self) -> TextError:
        """What is wrong with a text that is over without a word to say."""
        return TextError(self.unsaid[0] if self.unsaid else "the text has nothing to say in it; give some words")


class Breath(NamedTuple):
    """What is said in one piece: characters [begin, end) of the text as words, and seconds of silence after it."""

    begin: int
    end: int
    words: tuple[SpokenWord, ...]
    pause: float = 0.0


_BEFORE = frozenset("and or but that which who if when because to of in on at by for from with as the a an".split())
"""Words before which one may breathe where one has to."""
_LITTLE_MORE = 1.4


@dataclass
class Breathing(Reading):
    """A reading that is taken in breaths of a length that one can choose."""

    taken: int = 0
    """Words of the first phrase that were taken."""

    def breath(self, longest: int, hungry: bool) -> Breath | None:
        """Takes a sentence, or as much of one as fits into so many characters; None where there is nothing.

        A part of a sentence of which more may come is taken if one is ``hungry``: nothing else is left to say.
        """
        count = self._whole(longest, hungry)
        if not count:
            return None
        first = self.phrases[0]
        if first.refusal:
            self.unsaid.append(first.refusal)
            self._drop(1)
            return Breath(first.begin, first.end, (), first.pause)
        words = [word for phrase in islice(self.phrases, count) for word in phrase.words]
        words = words[self.taken :]
        if words and count == 1 and words[-1].end - words[0].begin > _LITTLE_MORE * longest:
            cut = _place_to_breathe(words, longest)
            if cut < len(words):
                self.taken += cut
                return Breath(words[0].begin, words[cut].begin, tuple(words[:cut]))
        begin = words[0].begin if self.taken and words else first.begin
        phrase = self.phrases[count - 1]
        self._drop(count)
        return Breath(begin, phrase.end, tuple(words), phrase.pause)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self.phrases.popleft()
        self.taken = 0

    def _whole(self, longest: int, hungry: bool) -> int:
        """How many phrases go together."""
        count = 0
        for phrase in self.phrases:
            if count and (phrase.refusal or phrase.end - self.phrases[0].begin > longest):
                return count
            count += 1
            if phrase.ends_sentence or phrase.pause or phrase.refusal:
                return count
        return count if self.last or hungry else 0


def _place_to_breathe(words: Sequence[SpokenWord], longest: int) -> int:
    """After how many words: as late as fits, best before a word that begins a group; words of one number stay
    together."""
    begin = words[0].begin
    places = [n for n in range(1, len(words)) if words[n].begin != words[n - 1].begin]
    fitting = [n for n in places if words[n - 1].end - begin <= longest] or places[:1]
    good = [n for n in fitting if words[n].text in _BEFORE and words[n - 1].end - begin >= longest // 2]
    return (good or fitting or [len(words)])[-1]
