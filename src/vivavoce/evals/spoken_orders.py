"""Orders by a synthesiser of no training, beside the default model: a written one is right when it means every slot of
what was said and no other, an answer when it names them all."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core.progress import Log
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.data.synthesis import LISTENING_RATE
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.listening import accepted, spoken
from vivavoce.evals.orders import default_orders
from vivavoce.evals.report import Row, Table
from vivavoce.systems.audiopalm import AudioPaLM

_SEED = 7
_SHOWN = 5
_WORDS = 120
Answers = Callable[[Tensor], Any]
"""A recording at 16 kHz to a turn with calls and a reply (`evals.drive.asked`)."""


class OrdersTable:
    """So many orders, how they sound, and the rows of what became of them."""

    def __init__(self, count: int, say: Log) -> None:
        """Speaks them."""
        self.table, self._say, self._known = Table("Spoken orders, unseen engine (festival)"), say, default_orders()
        self.orders = self._known.orders(count, _SEED)
        texts = [order.text for order in self.orders]
        self._waves = [one.wave for one in spoken(texts, {"festival": 1.0}, _SEED)]

    def waves(self, rate: int) -> list[Stream[Wave]]:
        """The orders as sound at a rate."""
        return [sound(resample(wave[None], LISTENING_RATE, rate)[0], rate) for wave in self._waves]

    def written(self, name: str, texts: Sequence[str]) -> None:
        """A row of what was written down of each, and the same of another order."""
        found = [self._known.slots(word_errors.plain(text)) for text in texts]
        half = len(found) // 2
        self._add(name, [a == b.slots for a, b in zip(found, self.orders, strict=True)])
        other = [*found[half:], *found[:half]]
        self._add("— of another order", [a == b.slots for a, b in zip(other, self.orders, strict=True)], "control")

    def answered(self, name: str, texts: Sequence[str], remark: str = "") -> None:
        """A row of what was answered to each."""
        found = [f" {' '.join(word_errors.plain(text))} " for text in texts]
        named = [
            all(f" {value} " in text for value in order.slots.values())
            for order, text in zip(self.orders, found, strict=True)
        ]
        self._add(name, named, remark)

    def cascade(self, answers: Answers) -> None:
        """What another model, which has a recogniser, makes of the same recordings."""
        turns = [answers(wave) for wave in self._waves]
        right = [accepted(order, turn.calls) for order, turn in zip(self.orders, turns, strict=True)]
        self._add("— the default model: every slot of its call right", right, "ears, search and mind")
        self.answered("— the default model: every slot named in its answer", [turn.reply for turn in turns])

    def _add(self, name: str, right: Sequence[bool], remark: str = "") -> None:
        self.table.rows.append(Row(name=name, value=intervals.share(right), remark=remark))
        self._say(f"orders, {name}: {self.table.rows[-1].shown()}")


def audiopalm_table(system: AudioPaLM, count: int, cascade: Answers | None, say: Log) -> Table:
    """What an AudioPaLM writes down of orders, and what it answers at once and after writing them down."""
    orders = OrdersTable(count, say)
    heard = orders.waves(system.units.config.sample_rate)
    (written,) = system.many(["ASR"], heard, most=_WORDS)
    orders.written("every slot right, written down from units", written)
    (direct,) = system.many(["S2T"], heard, most=_WORDS)
    first, chained = system.many(["ASR", "S2T"], heard, most=2 * _WORDS)
    for order, *texts in list(zip(orders.orders, direct, first, chained, strict=True))[:_SHOWN]:
        say("\n  → ".join([f"  {order.text}", *texts]))
    orders.answered("every slot named, answered at once", direct)
    orders.answered("— after writing the question down", chained)
    if cascade is not None:
        orders.cascade(cascade)
    return orders.table
