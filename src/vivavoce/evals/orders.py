"""Spoken orders of any character to measure with: what people say, what it means, and sentences that are no order.

A character may have them stated once more, by hand, in the file ``measured.yaml`` beside its sheet: apart from the
templates that training sentences are made from, so that a mistake there cannot hide itself. The same statement is the
grammar that an outside recogniser is given as a yardstick. Of every other character they are drawn from the sheet: of
whole combinations of slots that no training has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from vivavoce.core import rng
from vivavoce.core.errors import ManifestError
from vivavoce.data.character import Character, heard
from vivavoce.data.orders import Orders, article
from vivavoce.data.sheet import CHARACTERS, Sheet, load_sheet

FILE: Final = "measured.yaml"
_TRIES: Final = 1000
_ALL_TAUGHT: Final = frozenset("last_reply last_user my_order owe cancel yes no incomplete".split())
"""Kinds of talk of which a character holds no sentence back."""


@dataclass(frozen=True, slots=True)
class SpokenOrder:
    """A sentence and the slots that it means."""

    text: str
    slots: dict[str, str]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a slot can be, and how often it is said."""

    values: tuple[str, ...]
    often: float


@dataclass(frozen=True, slots=True)
class StatedOrders:
    """Orders as a file states them: an opening, slots before the item, the item, and slots joined on behind it."""

    sheet: Sheet
    openings: tuple[str, ...]
    item: str
    items: tuple[str, ...]
    before: Mapping[str, Stated]
    after: Mapping[str, Stated]
    joined_by: str
    amounts: tuple[str, ...]
    bare: float
    """Share of what stands behind the item that is named without an amount."""
    no_orders: tuple[str, ...]
    talk: tuple[str, ...]
    """What the character says that is about no order."""
    order_replies: tuple[str, ...]
    """What it says of an ``{order}``."""

    def orders(self, count: int, seed: int = 0) -> list[SpokenOrder]:
        """So many different orders; the same seed gives the same ones. ManifestError where there are not so many."""
        draw = rng.stream(seed, "orders")
        made: dict[str, SpokenOrder] = {}
        for _ in range(_TRIES * count):
            order = self._order(draw)
            made.setdefault(order.text, order)
            if len(made) == count:
                return list(made.values())
        raise ManifestError(
            f"{self.sheet.name} states {len(made)} different orders and {count} were asked for; ask for fewer"
        )

    def _order(self, draw: np.random.Generator) -> SpokenOrder:
        said = {name: str(draw.choice(one.values)) for name, one in self.before.items() if draw.random() < one.often}
        words = list(draw.permutation(list(said.values()))) if said else []
        slots = {**said, self.item: str(draw.choice(self.items))}
        words.append(slots[self.item])
        opening = str(draw.choice(self.openings))
        if draw.random() < 0.9:
            opening += " an" if article(words[0]) == "an" and draw.random() < 0.7 else " a"
        extras: list[str] = []
        for name, one in self.after.items():
            if draw.random() < one.often:
                bare = draw.random() < self.bare
                value = draw.choice(one.values) if bare else f"{draw.choice(self.amounts)} {draw.choice(one.values)}"
                slots[name] = str(value)
                extras.append(slots[name])
        if len(extras) > 1 and draw.random() < 0.5:
            extras.reverse()
        ending = f" {self.joined_by} {' and '.join(extras)}" if extras else ""
        return SpokenOrder(f"{opening} {' '.join(words)}{ending}", slots)

    def not_orders(self, talk: int = 60, seed: int = 0) -> list[str]:
        """Sentences that are no order and that no training has seen: the file's, and held-out talk of the character."""
        return _with_talk(self.no_orders, self.sheet, talk, seed)

    def replies(self, count: int, seed: int = 0) -> list[str]:
        """So many things that the character says."""
        templates = self.order_replies
        made = [
            templates[number % len(templates)].format(order=self._named(order.text))
            for number, order in enumerate(self.orders(count, seed))
        ]
        return [*self.talk, *made][:count]

    def _named(self, text: str) -> str:
        """What is ordered, without the opening and the article."""
        rest = text.removeprefix(max((o for o in self.openings if text.startswith(f"{o} ")), key=len)).strip()
        return next((rest.removeprefix(one) for one in ("a ", "an ") if rest.startswith(one)), rest)

    def grammar(self) -> str | None:
        """All orders as a JSGF grammar."""
        listed = {name: f"({' | '.join(one.values)})" for name, one in {**self.before, **self.after}.items()}
        some = [f"<{name}>" for name in self.before]
        before = [" ".join(chosen) for size in range(1, len(some) + 1) for chosen in permutations(some, size)]
        behind = [f"<{name}_said>" for name in self.after]
        extras = [" and ".join(chosen) for size in range(1, len(behind) + 1) for chosen in permutations(behind, size)]
        lines = ["#JSGF V1.0;", "grammar orders;", *(f"<{name}> = {rule};" for name, rule in listed.items())]
        lines += (f"<{name}_said> = [{' | '.join(self.amounts)}] <{name}>;" for name in self.after)
        lines.append(f"<extras> = {self.joined_by} ({' | '.join(extras)});")
        lines.append(f"<modifiers> = {' | '.join(before)};")
        openings, items = " | ".join(self.openings), " | ".join(self.items)
        lines.append(f"public <order> = ({openings}) [a | an] [<modifiers>] ({items}) [<extras>];")
        return "\n".join(lines) + "\n"

    def slots(self, words: Sequence[str]) -> dict[str, str]:
        """What a sentence of the grammar means: the longest values found, each slot once."""
        front, _, back = f" {' '.join(words)} ".partition(f" {self.joined_by} ")
        front = f"{front} "
        found: dict[str, str] = {}
        listed = [(value, name) for name, one in self.before.items() for value in one.values]
        for value, name in sorted(listed, key=lambda one: -len(one[0])):  # "medium roast" is no size
            if name not in found and f" {value} " in front:
                found[name] = value
                front = front.replace(f" {value} ", " ")
        for item in sorted(self.items, key=len, reverse=True):
            if f" {item} " in front:
                found[self.item] = item
                break
        for part in back.split(" and "):
            phrase = part.strip()
            for name, one in self.after.items():
                if any(phrase == value or phrase.endswith(f" {value}") for value in one.values):
                    found[name] = phrase
        return found

    @property
    def vocabulary(self) -> set[str]:
        """Every word of what can be ordered."""
        values = (value for one in (*self.before.values(), *self.after.values()) for value in one.values)
        return set(" ".join((*self.items, *self.amounts, *values)).split())


@dataclass(frozen=True, slots=True)
class DrawnOrders:
    """Orders as the sheet has them, of combinations that are held out; there is no grammar of all of them."""

    sheet: Sheet

    @property
    def item(self) -> str:
        """The slot without which there is no order."""
        return self.sheet.tool.item

    def orders(self, count: int, seed: int = 0, *, unheard: bool = False) -> list[SpokenOrder]:
        """So many orders that lack nothing, half of them worded plainly; ``unheard`` as in `data.orders.Orders`."""
        drawn = Orders(self.sheet, held_out=True, unheard=unheard)
        draw = rng.stream(seed, self.sheet.name, "held out", unheard)
        found: list[SpokenOrder] = []
        for number in range(count):
            order = drawn.draw(draw, whole=True)
            said = drawn.rich(order, draw) if number % 2 else drawn.plain(order, draw)
            found.append(SpokenOrder(heard(said), dict(drawn.call(order).arguments)))
        return found

    def not_orders(self, talk: int = 60, seed: int = 0) -> list[str]:
        """Held-out talk of the character."""
        return _with_talk((), self.sheet, talk, seed)

    def replies(self, count: int, seed: int = 0) -> list[str]:
        """What the character answers to held-out talk and orders, half and half."""
        character = Character(self.sheet, held_out=True)
        turns = [*character.talk(10 * count, seed), *character.orders(10 * count, seed)]
        said = list(dict.fromkeys(turn.reply for turn in turns))
        return said[:: max(1, len(said) // count)][:count]

    def grammar(self) -> str | None:
        """None: words that are spelled, and whatever else a sheet may say, are beyond a grammar of this kind."""
        return None

    def slots(self, words: Sequence[str]) -> dict[str, str]:
        """Nothing, as there is no grammar."""
        return {}


def orders_of(sheet: Sheet) -> StatedOrders | DrawnOrders:
    """What a character is measured with. ManifestError where its ``measured.yaml`` is no such file."""
    path = sheet.folder / FILE if sheet.folder is not None else None
    return _stated(sheet, path) if path is not None and path.is_file() else DrawnOrders(sheet)


@cache
def default_orders() -> StatedOrders:
    """Those of the default character."""
    found = orders_of(load_sheet())
    assert isinstance(found, StatedOrders)
    return found


def _stated(sheet: Sheet, path: Path) -> StatedOrders:
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        orders, replies = data["orders"], data["replies"]
        before, after = (
            {name: Stated(tuple(one["values"]), float(one["often"])) for name, one in orders[where].items()}
            for where in ("before", "after")
        )
        found = StatedOrders(
            sheet=sheet,
            openings=tuple(orders["openings"]),
            item=orders["item"],
            items=tuple(orders["items"]),
            before=before,
            after=after,
            joined_by=orders["joined_by"],
            amounts=tuple(orders["amounts"]),
            bare=float(orders["bare"]),
            no_orders=tuple(data["no_orders"]),
            talk=tuple(replies["talk"]),
            order_replies=tuple(replies["order"]),
        )
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ManifestError(f"{path} cannot be read ({' '.join(str(error).split())}); mend it") from error
    except (KeyError, TypeError, AttributeError) as error:
        example = CHARACTERS / "innkeeper" / FILE
        raise ManifestError(f"{path} is not complete ({error!r}); write it like {example}, or delete it") from error
    unknown = {found.item, *before, *after} - {slot.name for slot in sheet.tool.slots}
    if unknown:
        raise ManifestError(f"{path} names {min(unknown)!r}, which is no slot of {sheet.tool.name}; name one of them")
    return found


def _with_talk(known: Iterable[str], sheet: Sheet, talk: int, seed: int) -> list[str]:
    """These sentences, and so many of the held-out talk of a character."""
    found = dict.fromkeys(known)
    written = len(found)
    for turn in Character(sheet, held_out=True).talk(100 * talk, seed):
        if len(found) - written == talk:
            break
        if turn.kind not in _ALL_TAUGHT and len(turn.user.split()) > 3:  # shorter ones are never held out
            found[turn.user] = None
    return list(found)
