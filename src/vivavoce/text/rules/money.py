"""Sums of money."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.scan import Rule, Scan, numeral
from vivavoce.text.written import MONEY, NOTES, SCALES

_SCALE: Final = r"(?:\s?(k|K|m|M|mn|bn|Bn|BN|b|B|t|T|tn|thousand|million|billion|trillion)(?![A-Za-z]))?"
_SIGN_OF: Final = "|".join(sorted((re.escape(sign) for sign in MONEY), key=len, reverse=True))
COINS: Final = "".join(sign for sign in MONEY if len(sign) == 1)
_EUROPEAN: Final = r"\d{1,3}(?:\.\d{3})*,\d{2}(?![\d,])"
"""A sum whose hundredths stand behind a comma."""
_MONEY: Final = numeral(
    rf"({_SIGN_OF})\s?([-−]?)({_EUROPEAN}|NUM){_SCALE}(?:DASH(?:{_SIGN_OF})?(NUM){_SCALE})?(?![\d])"
    rf"(?=(?:[ -](?:{NOTES})\b)?)"
)
_COMMA_LAST: Final = re.compile(_EUROPEAN)
_NOTE: Final = re.compile(rf"[ -](?:{NOTES})\b")
_CODES: Final = "|".join(sign for sign in MONEY if len(sign) == 3 and sign.isalpha())
_MONEY_AFTER: Final = numeral(rf"({_EUROPEAN}|NUM)\s?([{COINS}]|{_CODES})(?![\w$])")


def _money(sign: str, written: str, scale: str = "", one: bool = False) -> list[str]:
    first, many, cent, cents = MONEY[sign]
    european = _COMMA_LAST.fullmatch(written) is not None
    plain = written.replace(".", "").replace(",", ".") if european else written.replace(",", "")
    whole, _, part = plain.partition(".")
    if scale or (part and (len(part) != 2 or not cent)) or len(whole) > 12:
        return [*numbers.amount(plain), *([SCALES[scale.lower()]] if scale else []), *(first if one else many).split()]
    units, small = int(whole or 0), int(part or 0)
    said: list[str] = []
    if units or not small:
        said += [*numbers.cardinal(units), *(first if units == 1 or one else many).split()]
    if small:
        said += [*(["and"] if units else []), *numbers.cardinal(small), cent if small == 1 else cents]
    return said


def _say_money(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    sign, minus, low, scale, high, scale_high = found.groups()
    note = _NOTE.match(scan.text, found.end(), scan.end) is not None
    said = ["minus"] if minus else []
    if high is None:
        return [*said, *_money(sign, low, scale or "", note)]
    start = [*numbers.amount(low), *([SCALES[scale.lower()]] if scale else [])]
    return [*said, *start, "to", *_money(sign, high, scale_high or "", note)]


def _say_money_after(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return _money(found[2], found[1])


_CENTS: Final = numeral(r"(\d+)(?:\s?¢|c(?![A-Za-z0-9]))")


def _say_cents(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*numbers.amount(found[1]), "cent" if found[1] == "1" else "cents"]


MONEY_WORDS: Final = frozenset(word for forms in MONEY.values() for form in forms for word in form.split()[-1:])


SUM: Final[Rule] = (_MONEY, _say_money)
MONEY_AFTER: Final[Rule] = (_MONEY_AFTER, _say_money_after)
CENTS: Final[Rule] = (_CENTS, _say_cents)
