"""Written English to the words that are said: numbers, money, times, abbreviations, letters and symbols."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from vivavoce.core.errors import TextError
from vivavoce.text import numbers

MARKS: Final = frozenset(",.?!")
LONGEST: Final = 20_000  # characters in one call; the longest that is still read in one go

_ABBREVIATIONS: Final = {
    "mr": "mister",
    "mrs": "missus",
    "ms": "miz",
    "dr": "doctor",
    "st": "saint",
    "prof": "professor",
    "capt": "captain",
    "sgt": "sergeant",
    "jr": "junior",
    "sr": "senior",
    "vs": "versus",
    "etc": "et cetera",
    "approx": "approximately",
    "dept": "department",
    "e.g": "for example",
    "i.e": "that is",
    "a.m": "a. m",
    "p.m": "p m",
    "jan": "january",
    "feb": "february",
    "aug": "august",
    "sept": "september",
    "oct": "october",
    "nov": "november",
    "dec": "december",
}
# read without their full stop too
_WITHOUT_STOP: Final = frozenset({"mr", "mrs", "dr", "prof", "vs", "etc"})
_UNITS: Final = {
    "oz": "ounce",
    "ml": "milliliters",
    "cl": "centiliters",
    "l": "liters",
    "mm": "millimeters",
    "cm": "centimeters",
    "km": "kilometers",
    "m": "meters",
    "mg": "milligrams",
    "g": "grams",
    "kg": "kilograms",
    "lb": "pounds",
    "lbs": "pounds",
    "ft": "feet",
    "mi": "miles",
    "mph": "miles per hour",
    "hz": "hertz",
    "khz": "kilohertz",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "mb": "megabytes",
    "gb": "gigabytes",
    "k": "thousand",
    "°c": "degrees celsius",
    "°f": "degrees fahrenheit",
    "°": "degrees",
    "%": "percent",
}
_MONEY: Final = {"$": ("dollar", "cent"), "£": ("pound", "pence"), "€": ("euro", "cent")}
_SCALES: Final = {"k": "thousand", "m": "million", "bn": "billion"}
_FRACTIONS: Final = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
_SYMBOLS: Final = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "#": "number",
    "%": "percent",
    "/": "slash",
    "°": "degrees",
    "×": "times",
    "÷": "divided by",
    "<": "less than",
    ">": "greater than",
    "_": "underscore",
    "~": "about",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
}
_PLAIN: Final = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "ʼ": "'",
        "`": "'",
        "“": '"',
        "”": '"',
        "–": "-",
        "−": "-",
        "—": ", ",
        "…": ". ",
        ";": ",",
        ":": ",",
        "ß": "ss",
        "æ": "ae",
        "Æ": "Ae",
        "ø": "o",
        "Ø": "O",
        "œ": "oe",
        "Œ": "Oe",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ı": "i",
    }
)
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_NUMBER: Final = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"


_TOKEN: Final = re.compile(r"[A-Za-z']+|[,.?!]|[^\sA-Za-z',.?!]")


def normalise(text: str) -> list[str]:
    """The words of a text as they are said, in lower case: letters and apostrophes only.

    Raises TextError for a text with nothing to say, in another script, or too long.
    """
    return ["a" if word == "a." else word for word in read(text) if word not in MARKS]


def read(text: str) -> list[str]:
    """As ``normalise``, with the marks ``, . ? !`` kept for pauses and melody, and "a." for the name of the letter."""
    if len(text) > LONGEST:
        raise TextError(f"the text has {len(text)} characters and at most {LONGEST} are read at once; split it")
    plain = _ascii(text)
    for pattern, say in _RULES if _WRITTEN.search(plain) else _WORD_RULES:
        plain = pattern.sub(say, plain)
    said: list[str] = []
    for token in _TOKEN.findall(plain):
        if token in MARKS:
            if said and said[-1] not in MARKS:
                said.append(token)
        elif token in _SYMBOLS:
            said.extend(_SYMBOLS[token].split())
        elif token[0].isalpha() or token[0] == "'":
            said.extend(_word(token))
    if all(word in MARKS for word in said):
        raise TextError(f"the text {text.strip()[:40]!r} has nothing to say in it; give some words")
    return _letters(said)


def _ascii(text: str) -> str:
    """Latin letters without accents; anything else that is a letter or a digit of another script is an error."""
    if not text.isascii():
        for fraction, written in _FRACTIONS.items():
            text = text.replace(fraction, f" {written}")
    text = _times(text)
    if text.isascii():
        text = text.translate(_PLAIN)
        return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    text = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    kept: list[str] = []
    for char in text:
        kind = unicodedata.category(char)
        if char.isascii() or char in _SYMBOLS:
            kept.append(char if char.isprintable() else " ")
        elif kind[0] in "LN":
            script = unicodedata.name(char, "unknown").split()[0].lower()
            raise TextError(
                f"the text has {char!r} ({script} script) in it and only English in Latin letters can be read; "
                "write it in Latin letters"
            )
        elif kind[0] != "M":  # accents were split off above and go; other signs separate words
            kept.append(" ")
    return "".join(kept)


def _times(text: str) -> str:
    """Clock times, before their colon becomes a pause."""

    def say(found: re.Match[str]) -> str:
        hour, minute, half = int(found[1]), int(found[2]), found[3]
        if hour > 24 or minute > 59:
            return found[0]
        words = numbers.cardinal(hour)
        if minute:
            words += [*(["oh"] if minute < 10 else []), *numbers.cardinal(minute)]
        elif not half:
            words += ["o'clock"] if 0 < hour <= 12 else ["hundred"]
        if half:
            words += ["A", "m"] if half.lower().startswith("a") else ["p", "m"]
        return " ".join(words) + " "

    text = _CLOCK.sub(say, text)
    return _HOUR.sub(
        lambda found: f"{' '.join(numbers.cardinal(int(found[1])))} {'A' if found[2] in 'aA' else 'p'} m ", text
    )


_CLOCK: Final = re.compile(r"\b(\d{1,2}):(\d{2})\s*([ap]\.?m\b\.?)?", re.IGNORECASE)
_HOUR: Final = re.compile(r"\b(\d{1,2})\s*([ap])\.?m\b\.?", re.IGNORECASE)


def _amount(text: str) -> list[str]:
    """Words of a number as written: grouped, decimal, or long enough to be read digit by digit."""
    text = text.replace(",", "")
    whole, _, part = text.partition(".")
    if len(whole) > 12 or (len(whole) > 1 and whole[0] == "0"):
        words = numbers.digits(whole)
    else:
        words = numbers.cardinal(int(whole or 0))
    return [*words, "point", *numbers.digits(part)] if part else words


def _say_money(found: re.Match[str]) -> str:
    big, small = _MONEY[found[1]]
    amount, scale = found[2].replace(",", ""), (found[3] or "").lower()
    if scale:
        return f" {' '.join(_amount(amount))} {_SCALES[scale]} {big}s "
    whole, _, part = amount.partition(".")
    if part and len(part) != 2:
        return f" {' '.join(_amount(amount))} {big}s "
    units, cents = int(whole or 0), int(part or 0)
    says: list[str] = []
    if units or not cents:
        says += [*numbers.cardinal(units), big if units == 1 else big + "s"]
    if cents:
        name = small if cents == 1 or small == "pence" else small + "s"
        says += [*(["and"] if units else []), *numbers.cardinal(cents), name]
    return f" {' '.join(says)} "


def _say_unit(found: re.Match[str]) -> str:
    unit = _UNITS[found[2].lower()]
    if found[1] == "1" and unit.split()[0].endswith("s") and unit != "celsius":
        first, *rest = unit.split()
        unit = " ".join(["foot" if first == "feet" else first[:-1], *rest])
    return f" {' '.join(_amount(found[1]))} {unit} "


def _say_fraction(found: re.Match[str]) -> str:
    top, bottom = int(found[1]), int(found[2])
    if bottom == 2:
        part = ["half" if top == 1 else "halves"]
    elif bottom == 4:
        part = ["quarter" if top == 1 else "quarters"]
    else:
        part = numbers.ordinal(bottom) if top == 1 else numbers.plural(numbers.ordinal(bottom))
    return f" {' '.join([*numbers.cardinal(top), *part])} "


def _say_year(found: re.Match[str]) -> str:
    words = numbers.year(int(found[1]))
    return f" {' '.join(numbers.plural(words) if found[2] else words)} "


def _say_abbreviation(found: re.Match[str]) -> str:
    name = found[1].lower()
    if found[2] == "." or name in _WITHOUT_STOP:
        return f" {_ABBREVIATIONS[name].replace('a.', 'A')} "
    return found[0]


def _say_phone(found: re.Match[str]) -> str:
    return " " + ", ".join(" ".join(numbers.digits(group)) for group in re.split(r"\D+", found[0]) if group) + " "


def _rule(pattern: str, say: Callable[[re.Match[str]], str]) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    return re.compile(pattern, re.IGNORECASE), say


_NAMES: Final = "|".join(sorted(map(re.escape, _ABBREVIATIONS), key=len, reverse=True))
_RULES: Final = (
    _rule(r"\bhttps?,//", lambda found: " "),
    _rule(r"(?<=[a-z]{2})\.(?=[a-z]{2,})", lambda found: " dot "),
    _rule(rf"\b({_NAMES})(\.|\b)(?!')", _say_abbreviation),
    _rule(rf"([$£€])\s?({_NUMBER})(?:\s?(k|m|bn)\b)?", _say_money),
    _rule(r"\b(\d+)\s?[¢]|\b(\d+)c\b", lambda found: f" {' '.join(_amount(found[1] or found[2]))} cents "),
    _rule(r"\b\d{3}[- ]\d{3}[- ]\d{4}\b|\b\d{3}-\d{4}\b", _say_phone),
    _rule(r"\b(\d{1,2})/(\d{1,2})\b", _say_fraction),
    _rule(
        r"\b([\d,]*\d)(?:st|nd|rd|th)\b",
        lambda found: f" {' '.join(numbers.ordinal(int(found[1].replace(',', ''))))} ",
    ),
    _rule(r"(?<![\d.,$])\b(1[1-9]\d\d|20\d\d)(s)?\b(?![.,]\d)", _say_year),
    _rule(rf"({_NUMBER})[- ]?({_UNIT})(?![a-z])", _say_unit),
    _rule(r"(?<=\d)\s?-\s?(?=\d)", lambda found: " to "),
    _rule(rf"(?<![\w)])-({_NUMBER})", lambda found: f" minus {' '.join(_amount(found[1]))} "),
    _rule(rf"({_NUMBER})", lambda found: f" {' '.join(_amount(found[1]))} "),
    _rule(r"-", lambda found: " "),
    _rule(r"\b([a-z])\.(?=[a-z]\.)|(?<=[a-z]\.[a-z])\.", lambda found: (found[1] or "") + " "),
)

_WRITTEN: Final = re.compile(r"[\d.\-/$£€¢]")  # without one of these, only whole words can need a rule
_WORD_RULES: Final = tuple(rule for rule in _RULES if rule[1] is _say_abbreviation)


def _word(token: str) -> list[str]:
    """One written word: an acronym is spelled, quotation marks go, the letter A is told from the article."""
    if token.isupper() and 1 < len(token) <= 5 and _is_acronym(token):
        return ["a." if letter == "A" else letter.lower() for letter in token]
    word = token.lower()
    if word not in _CLIPPED:
        word = word.strip("'") if not word.endswith("s'") else word.lstrip("'")
    return [word] if word else []


_CLIPPED: Final = frozenset({"'em", "'til", "'tis", "'twas", "'bout", "'cause", "o'"})


def _is_acronym(token: str) -> bool:
    """Whether capitals are to be spelled: no vowel to say them with, or one of the few that are spelled anyhow."""
    return not set(token) & set("AEIOUY") or token in _SPELLED


_SPELLED: Final = frozenset(
    {"AI", "API", "USA", "UK", "EU", "UN", "CEO", "CIA", "FBI", "DIY", "DJ", "FAQ", "IBM", "ID", "IQ", "IT", "OK",
     "UFO", "URL", "USB", "VIP", "CPU", "GPU", "AC", "BBC", "IOU", "ATM", "EKG", "LA"}
)  # fmt: skip


def _letters(said: list[str]) -> list[str]:
    """The article in a row of single letters is the letter: "x a b"."""
    single = [len(word) == 1 and word.isalpha() and word not in {"i", "a"} for word in said]
    result = list(said)
    for index, word in enumerate(said):
        if word == "a":
            before = index > 0 and (single[index - 1] or result[index - 1] == "a.")
            after = index + 1 < len(said) and single[index + 1]
            if before or (after and index + 1 < len(said) and index == 0):
                result[index] = "a."
    return result
