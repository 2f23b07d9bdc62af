"""What was said as evidence for the arguments of a call.

Arguments are kept as said. Where the mind was taught a tool, a value is only made less likely when its words were all
said (now, or in the order that is being changed), but not together: "a lot of one" after "a lot of another and a bit of
one". Where it is known how values are said, no argument is made up, and none that was spelled is passed over. A tool
that it was not taught, called because it has to be, it cannot judge by itself; there the words decide which listed
values and optional properties are written, which number goes where, which words fill a free text and when a list ends.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from vivavoce.data.sheet import SheetTool
from vivavoce.models.mind import plain_words
from vivavoce.text.grammar import Place
from vivavoce.text.numbers import cardinal

_TORN = -4.0  # nats for a value whose words were said apart, where the mind knows the tool
_PROOF = 9.0  # and for one that was said, where it does not
_SPAN = 6
_RECENT = 40
_KEY = re.compile(rb'[{, ]*("(?:[^"\\]|\\.)*"): ["\[{]*$')
_TOKEN = re.compile(rb'("(?:[^"\\]|\\.)*")(:?)|(-?\d+(?:\.\d+)?)')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NUMBER = re.compile(rb"(-?\d+)(, |[}\]])?$")
_BEFORE_NAMES = frozenset("in at to from for about on of called named with by".split())
_SMALL = _BEFORE_NAMES | frozenset(
    """a an the is are was be been i you we they it he she me my your our please and or but what will can could would do
    does did want need how when where next tomorrow today now this that if so not no yes""".split()
)


@dataclass(frozen=True, slots=True)
class Forms:
    """What people say for the values of a tool, where a value is not said as it is written."""

    said: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """For a value the rows of words that mean it."""
    spelled: frozenset[str] = frozenset()
    """Properties whose words are spelled, letter by letter."""

    @staticmethod
    def of(tool: SheetTool) -> "Forms":
        """Those of a sheet's tool."""
        said = {
            value: tuple(_parts(form) for form in slot.forms(value))
            for slot in tool.slots
            if slot.said_as
            for value in slot.every()
        }
        return Forms(said, frozenset(slot.name for slot in tool.slots if slot.spelled))


class CallBias:
    """Weighs the pieces that may come next in a call, in nats."""

    def __init__(
        self,
        words: Sequence[str],
        schema: Mapping[str, Any],
        *,
        known: bool,
        earlier: Iterable[tuple[str, str]] = (),
        forms: Forms | None = None,
    ) -> None:
        """``words`` are the user's, ``earlier`` the arguments of calls before; ``known``: the mind was taught the tool,
        and ``forms`` is how its values are said."""
        before = set(earlier)
        self.words = tuple(words[-_RECENT:])
        self.known = known
        self.forms = forms or Forms()
        self.spelled = list(spelled_in(self.words)) if known and self.forms.spelled else []
        self.names = dict(_names(schema))
        self.listed = {part for value in _listed(schema) for part in _parts(value)}
        said = [word for word in self.words if word in self.listed]
        self.rows: list[Sequence[str]] = [said, *map(_parts, sorted({value for _, value in before}))]
        self.order = list(schema.get("properties", ())) if known else []
        self.unsaid = set(self._unsaid(schema)) - {key for key, _ in before} if known else set[str]()

    def candidates(self) -> list[bytes]:
        """What free places may be filled with: runs of the user's words, and the numbers among them."""
        found: dict[bytes, None] = {}
        for first in range(len(self.words)):
            for last in range(first + 1, min(first + _SPAN, len(self.words)) + 1):
                found[f'{" ".join(self.words[first:last])}"'.encode()] = None
        for _, _, number in numbers_in(self.words):
            for ending in ("}", ", ", "]"):
                found[f"{number}{ending}".encode()] = None
        for word in self.spelled:
            found[f'{word}"'.encode()] = None
        return list(found) if self.words or self.known else [b'"']

    def weigh(self, text: bytes, pieces: Sequence[tuple[bytes, Place]]) -> list[float]:
        """What is to be added to the log-probability of each piece after the text so far."""
        if self.known:
            if self.spelled and _last_key(text) in self.forms.spelled:
                return [_PROOF * self._spelled(piece) for piece, _ in pieces]
            if any(_KEY.match(piece) for piece, _ in pieces):
                return [-math.inf if self._amiss(text, piece) else 0.0 for piece, _ in pieces]
            return [self._taught(_string(piece)) for piece, _ in pieces]
        left = self._left(text)
        closing = any(piece[:1] in (b"}", b"]") for piece, _ in pieces)
        keys = [n for n, (piece, _) in enumerate(pieces) if _KEY.match(piece)]
        more = any(piece[-2:] == b", " and self._any(after, left) for piece, after in pieces)
        found: list[float] = []
        for place, (piece, after) in enumerate(pieces):
            if place in keys:
                # Without a way to end here, the last property is one that has to be written.
                if place == keys[-1] and not closing:
                    found.append(0.0)
                else:
                    said = self._property(piece, after, left)
                    found.append(_PROOF - keys.index(place) if said else -_PROOF)
            elif piece[:2] == b", ":
                found.append(_PROOF if self._any(after, left) else -_PROOF)
            elif (number := _NUMBER.match(piece)) is not None:
                found.append(self._number(number[1], text, left) - _PROOF * ((number[2] == b", ") != more))
            elif (value := _string(piece)) is not None:
                said = _find(_parts(value), left) if value else None
                # Of several the one said first, and of two that begin together the longer one.
                found.append(-_PROOF * closing if said is None else 2 * _PROOF + len(value) / 10 - said)
            elif piece in (b"true", b"false"):
                found.append(_PROOF * (piece == b"true") * self._named(_last_key(text), left))
            elif piece[-1:] == b'"':
                found.append(self._text(piece[:-1].decode(errors="replace").split(), text, left))
            else:
                found.append(0.0)
        return found

    # ---- where the mind was taught the tool ----

    def _taught(self, value: str | None) -> float:
        if forms := self.forms.said.get(value or ""):
            return _PROOF * any(_find(form, self.words) is not None for form in forms)
        return _TORN * self._torn(value)

    def _unsaid(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """Properties of which no value was said, where it is known how they are said."""
        for key, inner in dict(schema.get("properties", {})).items():
            forms = [form for value in inner.get("enum", ()) for form in self.forms.said.get(value, ())]
            said = any(_find(form, self.words) is not None for form in forms)
            if not self.spelled if key in self.forms.spelled else forms and not said:
                yield key

    def _amiss(self, text: bytes, piece: bytes) -> bool:
        """Whether a piece begins a property that nobody named, or comes behind one that was spelled and left out."""
        key, last = _last_key(piece), _last_key(text)
        first = self.order.index(last) + 1 if last in self.order else 0
        passed = self.order[first : self.order.index(key)] if key in self.order else self.order[first:]
        return key in self.unsaid or (bool(self.spelled) and not self.forms.spelled.isdisjoint(passed))

    def _spelled(self, piece: bytes) -> float:
        """1 for the word that was spelled last, which puts right one before; less for any other."""
        word = piece[:-1].decode(errors="replace")
        return 1.0 if word == self.spelled[-1] else 0.5 if word in self.spelled else 0.0

    # ---- what was said, and not used yet ----

    def _torn(self, value: str | None) -> bool:
        """Whether all words of a value were said, but not in a row; words of no value at all may be between."""
        parts = _parts(value or "")
        if len(parts) < 2 or not set(parts) <= {word for row in self.rows for word in row}:
            return False
        return all(_find(parts, row) is None for row in self.rows)

    def _was_said(self, value: str | None, words: Sequence[str | None]) -> bool:
        parts = _parts(value or "")
        return bool(parts) and _find(parts, words) is not None

    def _left(self, text: bytes) -> list[str | None]:
        """The user's words without those that stand in the call already."""
        left: list[str | None] = list(self.words)
        for string, colon, number in _TOKEN.findall(text):
            if colon:
                continue
            value = number.decode() if number else str(json.loads(string))
            spans = [(first, last) for first, last, n in numbers_in(left) if str(n) == value] if number else []
            parts = _parts(value)
            first = spans[0][0] if spans else _find(parts, left) if parts else None
            if first is not None:
                last = spans[0][1] if spans else first + len(parts)
                left[first:last] = [None] * (last - first)
        return left

    def _named(self, key: str, left: Sequence[str | None]) -> bool:
        return any(_same(word, part) for word in left for part in self.names.get(key, ()))

    # ---- weights ----

    def _property(self, piece: bytes, after: Place, left: Sequence[str | None]) -> bool:
        """Whether anything was said that could stand under a property."""
        key = _last_key(piece)
        if piece[-1:] == b'"':
            return self._named(key, left)
        if after.options() is None and not after.advance(b'"'):
            return any(self._fit(first, last, key, left) >= 0 for first, last, _ in numbers_in(left))
        return self._any(after, left) or self._named(key, left)

    def _any(self, after: Place, left: Sequence[str | None]) -> bool:
        """Whether one of the pieces that may come next was said."""
        for option in after.options() or ():
            if _KEY.match(option.text):
                if self._property(option.text, option.after, left):
                    return True
            elif self._was_said(_string(option.text), left):
                return True
        return False

    def _number(self, number: bytes, text: bytes, left: Sequence[str | None]) -> float:
        spans = [(first, last) for first, last, n in numbers_in(left) if str(n).encode() == number]
        return max((self._fit(*span, _last_key(text), left) for span in spans), default=-_PROOF)

    def _fit(self, first: int, last: int, key: str, left: Sequence[str | None]) -> float:
        """How well a number goes with a property: "ten minutes", "brightness to forty"."""
        own, others = self.names.get(key, ()), [p for name, parts in self.names.items() if name != key for p in parts]
        unit = left[last] if last < len(left) else None
        if any(_same(unit, part) for part in own):
            return 4.0
        if any(_same(unit, part) for part in others):
            return -4.0
        near = left[max(first - 3, 0) : first]
        return 3.0 if any(_same(word, part) for word in near for part in own) else 0.0

    def _text(self, span: Sequence[str], text: bytes, left: Sequence[str | None]) -> float:
        """How well a run of words would do as a free text: a name after a preposition, whole, and nothing else's."""
        if not span:
            return 0.0
        first = _find(tuple(span), left)
        if first is None:
            return -_PROOF
        own = self.names.get(_last_key(text), ())
        before = [left[place] if place >= 0 else None for place in (first - 1, first - 2)]
        behind = left[first + len(span)] if first + len(span) < len(left) else "please"
        score = -3.0 * (span[0] in _SMALL) - 3.0 * (span[-1] in _SMALL) - sum(word in _SMALL for word in span)
        score += 4.0 * any(_same(before[0], part) or (before[0] in _SMALL and _same(before[1], part)) for part in own)
        score += 2.0 * (before[0] in _BEFORE_NAMES) + 2.0 * (behind in _SMALL or behind is None)
        return score - 3.0 * any(word in self.listed for word in span) - 2.0 * bool(list(numbers_in(span)))


def spelled_in(words: Sequence[str]) -> Iterator[str]:
    """Words that were spelled: "s m i t h", and "double t" for two of a letter.

    Letters that run on or break off after the whole word was said are that word: "baker b a k e r k".
    """
    letters, before = "", ""
    for place, word in enumerate((*words, "")):
        doubled = word == "double" and place + 1 < len(words) and len(words[place + 1]) == 1
        if len(word) == 1:
            letters += word * (1 + (place > 0 and words[place - 1] == "double"))
        elif not doubled:
            if len(letters) > 1 and not set(letters) <= {"a", "i"}:  # which are words
                apart = abs(len(letters) - len(before))
                whole = len(before) > 2 and apart < 2 and (letters.startswith(before) or before.startswith(letters))
                yield before if whole else letters
            letters, before = "", word


def _names(schema: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """All properties of a schema with the words of their names."""
    if isinstance(schema, Mapping):
        for name, inner in dict(schema.get("properties", {})).items():
            yield name, tuple(part.lower() for part in re.findall(r"[A-Z]?[a-z]+", str(name)))
            yield from _names(inner)
        yield from _names(schema.get("items"))


def _listed(schema: Any) -> Iterator[str]:
    """All texts that a schema lists."""
    if isinstance(schema, Mapping):
        yield from (value for value in schema.get("enum", ()) if isinstance(value, str))
        for inner in dict(schema.get("properties", {})).values():
            yield from _listed(inner)
        yield from _listed(schema.get("items"))


@lru_cache(4096)
def _parts(value: str) -> tuple[str, ...]:
    """The words of a value."""
    return tuple(plain_words(value))


def _string(piece: bytes) -> str | None:
    """The text of a piece that is a whole JSON string."""
    return str(json.loads(piece)) if _STRING.fullmatch(piece) else None


def _last_key(text: bytes) -> str:
    keys = [string for string, colon, _ in _TOKEN.findall(text) if colon]
    return str(json.loads(keys[-1])) if keys else ""


def _find(parts: tuple[str, ...], words: Sequence[str | None]) -> int | None:
    size = len(parts)
    return next((n for n in range(len(words) - size + 1) if tuple(words[n : n + size]) == parts), None)


def _same(word: str | None, part: str) -> bool:
    """Whether two words are one but for an ending: hour, hours."""
    if word is None or min(len(word), len(part)) < 3:
        return word == part
    return word.startswith(part) or part.startswith(word)


@cache
def _numerals() -> dict[tuple[str, ...], int]:
    return {tuple(cardinal(number)): number for number in range(1001)}


def numbers_in(words: Sequence[str | None]) -> Iterator[tuple[int, int, int]]:
    """The longest runs of words that are a number: where each begins and ends, and its value."""
    first = 0
    while first < len(words):
        for last in range(min(first + _SPAN, len(words)), first, -1):
            value = _numerals().get(tuple(w or "" for w in words[first:last]))
            if value is not None:
                yield first, last, value
                first = last - 1
                break
        first += 1
