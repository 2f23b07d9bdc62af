"""From written to spoken words, token by token: which rules are tried where, and in which order."""

from typing import Final

from vivavoce.text.folding import SKIP, fold
from vivavoce.text.rules import addresses, codes, dates, measures, money, quantities, short, signs, tags, words
from vivavoce.text.scan import Around, Rule, Scan, Token
from vivavoce.text.written import MONEY, WIDE_LETTERS

_ADDRESSES: Final[tuple[Rule, ...]] = (addresses.EMAIL, addresses.URL)
_LETTER_RULES: Final[tuple[Rule, ...]] = (
    *_ADDRESSES,
    dates.MONTH_DAY,
    dates.MONTH_YEAR,
    money.SUM,
    short.WITH,
    codes.VERSION_LETTER,
    quantities.RAISED_LETTER,
    short.DOTTED,
    short.BARE,
    short.ROMAN,
    words.SHARP,
    words.AMPERSAND,
    addresses.FILE,
    signs.FACE,
    words.MIXED,
    words.WORD,
)
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
    quantities.POWER,
    quantities.BY,
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
    "(": (codes.PHONES,),
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
    "№": (signs.NUMBER_SIGN,),
    **{sign: (money.SUM,) for sign in MONEY if len(sign) == 1},
}
_GREEK_RULES: Final[tuple[Rule, ...]] = (words.GREEK,)


def rules_for(char: str) -> tuple[Rule, ...]:
    """The rules for what begins with this character, in the order in which they are tried."""
    if char.isascii():
        if char.isalpha():
            return _LETTER_RULES
        if char.isdigit():
            return _DIGIT_RULES
    elif char in WIDE_LETTERS:
        return _LETTER_RULES
    elif "\u0370" <= char <= "\u03ff" or char == "µ":
        return _GREEK_RULES
    return _SIGN_RULES.get(char, ())


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
