"""Tools that the mind was not taught: their arguments are filled with what was said, by the meaning of their names.

A schema is a tree whose leaves are *places* to be filled. A tool that does what the character's own tool does gets the
order as the mind understood it: slots go to places by names, descriptions and listed values (`Form.serves`), and come
back the same way when an order is changed (`Form.back`). Every other place, of any tool, is filled only by clear
evidence in the user's words (`Words`). What nobody said is left out; `Filled.missing` says which place is required.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, cast

import yaml

from vivavoce.data import sheet as sheets
from vivavoce.data.sheet import Sheet, Slot
from vivavoce.models.mind import plain_words
from vivavoce.systems.mini.grounding import numbers_in
from vivavoce.text.json_schema import arguments_place, written

Path_ = tuple[str, ...]
Order = Mapping[str, str]
"""What was understood: values by the names of the character's slots, as they were said."""
EACH: Final = "*"  # stands in a path for the entries of an array
_NOTHING: Final = object()
_OF_NUMBER: Final = frozenset("quantity count qty many copies".split())
_OF_AMOUNT: Final = frozenset("amount level quantity much strength".split())
_NUMBERED: Final = frozenset("id number code no".split())
_HEADLESS: Final = frozenset("is has have with add want wants include needs need should get use enable".split())
_STOPS: Final = frozenset(
    """a an the me my us our it this that them him her you please and or but with for to in on at of by from as so then
    now here there thanks thank is are be i we not no yes just only""".split()
)
_ENDS: Final = _STOPS - {"the", "of", "a", "an", "no", "not"} | {
    *"today tomorrow tonight saying says called named titled".split()
}
_VERBS: Final = frozenset(
    """get set show fetch check lookup look find search list create make add do run call tool function api the a an of
    for to my current info information data new start update send book play turn control by in on with and or is submit
    request use handle go user""".split()
)
_NO: Final = frozenset("no none nothing without not don't never".split())
_NONE_LISTED: Final = ("none", "no", "nothing", "false", "off")
_LEAST, _DEEPEST, _LONGEST = 2.0, 8, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A leaf of a schema: where it stands, what it may hold, and the words that say what it means."""

    path: Path_
    kind: str
    """``string``, ``integer``, ``number``, ``boolean``, or ``list`` for an array of texts."""
    options: tuple[Any, ...] = ()
    required: bool = False
    nullable: bool = False
    words: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    about: frozenset[str] = frozenset()

    @property
    def head(self) -> str:
        """The word that the name is about: "size" of ``cup_size`` and ``size_of_cup``."""
        before = self.words[: self.words.index("of")] if "of" in self.words[1:] else self.words
        return before[-1] if before else ""

    @property
    def name(self) -> str:
        """The name as it is spoken; "origin" for a bare ``from``."""
        kinds = [name for name, kind in _kinds().items() if self.words and self.words[-1] in kind["names"]]
        if len(self.words) == 1 and self.words[0] in _STOPS and kinds:
            return kinds[0]
        return " ".join(word for word in self.words if word not in _HEADLESS) or " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Filled:
    """Arguments as far as they were said, and the first required place for which nothing was."""

    arguments: dict[str, Any]
    missing: Spot | None = None
    strong: int = 0
    """How many places were filled by clear evidence."""


class Words:
    """What the user said: each word is used once."""

    def __init__(self, words: Sequence[str | None]) -> None:
        self.words: list[str | None] = list(words)

    def find(self, parts: Sequence[str]) -> int | None:
        """Where these words stand in a row, endings aside."""
        size = len(parts)
        for first in range(len(self.words) - size + 1) if size else ():
            if all(_alike(self.words[first + n], part) for n, part in enumerate(parts)):
                return first
        return None

    def take(self, parts: Sequence[str]) -> bool:
        """Uses these words."""
        first = self.find(parts)
        if first is not None:
            self.words[first : first + len(parts)] = [None] * len(parts)
        return first is not None

    def denied(self, first: int) -> bool:
        """Whether a "no" stands before a word."""
        return any(word in _NO for word in self.words[max(first - 2, 0) : first])

    def after(self, cue: Sequence[str], to_end: bool = False) -> list[str]:
        """The words behind a cue, up to where a name or a thing ends (``to_end``: up to the end)."""
        first = self.find(cue)
        while first is not None:
            start = first + len(cue)
            span: list[str] = []
            for word in self.words[start:]:
                if word is None or (not to_end and span and word in _ENDS) or (not to_end and len(span) == _LONGEST):
                    break
                span.append(word)
            while span and (span[-1] in _STOPS if not to_end else span[-1] == "please"):
                span.pop()
            while span and span[0] in ("a", "an", "the"):
                span.pop(0)
            if span and (span[0] not in _STOPS or (to_end and not set(span) <= _STOPS)):
                return span
            later = Words([*([None] * start), *self.words[start:]])
            first = later.find(cue)
        return []


class Form:
    """The schema of one tool, read as places to be filled."""

    def __init__(self, name: str, description: str, parameters: Mapping[str, Any], sheet: Sheet) -> None:
        self.name, self.description, self.sheet = name, description, sheet
        self.parameters = parameters
        self.schema: Mapping[str, Any] = parameters or {"type": "object"}
        self.spots = list(self._spots(self.schema, (), (), True, 0))
        self.words = name_words(name)
        self.owners: dict[Path_, str] = {}
        """Which slot fills a place; ``""`` for the place of what has none of its own."""
        weak = self._assign()
        if not self.serves:  # there only what its own name says is a slot
            self.owners = {path: name for path, name in self.owners.items() if name and path not in weak}

    # ---- reading the schema ----

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """A schema without references, and of alternatives the first that is not null, with what stands around it."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                return {}
            if "$ref" in schema:
                target: Any = self.schema
                for key in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
                    target = target.get(key.replace("~1", "/").replace("~0", "~"), {}) if key else target
                schema = {**{key: inner for key, inner in schema.items() if key != "$ref"}, **target}
                continue
            keyword = next((key for key in ("anyOf", "oneOf", "allOf") if key in schema), None)
            if keyword is None:
                return schema
            around = {key: inner for key, inner in schema.items() if key != keyword}
            options = [option for option in schema[keyword] if isinstance(option, Mapping)]
            real = [
                option for option in options if option.get("type") != "null" and option.get("const", "") is not None
            ]
            null = {"nullable": True} if len(real) < len(options) else {}
            listed = [
                value for option in real for value in option.get("enum", [option["const"]] if "const" in option else [])
            ]
            if keyword != "allOf" and len(real) > 1 and all({"enum", "const"} & set(option) for option in real):
                schema = {**around, **null, "enum": listed}
            elif keyword == "allOf":
                merged: dict[str, Any] = dict(around)
                for option in options:
                    option = self._resolved(option)
                    both = {**merged.get("properties", {}), **option.get("properties", {})}
                    required = [*merged.get("required", ()), *option.get("required", ())]
                    merged |= {**option, **({"properties": both, "required": required} if both else {})}
                schema = merged
            else:
                schema = {**around, **null, **(real[0] if real else {"type": "null"})}
        return schema if isinstance(schema, Mapping) else {}

    def _spots(self, schema: Any, path: Path_, parents: tuple[str, ...], required: bool, depth: int) -> Iterator[Spot]:
        schema = self._resolved(schema)
        kinds = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "string")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        nullable = "null" in kinds or schema.get("nullable") is True or None in schema.get("enum", ())
        kind = next((kind for kind in kinds if kind != "null"), "null")
        words = name_words(path[-1]) if path and path[-1] != EACH else ()
        if depth > _DEEPEST:
            return
        if kind == "object":
            own = parents if not path or path[-1] == EACH else (*parents, *words)
            for name, inner in dict(schema.get("properties", {})).items():
                inside = required and not nullable and name in schema.get("required", ())
                yield from self._spots(inner, (*path, str(name)), own, inside, depth + 1)
            return
        options = tuple(
            value for value in schema.get("enum", [schema["const"]] if "const" in schema else []) if value is not None
        )
        if kind == "array":
            items = self._resolved(schema.get("items", {}))
            if items.get("type") == "object" or "properties" in items:
                inside = required and not nullable
                yield from self._spots(items, (*path, EACH), (*parents, *words), inside, depth + 1)
                return
            options = tuple(items.get("enum", ()))
            if items.get("type", "string") != "string":
                return
            kind = "list"
        if kind in ("null", "object"):
            return
        if options and all(isinstance(option, str) for option in options) and kind != "list":
            kind = "string"
        about = f"{schema.get('description', '')} {schema.get('title', '')}"
        yield Spot(
            path=path, kind=kind, options=options, required=required, nullable=nullable, words=words, parents=parents,
            about=frozenset(name_words(about)),
        )  # fmt: skip

    # ---- which slot goes where ----

    @cached_property
    def serves(self) -> float:
        """How surely this tool does what the character's own does; 0: it does something else."""
        tool = self.sheet.tool
        if any(_alike(word, other) for word in self.words for other in tool.unlike):
            return 0.0
        named = sum(any(_alike(word, mean) for mean in tool.means) for word in self.words)
        bound = {slot for slot in self.owners.values() if slot}
        if tool.item not in bound and not ("" in self.owners.values() and named):
            return 0.0
        if not named and len(bound) < 2 and not self._lists_items():
            return 0.0
        return 3.0 * named + len(bound) + (tool.item in bound)

    def _lists_items(self) -> bool:
        item = self.sheet.tool.slot(self.sheet.tool.item)
        return any(
            len([o for o in spot.options if any(_matches(o, value, item, spot) for value in item.values)]) > 1
            for spot in self.spots
        )

    def _assign(self) -> set[Path_]:
        """Finds the owners; gives the places whose own names do not say so."""
        tool = self.sheet.tool
        scored: list[tuple[float, int, str]] = []
        weak: set[Path_] = set()
        for number, spot in enumerate(self.spots):
            strong = False
            weak.add(spot.path)
            for slot in tool.slots:
                score, own = self._score(spot, slot)
                strong |= own
                scored.append((score, -number, slot.name))
            if strong:
                weak.discard(spot.path)
            rest = 4.0 * any(_alike(word, name) for word in spot.words for name in tool.rest)
            if spot.kind in ("string", "list") and not spot.options and not strong and rest:
                scored.append((rest, -number, ""))
        taken: dict[str, list[Spot]] = {}
        for score, number, name in sorted(scored, reverse=True):
            spot = self.spots[-number]
            if score < _LEAST or spot.path in self.owners:
                continue
            before = taken.setdefault(name, [])
            if any(not self._beside(other, spot) for other in before):
                continue
            self.owners[spot.path] = name
            before.append(spot)
        return weak

    def _beside(self, one: Spot, other: Spot) -> bool:
        """Whether two places may tell different things of one slot."""
        amounts = [bool(_OF_AMOUNT & set(spot.words)) for spot in (one, other)]
        return "boolean" in (one.kind, other.kind) or amounts[0] != amounts[1]

    def _score(self, spot: Spot, slot: Slot) -> tuple[float, bool]:
        """How well a place fits a slot, and whether its own name says so."""
        own = 0.0
        for word in spot.words:
            if any(_alike(word, mean) for mean in slot.means):
                own += 5.0 if word == spot.head else 3.0
        if name_words(slot.name) == spot.words:
            own += 10.0
        score = own
        if not own and any(_alike(word, mean) for word in spot.words for mean in slot.may_mean):
            score += 2.0
            if _PERSONAL & set(spot.words) or _PERSONAL & spot.about or spot.head == "id":
                score -= 2.0
        if not own and spot.kind == "boolean":
            content = [word for word in spot.words if word not in _HEADLESS]
            told = [v for v in slot.values if content and set(content) <= set(words_of(v))]
            score += 4.0 * bool(told)
        if spot.options and spot.kind != "boolean":
            fitting = sum(any(_matches(o, v, slot, spot) for v in self._facets(slot)) for o in spot.options)
            score += 6.0 * fitting / len(spot.options) if fitting > 1 or len(spot.options) < 3 else 0.0
            if not fitting:
                score -= 4.0
        if score:
            score += sum(any(_alike(word, mean) for word in spot.about) for mean in slot.means[:2])
            score += 0.5 * any(_alike(word, mean) for word in spot.parents for mean in slot.means)
        elif any(_alike(word, mean) for word in spot.about for mean in slot.means) and not spot.options:
            score += 1.0
        if spot.kind in ("integer", "number") and not slot.numbers:
            score = 0.0
        return score, own > 0

    def _facets(self, slot: Slot) -> list[str]:
        return [*slot.values, *slot.amounts, *slot.every()]

    # ---- filling ----

    def fill(
        self, orders: Sequence[Order], turns: Sequence[Sequence[str]], earlier: Mapping[Path_, Any] | None = None,
        answering: Spot | None = None,
    ) -> Filled:  # fmt: skip
        """The arguments for what was understood and said; ``turns`` are the user's words, the newest last.

        ``earlier``: what a call before held in the places that no slot fills. ``answering``: the place that was asked
        for, which the newest words fill.
        """
        values: list[dict[Path_, Any]] = [self._served(order, turns) for order in orders] or [{}]
        strong = 0
        for words in turns:
            left = Words(words)
            for order in orders if self.owners else ():
                for value in sorted(order.values(), key=len, reverse=True):
                    left.take(words_of(value))
            for spot in self.spots:
                if self.owners.get(spot.path) and not (spot.options and spot.path not in values[0]):
                    continue
                told, sure = self._told(spot, left, bool(orders))
                if told is not _NOTHING:
                    values[0][spot.path] = told
                    strong += sure
        if answering is not None and turns and (answering.path not in values[0] or not self.owners.get(answering.path)):
            told = self._answer(answering, turns[-1])
            if told is not _NOTHING:
                values[0][answering.path] = told
        for spot in self.spots:
            for entry in values if orders and spot.required and self._counts(spot) else ():
                entry.setdefault(spot.path, 1)
        values[0] = {**(earlier or {}), **values[0]}
        missing: list[Spot] = []
        arguments = self._built(self.schema, (), values, missing)
        return Filled(arguments if isinstance(arguments, dict) else {}, missing[0] if missing else None, strong)

    def _counts(self, spot: Spot) -> bool:
        """Whether a place says how many of the same are wanted."""
        counting = bool(_OF_NUMBER & set(spot.words)) or spot.words[:1] == ("number",)
        return counting and spot.kind in ("integer", "number") and not self.owners.get(spot.path)

    def _served(self, order: Order, turns: Sequence[Sequence[str]]) -> dict[Path_, Any]:
        """One order in the places of its slots; what has no place goes with the item or to the rest."""
        tool = self.sheet.tool
        found: dict[Path_, Any] = {}
        kept: set[str] = set()
        owned = [(spot, self.owners[spot.path]) for spot in self.spots if self.owners.get(spot.path)]
        for spot, name in owned:
            if name in order and (told := self._rendered(spot, tool.slot(name), order[name], owned)) is not _NOTHING:
                found[spot.path] = told
                kept.add(name)
        said = " ".join(word for words in turns for word in words)
        left = sorted((name for name in order if name not in kept), key=lambda name: said.find(order[name]))
        item = next(
            (s for s, n in owned if n == tool.item and s.kind == "string" and not s.options and s.path in found), None
        )
        rest = next((spot for spot in self.spots if self.owners.get(spot.path) == ""), None)
        before = set(self.sheet.texts("orders", "before"))
        if item is not None:
            front = [order[name] for name in left if name in before]
            behind = [order[name] for name in left if name not in before and rest is None]
            joined = f" {self.sheet.said['orders']['joined_by']} {' and '.join(behind)}" if behind else ""
            found[item.path] = " ".join([*front, str(found[item.path])]) + joined
            left = [name for name in left if name not in before]
        elif rest is not None and tool.item in left:  # one text for everything
            front = [order[name] for name in left if name in before]
            behind = [order[name] for name in left if name not in before and name != tool.item]
            joined = f" {self.sheet.said['orders']['joined_by']} {' and '.join(behind)}" if behind else ""
            left, whole = [], " ".join([*front, order[tool.item]]) + joined
            found[rest.path] = [whole] if rest.kind == "list" else whole
        if rest is not None and left:
            others = [order[name] for name in left]
            found[rest.path] = others if rest.kind == "list" else " and ".join(others)
        return found

    def _rendered(self, spot: Spot, slot: Slot, value: str, owned: Sequence[tuple[Spot, str]]) -> Any:
        """A slot's value as a place wants it; `_NOTHING` where it cannot be told there."""
        amount = next((a for a in sorted(slot.amounts, key=len, reverse=True) if value.startswith(f"{a} ")), "")
        thing = value.removeprefix(amount).strip()
        if spot.kind == "boolean":
            content = {word for word in spot.words if word not in _HEADLESS}
            values = [v for v in slot.values if content <= set(words_of(v))]
            general = any(_alike(word, mean) for word in content for mean in slot.means)
            return True if general or thing in values else _NOTHING
        if spot.kind in ("integer", "number"):
            return slot.numbers.get(thing, _NOTHING)
        about_amount = bool(_OF_AMOUNT & set(spot.words)) and any(
            n == slot.name and s.path != spot.path and s.kind != "boolean" for s, n in owned
        )
        beside = any(n == slot.name and s.path != spot.path and _OF_AMOUNT & set(s.words) for s, n in owned)
        if spot.options:
            wanted = [amount] if about_amount else [value, thing] if not slot.amounts else [value, thing, amount]
            for part in filter(None, wanted):
                fitting = [option for option in spot.options if _matches(option, part, slot, spot)]
                if len(fitting) > 1:
                    fitting = [option for option in fitting if words_of(str(option)) == words_of(part)] or fitting
                if fitting:
                    return [fitting[0]] if spot.kind == "list" else fitting[0]
            if slot.name == self.sheet.tool.item:
                return self._part(spot, thing)
            return _NOTHING
        told = amount.removesuffix(" of") if about_amount else thing if beside else value
        if not told:
            return _NOTHING
        return [told] if spot.kind == "list" else told

    def _part(self, spot: Spot, value: str) -> Any:
        """A listed value that is all of what was said but for words that another place tells: "bus", and "night"."""
        said = words_of(value)
        for option in sorted(spot.options, key=lambda o: -len(str(o))):
            parts = words_of(str(option))
            others = {
                w
                for s in self.spots
                if s.path != spot.path
                for w in (*s.words, *(x for o in s.options for x in words_of(str(o))))
            }
            if parts and set(parts) < set(said) and set(said) - set(parts) <= others:
                return option
        return _NOTHING

    def _told(self, spot: Spot, left: Words, ordering: bool) -> tuple[Any, bool]:
        """What the user's words say for a place that no slot fills, and whether that is beyond doubt."""
        content = [word for word in spot.words if word not in _HEADLESS]
        if spot.options and spot.kind in ("string", "list"):
            named = [
                o for o in spot.options if isinstance(o, str) and len(o) > 1 and left.find(words_of(o)) is not None
            ]
            named.sort(key=lambda o: -len(words_of(o)))
            if not named:
                return _NOTHING, False
            if spot.kind == "list":
                return [option for option in named if left.take(words_of(option))][::-1], True
            left.take(words_of(named[0]))
            return named[0], True
        if spot.kind == "boolean":
            first = left.find(content)
            if first is None or not content:
                return _NOTHING, False
            return not left.denied(first), True
        if spot.kind in ("integer", "number"):
            return self._number(spot, left, ordering)
        if spot.kind != "string":
            return _NOTHING, False
        for cue, to_end, sure in _cues(spot):
            if ordering and not sure and cue not in (("for",), ("under",)):
                continue
            span = left.after(cue, to_end)
            known = {*self.words, *spot.words, "some", "any", "something"}
            if not span or all(word in known for word in span):
                continue
            number = next(numbers_in(span), None)
            if number and number[0] == 0 and not _NUMBERED & set(spot.words):
                continue
            left.take(span)
            return str(number[2]) if number and number[1] == len(span) else " ".join(span), sure
        for value in _values_of(spot):
            if left.take(value.split()):
                return value, True
        return _NOTHING, False

    def _number(self, spot: Spot, left: Words, ordering: bool) -> tuple[Any, bool]:
        found = list(numbers_in(left.words))
        own = set(spot.words)
        for first, last, number in found:
            unit = left.words[last] if last < len(left.words) else None
            near = left.words[max(first - 3, 0) : first]
            if any(_alike(unit, word) for word in own) or any(_alike(word, part) for word in near for part in own):
                left.words[first:last] = [None] * (last - first)
                return number, True
        others = [s for s in self.spots if s.kind in ("integer", "number") and s.path != spot.path]
        if self._counts(spot) and ordering:
            used = [entry for entry in found if entry[1] < len(left.words) and left.words[entry[1]] is None]
            return (used[0][2], True) if used else (_NOTHING, False)
        if not ordering and not others and len(found) == 1:
            first, last, number = found[0]
            unit = left.words[last] if last < len(left.words) else None
            if unit is None or unit in _STOPS or unit in ("percent", "degrees"):
                return number, False
        return _NOTHING, False

    def _answer(self, spot: Spot, words: Sequence[str]) -> Any:
        """What an answer to the question for a place says."""
        left = Words(words)
        if words and set(words) <= _NO | _STOPS and set(words) & _NO:
            if spot.kind == "boolean":
                return False
            if spot.kind == "list":
                return []
            if spot.options:
                return next((o for o in spot.options if str(o).lower() in _NONE_LISTED), _NOTHING)
            return "none" if spot.kind == "string" else _NOTHING
        told, _ = self._told(spot, left, False)
        if told is not _NOTHING:
            return told
        if spot.kind == "boolean" and words and words[0] in ("yes", "yeah", "yep", "sure", "aye"):
            return True
        if spot.kind in ("integer", "number"):
            found = list(numbers_in(words))
            return found[0][2] if len(found) == 1 else _NOTHING
        if spot.kind in ("string", "list") and not spot.options:
            kept = list(words)
            for opening in (
                "my name is",
                "it is",
                "it's",
                "i'm",
                "i am",
                "for",
                "the name is",
                "make it",
                "put",
                "just",
                "with",
            ):
                parts = opening.split()
                if kept[: len(parts)] == parts:
                    kept = kept[len(parts) :]
            while kept and kept[-1] in ("please", "thanks"):
                kept.pop()
            if 0 < len(kept) <= _LONGEST and kept[0] not in (
                "what",
                "how",
                "who",
                "why",
                "where",
                "when",
                "can",
                "could",
            ):
                return [" ".join(kept)] if spot.kind == "list" else " ".join(kept)
        return _NOTHING

    # ---- putting together ----

    def _built(self, schema: Any, path: Path_, values: Sequence[Mapping[Path_, Any]], missing: list[Spot]) -> Any:
        resolved = self._resolved(schema)
        below = [spot for spot in self.spots if spot.path[: len(path)] == path]
        if path and path[-1] != EACH and any(spot.path == path for spot in below):
            return values[0].get(path, _NOTHING)
        if resolved.get("type") == "array" or "items" in resolved:
            each = (*path, EACH)
            held = [entry for entry in values if any(place[: len(each)] == each for place in entry)]
            return [self._built(resolved.get("items", {}), each, [entry], missing) for entry in held] or _NOTHING
        made: dict[str, Any] = {}
        for name, inner in dict(resolved.get("properties", {})).items():
            place = (*path, str(name))
            required = name in resolved.get("required", ())
            lacking: list[Spot] = []
            value = self._built(inner, place, values, lacking)
            if value is _NOTHING and required:
                value = self._absent(inner, place, lacking)
            elif (
                value is not _NOTHING
                and lacking
                and not required
                and not any(p[: len(place)] == place for v in values for p in v)
            ):
                value, lacking = _NOTHING, []
            missing += lacking
            if value is not _NOTHING:
                made[str(name)] = value
        if path and path[-1] != EACH and not made and not resolved.get("required"):
            return _NOTHING
        return made

    def _absent(self, schema: Any, path: Path_, missing: list[Spot]) -> Any:
        """A required value for which nothing was said: null, a default or an empty list where the schema has them."""
        kinds = schema.get("type") if isinstance(schema, Mapping) else None
        resolved = self._resolved(schema)
        if resolved.get("nullable") is True or "null" in (kinds if isinstance(kinds, list) else [kinds]):
            return None
        if None in resolved.get("enum", ()):
            return None
        if "default" in resolved:
            return resolved["default"]
        if "const" in resolved or len(resolved.get("enum", ())) == 1:
            return resolved.get("const", resolved.get("enum", [None])[0])
        if resolved.get("type") == "array" and not resolved.get("minItems") and not self._carries(path):
            return []
        if not missing:
            below = [spot for spot in self.spots if spot.path[: len(path)] == path]
            missing += below[:1] or [Spot(path=path, kind="string", words=name_words(path[-1]))]
        return _NOTHING

    def _carries(self, path: Path_) -> bool:
        """Whether the item itself stands below a place."""
        item = self.sheet.tool.item
        return any(spot[: len(path)] == path and name == item for spot, name in self.owners.items())

    def forced(self, filled: Filled) -> bytes | None:
        """A call that has to be made although something required was not said: as empty as the schema allows.

        None where nothing so plain is valid.
        """
        text = written(self._least(self.schema, filled.arguments))
        return text if arguments_place(self.schema).accepts(text) else None

    def _least(self, schema: Any, value: Any) -> Any:
        resolved = self._resolved(schema)
        if value is _NOTHING or value is None:
            if resolved.get("enum"):
                empty = (
                    o for o in resolved["enum"] if str(o).lower() in (*_NONE_LISTED, "", "other", "unknown", "any")
                )
                return next(empty, resolved["enum"][0])
            kind = resolved.get("type", "object" if "properties" in resolved else "string")
            plain = {"string": "", "boolean": False, "array": [], "object": {}, "null": None}
            value = plain.get(kind, resolved.get("minimum", 0)) if isinstance(kind, str) else ""
        if isinstance(value, dict):
            inner = dict(resolved.get("properties", {}))
            names = [name for name in inner if name in value or name in resolved.get("required", ())]
            return {
                name: self._least(inner[name], value[name])
                if value.get(name) is not None
                else value.get(name, self._least(inner[name], _NOTHING))
                for name in names
            }
        return value

    # ---- back again ----

    def back(self, arguments: Any) -> tuple[list[dict[str, str]], dict[Path_, Any]]:
        """The orders that a call of this tool stood for, and what it held in the places that no slot fills."""
        orders: dict[tuple[int, ...], dict[str, str]] = {}
        others: dict[Path_, Any] = {}
        for path, where, value in _leaves(arguments, (), ()):
            spot = next((spot for spot in self.spots if spot.path == path), None)
            if spot is None or value is None:
                continue
            name = self.owners.get(path)
            if name is None:
                if EACH not in path:
                    others[path] = value
                continue
            order = orders.setdefault(where, {})
            for text in value if isinstance(value, list) else [value]:
                slot = self.sheet.tool.slot(name) if name else None
                every = sorted(slot.every(), key=len) if slot else []
                owned = [(s, self.owners[s.path]) for s in self.spots if self.owners.get(s.path)]
                told = [text] if spot.kind == "list" else text
                fitting = [v for v in every if slot and spot.options and self._rendered(spot, slot, v, owned) == told]
                if slot and spot.kind in ("integer", "number"):
                    fitting = [v for v, number in slot.numbers.items() if number == text]
                if fitting and slot and slot.name not in order:
                    order[slot.name] = fitting[0]
                elif isinstance(text, str) and (understood := self.understood(plain_words(text))):
                    for key, found in understood.items():
                        order.setdefault(key, found)
                elif EACH not in path:
                    others[path] = value
        return [order for order in orders.values() if order], others

    def understood(self, words: Sequence[str]) -> dict[str, str]:
        """The slots whose values stand in these words, the longest first."""
        left, found = Words(words), dict[str, str]()
        every = [(value, slot.name) for slot in self.sheet.tool.slots for value in slot.every()]
        for value, name in sorted(every, key=lambda pair: -len(pair[0].split())):
            parts = words_of(value)
            first = left.find(parts)
            if first is not None and name not in found and not left.denied(first):
                left.take(parts)
                found[name] = value
        return {slot.name: found[slot.name] for slot in self.sheet.tool.slots if slot.name in found}

    # ---- other tools ----

    def meant(self, words: Sequence[str], filled: Filled) -> float:
        """How clear it is that the user wants this tool called: at 2 it is."""
        content = [word for word in self.words if word not in _VERBS] or list(self.words)
        said = Words(words)
        named = [word for word in content if said.find([word]) is not None]
        if not self.spots:
            return 2.0 if content and len(named) == len(content) else 0.0
        about = {w for w in name_words(self.description) if w not in _VERBS | _STOPS and len(w) > 3} - set(content)
        told = sum(said.find([word]) is not None for word in about)
        whole = 2.0 * (len(named) == len(content)) if content else 0.0
        return max(whole, 1.0 * bool(named)) + min(filled.strong, 2) + 0.5 * min(told, 2)

    def only_names(self, words: Sequence[str]) -> bool:
        """Whether these words say no more than which tool is wanted."""
        return set(words) <= {*self.words, *(_STOPS - _NO)}

    def wanted(self, words: Sequence[str]) -> bool:
        """Whether its name was said as a whole."""
        content = [word for word in self.words if word not in _VERBS]
        return bool(content) and all(Words(words).find([word]) is not None for word in content)


_PERSONAL: Final = frozenset("customer person user guest client recipient contact who whose owner first last".split())


@cache
def name_words(name: str) -> tuple[str, ...]:
    """The words of a name or a description: ``customerName`` and ``customer_name`` are two."""
    return tuple(part.lower() for part in re.findall(r"[A-Z]?[a-z']+|[A-Z]+(?![a-z])|\d+", name))


@cache
def words_of(value: str) -> tuple[str, ...]:
    """The words of a listed value: ``NIGHT_BUS`` and "Night bus (hourly)" are "night bus"."""
    text = re.sub(r"\(.*?\)", " ", re.sub(r"(?<=[a-z])(?=[A-Z])|[_/-]+", " ", value)).strip()
    return tuple(plain_words(text or value))


@cache
def _forms(words: tuple[str, ...]) -> frozenset[str]:
    """The words with and without the ending of the plural."""
    stems = {stem for word in words for stem in (word, word.removesuffix("s"), word.removesuffix("es"))}
    return frozenset(stems | {word + ending for word in words for ending in ("s", "es")})


def _alike(word: str | None, part: str) -> bool:
    """Whether two words are one but for the ending of the plural."""
    return word in _forms((part,))


@cache
def _bare(words: tuple[str, ...], neutral: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Words without the ending of the plural, and without those that say nothing here."""
    return tuple(word.removesuffix("s") for word in words if word not in _forms(neutral))


def _matches(option: Any, value: str, slot: Slot, spot: Spot) -> bool:
    """Whether a listed value is another spelling of one of a slot's."""
    alike = slot.alike.get(value, ())
    parts, said = words_of(str(option)), words_of(value)
    others = [words_of(other) for other in alike]
    if parts == said or parts in others or str(option).lower() in alike:
        return True
    neutral = (*spot.words, *slot.means, *name_words(slot.name))
    bare = _bare(parts, neutral)
    return bool(bare) and (bare == _bare(said, neutral) or bare in [_bare(other) for other in others])


@cache
def _kinds() -> dict[str, dict[str, Any]]:
    path = Path(sheets.__file__).with_name("sheets") / "cues.yaml"
    return cast("dict[str, dict[str, Any]]", yaml.safe_load(path.read_text(encoding="utf-8")))


def _kind_of(spot: Spot) -> Mapping[str, Any]:
    for words in ((spot.head,), spot.words, spot.about):
        for kind in _kinds().values():
            if any(word in kind["names"] for word in words):
                return kind
    return {}


def _cues(spot: Spot) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """What may stand before the value of a free text, the surest first."""
    kind = _kind_of(spot)
    to_end = bool(kind.get("to_end"))
    if (spot.head and spot.head not in ("to", "for", "at", "in", "on")) or len(spot.words) == 1:
        for link in ("is", "called", "as", "to", "of"):
            yield (spot.head, link), to_end, True
    for cue in kind.get("after", ()):
        sure = len(cue.split()) > 1 or cue in spot.words
        yield tuple(cue.split()), to_end, sure
    if spot.head and spot.head not in _STOPS:
        yield (spot.head,), to_end, False
    if spot.head in _NUMBERED and len(spot.words) > 1:
        yield spot.words[:-1], False, True


def _values_of(spot: Spot) -> Sequence[str]:
    return sorted(_kind_of(spot).get("values", ()), key=len, reverse=True)


def _leaves(value: Any, path: Path_, where: tuple[int, ...]) -> Iterator[tuple[Path_, tuple[int, ...], Any]]:
    """The leaves of arguments with their path and the places in arrays on the way."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)), where)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, EACH), (*where, number))
    else:
        yield path, where, value
