"""Numbers that a text names, in digits or in English words."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from vivavoce.text.numbers import cardinal, ordinal

_PIECES: Final = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[a-z]+(?:'[a-z]+)?|[^\sa-z\d-]")
_POWERS: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_LONGEST: Final = 24
"""Words of one number that are looked at."""


@cache
def _small() -> dict[str, int]:
    """Words of the numbers below twenty and of the tens, as amounts and as places in a row."""
    return {form(number)[0]: number for number in (*range(20), *range(20, 100, 10)) for form in (cardinal, ordinal)}


def named_numbers(text: str) -> list[str]:
    """The numbers of an English text, each once, as JSON writes them: "twenty-five percent, or 1,200.50" has 25 and
    1200.5. Places in a row count ("the third"), signs before numbers do not."""
    pieces = _PIECES.findall(text.lower().replace("’", "'"))
    return list(dict.fromkeys(_named(pieces)))


def _named(pieces: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(pieces):
        number, end = _spelled(pieces, at), at + 1
        if pieces[at][0].isdigit():
            written = pieces[at].replace(",", "")
            if "." not in written and end < len(pieces) and pieces[end] in _POWERS:
                written, end = str(int(written) * _POWERS[pieces[end]]), end + 1
            yield _plain(written)
        elif number is not None:
            value, end = number
            digits = _digits(pieces, end)
            yield _plain(f"{value}.{digits}") if digits else str(value)
            end += len(digits) + bool(digits)
        at = end


def _spelled(pieces: Sequence[str], at: int) -> tuple[int, int] | None:
    """The longest number in words that begins there, and what stands behind it."""
    if pieces[at] not in _small() and pieces[at : at + 1] != ["a"]:
        return None
    for end in range(min(at + _LONGEST, len(pieces)), at, -1):
        words = [word for word in pieces[at:end] if word != "and"]
        if pieces[end - 1] == "and" or words == ["a"]:
            continue
        words[0] = "one" if words[0] == "a" else words[0]
        value = _value(words)
        if value is not None and words in (cardinal(value), ordinal(value)):
            return value, end
    return None


def _value(words: Sequence[str]) -> int | None:
    """What number words amount to, were they one number; None where they are none."""
    total = part = 0
    for word in words:
        power = word.removesuffix("th")
        if word in _small():
            part += _small()[word]
        elif power == "hundred":
            part *= 100
        elif power in _POWERS:
            total, part = total + part * _POWERS[power], 0
        else:
            return None
    return total + part


def _digits(pieces: Sequence[str], at: int) -> str:
    """The digits behind a "point" that stands there."""
    found = ""
    if at < len(pieces) and pieces[at] == "point":
        for piece in pieces[at + 1 :]:
            if _small().get(piece, 10) > 9:
                break
            found += str(_small()[piece])
    return found


def _plain(written: str) -> str:
    """Without zeros that say nothing: 007 is 7, 2.50 is 2.5."""
    whole, _, rest = written.partition(".")
    whole, rest = whole.lstrip("0") or "0", rest.rstrip("0")
    return f"{whole}.{rest}" if rest else whole
