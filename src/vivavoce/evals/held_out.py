"""Spoken orders of any character that no training has seen: whole combinations of slots are held out, and voices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vivavoce.core.progress import Log
from vivavoce.data.sheet import Sheet
from vivavoce.data.synthesis import LISTENING_RATE
from vivavoce.evals import intervals
from vivavoce.evals.drive import Assistant, asked
from vivavoce.evals.listening import GROUPS, accepted, spoken
from vivavoce.evals.orders import DrawnOrders, SpokenOrder
from vivavoce.evals.report import Report, Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """How many orders per group of voices, and the seed."""

    orders: int = 200
    seed: int = 0


def table(
    model: Assistant,
    sheet: Sheet,
    engines: Mapping[str, float],
    name: str,
    wanted: list[SpokenOrder],
    seed: int,
    say: Log,
) -> Table:
    """Orders with every slot right, and how often each slot was."""
    made = Table(f"{sheet.name}: {name}")
    right: list[bool] = []
    slots: dict[str, list[bool]] = {}
    voices = spoken([order.text for order in wanted], engines, seed)
    for order, one in zip(wanted, voices, strict=True):
        turn = asked(model, one.wave, LISTENING_RATE)
        right.append(accepted(order, turn.calls))
        given: dict[str, Any] = dict(turn.calls[0]["arguments"]) if len(turn.calls) == 1 else {}
        for slot in sheet.tool.slots:
            slots.setdefault(slot.name, []).append(given.get(slot.name) == order.slots.get(slot.name))
        if not right[-1]:
            say(f"said {order.text!r}, heard {turn.transcript!r}, called {given}")
    made.rows.append(Row(name="every slot right", value=intervals.share(right)))
    made.rows += (Row(name=f"— {slot}", value=intervals.share(found)) for slot, found in slots.items())
    return made


def run(model: Assistant, sheet: Sheet, suite: HeldOut, say: Log = print) -> Report:
    """All groups of voices; where the sheet has words that are spelled, also such as no training has."""
    tables, drawn = [], DrawnOrders(sheet)
    for name, (engines, _) in GROUPS.items():
        wanted = drawn.orders(suite.orders, suite.seed)
        tables.append(table(model, sheet, engines, name, wanted, suite.seed, say))
    if any(slot.spelled for slot in sheet.tool.slots):
        name, (engines, _) = next(iter(GROUPS.items()))
        wanted = drawn.orders(suite.orders, suite.seed, unheard=True)
        tables.append(table(model, sheet, engines, f"{name}, words to spell unheard", wanted, suite.seed, say))
    return Report("held out", {"character": sheet.name, "orders": suite.orders, "seed": suite.seed}, tables)
