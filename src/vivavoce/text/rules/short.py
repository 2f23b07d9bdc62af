"""Short forms: titles, streets, states and the like, with and without a full stop, and Roman numerals."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.rules.words import spelled
from vivavoce.text.scan import Rule, Scan
from vivavoce.text.written import (
    BEFORE_NUMBERS,
    COUNTED,
    INSIDE,
    KINGS,
    MONTHS,
    STARTERS,
    STATES,
    STREETS,
    SUFFIXES,
    TITLES,
    WEEKDAYS,
    WITHOUT_STOP,
    may_be_short,
)

_DOTTED: Final = re.compile(
    r"(?:[A-Za-z]\.){1,8}[A-Za-z]?(?![A-Za-z])|[A-Za-z]{1,8}\.(?:[A-Za-z]{1,3}\.?)?(?![A-Za-z0-9])"
)


def street(after_capital: str, next_word: str, short: str) -> bool:
    """Whether "St." or "Dr." is a street and no saint or doctor."""
    named = bool(after_capital) and after_capital.lower().rstrip(".,") not in STARTERS | _BEFORE_SAINTS
    if short == "dr":
        return named and not (next_word[:1].isupper() and next_word.lower() not in STARTERS)
    return named


_BEFORE_SAINTS: Final = frozenset("mount port fort bay lake sault east west north south mt ft in near by".split())


def _say_dotted(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    name = written.lower().removesuffix(".")
    stop = written.endswith(".")
    after = scan.next_word(found.end())
    if stop and name.isalpha() and len(name) > 1 and not may_be_short(written[:-1]):
        return None
    if name in STREETS and stop:
        return [STREETS[name][street(scan.capital_before(), after, name)]]
    if name in BEFORE_NUMBERS and stop and after[:1].isdigit() and not (len(name) == 1 and written[0].isupper()):
        return [BEFORE_NUMBERS[name]]
    if name in TITLES and stop and (after[:1].isupper() or name in {"mr", "mrs", "ms", "messrs", "prof"}):
        return [TITLES[name]]
    if name in INSIDE and stop:
        return INSIDE[name].split()
    if (
        name in WEEKDAYS
        and stop
        and written[0].isupper()
        and (after[:1] == "," or after[:1].isdigit() or after.lower().rstrip(".") in MONTHS)
    ):
        return [WEEKDAYS[name]]
    if name in STATES and stop and written[0].isupper() and scan.before(2) == ", ":
        return [STATES[name]]
    if name in SUFFIXES and stop and (name != "al" or scan.before(3) == "et "):
        return ["a." if word == "a." else word for word in SUFFIXES[name].split()]
    if re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]?", written):
        letters = written.replace(".", "")
        if len(letters) > 1:
            return spelled(letters)
        return spelled(letters) if written[0].isupper() and after[:1].isupper() else None
    return None


_BARE: Final = re.compile(r"(?:Mr|Mrs|Dr|Prof|[Vv]s|etc|Jan|Feb|Sept)(?![A-Za-z'.])", re.IGNORECASE)


def _say_bare(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    name = found[0].lower()
    if name == "dr" and street(scan.capital_before(), scan.next_word(found.end()), "dr"):
        return ["drive"]
    if name in WITHOUT_STOP:
        return ["doctor"] if name == "dr" else (TITLES | INSIDE | SUFFIXES)[name].split()
    return None


_WITH: Final = re.compile(r"w/o?(?=[\s]|o\b)|w/o\b")


def _say_with(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return ["without" if found[0].endswith("o") else "with"] if scan.apart else None


_ROMAN: Final = re.compile(r"([IVXLC]+)(?![A-Za-z'])")


def _say_roman(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    value = numbers.roman(found[1])
    last = scan.capital_before()
    counted = last in COUNTED or (
        bool(scan.tokens) and scan.text[scan.tokens[-1].begin : scan.tokens[-1].end] in COUNTED
    )
    if not value or not (last or counted) or scan.before() not in " \n":
        return None
    if last in KINGS and (len(found[1]) > 1 or found[1] in "VX" or scan.next_word(found.end()) in {"of", "was"}):
        return ["the", *numbers.ordinal(value)]
    if counted or (len(found[1]) > 1 and last and value < 40 and last.lower() not in STARTERS and not last.isupper()):
        return numbers.cardinal(value)
    return None


WITH: Final[Rule] = (_WITH, _say_with)
DOTTED: Final[Rule] = (_DOTTED, _say_dotted)
BARE: Final[Rule] = (_BARE, _say_bare)
ROMAN: Final[Rule] = (_ROMAN, _say_roman)
