"""Numbers with units."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.rules.money import MONEY_WORDS
from vivavoce.text.rules.words import said_word
from vivavoce.text.scan import Rule, Scan, numeral
from vivavoce.text.written import ONLY_AS_WRITTEN, SCALES, SQUARED, UNITS

_LOWER_UNITS: Final = {name.lower(): name for name in UNITS if name not in ONLY_AS_WRITTEN}
_UNIT_NAMES: Final = "|".join(
    sorted(map(re.escape, {*UNITS, *_LOWER_UNITS, *(n.upper() for n in _LOWER_UNITS)}), key=len, reverse=True)
)
_UNIT: Final = re.compile(
    rf"([ -]?)({_UNIT_NAMES})((?:\^?[23]|[²³])(?!\d))?(?:/({_UNIT_NAMES})([²³]|\^[23])?)?"
    r"(?![A-Za-z0-9])(\.(?=\s[a-z0-9]|,|\)))?"
)
_MEASURED: Final = numeral(r"(NUM)(?:DASH([-−]?NUM))?(?!\d)")
_OUNCES: Final = re.compile(r"\s(?!of\b|and\b|or\b|is\b|are\b|per\b|in\b|to\b|for\b|each\b)[a-z]{3,}")


def _unit_of(written: str) -> tuple[str, str] | None:
    if written in UNITS:
        return UNITS[written]
    name = _LOWER_UNITS.get(written.lower())
    return UNITS[name] if name and (len(written) > 1 or not written.isalpha()) else None


def _say_measure(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    high = found[2]
    said = numbers.amount(found[1])
    if high:
        said += ["to", *(["minus"] if high[0] in "-−" else []), *numbers.amount(high.lstrip("-−"))]
    return with_unit(scan, said, found.end(), found[1] == "1" and not high)


def with_unit(scan: Scan, said: list[str], end: int, one: bool) -> Sequence[str] | None:
    """A number and the unit that stands after it; None where there is none."""
    unit = _UNIT.match(scan.text, end, scan.end)
    if unit is None:
        return None
    gap, name, power, per, per_power, stop = unit.groups()
    forms = _unit_of(name)
    if forms is None or (power and name not in SQUARED):
        return None
    if name == "in" and gap == " " and not stop and not _after_feet(scan):
        return None
    if gap == "-" and name in {"k", "M", "bn", "tn"}:
        return None
    if gap and len(name) == 1 and name.isalpha() and scan.text[unit.end() : unit.end() + 1] == "'":
        return None  # "5 s'il", a word and no seconds
    adjective = gap == "-" or (name.lower() == "oz" and _OUNCES.match(scan.text, unit.end(), scan.end) is not None)
    if power:
        said = [*said, "square" if power[-1] in "2²" else "cubic"]
    said = [*said, *forms[0 if one or adjective else 1].split()]
    if per and (below := _unit_of(per)):
        said += ["per", *below[0].split()]
        said += ["squared" if per_power[-1] in "2²" else "cubed"] if per_power else []
    scan.put(unit.end(), said)
    scan.numeric = True
    return []


def _after_feet(scan: Scan) -> bool:
    return bool(scan.tokens) and scan.tokens[-1].said[-1:] in (("feet",), ("foot",))


_FEET: Final = numeral(r"(\d+)'(?:\s?(\d+(?:\.\d+)?)\"|(?![A-Za-z']))")
_INCHES: Final = numeral(r"(NUM)\"")


def _say_feet(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not found[2] and scan.text.count("'", scan.begin, scan.at) % 2:
        return None
    said = [*numbers.amount(found[1]), "foot" if found[1] == "1" else "feet"]
    return [*said, *numbers.amount(found[2]), "inch" if found[2] == "1" else "inches"] if found[2] else said


def _say_inches(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if scan.around.quoted:
        return None  # that sign closes what was opened
    adjective = re.match(r"\s[a-z]", scan.text[found.end() : found.end() + 2]) is not None
    return [*numbers.amount(found[1]), "inch" if adjective or found[1] == "1" else "inches"]


_PER: Final = re.compile(r"/\s?(?=([A-Za-z]+))")


def _say_per(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not scan.numeric and not (scan.tokens and scan.tokens[-1].said[-1] in MONEY_WORDS):
        return None
    unit = re.compile(r"/\s?([A-Za-z]{1,4})(?![A-Za-z])").match(scan.text, scan.at, scan.end)
    if unit and (forms := _unit_of(unit[1])):
        scan.put(unit.end(), ["per", *forms[0].split()])
        return []
    return ["per"]


_PERIODS: Final = {
    **{name: UNITS[name][0] for name in "s sec secs min mins h hr hrs wk yr km m mi ft kg g lb oz l L".split()},
    **{name: UNITS[name][0] for name in "dl dL ml mL gal".split()},
    **{name: name for name in "second minute hour day night week month year mile gallon person page".split()},
    "mo": "month",
}
"""What something may be counted by, as it is written behind a stroke."""
_RATE: Final = re.compile(
    rf"([A-Za-zµ]+)/({'|'.join(sorted(_PERIODS, key=len, reverse=True))})([²³]|\^[23])?(?![A-Za-z0-9/']|\.\w)"
)
_ONE_LETTER: Final = frozenset("m g l L W V".split())


def _say_rate(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """So much of something in some time or amount: words/min, km/h, 5 calls/day."""
    written = found[1]
    unit = UNITS.get(written) if written in _ONE_LETTER or (len(written) > 1 and written not in SCALES) else None
    counted = len(written) > 3 and written.islower() and (scan.numeric or written[-1] == "s" != written[-2])
    if (unit is None and not counted) or scan.before() == "/":
        return None
    power = [] if not found[3] else ["squared" if found[3][-1] in "2²" else "cubed"]
    return [*(unit[1].split() if unit else said_word(scan, written)), "per", *_PERIODS[found[2]].split(), *power]


FEET: Final[Rule] = (_FEET, _say_feet)
INCHES: Final[Rule] = (_INCHES, _say_inches)
MEASURED: Final[Rule] = (_MEASURED, _say_measure)
PER: Final[Rule] = (_PER, _say_per)
RATE: Final[Rule] = (_RATE, _say_rate)
