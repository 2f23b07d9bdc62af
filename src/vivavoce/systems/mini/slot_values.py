"""Values of the character's slots, written into the places of somebody else's tool and read back from there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vivavoce.data.sheet import Sheet, Slot
from vivavoce.models.mind import plain_words
from vivavoce.systems.mini.schema_places import NOTHING
from vivavoce.systems.mini.slot_owners import OF_AMOUNT
from vivavoce.systems.mini.spots import EACH, HEADLESS, Spot, SpotPath, alike, matches, words_of
from vivavoce.systems.mini.unused_words import UnusedWords

Order = Mapping[str, str]
"""What was understood: values by the names of the character's slots, as they were said."""


class SlotValues:
    """Orders to values of places and back; ``owners`` says which slot fills which place."""

    def __init__(self, sheet: Sheet, spots: Sequence[Spot], owners: Mapping[SpotPath, str]) -> None:
        self.sheet, self.spots, self.owners = sheet, spots, owners

    def placed(self, order: Order, turns: Sequence[Sequence[str]]) -> dict[SpotPath, Any]:
        """One order in the places of its slots; what has no place goes with the item or to the rest."""
        tool = self.sheet.tool
        found: dict[SpotPath, Any] = {}
        kept: set[str] = set()
        owned = [(spot, self.owners[spot.path]) for spot in self.spots if self.owners.get(spot.path)]
        for spot, name in owned:
            if name in order and (value := self.rendered(spot, tool.slot(name), order[name], owned)) is not NOTHING:
                found[spot.path] = value
                kept.add(name)
        said = " ".join(word for words in turns for word in words)
        left = sorted((name for name in order if name not in kept), key=lambda name: said.find(order[name]))
        item = next(
            (s for s, n in owned if n == tool.item and s.kind == "string" and not s.options and s.path in found), None
        )
        rest = next((spot for spot in self.spots if self.owners.get(spot.path) == ""), None)
        before = set(self.sheet.texts("orders", "before") if self.sheet.has("orders", "before") else ())
        if item is not None:
            front = [order[name] for name in left if name in before]
            behind = [name for name in left if name not in before and rest is None]
            found[item.path] = " ".join([*front, str(found[item.path]), *self._behind(behind, order)])
            left = [name for name in left if name not in before]
        elif rest is not None and tool.item in left:  # one text for everything
            front = [order[name] for name in left if name in before]
            behind = [name for name in left if name not in before and name != tool.item]
            left, whole = [], " ".join([*front, order[tool.item], *self._behind(behind, order)])
            found[rest.path] = [whole] if rest.kind == "list" else whole
        if rest is not None and left:
            others = [order[name] for name in left]
            found[rest.path] = others if rest.kind == "list" else " and ".join(others)
        return found

    def _behind(self, names: Sequence[str], order: Order) -> list[str]:
        """What stands behind the item: values joined by the sheet's word, or each in its phrase."""
        if names and self.sheet.has("orders", "joined_by"):
            return [f"{self.sheet.at('orders', 'joined_by')} {' and '.join(order[name] for name in names)}"]
        phrases = ((self.sheet.tool.slot(name).phrases or ("{value}",))[0] for name in names)
        return [phrase.replace("{value}", order[name]) for phrase, name in zip(phrases, names, strict=True)]

    def rendered(self, spot: Spot, slot: Slot, value: str, owned: Sequence[tuple[Spot, str]]) -> Any:
        """A slot's value as a place wants it; `NOTHING` where it cannot be said there."""
        amount = next((a for a in sorted(slot.amounts, key=len, reverse=True) if value.startswith(f"{a} ")), "")
        thing = value.removeprefix(amount).strip()
        if spot.kind == "boolean":
            content = {word for word in spot.words if word not in HEADLESS}
            values = [v for v in slot.values if content <= set(words_of(v))]
            general = any(alike(word, mean) for word in content for mean in slot.means)
            return True if general or thing in values else NOTHING
        if spot.kind in ("integer", "number"):
            return slot.numbers.get(thing, NOTHING)
        about_amount = bool(OF_AMOUNT & set(spot.words)) and any(
            n == slot.name and s.path != spot.path and s.kind != "boolean" for s, n in owned
        )
        beside = any(n == slot.name and s.path != spot.path and OF_AMOUNT & set(s.words) for s, n in owned)
        if spot.options:
            wanted = [amount] if about_amount else [value, thing] if not slot.amounts else [value, thing, amount]
            for part in filter(None, wanted):
                fitting = [option for option in spot.options if matches(option, part, slot, spot)]
                if len(fitting) > 1:
                    fitting = [option for option in fitting if words_of(str(option)) == words_of(part)] or fitting
                if fitting:
                    return [fitting[0]] if spot.kind == "list" else fitting[0]
            if slot.name == self.sheet.tool.item:
                return self._part(spot, thing)
            return NOTHING
        text = amount.removesuffix(" of") if about_amount else thing if beside else value
        if not text:
            return NOTHING
        return [text] if spot.kind == "list" else text

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
        return NOTHING

    def back(self, arguments: Any) -> tuple[list[dict[str, str]], dict[SpotPath, Any]]:
        """The orders that a call of this tool stood for, and what it held in the places that no slot fills."""
        orders: dict[tuple[int, ...], dict[str, str]] = {}
        others: dict[SpotPath, Any] = {}
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
                wanted = [text] if spot.kind == "list" else text
                fitting = [v for v in every if slot and spot.options and self.rendered(spot, slot, v, owned) == wanted]
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
        left, found = UnusedWords(words), dict[str, str]()
        every = [(value, slot.name) for slot in self.sheet.tool.slots for value in slot.every()]
        for value, name in sorted(every, key=lambda pair: -len(pair[0].split())):
            parts = words_of(value)
            first = left.find(parts)
            if first is not None and name not in found and not left.denied(first):
                left.take(parts)
                found[name] = value
        return {slot.name: found[slot.name] for slot in self.sheet.tool.slots if slot.name in found}


def _leaves(value: Any, path: SpotPath, where: tuple[int, ...]) -> Iterator[tuple[SpotPath, tuple[int, ...], Any]]:
    """The leaves of arguments with their path and the places in arrays on the way."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)), where)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, EACH), (*where, number))
    else:
        yield path, where, value
