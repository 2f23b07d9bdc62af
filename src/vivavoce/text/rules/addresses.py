"""Addresses of pages and people, names of files, paths, handles and hashtags."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import numbers
from vivavoce.text.dictionary import known
from vivavoce.text.rules.words import said_word, spelled
from vivavoce.text.scan import Rule, Scan
from vivavoce.text.written import LEFT_IN_ADDRESSES, SHORT_WORDS

_TOP: Final = (
    "com|org|net|edu|gov|mil|int|io|ai|co|uk|de|fr|eu|es|nl|ch|at|be|se|no|app|dev|info|me|tv|us|ca|au|jp|in|ly|gg|xyz|"
    "tech|shop|online|site|biz|cloud|wiki|fm|example|test|local|museum"
)
_URL: Final = re.compile(
    r"(?:(?:https?|ftp|wss?)://|www\.)[^\s<>\"|]{1,400}"
    rf"|(?:[A-Za-z0-9][A-Za-z0-9-]{{0,62}}\.){{1,8}}(?:{_TOP})(?![A-Za-z0-9-]|\.[A-Za-z0-9])"
    r"(?::\d{1,5})?(?:/[^\s<>\"|]{0,400})?"
)
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_FILE: Final = re.compile(r"[A-Za-z_][\w-]+(?:\.[A-Za-z]\w*)+(?!\w)")
_PIECES: Final = re.compile(r"[A-Za-z]+|\d+|\S")
_SHORT_IN_ADDRESSES: Final = frozenset("co me us a at in my to go no".split())


def _address(scan: Scan, written: str) -> list[str]:
    said: list[str] = []
    for piece in _PIECES.findall(written):
        if piece[0].isalpha() and piece.isascii():
            lower = piece.lower()
            if lower == "www":
                said += ["w", "w", "w"]
            elif lower != "com" and (
                (len(piece) < 3 and lower not in _SHORT_IN_ADDRESSES)
                or not set(lower) & set("aeiouy")
                or (len(piece) < 4 and not known(lower) and lower not in SHORT_WORDS)
            ):
                said += spelled(piece)
            else:
                said.append(lower)
        elif piece.isdigit() and piece.isascii():
            said += numbers.amount(piece)
        else:
            said += LEFT_IN_ADDRESSES.get(piece, "").split()
    return said


def _say_url(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    end = len(written.rstrip(".,;:!?'*_~`)]}>…"))
    if written.count("(", 0, end) > written.count(")", 0, end) and written[end : end + 1] == ")":
        end += 1
    said = _address(scan, re.sub(r"^\w+://", "", written[:end]).rstrip("/"))
    if not said:
        return None
    scan.put(scan.at + end, said)
    return []


def _say_email(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return _address(scan, found[0])


def _say_file(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    rest = found[0].split(".")[1:]
    if any(part[:1].isupper() and part[1:2].islower() for part in rest):
        return None  # two sentences without a space between them
    return _address(scan, found[0])


_PATH: Final = re.compile(r"~?(?:/[\w.-]*\w){1,20}/?")


def _say_path(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return _address(scan, found[0]) if scan.word_begins and re.search("[A-Za-z]", found[0]) else None


_AT_NAME: Final = re.compile(r"@([A-Za-z_]\w*)")
_HASHTAG: Final = re.compile(r"#([A-Za-z]\w*)")
_HUMPS: Final = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]|\d+")


def _say_handle(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not scan.word_begins:
        return None
    said = ["at" if found[0][0] == "@" else "hashtag"]
    for part in found[1].split("_"):
        for hump in _HUMPS.findall(part):
            said += numbers.amount(hump) if hump.isdigit() else said_word(scan, hump)
    return said


EMAIL: Final[Rule] = (_EMAIL, _say_email)
URL: Final[Rule] = (_URL, _say_url)
FILE: Final[Rule] = (_FILE, _say_file)
HASHTAG: Final[Rule] = (_HASHTAG, _say_handle)
AT_NAME: Final[Rule] = (_AT_NAME, _say_handle)
PATH: Final[Rule] = (_PATH, _say_path)
