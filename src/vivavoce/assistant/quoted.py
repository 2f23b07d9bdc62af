"""What somebody said, as arguments are written from it: words and numbers are copied, and of listed values the one that
was named is taken, or one that sounds like something that was said."""

import json
import math
import re
from collections.abc import Sequence
from functools import cached_property

from vivavoce.text.named_numbers import named_numbers
from vivavoce.text.pronounce import sounds_like

_WORDS = re.compile(r"[\w'’.-]*\w")
_PLAIN = re.compile(r"[a-z']*[a-z]|\d+")
_LONGEST_COPY, _MOST_WORDS = 3, 40
_PREPOSITIONS = "42"
_JOINED = re.compile(rf"\b[{_PREPOSITIONS}]-(?=\d)")
"""A recogniser may write "a table 4-6" or "4.6" for "a table for six", and "set it 223" for "to twenty-three"."""
_SOUNDS = 6.0
"""What is added to the log-probability of such a value: more than what a model thinks of the others, as a rule."""


class Quoted:
    """The words of somebody who asks for something."""

    def __init__(self, said: str) -> None:
        """Nothing is quoted from an empty text."""
        self.said = said

    @property
    def copies(self) -> list[str]:
        """Up to three words in a row, as the rest of a string in JSON."""
        words = [(found.start(), found.end()) for found in _WORDS.finditer(self.said)][:_MOST_WORDS]
        spans = [
            self.said[words[first][0] : words[last][1]]
            for first in range(len(words))
            for last in range(first, min(first + _LONGEST_COPY, len(words)))
        ]
        return [json.dumps(span, ensure_ascii=False)[1:] for span in dict.fromkeys(spans)]

    @property
    def numbers(self) -> tuple[list[str], list[str]]:
        """The numbers that were said, in digits; and what is left of them where their beginning was a "for" or "to"."""
        said = named_numbers(_JOINED.sub("", self.said))
        rest = [number[1:].removeprefix(".") for number in said if number[0] in _PREPOSITIONS]
        return said, [number for number in rest if number and number[0] != "0"]

    @cached_property
    def _words(self) -> list[str]:
        return _PLAIN.findall(self.said.lower().replace("’", "'"))[:_MOST_WORDS]

    def favour(self, values: Sequence[bytes]) -> list[float]:
        """What is added to the log-probabilities of these pieces of JSON: where they are strings, those that were named
        rule out all others, else what sounds like something that was said is more likely than the others."""
        read = [_value(value) for value in values]
        if not all(read) or not self._words:
            return [0.0] * len(values)
        named = [self._names(value) for value in read]
        if any(named):
            return [0.0 if each else -math.inf for each in named]
        return [_SOUNDS if self._sounds(value) else 0.0 for value in read]

    def _runs(self, count: int) -> list[list[str]]:
        return [self._words[at : at + count] for at in range(len(self._words) - count + 1)]

    def _names(self, value: list[str]) -> bool:
        return value in self._runs(len(value))

    def _sounds(self, value: list[str]) -> bool:
        return any(
            sounds_like(value, words)
            for words in self._runs(len(value))
            if not any(word.isdigit() for word in (*value, *words))
        )


def _value(piece: bytes) -> list[str]:
    """The words of a string in JSON; none where it is something else."""
    text = piece.decode(errors="replace")
    return _PLAIN.findall(text[1:-1].lower()) if len(text) > 2 and text[0] == text[-1] == '"' else []
