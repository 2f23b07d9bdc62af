"""Numbers that count: whole, broken, raised, ranges, ratios, sizes and places in a row."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.rules.dates import is_date, year_or_number
from vivavoce.text.rules.measures import with_unit
from vivavoce.text.rules.words import spelled
from vivavoce.text.scan import Rule, Scan, numeral
from vivavoce.text.written import FRACTION_SIGNS, MONTH_NAMES

_SPACED: Final = numeral(r"[1-9]\d{0,2}(?: \d{3})+(?!\d)")


def _say_spaced(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    groups = found[0].split(" ")
    if len(groups) == 2 and groups[1] != "000":
        return None
    said = numbers.amount("".join(groups))
    return said if with_unit(scan, said, found.end(), False) is None else []


_POWER: Final = numeral(r"(NUM)(?:\s?\^\s?([-−]?\d+)|([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|[eE]([-+−]?\d{1,3}))(?![\w])")
_RAISED: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")


def _power(written: str) -> list[str]:
    number = int(written)
    if number in (2, 3):
        return ["squared" if number == 2 else "cubed"]
    return ["to", "the", "power", "of", *numbers.cardinal(number)]


def _say_power(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    said = numbers.amount(found[1])
    if found[4]:
        return [*said, "times", "ten", *_power_of(found[4])]
    return [*said, *_power((found[2] or found[3]).translate(_RAISED))]


def _power_of(written: str) -> list[str]:
    return ["to", "the", "power", "of", *numbers.cardinal(int(written.translate(_RAISED)))]


_RAISED_LETTER: Final = re.compile(r"([A-Za-z])(?:\^([-−]?\d+)|([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))(?!\w)")


def _say_raised(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*spelled(found[1]), *_power((found[2] or found[3]).translate(_RAISED))]


_BY: Final = numeral(r"(NUM)(x|×| x )(NUM)(?:\2(NUM))?(?!\d|[.,]\d)")
_PLURAL: Final = re.compile(r"'?s(?!\w)")
_EQUALS: Final = re.compile(r"\s*=")


def _say_by(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """Sizes, with the unit that they share: 3 x 4, 10x15 cm; where something comes out, a product."""
    end = found.end()
    between = "times" if _EQUALS.match(scan.text, end, scan.end) else "by"
    sizes = [size for size in (found[1], found[3], found[4]) if size]
    said = [
        word for place, size in enumerate(sizes) for word in ([*([between] if place else []), *numbers.amount(size)])
    ]
    if plural := _PLURAL.match(scan.text, end, scan.end):
        scan.put(plural.end(), numbers.plural(said))
        return []
    if with_unit(scan, said, end, False) is not None:
        return []
    return None if scan.text[end : min(end + 1, scan.end)].isalpha() else said


_CROSS: Final = re.compile(r"[x×](?=\s?\.?\d)")


def _say_cross(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """Between sizes that have their units: 3 m x 4 m."""
    measured = scan.numeric and bool(scan.tokens) and not scan.text[scan.tokens[-1].end - 1].isdigit()
    return ["by"] if measured and scan.word_begins else None


_TIMES: Final = numeral(
    r"(NUM)(?: x|\s?×)(?=\s+(?:as|the|per|more|less|fewer|faster|slower|bigger|larger|smaller|cheaper|better|worse|"
    r"higher|lower|longer|shorter|greater|stronger)\b)"
)


def _say_times(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*numbers.amount(found[1]), "times"]


_COMMA: Final = numeral(r"(0,\d+|\d+,\d{1,2}(?!\d))(?:DASH(\d+(?:,\d{1,2})?(?!\d)))?(?![\d.,]*\d)")


def _say_comma(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """A comma as most of Europe writes decimals, where a unit or a zero shows that it is one: 1,5 kg."""
    if scan.before() == "," and scan.before(2)[:1].isdigit():
        return None  # the middle of a list
    said = numbers.amount(found[1].replace(",", "."))
    said += ["to", *numbers.amount(found[2].replace(",", "."))] if found[2] else []
    if with_unit(scan, said, found.end(), False) is not None:
        return []
    return said if found[1].startswith("0,") and not found[2] else None


_SIGNS_OF_FRACTIONS: Final = "".join(FRACTION_SIGNS)
_MIXED_FRACTION: Final = numeral(rf"(\d+)(?:[ ]?([{_SIGNS_OF_FRACTIONS}])|[ -](\d{{1,2}})/(\d{{1,2}})(?![\d/]))")
_FRACTION: Final = numeral(r"(\d{1,3}|(?:1[1-9]|20)\d\d)/(\d{1,3})(?![\d/])")


def _say_mixed_fraction(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    top, bottom = FRACTION_SIGNS[found[2]] if found[2] else (int(found[3]), int(found[4]))
    if not 0 < top < bottom or bottom not in _BOTTOMS:
        return None
    part = numbers.fraction(top, bottom)
    return [*numbers.amount(found[1]), "and", *(["a", *part[1:]] if top == 1 else part)]


_BOTTOMS: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100})
_DAY_WORDS: Final = frozenset({"on", "due", "dated", "by", "until", "since"})


def _say_fraction(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    top, bottom = int(found[1]), int(found[2])
    if scan.tokens and scan.tokens[-1].said[-1] in _DAY_WORDS and is_date(top, bottom) and bottom > 4:
        return [MONTH_NAMES[top - 1], *numbers.ordinal(bottom)]
    if bottom in _BOTTOMS and top and (top < bottom or bottom == 2) and bottom < 50:
        if bottom == 10 and top > 1:
            return [*numbers.cardinal(top), "out", "of", "ten"]
        return numbers.fraction(top, bottom)
    if bottom == 100 and top < 100:
        return [*numbers.cardinal(top), "out", "of", "one", "hundred"]
    return [*year_or_number(found[1]), *numbers.amount(found[2])]


_ORDINAL: Final = numeral(r"((?:\d{1,3}(?:,\d{3})+|\d+))(?:st|nd|rd|th|ST|ND|RD|TH)(?![A-Za-z0-9])")


def _say_ordinal(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    number = int(found[1].replace(",", ""))
    return numbers.ordinal(number) if number < 10**15 else None


_RANGE: Final = numeral(r"(NUM)(?:DASH)(NUM)(?![\w]|-\d)")
_RATIO: Final = numeral(r"(\d{1,4}):(\d{1,4})(?![\d:])")
_ALONE: Final = numeral(r"NUM")


def _say_range(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    between = scan.text[found.end(1) : found.start(2)]
    if "−" in between or (
        between.strip() != between and "=" in scan.text[found.end() : min(found.end() + 3, scan.end)]
    ):
        return None
    return [*year_or_number(found[1]), "to", *year_or_number(found[2])]


def _say_ratio(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*numbers.amount(found[1]), "to", *numbers.amount(found[2])]


def _say_number(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return numbers.amount(found[0])


_LISTED: Final = re.compile(r"(\d{1,3})([.)])(?=\s)")


def _say_listed(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [*numbers.amount(found[1]), ","] if scan.line_begins else None


RAISED_LETTER: Final[Rule] = (_RAISED_LETTER, _say_raised)
LISTED: Final[Rule] = (_LISTED, _say_listed)
SPACED: Final[Rule] = (_SPACED, _say_spaced)
POWER: Final[Rule] = (_POWER, _say_power)
BY: Final[Rule] = (_BY, _say_by)
CROSS: Final[Rule] = (_CROSS, _say_cross)
TIMES: Final[Rule] = (_TIMES, _say_times)
COMMA: Final[Rule] = (_COMMA, _say_comma)
MIXED_FRACTION: Final[Rule] = (_MIXED_FRACTION, _say_mixed_fraction)
FRACTION: Final[Rule] = (_FRACTION, _say_fraction)
ORDINAL: Final[Rule] = (_ORDINAL, _say_ordinal)
RANGE: Final[Rule] = (_RANGE, _say_range)
RATIO: Final[Rule] = (_RATIO, _say_ratio)
ALONE: Final[Rule] = (_ALONE, _say_number)
