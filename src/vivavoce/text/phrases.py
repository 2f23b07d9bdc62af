"""Where written text may be cut: ends of sentences and places to breathe, while the text arrives in pieces.

A cut is given once nothing that can still come would move it. Where a phrase ends depends on the text alone and never
on how it came, so the words and their places are the same for every way to send it.
"""

import re
from typing import Final, NamedTuple

from vivavoce.text import markup
from vivavoce.text.rules.short import street
from vivavoce.text.written import (
    BEFORE_NUMBERS,
    EXCLAIMED,
    INSIDE,
    MONTHS,
    STARTERS,
    STATES,
    STREETS,
    SUFFIXES,
    TITLES,
    UNITS,
    WEEKDAYS,
    may_be_short,
)

LONGEST: Final = 220
"""Characters of one phrase; longer ones are cut between two words."""
_SHORTEST: Final = 40
_CLOSING: Final = "\"'”’»)\\]}*_`~"
_BREAK: Final = re.compile(
    rf"<|\n|(?P<end>[.!?…]{{1,40}})(?P<closed>[{_CLOSING}]{{0,20}})|(?P<pause>[,;:])[{_CLOSING}]{{0,20}}|—|-{{2,40}}"
)
_BEFORE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.'&]*\Z")
_NEXT: Final = re.compile(r"\s+[\"'“‘«(\[*_`]*([A-Za-z0-9][A-Za-z0-9']*|\S)?")
_LINE_MARK: Final = re.compile(
    r"[ \t]*(?:(?:[-*+•]|\d{1,3}[.)])\s|#{1,6}\s|>|\||```|~~~|\n|(?:[-*_] ?){3,}\s*(?:\n|\Z))"
)
_MARKED_LINE: Final = re.compile(r"[ \t>]*(?:(?:[-*+•]|\d{1,3}[.)])\s|#{1,6}\s|\||```|~~~|[-*_]{3})")
_LINE_MARK_SIZE: Final = 8
_SHORT_LINE: Final = 50
_SPACE: Final = re.compile(r"(?<=[A-Za-z,;])\s+(?=[A-Za-z])")
_STOPPED_UNITS: Final = frozenset({*(name for name in UNITS if name.isalpha() and len(name) > 1), "in"})


class Cut(NamedTuple):
    """Where a phrase ends, and whether a sentence does."""

    end: int
    sentence: bool


def next_cut(text: str, begin: int, last: bool) -> Cut | None:
    """The first cut of a folded text after ``begin``; None while it is not decided (``last``: nothing more comes)."""
    at = floor = begin
    while begin + LONGEST >= at:
        found = _BREAK.search(text, at)
        if found is None or found.start() > max(begin + LONGEST, floor):
            break
        start, end = found.span()
        if text[start] == "<":
            tag = _past_tag(text, start, last)
            if tag is None:
                return None
            at, ends = tag
            floor = at if at > start + 1 else floor
            if ends:
                return Cut(at, ends == "sentence")
            continue
        if end == len(text) and not last:
            return None  # the mark, or what closes after it, may go on
        cut = _decided(text, begin, found, last)
        if cut is None:
            return None
        if cut.end:
            return cut
        at = end
    if len(text) > max(begin + LONGEST, floor):
        return Cut(_between_words(text, begin, floor), False)
    return Cut(len(text), True) if last and len(text) > begin else None


def _between_words(text: str, begin: int, floor: int) -> int:
    """A place to breathe in a phrase that is too long, not inside of an element that is read in one piece."""
    latest = 0
    for found in _SPACE.finditer(text, max(begin + _SHORTEST, floor), begin + LONGEST):
        latest = found.end()
    if not latest:
        latest = text.rfind(" ", max(begin + _SHORTEST, floor), begin + LONGEST) + 1
    return latest or max(begin + LONGEST, floor)


def _past_tag(text: str, start: int, last: bool) -> tuple[int, str] | None:
    """Where to go on after a sign that may begin a tag, and whether a phrase or sentence ends there."""
    tag = markup.TAG.match(text, start)
    if tag is None:
        maybe = markup.MAYBE_TAG.match(text, start)
        return None if maybe is not None and not last else (start + 1, "")
    name = (tag["name"] or "").lower()
    if name in markup.WHOLE and not tag["close"] and not tag["empty"]:
        closing = markup.element(text, tag)
        if closing is not None:
            return closing.end(), ""
        if not last and len(text) < tag.end() + markup.LONGEST_ELEMENT:
            return None
    ends = name in markup.ENDS and (bool(tag["close"]) or name in {"br", "break", "hr"})
    return tag.end(), ("phrase" if name in {"break", "br"} else "sentence") if ends else ""


_NOT_HERE: Final = Cut(0, False)


def _decided(text: str, begin: int, found: re.Match[str], last: bool) -> Cut | None:
    start, end = found.span()
    if text[start] == "\n":
        return _at_line(text, begin, start, last)
    after = _NEXT.match(text, end)
    if found["end"] is None:
        if text[start] in "—-" or (after is not None or end == len(text)):
            return _at_pause(text, begin, start, end, last)
        return _NOT_HERE
    if after is None:
        return Cut(end, True) if end == len(text) else _NOT_HERE
    word = after[1] or ""
    more = not last and after.end() == len(text)  # the next word is not there, or not all of it
    mark, closed = found["end"], found["closed"]
    quoted = any(sign in "\"'”’»" for sign in closed)
    if mark == ".":
        initial = len(word) == 1 and word.isupper() and text[after.end() : after.end() + 1] == "."
        sentence = _full_stop(text, begin, start, word, more, quoted, initial)
    elif mark[0] in "!?":
        name = _BEFORE.search(text, max(begin, start - 20), start)
        if mark == "!" and name is not None and name[0].lower() in EXCLAIMED:
            sentence = None if not word and more else None if more and len(word) < 1 else not word[:1].islower()
            if sentence is False:
                return _NOT_HERE
        elif quoted or ")" in closed:
            sentence = None if more and not word else not word[:1].islower()
        else:
            sentence = True
    else:
        sentence = None if more and not word else not word[:1].islower()
    if sentence is None:
        return None
    if sentence:
        return Cut(end, True)
    plain = mark == "."
    return _NOT_HERE if plain and not closed else Cut(end, False)


def _full_stop(text: str, begin: int, start: int, word: str, more: bool, quoted: bool, initial: bool) -> bool | None:
    """Whether the full stop at ``start`` ends a sentence; None while what comes can still change that.

    ``word`` follows, of which ``more`` may come; ``initial``: it is a capital letter with a full stop of its own.
    """
    found = _BEFORE.search(text, max(begin, start - 24), start)
    before = found[0] if found else ""
    name, at = before.lower(), start - len(before)
    if before.isdigit() and len(before) < 4 and not _line_of(text, at).strip(" \t>"):
        return False  # the number of an item in a list
    kind = _kind_of(text, at, before)
    if kind == "word":
        return None if quoted and more and not word else not (quoted and word[:1].islower())
    if kind == "inside":
        return False
    if more:
        return None
    if not word:
        return True
    if kind == "number":
        return not word[0].isdigit()
    if word[0].isdigit():
        return kind == "initials" and "." in name and text[start : start + 1].isspace()
    if not word[0].isupper():
        return not word[0].isalnum() and word[0] not in "&-–—/" and kind != "street"
    starts = word.lower() in STARTERS and not initial and not (word.isupper() and len(word) > 1)
    last = _capital_word(text, begin, at)
    if kind == "street":
        return starts and street(last, word, name)
    if kind == "initials":
        if before == "I":
            return not initial
        return starts or not (
            initial or "." in name or last or at <= _first_place(text, begin) or _before(text, begin, at) in STARTERS
        )
    if kind == "day":
        return word.lower() not in MONTHS
    if name in {"a.m", "p.m"}:
        return not ((word.isupper() and len(word) > 1) or word.lower() in WEEKDAYS.values() or word.lower() in MONTHS)
    return starts or name not in {"co", "inc", "ltd", "corp", "bros", "jr", "sr"} or not initial


def _kind_of(text: str, at: int, before: str) -> str:
    """What kind of word stands before a full stop."""
    name = before.lower()
    if not before or before[0].isdigit():
        return "word"
    if _INITIALS.fullmatch(name) and name not in INSIDE and name not in SUFFIXES:
        return "number" if name in BEFORE_NUMBERS and before.islower() else "initials"
    if not may_be_short(before):
        return "word"
    if name in STREETS:
        return "street"
    if name in TITLES or name in INSIDE:
        return "inside"
    if name in BEFORE_NUMBERS:
        return "number"
    if name in WEEKDAYS or (name in MONTHS and len(name) < 5 and before[0].isupper()):
        return "day"
    if name in SUFFIXES:
        return "suffix"
    if name in STATES:
        return "suffix" if text[max(0, at - 2) : at] == ", " else "word"
    return "suffix" if name in _STOPPED_UNITS and text[max(0, at - 2) : at].rstrip()[-1:].isdigit() else "word"


_INITIALS: Final = re.compile(r"[a-z](?:\.[a-z])*")


def _first_place(text: str, begin: int) -> int:
    """Where the first word of the phrase begins."""
    while begin < len(text) and not text[begin].isalnum():
        begin += 1
    return begin


def _before(text: str, begin: int, at: int) -> str:
    found = _LAST_WORD.search(text, max(begin, at - 24), at)
    return found[1].lower() if found else ""


_LAST_WORD: Final = re.compile(r"([A-Za-z0-9.']+)[ \n]+\Z")


def _capital_word(text: str, begin: int, at: int) -> str:
    """The word before, where it begins with a capital letter or is a number such as 5th."""
    found = _LAST_WORD.search(text, max(begin, at - 24), at)
    if found is None:
        return ""
    return found[1] if found[1][0].isupper() or re.fullmatch(r"\d+(?:st|nd|rd|th)", found[1]) else ""


def _at_pause(text: str, begin: int, start: int, end: int, last: bool) -> Cut | None:
    """A comma and its kin: not between the parts of a number or date."""
    dash = text[start] in "—-"
    if dash and start == begin:
        return _NOT_HERE
    if text[start - 1 : start].isdigit() or (dash and text[start - 1 : start].isspace()):
        at = end
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return None if not last else _NOT_HERE
        if text[at].isdigit() or (dash and text[at] in "|:-"):
            return _NOT_HERE
    if dash and _line_of(text, start).strip("-— |:") == "":
        return _NOT_HERE
    return Cut(end, False)


def _line_of(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 : at]


def _at_line(text: str, begin: int, start: int, last: bool) -> Cut | None:
    """The end of a line: of a paragraph, a heading, an item of a list, a short line; else only a space."""
    rest = len(text) - start - 1
    if rest < _LINE_MARK_SIZE and not last:
        return None
    if not text[begin:start].strip():
        return _NOT_HERE
    line = _line_of(text, start)
    if _LINE_MARK.match(text, start + 1) or _MARKED_LINE.match(line) or not rest:
        return Cut(start + 1, True)
    follows = text[start + 1 : start + 1 + _LINE_MARK_SIZE].lstrip(" \t\"'([*_")[:1]
    if len(line) < _SHORT_LINE and (follows.isupper() or follows.isdigit()):
        return Cut(start + 1, True)
    return _NOT_HERE
