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
    RULERS,
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
    return ["without" if found[0].endswith("o") else "with"] if scan.word_begins else None


_ROMAN: Final = re.compile(r"([IVXLC]+)('s)?(?![A-Za-z'])")
_AFTER_KINGS: Final = frozenset("of was is has and died ruled reigned".split())
_AFTER_PRONOUN: Final = frozenset(
    "am have had think thought know knew like liked love loved see saw mean meant want met admire believe hope guess "
    "will would can could should must".split()
)


def _say_roman(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    value = numbers.roman(found[1])
    last, before = scan.capital_before(), [scan.text[token.begin : token.end] for token in scan.tokens[-3:]]
    counted = last in COUNTED or (bool(before) and before[-1] in COUNTED)
    if not value or not (last or counted) or scan.before() not in " \n":
        return None
    said: list[str] | None = None
    if _ruler(scan, found, last, before):
        said = ["the", *numbers.ordinal(value)]
    elif counted or (len(found[1]) > 1 and last and value < 40 and last.lower() not in STARTERS and not last.isupper()):
        said = numbers.cardinal(value)
    return [*said[:-1], said[-1] + "'s"] if said and found[2] else said


def _ruler(scan: Scan, found: re.Match[str], last: str, before: list[str]) -> bool:
    """Whether this numeral is a king's or a pope's; "I" may be the word."""
    titled = bool(last) and any(word in RULERS for word in before[:-1])
    if not titled and last not in KINGS:
        return False
    after = scan.next_word(found.end())
    if found[1] != "I":
        return len(found[1]) > 1 or found[1] in "VX" or after in _AFTER_KINGS
    if found[2] or not after[:1].isalpha() or after in _AFTER_KINGS:
        return True
    return titled and after not in _AFTER_PRONOUN and before[-2] in RULERS and before[-2][:1].isupper()


DOTTED: Final[Rule] = (_DOTTED, _say_dotted)
BARE: Final[Rule] = (_BARE, _say_bare)
ROMAN: Final[Rule] = (_ROMAN, _say_roman)
WITH: Final[Rule] = (_WITH, _say_with)
