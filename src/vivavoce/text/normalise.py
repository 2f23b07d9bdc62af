"""Written English to the words that are said, in one pass, each with the place in the text that it comes from."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from vivavoce.core.errors import TextError
from vivavoce.text.folding import fold
from vivavoce.text.phrases import next_cut
from vivavoce.text.scan import MARKS, Around, Token
from vivavoce.text.tokens import tokens_of

__all__ = ["LONGEST", "MARKS", "Phrase", "Reader", "SpokenWord", "normalise", "phrases", "read"]

log = logging.getLogger(__name__)
LONGEST: Final = 20_000  # characters in one call; the longest that is still read in one go


class SpokenWord(NamedTuple):
    """A word as it is said ("a." is the name of the letter), from the characters [begin, end) of the text.

    ``mark`` is the one of ``, . ? !`` that follows it, if any.
    """

    text: str
    begin: int
    end: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a sentence between two breaths: characters [begin, end) of the text as tokens.

    ``refusal`` says why it cannot be read where it has letters that nobody here can say; it has no tokens then, nor
    where nothing but the end of a sentence is left.
    """

    begin: int
    end: int
    tokens: tuple[Token, ...]
    ends_sentence: bool
    refusal: str = ""

    @property
    def pause(self) -> float:
        """Seconds of silence that the text asks for after it."""
        return sum((token.pause for token in self.tokens), 0.0)

    @property
    def said(self) -> list[str]:
        """Words and marks."""
        return [word for token in self.tokens for word in token.said]

    @property
    def words(self) -> list[SpokenWord]:
        """The words with their places."""
        made: list[SpokenWord] = []
        for token in self.tokens:
            for word in token.said:
                if word not in MARKS:
                    made.append(SpokenWord(word, token.begin, token.end))
                elif made and not made[-1].mark:
                    made[-1] = made[-1]._replace(mark=word)
        return made


class Reader:
    """Reads a text while it is being written: phrases come as soon as nothing that follows can change them.

    Places count from the beginning of the whole text. How the text is cut into pieces changes neither words nor places.
    """

    def __init__(self) -> None:
        """Nothing has been written yet."""
        self._text = ""
        self._gone = 0  # characters of phrases that nothing will look at any more
        self._at = 0
        self._around = Around()
        self._warned = False

    def feed(self, text: str, last: bool = False) -> list[Phrase]:
        """More of the text (``last``: nothing follows); gives the phrases that it completed."""
        self._text += fold(text)
        made: list[Phrase] = []
        while (cut := next_cut(self._text, self._at, last)) is not None:
            phrase = self._read(cut.end, cut.sentence)
            self._at = cut.end
            if phrase.tokens or phrase.refusal or phrase.ends_sentence:
                made.append(phrase)
        if self._at > _LOOKED_BACK:
            self._gone, self._text = self._gone + self._at - _LOOKED_BACK, self._text[self._at - _LOOKED_BACK :]
            self._at = _LOOKED_BACK
        self._warn()
        return made

    def _read(self, end: int, sentence: bool) -> Phrase:
        begin, gone = self._at, self._gone
        refusal, tokens = "", []
        try:
            tokens = tokens_of(self._text, begin, end, self._around, sentence)
        except TextError as error:
            refusal = str(error)
        self._around.opening = sentence
        if (
            sentence
            and tokens
            and tokens[-1].said
            and tokens[-1].said[-1] not in MARKS
            and self._ends_written(begin, end)
        ):
            tokens[-1] = Token(tokens[-1].begin, tokens[-1].end, (*tokens[-1].said, "."), tokens[-1].pause)
        moved = (Token(token.begin + gone, token.end + gone, token.said, token.pause) for token in tokens)
        return Phrase(begin + gone, end + gone, tuple(moved), sentence, refusal)

    def _ends_written(self, begin: int, end: int) -> bool:
        """Whether the end is written down: a full stop that belongs to a short form, or the end of a line."""
        return self._text[begin:end].rstrip(" \t\"'”’»)]}*_`~")[-1:] in {".", "\n"}

    def _warn(self) -> None:
        if self._around.dropped and not self._warned:
            self._warned = True
            names = ", ".join(f"<{name}>" for name in sorted(self._around.dropped))
            log.warning(
                "the tags %s are left out; break, sub and say-as are what is followed, the text in others is read",
                names,
            )


_LOOKED_BACK: Final = 512
"""Characters before a phrase that its reading may look at."""


def phrases(text: str) -> list[Phrase]:
    """A whole text as phrases; TextError for one that is too long, or has nothing to say in it."""
    if len(text) > LONGEST:
        raise TextError(f"the text has {len(text)} characters and at most {LONGEST} are read at once; split it")
    found = Reader().feed(text, last=True)
    for phrase in found:
        if phrase.refusal:
            raise TextError(phrase.refusal)
    if not any(word not in MARKS for phrase in found for word in phrase.said):
        raise TextError(f"the text {text.strip()[:40]!r} has nothing to say in it; give some words")
    return found


def normalise(text: str) -> list[str]:
    """The words of a text as they are said, in lower case: letters and apostrophes only.

    Raises TextError for a text with nothing to say, in another script, or too long.
    """
    return ["a" if word == "a." else word for word in read(text) if word not in MARKS]


def read(text: str) -> list[str]:
    """As ``normalise``, with the marks ``, . ? !`` kept for pauses and melody, and "a." for the name of the letter."""
    return list(_once(word for phrase in phrases(text) for word in phrase.said))


def _once(said: Iterator[str]) -> Iterator[str]:
    """Words, and of several marks in a row the first."""
    marked = True
    for word in said:
        if word not in MARKS or not marked:
            yield word
        marked = word in MARKS
