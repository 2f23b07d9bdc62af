"""Words: letters, initials, names with digits in them, and Greek letters."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.dictionary import known
from vivavoce.text.folding import SKIP
from vivavoce.text.scan import Rule, Scan, Token
from vivavoce.text.written import (
    CAPITAL_WORDS,
    ELEMENTS,
    GREEK_NAMES,
    SAID_AS_WORDS,
    SHORT_WORDS,
    SPELLED,
    UNITS,
    WIDE_LETTERS,
)

_CAPITALS: Final = re.compile(r"\b[A-Z]{2,}\b")
_LOWER: Final = re.compile(r"\b[a-z]{2,}\b")


def spelled(letters: str) -> list[str]:
    """Letters and digits one by one."""
    return [
        "a." if char in "aA" else char.lower() if char.isalpha() else numbers.digits(char)[0]
        for char in letters
        if char.isascii() and char.isalnum()
    ]


def _shouted(scan: Scan) -> bool:
    if scan.shouted is None:
        capitals = _CAPITALS.findall(scan.text, scan.begin, scan.end)
        ordinary = [word for word in capitals if _ordinary(word)]
        lower = _LOWER.findall(scan.text, scan.begin, scan.end)
        scan.shouted = bool(ordinary) and (len(ordinary) > 1 or not lower)
    return scan.shouted


def _ordinary(word: str) -> bool:
    """Whether a word in capitals is said as a word by everybody."""
    lower = word.lower()
    if word in SPELLED or word in CAPITAL_WORDS:
        return False
    return lower in SHORT_WORDS or (len(word) > 3 and bool(set(word) & set("AEIOUY")) and known(lower))


def _is_acronym(scan: Scan, word: str) -> bool:
    """Whether capitals are to be spelled."""
    if word in SAID_AS_WORDS:
        return False
    if word in CAPITAL_WORDS:
        return not _shouted(scan)
    if word in SPELLED or not set(word) & set("AEIOUY"):
        return len(word) <= 6
    if word.lower() in SHORT_WORDS or _shouted(scan):
        return False
    return len(word) <= 4 and not known(word.lower())


_L: Final = "A-Za-z" + "".join(WIDE_LETTERS)
_WORD: Final = re.compile(rf"'*(?:[{_L}](?:[{_L}']|{SKIP}|&apos;|&#39;)*|'+)")
_CLIPPED: Final = frozenset({"'em", "'til", "'tis", "'twas", "'bout", "'cause", "o'"})


def _say_word(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    token = found[0].replace(SKIP, "").replace("&apos;", "'").replace("&#39;", "'")
    for wide, plain in WIDE_LETTERS.items() if not token.isascii() else ():
        token = token.replace(wide, plain)
    return said_word(scan, token)


def said_word(scan: Scan, token: str) -> list[str]:
    """One written word: initials are spelled, quotation marks go."""
    bare = token.strip("'")
    if bare == "AD" and (scan.numeric or scan.next_word(scan.at + len(token))[:1].isdigit()):
        return ["a.", "d"]
    if len(bare) > 1:
        stem, ending = (
            (bare[:-2], "'s") if bare.endswith("'s") else (bare[:-1], "s") if bare.endswith("s") else (bare, "")
        )
        if stem == "PhD":
            return [*spelled(stem), *(["s"] if ending else [])]
        if stem.isupper() and len(stem) > 1 and _is_acronym(scan, stem):
            letters = spelled(stem)
            return [*letters[:-1], letters[-1].rstrip(".") + "'s"] if ending else letters
        if bare[:1] == "i" and bare[1].isupper():
            return ["i", *said_word(scan, bare[1:])] if bare[2:3].islower() else ["i", *spelled(bare[1:])]
    word = token.lower()
    if word == "'n'":
        return ["and"]
    if word not in _CLIPPED:
        word = word.strip("'") if not word.endswith("s'") else word.lstrip("'")
    return [word] if word else []


def as_letters(tokens: list[Token], text: str, opening: bool) -> list[Token]:
    """The article in a row of single letters is the letter: "x a b"."""
    single = [token.end - token.begin == 1 and text[token.begin].isalpha() for token in tokens]
    article = [alone and text[token.begin] in "aA" for alone, token in zip(single, tokens, strict=True)]
    other = [alone and text[token.begin] not in "aAiI" for alone, token in zip(single, tokens, strict=True)]
    made = list(tokens)
    for index, token in enumerate(tokens):
        if article[index] and token.said == ("a",):
            before = index > 0 and (other[index - 1] or made[index - 1].said == ("a.",))
            after = index + 1 < len(tokens) and other[index + 1]
            if before or (after and index == 0 and opening):
                made[index] = Token(token.begin, token.end, ("a.",), token.pause)
    return made


_SHARP: Final = re.compile(r"([A-Za-z])(\+\+|#)(?!\w)|([A-F])\+(?![\w+])")


def _say_sharp(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[3]:
        return [*spelled(found[3]), "plus"]
    return [*spelled(found[1]), *(["plus", "plus"] if found[2] == "++" else ["sharp"])]


_AMPERSAND: Final = re.compile(r"[A-Z]{1,3}&[A-Z]{1,3}(?![A-Za-z])")


def _say_ampersand(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    first, second = found[0].split("&")
    return [*spelled(first), "and", *spelled(second)]


_MIXED: Final = re.compile(
    r"(?=[A-Za-z-]{0,40}\d)[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*(?![A-Za-z0-9])"
    r"|\d+[A-Za-z]+[A-Za-z0-9]*(?![A-Za-z0-9])"
)
_RUNS: Final = re.compile(r"[A-Za-z]+|\d+")


def _say_mixed(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    if not (any(c.isdigit() for c in written) and any(c.isalpha() for c in written)):
        return None
    said: list[str] = []
    for part in _RUNS.finditer(written):
        run, before, after = part[0], written[: part.start()], written[part.end() :]
        if run.isdigit():
            said += numbers.amount(run)
        elif run in SHORT_WORDS and after[:1] == "-" and before[-1:] in ("", "-"):
            said.append(run)  # "9-to-5"
        elif (
            len(run) < 3
            or (run.isupper() and run not in SAID_AS_WORDS and not _ordinary(run))
            or not set(run.lower()) & set("aeiouy")
        ):
            said += spelled(run)
        else:
            said += said_word(scan, run)
    return said


_FORMULA: Final = re.compile(r"(?:[A-Z][a-z]?\d{0,3})+(?![A-Za-z0-9'’-])")
_SYMBOL: Final = re.compile(r"([A-Z][a-z]?)(\d*)")
_CHEMISTRY: Final = re.compile(r"\b(?:symbols?|formulas?|chemical|elements?|atoms?|atomic)\b", re.IGNORECASE)


def _say_formula(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """Signs of elements are spelled: in formulas such as "NaCl", alone where chemistry is spoken of."""
    parts = _SYMBOL.findall(found[0])
    if found[0].isupper() or any(symbol not in ELEMENTS for symbol, _ in parts):
        return None
    if len(parts) == 1 and (parts[0][1] or not _CHEMISTRY.search(scan.text, scan.begin, scan.at)):
        return None
    return [word for symbol, count in parts for word in [*spelled(symbol), *(numbers.amount(count) if count else [])]]


_GREEK: Final = re.compile(r"[Α-ΩΆ-Ώα-ωµ]+")
_MICRO: Final = re.compile(r"µ[A-Za-z]{1,2}(?![A-Za-z])")


def _say_greek(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[0] == "µ":
        unit = _MICRO.match(scan.text, scan.at, scan.end)
        if unit is None or unit[0] not in UNITS:
            return ["micro"]
        scan.put(unit.end(), list(UNITS[unit[0]][1].split()))
        return []
    letters = found[0].lower().replace("µ", "μ")
    if len(letters) > 2 or any(letter not in GREEK_NAMES for letter in letters):
        return None  # a Greek word and no sign
    return [GREEK_NAMES[letter] for letter in letters]


SHARP: Final[Rule] = (_SHARP, _say_sharp)
AMPERSAND: Final[Rule] = (_AMPERSAND, _say_ampersand)
FORMULA: Final[Rule] = (_FORMULA, _say_formula)
MIXED: Final[Rule] = (_MIXED, _say_mixed)
WORD: Final[Rule] = (_WORD, _say_word)
GREEK: Final[Rule] = (_GREEK, _say_greek)
