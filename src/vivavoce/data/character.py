"""Conversations with a character, made from its sheet: what people say, what it answers, and when it calls its tool.

User words are normalised, as a listener hears them; replies are written, as they are to be spoken. Everything follows
from the sheet and a seed.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from vivavoce.core import rng
from vivavoce.data.orders import Call, Counter, Order, article
from vivavoce.data.sentences import word
from vivavoce.data.sheet import Sheet, load_sheet
from vivavoce.data.templates import fill, pick
from vivavoce.text.normalise import normalise
from vivavoce.text.numbers import cardinal

HEARD: Final = ("rate", "pitch", "loudness")
_COURTESIES: Final = ("greeting", "greeting", "how_are_you", "thanks", "goodbye")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange: the user's normalised words, the reply, and what else the reply does.

    ``heard`` is what the listener measured of the voice where the reply tells it (rate, pitch, loudness); ``style`` the
    description that the character speaks like from now on; ``cut`` the words of the reply that the user heard before
    """

    kind: str
    user: str
    reply: str
    calls: tuple[Call, ...] = ()
    heard: tuple[str, str, str] | None = None
    style: str | None = None
    cut: int | None = None

    @property
    def kept(self) -> str:
        """The part of the reply that history keeps."""
        return self.reply if self.cut is None else " ".join(self.reply.split()[: self.cut])


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns that follow each other; each reply may use all that came before."""

    turns: tuple[Turn, ...]


@dataclass(slots=True)
class _Standing:
    """What the character remembers while a dialogue is made."""

    turns: list[Turn]
    orders: list[Order]


class Character:
    """Makes turns and dialogues of a sheet; ``held_out`` draws order combinations and sentences kept for testing."""

    def __init__(self, sheet: Sheet | None = None, *, held_out: bool = False) -> None:
        self.sheet = sheet or load_sheet()
        self.held_out = held_out
        self.counter = Counter(self.sheet, held_out)
        self.item = self.sheet.tool.item
        self._ingredients = [value for name in self.counter.after for value in self.sheet.tool.slot(name).values]

    # ---- single turns --------------------

    def orders(self, count: int, seed: int, *, rich: bool = False) -> Iterator[Turn]:
        """Single orders, in the acceptance test's wording or the richer one, each with its call."""
        draw = rng.stream(seed, self.sheet.name, "orders", rich, self.held_out)
        for _ in range(count):
            order = self.counter.draw(draw)
            said = self.counter.rich(order, draw) if rich else self.counter.plain(order, draw)
            yield self._ordered(said, [order], draw)

    def talk(self, count: int, seed: int) -> Iterator[Turn]:
        """Single sentences that are no order, each with its reply and no call."""
        draw = rng.stream(seed, self.sheet.name, "talk", self.held_out)
        for _ in range(count):
            yield self._one_of(self._talk_kinds, _Standing([], []), draw)

    def dialogues(self, count: int, seed: int) -> Iterator[Dialogue]:
        """Conversations of one to seven turns."""
        draw = rng.stream(seed, self.sheet.name, "dialogues", self.held_out)
        for _ in range(count):
            standing = _Standing([], [])
            for _ in range(1 + min(int(draw.geometric(0.35)), 6)):
                kinds = self._order_kinds if standing.orders else self._opening_kinds
                if standing.turns and standing.turns[-1].cut is not None and draw.random() < 0.5:
                    kinds = ((1.0, self._said),)  # after an interruption people ask what was said
                turn = self._one_of(kinds, standing, draw)
                if draw.random() < 0.08 and len(turn.reply.split()) > 3:
                    turn = replace(turn, cut=int(draw.integers(1, len(turn.reply.split()))))
                standing.turns.append(turn)
            yield Dialogue(tuple(standing.turns))

    def drills(self, count: int, seed: int) -> Iterator[Dialogue]:
        """Dialogues about what goes wrong easily: courtesies in few words, amounts of two things, one order changed
        again and again, orders that have nothing of the one before, sums, and what either of the two said."""
        draw = rng.stream(seed, self.sheet.name, "drills", self.held_out)
        for _ in range(count):
            standing = _Standing([], [])
            for kinds in self._drill(draw):
                standing.turns.append(self._one_of(kinds, standing, draw))
            yield Dialogue(tuple(standing.turns))

    def _drill(self, draw: np.random.Generator) -> Iterator[tuple[tuple[float, "_Kind"], ...]]:
        """The kinds of turns of a drill, one after the other."""
        order = ((0.8, self._confusable), (0.2, self._two))
        chance = draw.random()
        if draw.random() < 0.3:
            yield ((1.0, self._courtesy),)
        if chance < 0.35:  # one order
            yield order[:1]
        elif chance < 0.47:  # orders that have nothing to do with each other
            for _ in range(int(draw.integers(2, 5))):
                yield ((0.6, self._order), *order)
                if draw.random() < 0.4:
                    yield ((0.5, self._courtesy), (0.2, self._confirm), (0.1, self._order_asked), (0.2, self._owe))
        elif chance < 0.7:  # changes
            yield order[:1]
            for _ in range(int(draw.integers(2, 6))):
                yield ((0.75, self._change), (0.1, self._user_words), (0.05, self._own_words), (0.1, self._aside))
            yield ((0.5, self._order_asked), (0.5, self._owe))
        else:  # memory
            for _ in range(int(draw.integers(1, 4))):
                yield (*order, (0.6, self._aside), (0.2, self._cancel))
                yield ((0.4, self._user_words), (0.3, self._own_words), (0.15, self._order_asked), (0.15, self._owe))

    def sentence_held_out(self, user: str) -> bool:
        """Whether a sentence that is no order is kept for testing; short ones never are: all must be known."""
        digest = hashlib.blake2b(user.encode(), digest_size=4).digest()
        return len(user.split()) > 3 and int.from_bytes(digest, "little") % 10 == 0

    # ---- kinds of turns: each takes what stands and draws one --------------------

    @property
    def _talk_kinds(self) -> tuple[tuple[float, "_Kind"], ...]:
        return (
            (0.34, self._small_talk), (0.12, self._mention), (0.08, self._price), (0.07, self._has),
            (0.05, self._vague), (0.05, self._not_served), (0.02, self._incomplete), (0.05, self._repeat),
            (0.06, self._style), (0.04, self._role), (0.03, self._sound), (0.03, self._said),
            (0.02, self._order_asked), (0.02, self._cancel),
            (0.02, self._nonsense),
        )  # fmt: skip

    @property
    def _opening_kinds(self) -> tuple[tuple[float, "_Kind"], ...]:
        return (
            (0.28, self._order), (0.06, self._two), (0.03, self._completed), (0.35, self._aside),
            (0.04, self._said), (0.03, self._sound), (0.02, self._milk),
        )  # fmt: skip

    @property
    def _order_kinds(self) -> tuple[tuple[float, "_Kind"], ...]:
        return (
            (0.24, self._change), (0.1, self._order_asked), (0.07, self._owe), (0.07, self._cancel), (0.1, self._said),
            (0.09, self._confirm), (0.06, self._order), (0.03, self._two), (0.03, self._sound), (0.2, self._aside),
        )  # fmt: skip

    def _aside(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        return self._one_of(self._talk_kinds, standing, draw)

    def _one_of(self, kinds: tuple[tuple[float, "_Kind"], ...], standing: _Standing, draw: np.random.Generator) -> Turn:
        weights = np.array([weight for weight, _ in kinds])
        while True:
            turn = kinds[int(draw.choice(len(kinds), p=weights / weights.sum()))][1](standing, draw)
            if turn is None:
                continue
            if turn.calls or turn.kind in _IN_DIALOGUE or self.sentence_held_out(turn.user) == self.held_out:
                return turn

    def _ordered(self, said: str, orders: list[Order], draw: np.random.Generator) -> Turn:
        names = {"order": self.counter.readback(orders[0]), "price": self.coins(self.counter.price(orders[0]))}
        kind = "order"
        if len(orders) == 2:
            names["second"] = self.counter.readback(orders[1])
            names["total"] = self.coins(sum(map(self.counter.price, orders)))
            kind = "two"
        calls = tuple(self.counter.call(order) for order in orders)
        return Turn(kind=kind, user=heard(said), reply=self._reply(kind, names, draw), calls=calls)

    def _order(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        order = self.counter.draw(draw)
        said = self.counter.plain(order, draw) if draw.random() < 0.5 else self.counter.rich(order, draw)
        standing.orders[:] = [order]
        return self._ordered(said, [order], draw)

    def _confusable(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        order = self.counter.confusable(draw)
        said = self.counter.plain(order, draw) if draw.random() < 0.6 else self.counter.rich(order, draw)
        standing.orders[:] = [order]
        return self._ordered(said, [order], draw)

    def _two(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        first, second = self.counter.draw(draw), self.counter.draw(draw)
        standing.orders[:] = [first, second]
        return self._ordered(self.counter.two(first, second, draw), [first, second], draw)

    def _change(self, standing: _Standing, draw: np.random.Generator) -> Turn | None:
        if len(standing.orders) != 1:
            return None
        said, changed = self.counter.change(standing.orders[0], draw)
        standing.orders[:] = [changed]
        reply = fill(
            pick(self.sheet.texts("changes", "replies"), draw), {"order": self.counter.readback(changed)}, draw
        )
        return Turn(kind="change", user=heard(said), reply=reply, calls=(self.counter.call(changed),))

    def _incomplete(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """An order without its drink; the character asks which."""
        order = self._wish(draw)
        slots = self.counter.drink(order, draw)
        said = fill(
            pick(self.sheet.texts("incomplete"), draw),
            {"slots": slots, "article": article(slots), "with": self.counter.tail(order, draw)},
            draw,
        )
        whole = f"{article(slots)} {self.counter.drink(order)} one {self.counter.tail(order)}".strip()
        return Turn(kind="incomplete", user=heard(said), reply=self._reply("which_item", {"slots": whole}, draw))

    def _wish(self, draw: np.random.Generator) -> Order:
        """The slots of an order with something before the drink, but no drink."""
        while True:
            order = self.counter.draw(draw).with_(self.item, None)
            if any(name in order.slots for name in self.counter.before):
                return order

    def _completed(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """The drink for an incomplete order that the character just asked about."""
        while True:
            wish = self._wish(draw)
            order = wish.with_(self.item, pick(list(self.sheet.tool.slot(self.item).values), draw))
            if self.counter.allowed(order):
                break
        slots = self.counter.drink(wish, draw)
        names = {"slots": slots, "article": article(slots), "with": self.counter.tail(wish, draw)}
        asked = f"{article(slots)} {self.counter.drink(wish)} one {self.counter.tail(wish)}".strip()
        standing.turns.append(
            Turn(
                kind="incomplete",
                user=heard(fill(pick(self.sheet.texts("incomplete"), draw), names, draw)),
                reply=self._reply("which_item", {"slots": asked}, draw),
            )
        )
        standing.orders[:] = [order]
        drink = order.slots[self.item]
        said = fill(
            "(oh|um|) (make it|I'd like|) (a|) {drink} (please|)".replace("(a|)", f"({article(drink)}|)"),
            {"drink": drink},
            draw,
        )
        return self._ordered(said, [order], draw)

    def _milk(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """Something into the drink that the house does not have; the character asks again and serves nothing."""
        order = self.counter.draw(draw).with_(self.counter.after[0], None).with_(self.counter.after[1], None)
        what = pick(self.sheet.texts("other_milks"), draw)
        said = f"{pick(self.sheet.texts('orders', 'openings'), draw)} {self.counter.said(order, draw)} with {what}"
        return Turn(kind="not_served", user=heard(said), reply=self._reply("no_such_milk", {"what": what}, draw))

    def _cancel(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        kind = "cancel" if standing.orders else "nothing_to_cancel"
        standing.orders.clear()
        return self._asked("cancel", kind, {}, draw)

    def _order_asked(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        names: dict[str, str] = dict(
            zip(["order", "second"], map(self.counter.readback, standing.orders), strict=False)
        )
        return self._asked("my_order", ("nothing_ordered", "repeat_order", "repeat_two")[len(names)], names, draw)

    def _owe(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        total = self.coins(sum(map(self.counter.price, standing.orders)))
        return self._asked("owe", "owe" if standing.orders else "nothing_owed", {"total": total}, draw)

    def _said(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """What either of the two just said."""
        return self._own_words(standing, draw) if draw.random() < 0.75 else self._user_words(standing, draw)

    def _own_words(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """What the character just said; of an interrupted reply only what was heard."""
        last = standing.turns[-1] if standing.turns else None
        if last and last.kind == "last_reply":  # asked twice, it says the same thing and does not nest
            return self._asked("last_reply", "i_said", {"said": last.kept.partition(": ")[2] or last.kept}, draw)
        return self._asked(
            "last_reply", "i_said" if last else "i_said_nothing", {"said": last.kept if last else ""}, draw
        )

    def _user_words(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """What the customer just said."""
        last = standing.turns[-1] if standing.turns else None
        return self._asked(
            "last_user", "you_said" if last else "you_said_nothing", {"said": last.user if last else ""}, draw
        )

    def _confirm(self, standing: _Standing, draw: np.random.Generator) -> Turn | None:
        if not standing.turns or not standing.turns[-1].calls:
            return None
        ask, reply = ("yes", "confirmed") if draw.random() < 0.75 else ("no", "denied")
        return self._asked(ask, reply, {}, draw)

    def _price(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        order = Order({self.item: pick(list(self.sheet.tool.slot(self.item).values), draw)})
        if draw.random() < 0.4:
            order = order.with_("size", pick(list(self.sheet.tool.slot("size").values), draw))
        drink = self.counter.drink(order)
        names = {"drink": drink, "article": article(drink), "price": self.coins(self.counter.price(order))}
        return self._asked("price", "price", names, draw)

    def _has(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        chance = draw.random()
        if chance < 0.5:
            what = pick(list(self.sheet.tool.slot(self.item).values), draw)
            price = self.coins(self.counter.price(Order({self.item: what})))
            return self._asked("has", "has", {"what": what, "article": article(what), "price_note": f"{price}."}, draw)
        if chance < 0.75:
            what = pick(self._ingredients, draw)
            return self._asked("has", "has_extra", {"what": what, "article": "some"}, draw)
        what = pick(self.sheet.texts("not_served") + self.sheet.texts("other_milks"), draw)
        asked = fill(pick(self.sheet.texts("ask", "has"), draw), {"what": what, "article": article(_bare(what))}, draw)
        asked = asked.replace("any a ", "a ").replace("a a ", "a ").replace("an a ", "a ")
        return Turn(kind="has", user=heard(asked), reply=self._reply("not_served", {"what": _bare(what)}, draw))

    def _mention(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        group = self.sheet.said["mentions"][int(draw.integers(len(self.sheet.said["mentions"])))]
        drinks = list(self.sheet.tool.slot(self.item).values)
        drink, other = pick(drinks, draw), pick(drinks, draw)
        names = {
            "drink": drink, "article": article(drink), "drink2": other, "article2": article(other),
            "extra": pick(self._ingredients, draw), "person": pick(self.sheet.texts("lists", "person"), draw),
        }  # fmt: skip
        said = fill(pick(group["user"], draw), names, draw)
        return Turn(
            kind="mention", user=heard(said), reply=sentence_case(fill(pick(group["reply"], draw), names, draw))
        )

    def _vague(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        said = fill(pick(self.sheet.texts("vague"), draw), {}, draw)
        return Turn(kind="vague", user=heard(said), reply=self._reply("ask_item", {}, draw))

    def _not_served(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        if draw.random() < 0.35:
            return self._milk(standing, draw)
        what = pick(self.sheet.texts("not_served"), draw)
        thing = what if what.startswith("a ") else f"{pick(['some', article(what), ''], draw)} {what}"
        said = f"{pick(self.sheet.texts('orders', 'openings'), draw)} {thing}"
        return Turn(kind="not_served", user=heard(said), reply=self._reply("not_served", {"what": _bare(what)}, draw))

    def _repeat(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        numbers = {"number": pick(self.sheet.texts("lists", "number"), draw)}
        line = fill(pick(self.sheet.texts("lines"), draw), numbers, draw)
        if draw.random() < 0.5:
            line = " ".join(word(draw, 0.8) for _ in range(int(draw.integers(1, 7))))
        said = fill(pick(self.sheet.texts("repeat_requests"), draw), {"line": "\0"}, draw).replace("\0", line)
        return Turn(kind="repeat", user=heard(said), reply=sentence_case(" ".join(normalise(line))) + ".")

    def _style(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        style = pick(list(self.sheet.said["styles"]), draw)
        said = self.sheet.said["styles"][style]
        reply = self._reply("style", {"style": pick(said["says"], draw)}, draw)
        return Turn(kind="style", user=heard(fill(pick(said["user"], draw), {}, draw)), reply=reply, style=style)

    def _role(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        role = pick(self.sheet.texts("roles"), draw)
        said = fill(pick(self.sheet.texts("role_requests"), draw), {"role": role}, draw)
        reply = self._reply("role", {"role": role}, draw)
        return Turn(kind="role", user=heard(said), reply=reply, style=f"like {role}")

    def _sound(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        words = self.sheet.said["heard"]
        rate, pitch, loudness = (pick(list(words[name]), draw) for name in HEARD)
        levels = (rate, pitch, loudness)
        names = {name: pick(words[name][level], draw) for name, level in zip(HEARD, levels, strict=True)}
        return replace(self._asked("sound", "sound", names, draw), heard=levels)

    def _small_talk(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        return self._about(self.sheet.said["talk"][int(draw.integers(len(self.sheet.said["talk"])))], draw)

    def _about(self, topic: dict[str, Any], draw: np.random.Generator) -> Turn:
        numbers = self.sheet.texts("lists", "number")
        said = fill(pick(topic["user"], draw), {"number": pick(numbers, draw), "number2": pick(numbers, draw)}, draw)
        return Turn(
            kind=topic["kind"], user=heard(said), reply=sentence_case(fill(pick(topic["reply"], draw), {}, draw))
        )

    def _courtesy(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        """What everybody says, in few words: rare among all wordings of small talk, frequent at any counter."""
        kind = _COURTESIES[int(draw.integers(len(_COURTESIES)))]
        topic = next((topic for topic in self.sheet.said["talk"] if topic["kind"] == kind), None)
        if topic is None:
            return self._small_talk(standing, draw)
        plain = topic | {"user": topic["user"][:1]}
        return min((self._about(plain, draw) for _ in range(3)), key=lambda turn: len(turn.user.split()))

    def _nonsense(self, standing: _Standing, draw: np.random.Generator) -> Turn:
        said = " ".join(word(draw, 0.5) for _ in range(int(draw.integers(2, 8))))
        return Turn(
            kind="nonsense",
            user=heard(said),
            reply=sentence_case(fill(pick(self.sheet.texts("nonsense"), draw), {}, draw)),
        )

    # ---- wording --------------------

    def _asked(self, ask: str, reply: str, names: dict[str, str], draw: np.random.Generator) -> Turn:
        said = fill(pick(self.sheet.texts("ask", ask), draw), names, draw)
        return Turn(kind=ask, user=heard(said), reply=self._reply(reply, names, draw))

    def _reply(self, name: str, values: dict[str, str], draw: np.random.Generator) -> str:
        return sentence_case(fill(pick(self.sheet.texts("replies", name), draw), values, draw))

    def coins(self, amount: int) -> str:
        """An amount of money in words."""
        one, many = self.sheet.texts("prices", "currency")
        return f"{' '.join(cardinal(amount))} {one if amount == 1 else many}"


_Kind = Callable[[_Standing, np.random.Generator], Turn | None]
_IN_DIALOGUE: Final = frozenset({"last_reply", "last_user", "my_order", "owe", "cancel", "yes", "no", "incomplete"})


def heard(text: str) -> str:
    """What a listener would write of spoken words."""
    return " ".join(normalise(text))


def sentence_case(text: str) -> str:
    """A capital at the start of each sentence, and for the word I."""
    made: list[str] = []
    start = True
    for token in text.split(" "):
        made.append(token[:1].upper() + token[1:] if start or token in {"i", "i'm", "i'll", "i'd", "i've"} else token)
        start = token.endswith((".", "?", "!"))
    return " ".join(made)


def _bare(what: str) -> str:
    return what.removeprefix("a ")
