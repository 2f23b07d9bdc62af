"""Tools that the mind was not taught: their arguments are filled with what was said, by the meaning of their names.

A schema is a tree whose leaves are *places* to be filled (`schema_places`). A tool that does what the character's own
tool does gets the order as the mind understood it: slots go to places by names, descriptions and listed values
(`slot_owners`), and come back the same way when an order is changed (`slot_values`). Every other place, of any tool, is
filled only by clear evidence in the user's words (`evidence`). What nobody said is left out; `Filled.missing` says
which place is required.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from vivavoce.data.sheet import Sheet
from vivavoce.systems.mini.evidence import Evidence
from vivavoce.systems.mini.schema_places import NOTHING, SchemaPlaces
from vivavoce.systems.mini.slot_owners import owners_of
from vivavoce.systems.mini.slot_values import Order, SlotValues
from vivavoce.systems.mini.spots import NO, STOPS, Spot, SpotPath, alike, matches, name_words, words_of
from vivavoce.systems.mini.unused_words import UnusedWords
from vivavoce.text.json_schema import arguments_place
from vivavoce.text.json_text import written

_VERBS: Final = frozenset(
    """get set show fetch check lookup look find search list create make add do run call tool function api the a an of
    for to my current info information data new start update send book play turn control by in on with and or is submit
    request use handle go user""".split()
)


@dataclass(frozen=True, slots=True)
class Filled:
    """Arguments as far as they were said, and the first required place for which nothing was."""

    arguments: dict[str, Any]
    missing: Spot | None = None
    strong: int = 0
    """How many places were filled by clear evidence."""


class Form:
    """The schema of one tool, read as places to be filled."""

    def __init__(self, name: str, description: str, parameters: Mapping[str, Any], sheet: Sheet) -> None:
        self.name, self.description, self.sheet = name, description, sheet
        self.parameters = parameters
        self.schema: Mapping[str, Any] = parameters or {"type": "object"}
        self.places = SchemaPlaces(self.schema, self._carries)
        self.spots = self.places.spots
        self.words = name_words(name)
        owners, weak = owners_of(self.spots, sheet.tool)
        self.owners: dict[SpotPath, str] = owners
        """Which slot fills a place; ``""`` for the place of what has none of its own."""
        if not self.serves:  # there only what its own name says is a slot
            self.owners = {path: name for path, name in self.owners.items() if name and path not in weak}
        self.slots = SlotValues(sheet, self.spots, self.owners)
        self.evidence = Evidence(self.words, self.spots, self.owners)

    @cached_property
    def serves(self) -> float:
        """How surely this tool does what the character's own does; 0: it does something else."""
        tool = self.sheet.tool
        if any(alike(word, other) for word in self.words for other in tool.unlike):
            return 0.0
        named = sum(any(alike(word, mean) for mean in tool.means) for word in self.words)
        bound = {slot for slot in self.owners.values() if slot}
        if tool.item not in bound and not ("" in self.owners.values() and named):
            return 0.0
        if not named and len(bound) < 2 and not self._lists_items():
            return 0.0
        return 3.0 * named + len(bound) + (tool.item in bound)

    def _lists_items(self) -> bool:
        item = self.sheet.tool.slot(self.sheet.tool.item)
        return any(
            len([o for o in spot.options if any(matches(o, value, item, spot) for value in item.values)]) > 1
            for spot in self.spots
        )

    def fill(
        self, orders: Sequence[Order], turns: Sequence[Sequence[str]], earlier: Mapping[SpotPath, Any] | None = None,
        answering: Spot | None = None,
    ) -> Filled:  # fmt: skip
        """The arguments for what was understood and said; ``turns`` are the user's words, the newest last.

        ``earlier``: what a call before held in the places that no slot fills. ``answering``: the place that was asked
        for, which the newest words fill.
        """
        values: list[dict[SpotPath, Any]] = [self.slots.placed(order, turns) for order in orders] or [{}]
        strong = 0
        for words in turns:
            left = UnusedWords(words)
            for order in orders if self.owners else ():
                for value in sorted(order.values(), key=len, reverse=True):
                    left.take(words_of(value))
            for spot in self.spots:
                if self.owners.get(spot.path) and not (spot.options and spot.path not in values[0]):
                    continue
                found, sure = self.evidence.spoken_value(spot, left, bool(orders))
                if found is not NOTHING:
                    values[0][spot.path] = found
                    strong += sure
        if answering is not None and turns and (answering.path not in values[0] or not self.owners.get(answering.path)):
            found = self.evidence.answer(answering, turns[-1])
            if found is not NOTHING:
                values[0][answering.path] = found
        for spot in self.spots:
            for entry in values if orders and spot.required and self.evidence.counts(spot) else ():
                entry.setdefault(spot.path, 1)
        values[0] = {**(earlier or {}), **values[0]}
        missing: list[Spot] = []
        arguments = self.places.built(self.schema, (), values, missing)
        return Filled(arguments if isinstance(arguments, dict) else {}, missing[0] if missing else None, strong)

    def _carries(self, path: SpotPath) -> bool:
        """Whether the item itself stands below a place."""
        item = self.sheet.tool.item
        return any(spot[: len(path)] == path and name == item for spot, name in self.owners.items())

    def forced(self, filled: Filled) -> bytes | None:
        """A call that has to be made although something required was not said: as empty as the schema allows.

        None where nothing so plain is valid.
        """
        text = written(self.places.least(self.schema, filled.arguments))
        return text if arguments_place(self.schema).accepts(text) else None

    def back(self, arguments: Any) -> tuple[list[dict[str, str]], dict[SpotPath, Any]]:
        """The orders that a call of this tool stood for, and what it held in the places that no slot fills."""
        return self.slots.back(arguments)

    def understood(self, words: Sequence[str]) -> dict[str, str]:
        """The slots whose values stand in these words, the longest first."""
        return self.slots.understood(words)

    def clarity(self, words: Sequence[str], filled: Filled) -> float:
        """How clear it is that the user wants this tool called: at 2 it is."""
        content = [word for word in self.words if word not in _VERBS] or list(self.words)
        said = UnusedWords(words)
        named = [word for word in content if said.find([word]) is not None]
        if not self.spots:
            return 2.0 if content and len(named) == len(content) else 0.0
        about = {w for w in name_words(self.description) if w not in _VERBS | STOPS and len(w) > 3} - set(content)
        described = sum(said.find([word]) is not None for word in about)
        whole = 2.0 * (len(named) == len(content)) if content else 0.0
        return max(whole, 1.0 * bool(named)) + min(filled.strong, 2) + 0.5 * min(described, 2)

    def only_names(self, words: Sequence[str]) -> bool:
        """Whether these words say no more than which tool is wanted."""
        return set(words) <= {*self.words, *(STOPS - NO)}

    def wanted(self, words: Sequence[str]) -> bool:
        """Whether its name was said as a whole."""
        content = [word for word in self.words if word not in _VERBS]
        return bool(content) and all(UnusedWords(words).find([word]) is not None for word in content)
