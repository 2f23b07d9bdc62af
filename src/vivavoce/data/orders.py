"""Orders: drawing what somebody wants, and the ways they say it.

An order is its slots: the item, things said before it, and things said after it. The plain wording follows what people
say exactly; the rich wording adds greetings, politeness, hesitation and slips. Whole combinations of slots are held out
for testing, never a single value or opening, except of words that are spelled: some of them no training has.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import groupby
from typing import Final

import numpy as np

from vivavoce.core.errors import ManifestError
from vivavoce.data.sentences import any_name
from vivavoce.data.sheet import Sheet, Slot
from vivavoce.data.templates import fill, pick

HELD_OUT_SHARE: Final = 10  # one combination in so many
_OFTEN: Final = 0.42  # how likely each thing before the item is said
_BARE: Final = 0.25  # share of values without an amount, where there are amounts
_UNLISTED: Final = 0.06  # how often a word that is spelled is none of the sheet's
_MOST_TRIES: Final = 10_000
_MOST_CHANGES: Final = 1000
_VOWELS: Final = frozenset("aeiou")


@dataclass(frozen=True, slots=True)
class OrderCall:
    """A call of the character's tool."""

    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What one item is to be: the values of its slots, absent ones left out."""

    slots: Mapping[str, str] = field(default_factory=dict)

    def key(self) -> str:
        """The same text for the same slots."""
        return "|".join(f"{name}={value}" for name, value in sorted(self.slots.items()))

    @property
    def held_out(self) -> bool:
        """Whether this combination is for testing only; an order of one slot never is."""
        return len(self.slots) > 1 and kept_for_testing(self.key())

    def with_(self, name: str, value: str | None) -> "Order":
        """The same order with one slot changed, or without it."""
        slots = {key: kept for key, kept in self.slots.items() if key != name}
        return Order(slots if value is None else {**slots, name: value})


def kept_for_testing(text: str) -> bool:
    """Whether a text is one of those that no training sees."""
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % HELD_OUT_SHARE == 0


@cache
def _kept(values: tuple[str, ...]) -> tuple[str, ...]:
    """Those that no training sees."""
    return tuple(value for value in values if kept_for_testing(value))


def article(phrase: str) -> str:
    """The right one of a and an: by the first letter, which decides for every word of a menu so far."""
    return "an" if phrase[:1].lower() in _VOWELS else "a"


class Orders:
    """Draws orders for a sheet and words them; every draw comes from the generator that is handed in."""

    def __init__(self, sheet: Sheet, held_out: bool | None = False, *, unheard: bool = False) -> None:
        """``held_out``: False draws training combinations, True only those for testing, None both. ``unheard``: words
        that are spelled are such as no training has."""
        self.sheet, self.tool, self.held_out, self.unheard = sheet, sheet.tool, held_out, unheard
        self.before = sheet.texts("orders", "before") if sheet.has("orders", "before") else []
        self.after = sheet.texts("orders", "after") if sheet.has("orders", "after") else []
        self.wanted = sheet.texts("orders", "wanted") if sheet.has("orders", "wanted") else []
        together = sheet.said["orders"].get("together", ())
        self._together = [frozenset(group["slots"]) for group in together]
        self._shares = [float(group["share"]) for group in together]

    # ---- what is wanted ----

    def allowed(self, order: Order) -> bool:
        """Whether an order is of the side that is drawn."""
        return self.held_out is None or order.held_out == self.held_out

    def missing(self, order: Order) -> list[str]:
        """Slots that the character still has to ask for."""
        return [name for name in self.wanted if name not in order.slots]

    def draw(self, rng: np.random.Generator, *, whole: bool = False) -> Order:
        """An order; a ``whole`` one lacks nothing that the character would ask for.

        ManifestError where the sheet has none on the side that is drawn.
        """
        for _ in range(_MOST_TRIES):
            slots = {self.tool.item: pick(list(self.tool.slot(self.tool.item).values), rng)}
            for name in self.before:
                if rng.random() < _OFTEN:
                    slots[name] = self.value(name, rng)
            if self._together:
                chosen = self._together[int(rng.choice(len(self._shares), p=self._shares))]
                for name in self.after:
                    if name in chosen:
                        slots[name] = self.value(name, rng)
            if self.allowed(order := Order(slots)) and not (whole and self.missing(order)):
                return order
        wanted = ("held out" if self.held_out else "for training") + (" that lacks nothing" if whole else "")
        raise ManifestError(
            f"the sheet of {self.sheet.name!r} has no combination of slots {wanted}; give its slots more values"
        )

    def confusable(self, rng: np.random.Generator) -> Order:
        """An order of what is easily taken for each other: all that can stand after the item, each with its own amount,
        and values before it that begin alike ("medium", "medium roast"); any order where there is none on this side."""
        for _ in range(_MOST_CHANGES):
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
        return self.draw(rng)

    @cached_property
    def _alike(self) -> dict[str, list[str]]:
        """Values before the item that share their first word with a value of another slot, by their slot."""
        slots = {name: list(self.tool.slot(name).values) for name in self.before}
        firsts = {name: {value.split()[0] for value in values} for name, values in slots.items()}
        alike = {
            name: [v for v in values if any(v.split()[0] in firsts[other] for other in self.before if other != name)]
            for name, values in slots.items()
        }
        return {name: values for name, values in alike.items() if values}

    def value(self, name: str, rng: np.random.Generator, *, amount: bool = False) -> str:
        """A value of a slot; with ``amount`` never without one where there are any."""
        slot = self.tool.slot(name)
        if slot.spelled:
            return self._word(slot, rng)
        value = pick(list(slot.values), rng)
        said = slot.amounts and (amount or rng.random() >= _BARE)
        return f"{pick(list(slot.amounts), rng)} {value}" if said else value

    def _word(self, slot: Slot, rng: np.random.Generator) -> str:
        """A word to be spelled: one of the sheet's that training may see (or, to test with, may not), in training also
        any other."""
        kept = _kept(slot.values)
        if len(kept) == (0 if self.unheard else len(slot.values)):
            held = "no" if self.unheard else "every"
            raise ManifestError(
                f"the sheet of {self.sheet.name!r} holds out {held} value of {slot.name!r}; list dozens of words"
            )
        if self.unheard:
            return pick(list(kept), rng)
        while True:
            others = self.held_out is False and rng.random() < _UNLISTED
            value = any_name(rng) if others else pick(list(slot.values), rng)
            if not kept_for_testing(value):
                return value

    def call(self, order: Order) -> OrderCall:
        """The call that serves an order, arguments in the order of the schema."""
        return OrderCall(
            self.tool.name, {s.name: order.slots[s.name] for s in self.tool.slots if s.name in order.slots}
        )

    def price(self, order: Order) -> int:
        """What the order costs, in the sheet's coin."""
        extra = self.sheet.at("prices").get("extra", {})
        return self.sheet.at("prices", "base")[order.slots[self.tool.item]] + sum(
            extra.get(value, 0) for name, value in order.slots.items() if name != self.tool.item
        )

    # ---- how it is said ----

    def spoken(self, name: str, value: str, rng: np.random.Generator) -> str:
        """A value as somebody says it."""
        slot = self.tool.slot(name)
        if slot.spelled:
            return f"{value} {' '.join(value)}" if rng.random() < 0.8 else " ".join(value)
        return pick(slot.forms(value), rng) if slot.said_as else value

    def phrase(self, name: str, value: str, rng: np.random.Generator) -> str:
        """A value with what it stands in: "for three nights"; the value alone where the slot has no phrases."""
        said, phrases = self.spoken(name, value, rng), self.tool.slot(name).phrases
        return fill(pick(list(phrases), rng), {"value": said}, rng) if phrases else said

    def noun(self, order: Order, rng: np.random.Generator | None = None) -> str:
        """The item with what stands before it; in the sheet's order, or shuffled."""
        names = [name for name in self.before if name in order.slots]
        if rng is not None:
            names = [names[i] for i in rng.permutation(len(names))]
        return " ".join([*(order.slots[name] for name in names), *([order.slots.get(self.tool.item, "")])]).strip()

    def tail(self, order: Order, rng: np.random.Generator | None = None) -> str:
        """What stands after the item: "with some milk and sugar", "from may fifth for three nights", or nothing."""
        names = [name for name in self.after if name in order.slots]
        if rng is not None:
            names = [names[i] for i in rng.permutation(len(names))]
        parts: list[str] = []
        for own, group in groupby(names, lambda name: bool(self.tool.slot(name).phrases)):
            values = {name: order.slots[name] for name in group}
            if own:
                parts += (self._read(*entry) if rng is None else self.phrase(*entry, rng) for entry in values.items())
            else:
                parts.append(f"{self.sheet.at('orders', 'joined_by')} {' and '.join(values.values())}")
        return " ".join(parts)

    def _read(self, name: str, value: str) -> str:
        """How the character reads a value back."""
        slot = self.tool.slot(name)
        return slot.read or slot.phrases[0].replace("{value}", value)

    def said(self, order: Order, rng: np.random.Generator) -> str:
        """The item as people say it: any order, the article right, wrong or dropped."""
        noun = self.noun(order, rng)
        chance = rng.random()
        said = "" if chance < 0.15 else "a" if chance < 0.3 else article(noun)
        return " ".join(f"{said} {noun} {self.tail(order, rng)}".split())

    def plain(self, order: Order, rng: np.random.Generator) -> str:
        """An order in the plainest wording: an opening, and the item as people say it."""
        return f"{pick(self.sheet.texts('orders', 'openings'), rng)} {self.said(order, rng)}"

    def rich(self, order: Order, rng: np.random.Generator) -> str:
        """An order with what else people say around it."""
        openings = self.sheet.texts("orders", "openings") + self.sheet.texts("orders", "more_openings")
        said = f"{pick(openings, rng)} {self.said(order, rng)}" if rng.random() < 0.85 else self.said(order, rng)
        if rng.random() < 0.35:
            said = f"{pick(self.sheet.texts('orders', 'greetings'), rng)} {said}"
        if rng.random() < 0.12:
            said = self._slip(order, said, rng)
        if rng.random() < 0.12 and self.sheet.has("orders", "without"):
            said = self._without(order, said, rng)
        if rng.random() < 0.45 or " " not in said:
            said = f"{said} {pick(self.sheet.texts('orders', 'tails'), rng)}"
        return said

    def _without(self, order: Order, said: str, rng: np.random.Generator) -> str:
        """Something that the item is not to have, said although nobody would have put it in."""
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
        if not others:
            return said
        slip = f"{pick(others, rng)} {pick(self.sheet.texts('orders', 'slips'), rng)} {right}"
        return said.replace(f" {right}", f" {slip}", 1)

    def two(self, first: Order, second: Order, rng: np.random.Generator) -> str:
        """Two items in one sentence."""
        joint = pick(self.sheet.texts("orders", "second"), rng)
        another = self.said(second, rng)
        if not another.startswith(("a ", "an ")):  # without an article it could belong to the first one
            another = f"{article(another)} {another}"
        said = f"{pick(self.sheet.texts('orders', 'openings'), rng)} {self.said(first, rng)} {joint} {another}"
        return f"{said} {pick(self.sheet.texts('orders', 'tails'), rng)}" if rng.random() < 0.4 else said

    def readback(self, order: Order) -> str:
        """The order as the character reads it back: the sheet's order of slots and the right article."""
        noun = self.noun(order)
        return f"{article(noun)} {noun} {self.tail(order)}".strip()

    # ---- changes ----

    def answer(self, order: Order, rng: np.random.Generator) -> tuple[str, Order] | None:
        """Somebody says what the character asks for, perhaps all of it at once: what they say, and the order.

        None where no answer leads to an order of the side that is drawn.
        """
        for _ in range(_MOST_CHANGES):
            missing = self.missing(order)
            given = missing if rng.random() < 0.3 else missing[:1]
            values = {name: self.value(name, rng) for name in given}
            bare = rng.random() < 0.4
            said = " ".join((self.spoken if bare else self.phrase)(name, value, rng) for name, value in values.items())
            answered = Order({**order.slots, **values})
            if self.allowed(answered):
                return said, answered
        return None

    def change(self, order: Order, rng: np.random.Generator) -> tuple[str, Order] | None:
        """Somebody changes an order: what they say, and the whole order afterwards. None as in `answer`."""
        for _ in range(_MOST_CHANGES):
            said, changed = self._change(order, rng)
            if changed.key() != order.key() and self.allowed(changed):
                return said, changed
        return None

    def _change(self, order: Order, rng: np.random.Generator) -> tuple[str, Order]:
        ways = self.sheet.at("changes", "ways")
        way = ways[int(rng.choice(len(ways), p=[float(way["share"]) for way in ways]))]
        kept = [name for name in way["slots"] if name in order.slots]
        if way.get("leaves_out") and kept:
            name = pick(kept, rng)
            whole = next((v for v in self.tool.slot(name).values[::-1] if order.slots[name].endswith(v)), "")
            what = whole if rng.random() < 0.6 else whole.split()[-1]
            return fill(pick(way["said"], rng), {"what": what}, rng), order.with_(name, None)
        if way.get("leaves_out"):  # there is nothing to leave out, so something is added
            way = next(other for other in ways if other["slots"] == way["slots"] and not other.get("leaves_out"))
        name = pick(way["slots"], rng)
        template = pick(way["said"], rng)
        value = self.value(name, rng)
        said = self.spoken(name, value, rng)
        used = {"value": said, "article": "" if name in self.after else article(said)}
        return fill(template, used, rng), order.with_(name, value)
