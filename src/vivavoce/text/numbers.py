"""Numbers as English says them."""

from typing import Final

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_POWERS = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_ROMAN: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def cardinal(number: int) -> list[str]:
    """Words of a whole number below 10^15: 342 is three hundred forty two."""
    if number < 0:
        return ["minus", *cardinal(-number)]
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    for power, name in _POWERS:
        if number >= power:
            rest = number % power
            return [*cardinal(number // power), name, *(cardinal(rest) if rest else [])]
    raise AssertionError(number)


def ordinal(number: int) -> list[str]:
    """Words of a place in a row: 21 is twenty first."""
    *before, last = cardinal(number)
    if last in _IRREGULAR:
        return [*before, _IRREGULAR[last]]
    return [*before, last[:-1] + "ieth" if last.endswith("y") else last + "th"]


def year(number: int) -> list[str]:
    """Words of a year: 1984 is nineteen eighty four, 1905 nineteen oh five, 2007 two thousand seven."""
    century, rest = divmod(number, 100)
    if century < 10 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def plural(words: list[str]) -> list[str]:
    """The last word as many: nineteen nineties, sixes."""
    *before, last = words
    if last.endswith("y"):
        last = last[:-1] + "ies"
    else:
        last += "es" if last.endswith("x") else "s"
    return [*before, last]


def digits(text: str) -> list[str]:
    """One word per digit, with "oh" left to people who want it: 042 is zero four two."""
    return [_ONES[int(digit)] for digit in text]


def amount(text: str) -> list[str]:
    """Words of a number as written, ``1,234.5`` or ``.5``; long ones and ones like 007 are read digit by digit."""
    whole, _, part = text.replace(",", "").partition(".")
    if len(whole) > 12 or (len(whole) > 1 and whole[0] == "0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole or 0))
    return [*words, "point", *digits(part)] if part else words


def fraction(top: int, bottom: int) -> list[str]:
    """Words of a fraction: 3/4 is three quarters."""
    if bottom == 2:
        part = ["half" if top == 1 else "halves"]
    elif bottom == 4:
        part = ["quarter" if top == 1 else "quarters"]
    else:
        part = ordinal(bottom) if top == 1 else plural(ordinal(bottom))
    return [*cardinal(top), *part]


def roman(text: str) -> int:
    """The number of a Roman numeral in capitals; 0 for what is none in its usual form."""
    total = 0
    for sign, after in zip(text, [*text[1:], ""], strict=True):
        value = _ROMAN.get(sign, 0)
        if not value:
            return 0
        total += -value if _ROMAN.get(after, 0) > value else value
    return total if text and _as_roman(total) == text else 0


def _as_roman(number: int) -> str:
    written = ""
    for value, sign in (
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
        (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ):  # fmt: skip
        while number >= value:
            written, number = written + sign, number - value
    return written
