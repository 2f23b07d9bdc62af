"""Orders: drawing what somebody wants, and the ways they say it.

An order is its slots. The plain wording follows what people say at the counter exactly; the rich wording adds
greetings, politeness, hesitation and slips. Whole combinations of slots are held out for testing, never a single value
or opening.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from vivavoce.data.sheet import Sheet
from vivavoce.data.templates import fill, pick

HELD_OUT_SHARE: Final = 10  # one combination in so many
_OFTEN: Final = 0.42  # how likely each thing before the drink is said
_AFTER: Final = {"none": 0.4, "first": 0.25, "second": 0.15, "both": 0.2}
_BARE: Final = 0.25  # share of milks and sugars without an amount
_VOWELS: Final = frozenset("aeiou")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the character's tool."""

    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What one drink is to be: slots as they were said, absent ones left out."""

    slots: Mapping[str, str] = field(default_factory=dict)

    def key(self) -> str:
        """The same text for the same slots."""
        return "|".join(f"{name}={value}" for name, value in sorted(self.slots.items()))

    @property
    def held_out(self) -> bool:
        """Whether this combination is for testing only; an order of one slot never is."""
        digest = hashlib.blake2b(self.key().encode(), digest_size=4).digest()
        return len(self.slots) > 1 and int.from_bytes(digest, "little") % HELD_OUT_SHARE == 0

    def with_(self, name: str, value: str | None) -> "Order":
        """The same order with one slot changed, or without it."""
        slots = {key: kept for key, kept in self.slots.items() if key != name}
        return Order(slots if value is None else {**slots, name: value})


def article(phrase: str) -> str:
    """The right one of a and an: by the first letter, which decides for every word of a menu so far."""
    return "an" if phrase[:1].lower() in _VOWELS else "a"


class Counter:
    """Draws orders for a sheet and words them; every draw comes from the generator that is handed in."""

    def __init__(self, sheet: Sheet, held_out: bool | None = False) -> None:
        """``held_out``: False draws training combinations, True only those for testing, None both."""
        self.sheet, self.tool, self.held_out = sheet, sheet.tool, held_out
        self.before = sheet.texts("orders", "before")
        self.after = sheet.texts("orders", "after")

    def allowed(self, order: Order) -> bool:
        """Whether an order is of the side that is drawn."""
        return self.held_out is None or order.held_out == self.held_out

    def draw(self, rng: np.random.Generator) -> Order:
        """An order."""
        while True:
            slots = {self.tool.item: pick(list(self.tool.slot(self.tool.item).values), rng)}
            for name in self.before:
                if rng.random() < _OFTEN:
                    slots[name] = self.value(name, rng)
            which = str(rng.choice(list(_AFTER), p=list(_AFTER.values())))
            for name, wanted in zip(self.after, ({"first", "both"}, {"second", "both"}), strict=True):
                if which in wanted:
                    slots[name] = self.value(name, rng)
            if self.allowed(order := Order(slots)):
                return order

    def confusable(self, rng: np.random.Generator) -> Order:
        """An order of what is easily taken for each other: two things after the drink, each with its own amount, and
        values before it that begin alike ("medium", "medium roast")."""
        while True:
            slots = dict(self.draw(rng).slots)
            if rng.random() < 0.6:
                slots |= {name: self.value(name, rng, amount=True) for name in self.after}
            if rng.random() < 0.5:
                for name, values in self._alike.items():
                    slots.pop(name, None)
                    if rng.random() < 0.6:
                        slots[name] = pick(values, rng)
            if self.allowed(order := Order(slots)):
                return order

    @cached_property
    def _alike(self) -> dict[str, list[str]]:
        """Values before the drink that share their first word with a value of another slot, by their slot."""
        slots = {name: list(self.tool.slot(name).values) for name in self.before}
        firsts = {name: {value.split()[0] for value in values} for name, values in slots.items()}
        alike = {
            name: [v for v in values if any(v.split()[0] in firsts[other] for other in self.before if other != name)]
            for name, values in slots.items()
        }
        return {name: values for name, values in alike.items() if values}

    def value(self, name: str, rng: np.random.Generator, *, amount: bool = False) -> str:
        """A value of a slot as somebody would say it; with ``amount`` never without one where there are any."""
        slot = self.tool.slot(name)
        value = pick(list(slot.values), rng)
        said = slot.amounts and (amount or rng.random() >= _BARE)
        return f"{pick(list(slot.amounts), rng)} {value}" if said else value

    def call(self, order: Order) -> Call:
        """The call that serves an order, arguments in the order of the schema."""
        return Call(self.tool.name, {s.name: order.slots[s.name] for s in self.tool.slots if s.name in order.slots})

    def drink(self, order: Order, rng: np.random.Generator | None = None) -> str:
        """The drink with what stands before it; in the sheet's order, or shuffled."""
        names = [name for name in self.before if name in order.slots]
        if rng is not None:
            names = [names[i] for i in rng.permutation(len(names))]
        return " ".join([*(order.slots[name] for name in names), *([order.slots.get(self.tool.item, "")])]).strip()

    def tail(self, order: Order, rng: np.random.Generator | None = None) -> str:
        """What stands after the drink: "with some milk and sugar", or nothing."""
        names = [name for name in self.after if name in order.slots]
        if rng is not None:
            names = [names[i] for i in rng.permutation(len(names))]
        if not names:
            return ""
        return f"{self.sheet.said['orders']['joined_by']} {' and '.join(order.slots[name] for name in names)}"

    def said(self, order: Order, rng: np.random.Generator) -> str:
        """The drink as people say it: any order, the article right, wrong or dropped."""
        drink = self.drink(order, rng)
        chance = rng.random()
        said = "" if chance < 0.15 else "a" if chance < 0.3 else article(drink)
        return " ".join(f"{said} {drink} {self.tail(order, rng)}".split())

    def plain(self, order: Order, rng: np.random.Generator) -> str:
        """An order in the wording of the acceptance test: an opening, and the drink as people say it."""
        return f"{pick(self.sheet.texts('orders', 'openings'), rng)} {self.said(order, rng)}"

    def rich(self, order: Order, rng: np.random.Generator) -> str:
        """An order with what else people say around it."""
        openings = self.sheet.texts("orders", "openings") + self.sheet.texts("orders", "more_openings")
        said = f"{pick(openings, rng)} {self.said(order, rng)}" if rng.random() < 0.85 else self.said(order, rng)
        if rng.random() < 0.35:
            said = f"{pick(self.sheet.texts('orders', 'greetings'), rng)} {said}"
        if rng.random() < 0.12:
            said = self._slip(order, said, rng)
        if rng.random() < 0.12:
            said = self._without(order, said, rng)
        if rng.random() < 0.45 or " " not in said:
            said = f"{said} {pick(self.sheet.texts('orders', 'tails'), rng)}"
        return said

    def _without(self, order: Order, said: str, rng: np.random.Generator) -> str:
        """Something that the drink is not to have, said although nobody would have put it in."""
        name = pick(self.after, rng)
        if name in order.slots:
            return said
        what = pick([value.split()[-1] for value in self.tool.slot(name).values], rng)
        return f"{said} {fill(pick(self.sheet.texts('orders', 'without'), rng), {'what': what}, rng)}"

    def _slip(self, order: Order, said: str, rng: np.random.Generator) -> str:
        """A wrong value said first and put right in the same breath: "a small no wait large latte"."""
        candidates = [name for name in (*self.before, self.tool.item) if name in order.slots]
        name = pick(candidates, rng)
        right = order.slots[name]
        others = [value for value in self.tool.slot(name).values if value != right and value not in right]
        slip = f"{pick(others, rng)} {pick(self.sheet.texts('orders', 'slips'), rng)} {right}"
        return said.replace(f" {right}", f" {slip}", 1)

    def two(self, first: Order, second: Order, rng: np.random.Generator) -> str:
        """Two drinks in one sentence."""
        joint = pick(self.sheet.texts("orders", "second"), rng)
        another = self.said(second, rng)
        if not another.startswith(("a ", "an ")):  # without an article the second drink could be the first one's sugar
            another = f"{article(another)} {another}"
        said = f"{pick(self.sheet.texts('orders', 'openings'), rng)} {self.said(first, rng)} {joint} {another}"
        return f"{said} {pick(self.sheet.texts('orders', 'tails'), rng)}" if rng.random() < 0.4 else said

    def readback(self, order: Order) -> str:
        """The order as the character reads it back: the sheet's order of slots and the right article."""
        drink = self.drink(order)
        return f"{article(drink)} {drink} {self.tail(order)}".strip()

    def price(self, order: Order) -> int:
        """What the order costs, in the sheet's coin."""
        extra = self.sheet.said["prices"].get("extra", {})
        return self.sheet.said["prices"]["base"][order.slots[self.tool.item]] + sum(
            extra.get(value, 0) for name, value in order.slots.items() if name != self.tool.item
        )

    def change(self, order: Order, rng: np.random.Generator) -> tuple[str, Order]:
        """Somebody changes an order: what they say, and the whole order afterwards."""
        while True:
            said, changed = self._change(order, rng)
            if changed.key() != order.key() and self.allowed(changed):
                return said, changed

    def _change(self, order: Order, rng: np.random.Generator) -> tuple[str, Order]:
        changes = self.sheet.said["changes"]
        kind = str(rng.choice(["before", "item", "with", "without"], p=[0.45, 0.2, 0.22, 0.13]))
        kept = [name for name in self.after if name in order.slots]
        if kind == "without" and kept:
            name = pick(kept, rng)
            ingredient = next(v for v in self.tool.slot(name).values[::-1] if order.slots[name].endswith(v))
            what = ingredient if rng.random() < 0.6 else ingredient.split()[-1]
            return fill(pick(changes["without"], rng), {"what": what}, rng), order.with_(name, None)
        if kind in {"with", "without"}:
            name = pick(self.after, rng)
            template = pick(changes["with"], rng)
        elif kind == "item":
            name = self.tool.item
            template = pick(changes["item"], rng)
        else:
            name = pick(self.before, rng)
            template = pick(changes["values"], rng)
        value = self.value(name, rng)
        used = {"value": value, "article": "" if name in self.after else article(value)}
        return fill(template, used, rng), order.with_(name, value)
