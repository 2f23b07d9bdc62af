"""Days, years and times of the day."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.scan import DASH, Rule, Scan, numeral
from vivavoce.text.written import MONTH_NAMES, MONTHS, WEEKDAYS


def is_date(month: int, day: int) -> bool:
    """Whether there may be such a day."""
    return 1 <= month <= 12 and 1 <= day <= 31


def said_date(year: int, month: int, day: int) -> list[str]:
    """Month, day and year as they are said."""
    return [MONTH_NAMES[month - 1], *numbers.ordinal(day), *numbers.year(year)]


def short_year(written: str) -> int:
    """The year of four digits, or of two, which are of the last or of this century."""
    return int(written) if len(written) == 4 else int(written) + (2000 if int(written) < 50 else 1900)


_ISO: Final = numeral(
    r"(\d{4})([-/])(\d{2})\2(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?(?![\d])"
)


def _say_iso(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    year, month, day = int(found[1]), int(found[3]), int(found[4])
    if not is_date(month, day):
        return None
    said = said_date(year, month, day)
    if found[5] and int(found[5]) < 25 and int(found[6]) < 60:
        said += _clock(int(found[5]), int(found[6]), "")
        if found[7]:
            said += ["u", "t", "c"]
            if found[7] != "Z":
                said += ["plus" if found[7][0] == "+" else "minus", *numbers.cardinal(int(found[7][1:3]))]
    return said


_SLASHED: Final = numeral(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/])")


def _say_slashed(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    first, second, year = int(found[1]), int(found[3]), short_year(found[4])
    if found[2] == "-" and len(found[4]) == 2:
        return None
    if is_date(first, second):
        return said_date(year, first, second)
    return said_date(year, second, first) if is_date(second, first) else None


_CLOCK: Final = numeral(
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s?([AaPp])(?:\.\s?[Mm]\.|[Mm](?![A-Za-z]))|\s?(?:h|hrs)(?![A-Za-z0-9]))?(?![\d:])"
)
_HOUR: Final = numeral(r"(\d{1,2})(?:DASH(\d{1,2}))?\s?([AaPp])(?:\.\s?[Mm]\.|[Mm](?![A-Za-z]))")


def _clock(hour: int, minute: int, half: str) -> list[str]:
    said = numbers.cardinal(hour)
    if minute:
        said += [*(["oh"] if minute < 10 else []), *numbers.cardinal(minute)]
    elif not half:
        said += ["o'clock"] if 0 < hour <= 12 else ["hundred"]
    return [*said, *_half(half)]


def _half(half: str) -> list[str]:
    return (["a.", "m"] if half.lower() == "a" else ["p", "m"]) if half else []


def _say_clock(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    hour, minute = int(found[1]), int(found[2])
    if minute > 59:
        return None
    if found[3] and not found[4]:
        parts = [(hour, "hour"), (minute, "minute"), (int(found[3]), "second")]
        said = [[*numbers.cardinal(n), name if n == 1 else name + "s"] for n, name in parts if n]
        if not said:
            return ["zero", "seconds"]
        return [
            word
            for place, part in enumerate(said)
            for word in ([*(["and"] if 0 < place == len(said) - 1 else []), *part])
        ]
    if hour > 24:
        return None
    return _clock(hour, minute, found[4] or "")


def _say_hour(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if int(found[1]) > 24:
        return None
    until = ["to", *numbers.cardinal(int(found[2]))] if found[2] else []
    return [*numbers.cardinal(int(found[1])), *until, *_half(found[3])]


_DECADE: Final = numeral(r"(\d{4})s(?![A-Za-z0-9])|(\d0)s(?![A-Za-z0-9])")
_APOSTROPHE_YEAR: Final = re.compile(r"'(\d{2})(s?)(?![\w])")
_DECADE_WORDS: Final = frozenset("the his her their my your our early mid late its and".split())


def _say_decade(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[1]:
        return numbers.plural(numbers.year(int(found[1]))) if found[1][3] == "0" and found[1][0] in "12" else None
    if scan.tokens and scan.tokens[-1].said[-1] in _DECADE_WORDS and found[2] != "00":
        return numbers.plural(numbers.cardinal(int(found[2])))
    return None


def _say_apostrophe_year(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not scan.word_begins:
        return None
    said = numbers.cardinal(int(found[1])) if found[1][0] != "0" else ["oh", *numbers.cardinal(int(found[1]))]
    return numbers.plural(said) if found[2] else said


_MONTH: Final = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\b\.?)"
)
_DAY: Final = r"(\d{1,2})(?:st|nd|rd|th)?(?![\d:]|\.\d|,\d)"
_YEAR: Final = r"(?:,?\s+((?:1[0-9]|20)\d\d)(?![\d:]|[.,]\d))?"
_MONTH_DAY: Final = re.compile(rf"({_MONTH})\s+{_DAY}(?:{DASH}{_DAY})?{_YEAR}(?!\w)")
_DAY_MONTH: Final = re.compile(rf"{_DAY}\s+(?:of\s+)?({_MONTH})(?![A-Za-z]){_YEAR}")
_MONTH_YEAR: Final = re.compile(rf"({_MONTH})\s+((?:1[0-9]|20)\d\d)(?![\w:]|[.,]\d)")


def _month(written: str) -> str:
    return MONTH_NAMES[MONTHS[written.lower().rstrip(".")] - 1]


def _say_month_day(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    days = [int(day) for day in (found[2], found[3]) if day]
    if not all(1 <= day <= 31 for day in days):
        return None
    said = [_month(found[1])]
    for place, day in enumerate(days):
        said += [*(["to"] if place else []), *numbers.ordinal(day)]
    return [*said, *(numbers.year(int(found[4])) if found[4] else [])]


def _say_day_month(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not 1 <= int(found[1]) <= 31:
        return None
    the = [] if scan.tokens and scan.tokens[-1].said[-1:] == ("the",) else ["the"]
    return [
        *the,
        *numbers.ordinal(int(found[1])),
        "of",
        _month(found[2]),
        *(numbers.year(int(found[3])) if found[3] else []),
    ]


def _say_month_year(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [_month(found[1]), *numbers.year(int(found[2]))]


_YEAR_ALONE: Final = numeral(r"(?:1[1-9]\d\d|20\d\d)(?![\d]|[.,]\d)")


def year_or_number(written: str) -> list[str]:
    """A number that reads as a year where it can be one."""
    return numbers.year(int(written)) if _YEAR_ALONE.fullmatch(written) else numbers.amount(written)


def _say_year(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return numbers.year(int(found[0]))


_WEEKDAY: Final = "|".join(sorted({*WEEKDAYS, *WEEKDAYS.values()}, key=len, reverse=True)).title()
_DAYS: Final = numeral(rf"({_WEEKDAY})\.?DASH({_WEEKDAY})(?![A-Za-z'])")
_MONTHS: Final = numeral(rf"({_MONTH})DASH({_MONTH})(?![A-Za-z']){_YEAR}")
_WEEKDAY_ALONE: Final = re.compile(r"(Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)(?![A-Za-z'.-])")
_SURE: Final = frozenset("Tue Tues Thu Thur Thurs Fri".split())
"""Short forms of days that are no words."""
_DAY_AFTER: Final = re.compile(
    rf"\s?[,/&]\s?(?:and\s)?(?:{_WEEKDAY})\b|\s(?:and|or|to|through|thru|until)\s(?:{_WEEKDAY})\b"
    rf"|,?\s\d{{1,2}}(?::\d\d|\s?[ap]\.?m\b|(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH})|,?\s{_MONTH}\s\d"
)


def _weekday(written: str) -> str:
    return WEEKDAYS.get(written.lower(), written.lower())


def _say_days(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [_weekday(found[1]), "to", _weekday(found[2])]


def _say_months(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [_month(found[1]), "to", _month(found[2]), *(numbers.year(int(found[3])) if found[3] else [])]


def _say_weekday(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """A short form without its stop: beside another day, before an hour or a date, or where it is no word."""
    beside = any(word in _WEEKDAY_NAMES for token in scan.tokens[-2:] for word in token.said)
    listed = found[1] == "Mon" and not scan.next_word(found.end())[:1].isalpha()
    sure = found[1] in _SURE or beside or listed or _DAY_AFTER.match(scan.text, found.end(), scan.end) is not None
    return [_weekday(found[1])] if sure else None


_WEEKDAY_NAMES: Final = frozenset(WEEKDAYS.values())


MONTH_DAY: Final[Rule] = (_MONTH_DAY, _say_month_day)
MONTH_YEAR: Final[Rule] = (_MONTH_YEAR, _say_month_year)
ISO: Final[Rule] = (_ISO, _say_iso)
SLASHED: Final[Rule] = (_SLASHED, _say_slashed)
CLOCK: Final[Rule] = (_CLOCK, _say_clock)
HOUR: Final[Rule] = (_HOUR, _say_hour)
DECADE: Final[Rule] = (_DECADE, _say_decade)
DAY_MONTH: Final[Rule] = (_DAY_MONTH, _say_day_month)
YEAR_ALONE: Final[Rule] = (_YEAR_ALONE, _say_year)
APOSTROPHE_YEAR: Final[Rule] = (_APOSTROPHE_YEAR, _say_apostrophe_year)
DAYS: Final[Rule] = (_DAYS, _say_days)
MONTHS_RANGE: Final[Rule] = (_MONTHS, _say_months)
WEEKDAY: Final[Rule] = (_WEEKDAY_ALONE, _say_weekday)
