"""Turns about an order: placing, changing and cancelling it, and what the character says of it."""

import numpy as np

from vivavoce.data.character.turns import ScriptedTurn, Standing, Wording, heard, sentence_case
from vivavoce.data.orders import Order, article
from vivavoce.data.templates import fill, pick

_MOST_TRIES = 1000


def ordered(wording: Wording, said: str, orders: list[Order], draw: np.random.Generator) -> ScriptedTurn:
    """The turn in which one or two orders are placed with these words."""
    counter, priced = wording.orders, wording.sheet.has("prices")
    names = {"order": counter.readback(orders[0]), "price": wording.money(counter.price(orders[0])) if priced else ""}
    kind = "order"
    if len(orders) == 2:
        names["second"] = counter.readback(orders[1])
        names["total"] = wording.money(sum(map(counter.price, orders))) if priced else ""
        kind = "two"
    calls = tuple(counter.call(order) for order in orders)
    if kind == "order" and counter.missing(orders[0]):
        return ScriptedTurn(kind=kind, user=heard(said), reply=_open(wording, orders[0], draw), calls=calls)
    return ScriptedTurn(kind=kind, user=heard(said), reply=wording.reply(kind, names, draw), calls=calls)


def _open(wording: Wording, order: Order, draw: np.random.Generator) -> str:
    """What was understood of an order, and a question for what it still lacks."""
    asked = pick(wording.sheet.texts("replies", "missing", wording.orders.missing(order)[0]), draw)
    return wording.reply("open", {"order": wording.orders.readback(order), "ask": fill(asked, {}, draw)}, draw)


def order(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """An order in the plain or the rich wording."""
    wanted = wording.orders.draw(draw)
    said = wording.orders.plain(wanted, draw) if draw.random() < 0.5 else wording.orders.rich(wanted, draw)
    standing.orders[:] = [wanted]
    return ordered(wording, said, [wanted], draw)


def confusable(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """An order of things that are easily taken for each other."""
    wanted = wording.orders.confusable(draw)
    said = wording.orders.plain(wanted, draw) if draw.random() < 0.6 else wording.orders.rich(wanted, draw)
    standing.orders[:] = [wanted]
    return ordered(wording, said, [wanted], draw)


def two(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """Two orders in one sentence."""
    if not wording.sheet.has("replies", "two"):
        return None
    first, second = wording.orders.draw(draw), wording.orders.draw(draw)
    standing.orders[:] = [first, second]
    return ordered(wording, wording.orders.two(first, second, draw), [first, second], draw)


def answer(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """What the character asked for."""
    if len(standing.orders) != 1 or not wording.orders.missing(standing.orders[0]):
        return None
    answered = wording.orders.answer(standing.orders[0], draw)
    return None if answered is None else _changed(wording, standing, "answer", *answered, draw)


def change(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """One thing of the order becomes another."""
    if len(standing.orders) != 1:
        return None
    changed = wording.orders.change(standing.orders[0], draw)
    return None if changed is None else _changed(wording, standing, "change", *changed, draw)


def _changed(
    wording: Wording, standing: Standing, kind: str, said: str, changed: Order, draw: np.random.Generator
) -> ScriptedTurn:
    standing.orders[:] = [changed]
    if wording.orders.missing(changed):
        reply = _open(wording, changed, draw)
    else:
        names = {"order": wording.orders.readback(changed)}
        reply = fill(pick(wording.sheet.texts("changes", "replies"), draw), names, draw)
    return ScriptedTurn(kind=kind, user=heard(said), reply=reply, calls=(wording.orders.call(changed),))


def _wish(wording: Wording, draw: np.random.Generator) -> Order:
    """The slots of an order with something before the item, but no item."""
    while True:
        wanted = wording.orders.draw(draw).with_(wording.sheet.tool.item, None)
        if any(name in wanted.slots for name in wording.orders.before):
            return wanted


def _asking(wording: Wording, wish: Order, said: str, draw: np.random.Generator) -> ScriptedTurn:
    """A wish without its item, in these words, and the character's question."""
    noun = wording.orders.noun(wish)
    whole = f"{article(noun)} {noun} one {wording.orders.tail(wish)}".strip()
    return ScriptedTurn(kind="incomplete", user=heard(said), reply=wording.reply("which_item", {"slots": whole}, draw))


def incomplete(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """An order without its item; the character asks which."""
    if not wording.sheet.has("incomplete") or not wording.orders.before:
        return None
    wish = _wish(wording, draw)
    slots = wording.orders.noun(wish, draw)
    template = pick(wording.sheet.texts("incomplete"), draw)
    names = {"slots": slots, "article": article(slots), "with": wording.orders.tail(wish, draw)}
    return _asking(wording, wish, fill(template, names, draw), draw)


def completed(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """The item for an incomplete order that the character just asked about."""
    if not wording.sheet.has("incomplete") or not wording.orders.before:
        return None
    item = wording.sheet.tool.item
    values = list(wording.sheet.tool.slot(item).values)
    for _ in range(_MOST_TRIES):
        wish = _wish(wording, draw)
        whole = wish.with_(item, pick(values, draw))
        if wording.orders.allowed(whole):
            break
    else:
        return None
    slots = wording.orders.noun(wish, draw)
    names = {"slots": slots, "article": article(slots), "with": wording.orders.tail(wish, draw)}
    said = fill(pick(wording.sheet.texts("incomplete"), draw), names, draw)
    standing.turns.append(_asking(wording, wish, said, draw))
    standing.orders[:] = [whole]
    names = {"item": whole.slots[item], "article": article(whole.slots[item])}
    return ordered(wording, fill(pick(wording.sheet.texts("completed"), draw), names, draw), [whole], draw)


def no_such(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """An order with something that the house does not have; the character asks again and serves nothing."""
    if not wording.sheet.has("not_served_in"):
        return None
    wanted = wording.orders.draw(draw)
    for name in wording.orders.after:
        wanted = wanted.with_(name, None)
    slot = pick(list(wording.sheet.at("not_served_in")), draw)
    what = pick(wording.sheet.texts("not_served_in", slot), draw)
    opening = pick(wording.sheet.texts("orders", "openings"), draw)
    phrases = wording.sheet.tool.slot(slot).phrases
    joined = phrases[0].replace("{value}", what) if phrases else f"{wording.sheet.at('orders', 'joined_by')} {what}"
    said = f"{opening} {wording.orders.said(wanted, draw)} {joined}"
    reply = fill(pick(wording.sheet.texts("replies", "no_such", slot), draw), {"what": what}, draw)
    return ScriptedTurn(kind="not_served", user=heard(said), reply=sentence_case(reply))


def cancel(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """The order is taken back, or there is none."""
    kind = "cancel" if standing.orders else "nothing_to_cancel"
    standing.orders.clear()
    return wording.asked("cancel", kind, {}, draw)


def order_asked(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """What was ordered so far."""
    read = map(wording.orders.readback, standing.orders)
    names: dict[str, str] = dict(zip(["order", "second"], read, strict=False))
    return wording.asked("my_order", ("nothing_ordered", "repeat_order", "repeat_two")[len(names)], names, draw)


def owe(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """What it costs so far."""
    if not wording.sheet.has("ask", "owe"):
        return None
    total = wording.money(sum(map(wording.orders.price, standing.orders)))
    return wording.asked("owe", "owe" if standing.orders else "nothing_owed", {"total": total}, draw)


def confirm(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """Yes or no to what was read back."""
    if not standing.turns or not standing.turns[-1].calls:
        return None
    if standing.orders and wording.orders.missing(standing.orders[-1]):
        return None  # the last thing that was asked is no question of yes or no
    ask, reply = ("yes", "confirmed") if draw.random() < 0.75 else ("no", "denied")
    return wording.asked(ask, reply, {}, draw)
