"""From written to spoken words, token by token: which rules are tried where, and in which order."""

import string
from typing import Final

from vivavoce.text.folding import SKIP, fold
from vivavoce.text.rules import addresses, codes, dates, measures, money, quantities, short, signs, tags, words
from vivavoce.text.scan import Around, Rule, Scan, Token
from vivavoce.text.written import MONEY, WIDE_LETTERS

_ADDRESSES: Final[tuple[Rule, ...]] = (addresses.EMAIL, addresses.URL)
_ANY: Final = string.ascii_letters + "".join(WIDE_LETTERS)
_MONTH_LETTERS: Final = "JFMASOND"
_DAY_LETTERS: Final = "MTWFS"
_LETTER_RULES: Final[tuple[tuple[Rule, str], ...]] = (
    (addresses.EMAIL, _ANY),
    (addresses.URL, _ANY),
    (dates.DAYS, _DAY_LETTERS),
    (dates.MONTHS_RANGE, _MONTH_LETTERS),
    (dates.WEEKDAY, _DAY_LETTERS),
    (dates.MONTH_DAY, _MONTH_LETTERS),
    (dates.MONTH_YEAR, _MONTH_LETTERS),
    (money.SUM, "".join({sign[0] for sign in MONEY if sign[0].isalpha()})),
    (short.WITH, "w"),
    (measures.RATE, _ANY),
    (quantities.CROSS, "x"),
    (codes.VERSION_LETTER, "vV"),
    (codes.BOOK, "I"),
    (quantities.RAISED_LETTER, _ANY),
    (short.DOTTED, _ANY),
    (short.BARE, "MDPVEJFSmdpvejfs"),
    (short.ROMAN, "IVXLC"),
    (words.SHARP, _ANY),
    (words.AMPERSAND, string.ascii_uppercase),
    (addresses.FILE, _ANY),
    (signs.FACE, "xX"),
    (words.FORMULA, string.ascii_uppercase),
    (words.MIXED, _ANY),
    (words.WORD, _ANY),
)
"""Each with the letters that it may begin with."""
_DIGIT_RULES: Final[tuple[Rule, ...]] = (
    *_ADDRESSES,
    quantities.LISTED,
    dates.ISO,
    dates.SLASHED,
    codes.PHONES,
    codes.IP,
    codes.MANY_DOTS,
    dates.CLOCK,
    dates.HOUR,
    quantities.SPACED,
    money.MONEY_AFTER,
    quantities.COMMA,
    quantities.POWER,
    quantities.BY,
    quantities.TIMES,
    quantities.MIXED_FRACTION,
    quantities.FRACTION,
    dates.DECADE,
    quantities.ORDINAL,
    dates.DAY_MONTH,
    money.CENTS,
    measures.FEET,
    measures.INCHES,
    measures.MEASURED,
    codes.EMERGENCY,
    quantities.RANGE,
    quantities.RATIO,
    words.MIXED,
    dates.YEAR_ALONE,
    quantities.ALONE,
)
_LINE: Final[Rule] = signs.SILENT_LINES
_DASHES: Final[tuple[Rule, ...]] = (_LINE, signs.TWO_SIGNS, signs.MINUS, signs.SPACED_DASH)
_SIGN_RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "<": (tags.TAG, signs.HEART, signs.TWO_SIGNS, signs.BRACKETED),
    ">": (signs.TWO_SIGNS, signs.BRACKET_END, _LINE),
    '"': (signs.QUOTE,),
    "'": (dates.APOSTROPHE_YEAR, words.WORD),
    "#": (_LINE, signs.NUMBER_SIGN, addresses.HASHTAG),
    "@": (addresses.AT_NAME,),
    "-": _DASHES,
    "–": _DASHES,
    "−": _DASHES,
    "+": (codes.PHONES, _LINE, signs.TWO_SIGNS),
    "(": (codes.PHONES, signs.OPENING),
    ")": (signs.CLOSING,),
    "*": (_LINE, signs.EMPHASIS),
    "_": (_LINE, signs.EMPHASIS),
    "`": (_LINE, signs.EMPHASIS),
    "~": (_LINE, addresses.PATH, signs.STRUCK),
    "•": (_LINE,),
    "[": (signs.FOOTNOTE,),
    "]": (signs.LINK_TAIL,),
    "!": (signs.IMAGE, signs.TWO_SIGNS),
    "=": (signs.FACE, signs.TWO_SIGNS),
    ":": (signs.FACE,),
    ";": (signs.FACE,),
    "^": (signs.FACE,),
    "¯": (signs.FACE,),
    ".": (signs.ELLIPSIS, quantities.ALONE, signs.DOT_NAME),
    "…": (signs.ELLIPSIS,),
    "/": (addresses.PATH, measures.PER, signs.BETWEEN),
    "&": (signs.QUOTE, signs.TWO_SIGNS),
    "|": (_LINE, signs.CELL),
    "×": (quantities.CROSS,),
    "№": (signs.NUMBER_SIGN,),
    **{sign: (money.SUM,) for sign in MONEY if len(sign) == 1},
}
_GREEK_RULES: Final[tuple[Rule, ...]] = (words.GREEK,)


_RULES: Final[dict[str, tuple[Rule, ...]]] = {
    **_SIGN_RULES,
    **{digit: _DIGIT_RULES for digit in string.digits},
    **{letter: tuple(rule for rule, first in _LETTER_RULES if letter in first) for letter in _ANY},
}


def rules_for(char: str) -> tuple[Rule, ...]:
    """The rules for what begins with this character, in the order in which they are tried."""
    found = _RULES.get(char, ())
    return _GREEK_RULES if not found and ("\u0370" <= char <= "\u03ff" or char == "µ") else found


def tokens_of(text: str, begin: int, end: int, around: Around, sentence: bool = True) -> list[Token]:
    """What is said for the phrase [begin, end) of a folded text; ``sentence``: whether it ends a sentence.

    Raises TextError for letters that nobody here can read.
    """
    scan = Scan(text, begin, end, around, sentence, _inner)
    while scan.at < end:
        char = text[scan.at]
        if char.isspace() or char == SKIP:
            scan.at += 1
            continue
        for pattern, say in rules_for(char):
            found = pattern.match(text, scan.at, end)
            if found is not None and (said := say(scan, found)) is not None:
                scan.put(found.end(), said)
                break
        else:
            scan.put(scan.at + 1, signs.alone(char))
    return words.as_letters(scan.tokens, text, around.opening)


def _inner(text: str) -> list[str]:
    """Words and marks of a short text of its own."""
    return [word for token in tokens_of(fold(text), 0, len(text), Around()) for word in token.said]
