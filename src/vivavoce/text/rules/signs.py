"""Signs: what is said for them, and what only shapes the text."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from vivavoce.core.errors import TextError
from vivavoce.text import numbers
from vivavoce.text.rules.money import COINS
from vivavoce.text.rules.words import spelled
from vivavoce.text.scan import MARKS, Rule, Scan
from vivavoce.text.written import CURRENCY_ALONE, FRACTION_SIGNS, SIGNS

_SILENT_LINES: Final = re.compile(
    r"[#]{1,6}(?=\s)|```[\w+#.-]*|~~~\w*|(?:[-*_] ?){3,}(?=\s*(?:\n|\Z))|[-*+•](?=\s)(?:\s\[[ xX]\](?=\s))?|>+"
    r"|(?=[ :|-]*--)[ :|-]+(?=\n|\Z)"
)


def _say_nothing_at_line(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [] if scan.line_begins else None


_LINK_TAIL: Final = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\)){0,400}(?:\s\"[^\"]{0,200}\")?\)")
_FOOTNOTE: Final = re.compile(r"\[\^\w{1,20}\]:?")
_EMPHASIS: Final = re.compile(r"\*+|_+|~~|`+")
_FACE: Final = re.compile(r"[:;=8][-o']?[)(\]\[DPpOo|/*3](?![A-Za-z0-9(/])|[xX]D(?!\w)|:'\(|\^_?\^|¯\\_\(ツ\)_/¯")
_HEART: Final = re.compile(r"<3(?![\d.,%])")
_TWO_SIGNS: Final = re.compile(r"[<>!=]=+|[-=]+>|<-+|\+/-|&(?:amp|lt|gt|quot|apos|nbsp|#39|#34);|--+")
_TWO_SAID: Final = {
    "<=": "less than or equal to", ">=": "greater than or equal to", "!=": "not equal to", "==": "equals",
    "===": "equals", "+/-": "plus or minus", "&amp;": "and", "&lt;": "less than", "&gt;": "greater than",
}  # fmt: skip


def _say_nothing(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return []


def _say_emphasis(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    after = scan.text[found.end() : found.end() + 1] if found.end() < scan.end else ""
    before = scan.before()
    if found[0] == "*" and before.isspace() and after.isspace() and scan.numeric:
        return ["times"]
    if set(found[0]) == {"_"} and before.isalnum() and after.isalnum():
        return ["underscore"]
    return []


def _say_face(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [] if scan.word_begins and not (scan.numeric and scan.before().isdigit()) else None


def _say_heart(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    loving = not scan.tokens or scan.tokens[-1].said[-1:] in (("i",), ("we",), ("they",), ("you",))
    return ["heart"] if loving or scan.next_word(found.end()).lower() in {"you", "u", "this", "it", "my"} else None


def _say_two(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    if found[0].endswith(">") and found[0][0] in "-=":
        return ["to"]
    if found[0].startswith("--"):
        return [","]
    return _TWO_SAID.get(found[0], "").split()


_MINUS: Final = re.compile(rf"[-−–](?=[\d.][\d.]*|[{COINS}]\s?\d)")
_SPACED_DASH: Final = re.compile(r"[-–−]")


def _say_minus(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[0] == "−":
        return ["minus"]
    if scan.word_begins and (not scan.numeric or "=" in scan.text[scan.at : scan.at + 12]):
        return ["minus"]
    return ["to"] if scan.numeric and not scan.before().isspace() else None


def _say_dash(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    spaced = scan.before().isspace() and scan.text[found.end() : found.end() + 1].isspace()
    if found[0] == "−":
        return ["minus"]
    if scan.numeric and spaced and scan.text[found.end() : found.end() + 2].strip().isdigit():
        return ["minus"]
    return [","] if spaced and scan.tokens else []


_BETWEEN: Final = re.compile(r"\s?/\s?(?=[A-Za-z])")


def _say_between(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [] if scan.before().isalpha() or scan.before().isspace() else None


_OPENING: Final = re.compile(r"\((?=[\"'“‘]?[A-Za-z0-9][^)])")
_CLOSING: Final = re.compile(r"\)(?=\s+[\"'“‘]?[A-Za-z0-9])")


def _say_opening(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    """What is added in brackets is set apart."""
    return [","] if scan.before().isspace() and scan.tokens else None


def _say_closing(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    opened = scan.text.rfind("(", scan.begin, scan.at)
    apart = opened > scan.begin and scan.at - opened > 2 and scan.text[opened - 1].isspace()
    return [","] if apart and scan.tokens else None


_NUMBER_SIGN: Final = re.compile(r"[#№](?=\s?\d)")
_DOT_NAME: Final = re.compile(r"\.(?=[A-Z]{2,})")
_BRACKETED: Final = re.compile(r"<(?=[A-Za-z][^<>]{0,60}>)")
_BRACKET_END: Final = re.compile(r">")


def _say_number_sign(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return ["number"]


def _say_bracket_end(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    opened = scan.text.rfind("<", scan.begin, scan.at)
    return [] if opened >= 0 and _BRACKETED.match(scan.text, opened, scan.at + 1) else None


def _say_quote(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    scan.around.quoted = not scan.around.quoted
    return []


def _say_ellipsis(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    after = scan.next_word(found.end())
    return ["," if after[:1].islower() or not (after or scan.sentence) else "."]


_ELLIPSIS: Final = re.compile(r"\.{2,}|…+")
_QUOTE: Final = re.compile(r"\"|&quot;")
_IMAGE: Final = re.compile(r"!(?=\[)")
_CELL: Final = re.compile(r"\|")


def _say_cell(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [","]


def alone(char: str) -> Sequence[str]:
    """A sign for which no rule stands; TextError for a letter of another script."""
    if char in MARKS:
        return [char]
    if char in ";:—":
        return [","]
    if char in CURRENCY_ALONE:
        return CURRENCY_ALONE[char].split()
    if char in SIGNS:
        return SIGNS[char].split()
    if char in FRACTION_SIGNS:
        return numbers.fraction(*FRACTION_SIGNS[char])
    if char.isascii():
        return []
    kind = unicodedata.category(char)
    plain = unicodedata.normalize("NFKD", char)
    if plain != char and plain.isascii() and plain.isalnum():
        return [] if char in "™®" else spelled(plain) if not plain.isdigit() else numbers.amount(plain)
    if kind[0] in "LN":
        name = unicodedata.name(char, "unknown").split()[0].lower()
        raise TextError(
            f"the text has {char!r} ({name} script) in it and only English in Latin letters can be read; "
            "write it in Latin letters"
        )
    return []


FACE: Final[Rule] = (_FACE, _say_face)
SILENT_LINES: Final[Rule] = (_SILENT_LINES, _say_nothing_at_line)
TWO_SIGNS: Final[Rule] = (_TWO_SIGNS, _say_two)
MINUS: Final[Rule] = (_MINUS, _say_minus)
SPACED_DASH: Final[Rule] = (_SPACED_DASH, _say_dash)
HEART: Final[Rule] = (_HEART, _say_heart)
BRACKETED: Final[Rule] = (_BRACKETED, _say_nothing)
BRACKET_END: Final[Rule] = (_BRACKET_END, _say_bracket_end)
QUOTE: Final[Rule] = (_QUOTE, _say_quote)
OPENING: Final[Rule] = (_OPENING, _say_opening)
CLOSING: Final[Rule] = (_CLOSING, _say_closing)
NUMBER_SIGN: Final[Rule] = (_NUMBER_SIGN, _say_number_sign)
EMPHASIS: Final[Rule] = (_EMPHASIS, _say_emphasis)
FOOTNOTE: Final[Rule] = (_FOOTNOTE, _say_nothing)
LINK_TAIL: Final[Rule] = (_LINK_TAIL, _say_nothing)
IMAGE: Final[Rule] = (_IMAGE, _say_nothing)
ELLIPSIS: Final[Rule] = (_ELLIPSIS, _say_ellipsis)
BETWEEN: Final[Rule] = (_BETWEEN, _say_between)
CELL: Final[Rule] = (_CELL, _say_cell)
DOT_NAME: Final[Rule] = (_DOT_NAME, lambda scan, found: ["dot"])
STRUCK: Final[Rule] = (re.compile("~~"), _say_nothing)
