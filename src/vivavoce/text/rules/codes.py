"""Numbers that count nothing: of telephones, machines and versions."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.rules.dates import is_date, said_date
from vivavoce.text.rules.measures import with_unit
from vivavoce.text.scan import Rule, Scan, numeral

_VERSION_LETTER: Final = re.compile(r"[vV]\.?\s?(\d+(?:\.\d+)*)(?![A-Za-z0-9])")


def _say_version(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return ["version", *_pointed(found[1])]


def _pointed(written: str) -> list[str]:
    first, *rest = written.split(".")
    return [*numbers.amount(first), *(word for part in rest for word in ["point", *numbers.amount(part)])]


_IP: Final = numeral(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)(?::(\d{1,5}))?(?:/(\d{1,2})(?!\d))?")


def _say_ip(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    parts = found.groups()[:4]
    if any(int(part) > 255 for part in parts):
        return None
    said: list[str] = []
    for part in parts:
        said += [*(["dot"] if said else []), *(numbers.digits(part) if len(part) > 2 else numbers.amount(part))]
    said += ["colon", *numbers.amount(found[5])] if found[5] else []
    return [*said, *(["slash", *numbers.amount(found[6])] if found[6] else [])]


_MANY_DOTS: Final = numeral(r"\d+(?:\.\d+){2,}(?:,\d+)?(?![\d])|\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)")


def _say_dots(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    date = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", written)
    if date and is_date(int(date[2]), int(date[1])):
        return said_date(int(date[3]), int(date[2]), int(date[1]))
    if re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?", written):
        said = numbers.amount(written.replace(".", "").replace(",", "."))
        return said if with_unit(scan, said, found.end(), False) is None else []
    return _pointed(written) if "," not in written else None


_PHONES: Final = numeral(
    r"(?:\+?\d{1,3}[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\d-])"
    r"|\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}(?![\d])"
    r"|\d{3}-\d{4}(?![\d-])|1-\d{3}-[A-Z]{4,10}(?![A-Za-z])|0\d{2,4} \d{3,4} \d{3,4}(?!\d)"
    r"|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?!\d)|\d{3}-\d{2}-\d{4}(?!\d)"
)


def _say_phone(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    said = ["plus"] if found[0][0] == "+" else []
    groups = re.findall(r"\d+|[A-Z]+", found[0])
    for place, group in enumerate(groups):
        said += [","] if place else []
        said += numbers.digits(group) if group.isdigit() else [group.lower()]
    return said


_BOOK: Final = re.compile(r"(IS[BS]N)(?:-1[03])?:?\s?(\d[\d -]{6,16}[\dX])(?![\dA-Za-z])")


def _say_book(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """The number of a book or a journal, digit by digit as it is grouped."""
    said = [letter.lower() for letter in found[1]]
    for place, group in enumerate(re.findall(r"[\dX]+", found[2])):
        said += [","] if place else []
        said += [word for sign in group for word in (["x"] if sign == "X" else numbers.digits(sign))]
    return said


_EMERGENCY: Final = numeral(r"\d{3}(?![\w.,]?\d)(?!\w)")


def _say_emergency(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    calls = scan.tokens and scan.tokens[-1].said[-1:] in (("call",), ("dial",), ("phone",))
    return numbers.digits(found[0]) if calls and found[0] in {"911", "999", "112", "110", "411", "311", "988"} else None


VERSION_LETTER: Final[Rule] = (_VERSION_LETTER, _say_version)
BOOK: Final[Rule] = (_BOOK, _say_book)
PHONES: Final[Rule] = (_PHONES, _say_phone)
IP: Final[Rule] = (_IP, _say_ip)
MANY_DOTS: Final[Rule] = (_MANY_DOTS, _say_dots)
EMERGENCY: Final[Rule] = (_EMERGENCY, _say_emergency)
