"""Numbers as English says them."""

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
    if century % 10 == 0 and rest < 10:
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
