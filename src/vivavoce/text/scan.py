"""A phrase while it is read from left to right: where we are, what was read, and what a rule is.

A rule looks at one place: a pattern that must match there, and what is said for it. Patterns end at the phrase that is
read, so a rule never knows more than what has been decided.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vivavoce.text.folding import SKIP

MARKS: Final = frozenset(",.?!")


@dataclass(frozen=True, slots=True)
class Token:
    """Characters [begin, end) of the text and what is said for them: words in lower case and the marks ``, . ? !``.

    "a." is the name of the letter; ``pause`` is a silence in seconds that the text asks for after them.
    """

    begin: int
    end: int
    said: tuple[str, ...]
    pause: float = 0.0


@dataclass(slots=True)
class Around:
    """What a phrase's reading needs to know of the text before it."""

    document: bool = False
    """Whether we are in a ``<speak>`` document."""
    quoted: bool = False
    """Whether a straight quotation mark is open."""
    opening: bool = True
    """Whether a sentence begins here."""
    dropped: set[str] = field(default_factory=set)
    """Names of tags that were left out."""


Expand = Callable[["Scan", re.Match[str]], "Sequence[str] | None"]
"""What is said for a match, or None where the rule finds that it does not apply; it may `Scan.put` itself."""
Rule = tuple[re.Pattern[str], Expand]
_N: Final = r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)(?:\.\d+)?|\.\d+"
DASH: Final = r"\s?[-–—−]\s?"
"""A range's."""


def numeral(pattern: str) -> re.Pattern[str]:
    """A pattern in which NUM is a number and DASH the sign of a range."""
    return re.compile(pattern.replace("NUM", f"(?:{_N})").replace("DASH", DASH))


_NEXT_WORD: Final = re.compile(r"[ \n\"'(\[*_]*([A-Za-z']+|\S?)")


class Scan:
    """One phrase while it is read."""

    def __init__(
        self, text: str, begin: int, end: int, around: Around, sentence: bool, inner: Callable[[str], list[str]]
    ) -> None:
        """``text`` is folded; what stands before the phrase may be looked at, what stands after it not.

        ``sentence``: whether it is the last phrase of one. ``inner`` reads a short text that stands in a tag.
        """
        self.text, self.begin, self.at, self.end = text, begin, begin, end
        self.around, self.sentence, self.inner = around, sentence, inner
        self.tokens: list[Token] = []
        self.numeric = False
        """Whether the last token was a number."""
        self.capital = ""
        """The last token, where it was a word with a capital letter."""
        self.shouted: bool | None = None
        """Whether the phrase has words in capitals that nobody would spell, once it was looked at."""

    def put(self, end: int, said: Sequence[str], pause: float = 0.0) -> None:
        """What stands up to ``end`` is said so; nothing where something else has been put there already."""
        if end <= self.at:
            return
        if said or pause:
            self.tokens.append(Token(self.at, end, tuple(said), pause))
            written = self.text[self.at : end]
            self.numeric = written[-1].isdigit() or written[0].isdigit()
            self.capital = written if written[0].isupper() else ""
        self.at = end

    def before(self, count: int = 1) -> str:
        """The characters just before, fewer at the text's beginning."""
        return self.text[max(0, self.at - count) : self.at]

    @property
    def word_begins(self) -> bool:
        """Whether a space, an opening sign or nothing stands before."""
        return self.at == 0 or self.text[self.at - 1] in " \n\t([{\"'=:*_~<>|,/" or self.text[self.at - 1] == SKIP

    @property
    def line_begins(self) -> bool:
        """Whether nothing but spaces and quotation arrows stands before on the line."""
        at = self.at - 1
        while at >= 0 and self.text[at] in " \t>":
            at -= 1
        return at < 0 or self.text[at] == "\n"

    def next_word(self, at: int) -> str:
        """The word, or the sign, that comes next at a place of the phrase."""
        found = _NEXT_WORD.match(self.text, at, self.end)
        return found[1] if found else ""

    def capital_before(self) -> str:
        """What was written just before, where it begins with a capital or is an ordinal number."""
        if not self.tokens or self.text[self.tokens[-1].end : self.at].strip():
            return ""
        last = self.tokens[-1]
        written = self.text[last.begin : last.end]
        return written if written[0].isupper() or re.fullmatch(r"\d+(?:st|nd|rd|th)", written) else ""
