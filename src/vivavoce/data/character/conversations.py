"""A character's conversations: single turns, whole dialogues, and drills of what goes wrong easily."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from vivavoce.core import rng
from vivavoce.data.character import ordering, talking
from vivavoce.data.character.turns import Dialogue, Kinds, ScriptedTurn, Standing, Wording
from vivavoce.data.orders import Orders, kept_for_testing
from vivavoce.data.sheet import Sheet, load_sheet

_TALK: Final[Kinds] = (
    (0.34, talking.small_talk), (0.12, talking.mention), (0.08, talking.price), (0.07, talking.has),
    (0.05, talking.vague), (0.05, talking.not_served), (0.02, ordering.incomplete), (0.05, talking.repeat),
    (0.06, talking.style), (0.04, talking.role), (0.03, talking.sound), (0.03, talking.said),
    (0.02, ordering.order_asked), (0.02, ordering.cancel), (0.02, talking.nonsense),
)  # fmt: skip
_MOST_TRIES: Final = 20_000
"""What is held out is one sentence in ten; after so many there is none."""
_IN_DIALOGUE: Final = frozenset({"last_reply", "last_user", "my_order", "owe", "cancel", "yes", "no", "incomplete"})


class Character:
    """Makes turns and dialogues of a sheet; ``held_out`` draws order combinations and sentences kept for testing."""

    def __init__(self, sheet: Sheet | None = None, *, held_out: bool = False) -> None:
        """The default character's sheet where none is given."""
        self.sheet = sheet or load_sheet()
        self.held_out = held_out
        self.orders_of = Orders(self.sheet, held_out)
        self.wording = Wording(self.sheet, self.orders_of)
        self._opening: Kinds = (
            (0.28, ordering.order), (0.06, ordering.two), (0.03, ordering.completed), (0.35, self._aside),
            (0.04, talking.said), (0.03, talking.sound), (0.02, ordering.no_such),
        )  # fmt: skip
        self._ordered: Kinds = (
            (0.24, ordering.change), (0.1, ordering.order_asked), (0.07, ordering.owe), (0.07, ordering.cancel),
            (0.1, talking.said), (0.09, ordering.confirm), (0.06, ordering.order), (0.03, ordering.two),
            (0.03, talking.sound), (0.2, self._aside),
        )  # fmt: skip

    def orders(self, count: int, seed: int, *, rich: bool = False, whole: bool = False) -> Iterator[ScriptedTurn]:
        """Single orders, in the plain wording or the richer one, each with its call; ``whole`` as in `Orders.draw`."""
        draw = rng.stream(seed, self.sheet.name, "orders", rich, self.held_out)
        for _ in range(count):
            order = self.orders_of.draw(draw, whole=whole)
            said = self.orders_of.rich(order, draw) if rich else self.orders_of.plain(order, draw)
            yield ordering.ordered(self.wording, said, [order], draw)

    def talk(self, count: int, seed: int) -> Iterator[ScriptedTurn]:
        """Single sentences that are no order, each with its reply and no call; none where none is held out."""
        draw = rng.stream(seed, self.sheet.name, "talk", self.held_out)
        for _ in range(count):
            turn = self._one_of(_TALK, Standing([], []), draw)
            if turn is None:
                return
            yield turn

    def dialogues(self, count: int, seed: int) -> Iterator[Dialogue]:
        """Conversations of one to seven turns; they end sooner where nothing that is held out could follow."""
        draw = rng.stream(seed, self.sheet.name, "dialogues", self.held_out)
        for _ in range(count):
            standing = Standing([], [])
            for _ in range(1 + min(int(draw.geometric(0.35)), 6)):
                kinds = self._ordered if standing.orders else self._opening
                if self._asked(standing) and draw.random() < 0.7:
                    kinds = ((1.0, ordering.answer),)
                if standing.turns and standing.turns[-1].cut is not None and draw.random() < 0.5:
                    kinds = ((1.0, talking.said),)  # after an interruption people ask what was said
                turn = self._one_of(kinds, standing, draw)
                if turn is None:
                    break
                if draw.random() < 0.08 and len(turn.reply.split()) > 3:
                    turn = replace(turn, cut=int(draw.integers(1, len(turn.reply.split()))))
                standing.turns.append(turn)
            yield Dialogue(tuple(standing.turns))

    def drills(self, count: int, seed: int) -> Iterator[Dialogue]:
        """Dialogues about what goes wrong easily: courtesies in few words, amounts of two things, one order changed
        again and again, orders that have nothing of the one before, sums, and what either of the two said."""
        draw = rng.stream(seed, self.sheet.name, "drills", self.held_out)
        for _ in range(count):
            standing = Standing([], [])
            for kinds in self._drill(draw):
                if self._asked(standing) and draw.random() < 0.7:
                    kinds = ((1.0, ordering.answer),)
                turn = self._one_of(kinds, standing, draw)
                if turn is not None:
                    standing.turns.append(turn)
            yield Dialogue(tuple(standing.turns))

    def _drill(self, draw: np.random.Generator) -> Iterator[Kinds]:
        """The kinds of turns of a drill, one after the other."""
        order: Kinds = ((0.8, ordering.confusable), (0.2, ordering.two))
        chance = draw.random()
        if draw.random() < 0.3:
            yield ((1.0, talking.courtesy),)
        if chance < 0.35:  # one order
            yield order[:1]
        elif chance < 0.47:  # orders that have nothing to do with each other
            for _ in range(int(draw.integers(2, 5))):
                yield ((0.6, ordering.order), *order)
                if draw.random() < 0.4:
                    yield (
                        (0.5, talking.courtesy), (0.2, ordering.confirm), (0.1, ordering.order_asked),
                        (0.2, ordering.owe),
                    )  # fmt: skip
        elif chance < 0.7:  # changes
            yield order[:1]
            for _ in range(int(draw.integers(2, 6))):
                yield (
                    (0.75, ordering.change), (0.1, talking.user_words), (0.05, talking.own_words), (0.1, self._aside),
                )  # fmt: skip
            yield ((0.5, ordering.order_asked), (0.5, ordering.owe))
        else:  # memory
            for _ in range(int(draw.integers(1, 4))):
                yield (*order, (0.6, self._aside), (0.2, ordering.cancel))
                yield (
                    (0.4, talking.user_words), (0.3, talking.own_words), (0.15, ordering.order_asked),
                    (0.15, ordering.owe),
                )  # fmt: skip

    def sentence_held_out(self, user: str) -> bool:
        """Whether a sentence that is no order is kept for testing; short ones never are: all must be known."""
        return len(user.split()) > 3 and kept_for_testing(user)

    def _asked(self, standing: Standing) -> bool:
        """Whether the character has just asked for what an order lacks."""
        made = len(standing.orders) == 1 and bool(standing.turns) and bool(standing.turns[-1].calls)
        return made and bool(self.orders_of.missing(standing.orders[0]))

    def _aside(self, wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
        return self._one_of(_TALK, standing, draw)

    def _one_of(self, kinds: Kinds, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
        """A turn of one of these kinds, of the side that is drawn; None where there is none."""
        weights, unfit = np.array([weight for weight, _ in kinds]), set[int]()
        for _ in range(_MOST_TRIES):
            chosen = int(draw.choice(len(kinds), p=weights / weights.sum()))
            turn = kinds[chosen][1](self.wording, standing, draw)
            if turn is None:
                unfit.add(chosen)
                if len(unfit) == len(kinds):
                    return None
            elif turn.calls or turn.kind in _IN_DIALOGUE or self.sentence_held_out(turn.user) == self.held_out:
                return turn
        return None
