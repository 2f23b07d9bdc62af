"""One plain character for each written one, so that places in the plain text are places in the written one."""

import unicodedata
from typing import Final

from vivavoce.text.written import WIDE_LETTERS

SKIP: Final = "\u00ad"
"""Stands for what is not seen: joiners, accents of their own, variation selectors, soft hyphens."""
_PLAIN: Final = {
    "’": "'", "‘": "'", "ʼ": "'", "‛": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‟": '"',
    "‐": "-", "‑": "-", "‒": "–", "―": "—", "⁃": "•", "‣": "•", "●": "•", "▪": "•", "◦": "•", "º": "°", "˚": "°",
    "μ": "µ", "Ω": "Ω", "″": '"', "ˣ": "x", "∶": ":", "⁄": "/", "∕": "/", "∙": "·", "đ": "d", "ð": "d", "Ð": "D",
    "ı": "i", "ə": "e", "ɛ": "e", "ɔ": "o", "\u2028": "\n", "\u2029": "\n", "\r": "\n", "✕": "×", "➔": "→", "⟶": "→",
}  # fmt: skip
_KEPT: Final = frozenset("²³⁰¹⁴⁵⁶⁷⁸⁹⁻…")


class _Folding(dict[int, str]):
    """A table for ``str.translate`` that finds what a character is folded to when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = made = _folded(chr(code))
        return made


def _folded(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() or char == "\n" else " "
    if char in _PLAIN:
        return _PLAIN[char]
    if char in WIDE_LETTERS or char in _KEPT:
        return char
    kind = unicodedata.category(char)
    if kind[0] == "M" or kind == "Cf":
        return SKIP
    if kind[0] == "Z" or kind == "Cc":
        return " "
    split = [part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part)[0] != "M"]
    if len(split) == 1 and split[0] != char:
        return _folded(split[0])
    words = unicodedata.name(char, "").split()
    if words[:1] == ["LATIN"] and words[2:3] == ["LETTER"] and len(words[3]) == 1 and words[4:5] in ([], ["WITH"]):
        return words[3] if words[1] == "CAPITAL" else words[3].lower()
    return char


_TABLE: Final = _Folding()


def fold(text: str) -> str:
    """The text with accents, typographic quotes and wide forms made plain; as long as it was."""
    return text if text.isascii() and text.isprintable() else text.translate(_TABLE)
