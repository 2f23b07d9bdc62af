"""Turns in which nothing is ordered: questions, small talk, the voice, and what either of the two has said."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from vivavoce.data.character.ordering import no_such
from vivavoce.data.character.turns import HEARD, ScriptedTurn, Standing, Wording, heard, sentence_case
from vivavoce.data.orders import Order, article
from vivavoce.data.sentences import word
from vivavoce.data.templates import fill, pick
from vivavoce.text.normalise import normalise

_COURTESIES: Final = ("greeting", "greeting", "how_are_you", "thanks", "goodbye")


def said(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """What either of the two just said."""
    return own_words(wording, standing, draw) if draw.random() < 0.75 else user_words(wording, standing, draw)


def own_words(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """What the character just said; of an interrupted reply only what was heard."""
    last = standing.turns[-1] if standing.turns else None
    if last and last.kind == "last_reply":  # asked twice, it says the same thing and does not nest
        return wording.asked("last_reply", "i_said", {"said": last.kept.partition(": ")[2] or last.kept}, draw)
    name = "i_said" if last else "i_said_nothing"
    return wording.asked("last_reply", name, {"said": last.kept if last else ""}, draw)


def user_words(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """What the user just said."""
    last = standing.turns[-1] if standing.turns else None
    name = "you_said" if last else "you_said_nothing"
    return wording.asked("last_user", name, {"said": last.user if last else ""}, draw)


def price(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """What an item costs, perhaps with something before it."""
    if not wording.sheet.has("ask", "price"):
        return None
    tool, orders = wording.sheet.tool, wording.orders
    wanted = Order({tool.item: pick(list(tool.slot(tool.item).values), draw)})
    if orders.before and draw.random() < 0.4:
        first = orders.before[0]
        wanted = wanted.with_(first, pick(list(tool.slot(first).values), draw))
    item = orders.noun(wanted)
    names = {"item": item, "article": article(item), "price": wording.money(orders.price(wanted))}
    return wording.asked("price", "price", names, draw)


def has(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """Whether there is something."""
    sheet = wording.sheet
    if not sheet.has("ask", "has"):
        return None
    chance = draw.random()
    if chance < 0.5:
        what = pick(list(sheet.tool.slot(sheet.tool.item).values), draw)
        names = {"what": what, "article": article(what)}
        if sheet.has("prices"):
            names["price_note"] = f"{wording.money(wording.orders.price(Order({sheet.tool.item: what})))}."
        return wording.asked("has", "has", names, draw)
    extras = extras_of(wording)
    if chance < 0.75 and extras:
        return wording.asked("has", "has_extra", {"what": pick(extras, draw), "article": "some"}, draw)
    others = [what for slot in sheet.said.get("not_served_in", {}).values() for what in slot]
    what = pick(sheet.texts("not_served") + others, draw)
    asked = fill(pick(sheet.texts("ask", "has"), draw), {"what": what, "article": article(_bare(what))}, draw)
    asked = asked.replace("any a ", "a ").replace("a a ", "a ").replace("an a ", "a ")
    return ScriptedTurn(kind="has", user=heard(asked), reply=wording.reply("not_served", {"what": _bare(what)}, draw))


def extras_of(wording: Wording) -> list[str]:
    """What can be had with the item, in the house's own words."""
    slots = [wording.sheet.tool.slot(name) for name in wording.orders.after]
    return [value for slot in slots if not slot.phrases for value in slot.values]


def mention(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """An item is named, and nobody orders it."""
    if not wording.sheet.has("mentions"):
        return None
    group = wording.sheet.at("mentions")[int(draw.integers(len(wording.sheet.at("mentions"))))]
    items = list(wording.sheet.tool.slot(wording.sheet.tool.item).values)
    item, other = pick(items, draw), pick(items, draw)
    names = {"item": item, "article": article(item), "item2": other, "article2": article(other)}
    if extras := extras_of(wording):
        names["extra"] = pick(extras, draw)
    if wording.sheet.has("lists", "person"):
        names["person"] = pick(wording.sheet.texts("lists", "person"), draw)
    user = fill(pick(group["user"], draw), names, draw)
    return ScriptedTurn(
        kind="mention", user=heard(user), reply=sentence_case(fill(pick(group["reply"], draw), names, draw))
    )


def vague(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """Somebody wants something, and does not say what."""
    user = fill(pick(wording.sheet.texts("vague"), draw), {}, draw)
    return ScriptedTurn(kind="vague", user=heard(user), reply=wording.reply("ask_item", {}, draw))


def not_served(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """An order of something that the house does not have."""
    if not wording.sheet.has("not_served"):
        return None
    if draw.random() < 0.35 and wording.sheet.has("not_served_in"):
        return no_such(wording, standing, draw)
    what = pick(wording.sheet.texts("not_served"), draw)
    thing = what if what.startswith("a ") else f"{pick(['some', article(what), ''], draw)} {what}"
    user = f"{pick(wording.sheet.texts('orders', 'openings'), draw)} {thing}"
    return ScriptedTurn(
        kind="not_served", user=heard(user), reply=wording.reply("not_served", {"what": _bare(what)}, draw)
    )


def repeat(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """Words to be said after the user."""
    if not wording.sheet.has("repeat_requests"):
        return None
    listed = wording.sheet.has("lists", "number")
    numbers = {"number": pick(wording.sheet.texts("lists", "number"), draw)} if listed else {}
    line = fill(pick(wording.sheet.texts("lines"), draw), numbers, draw)
    if draw.random() < 0.5:
        line = " ".join(word(draw, 0.8) for _ in range(int(draw.integers(1, 7))))
    user = fill(pick(wording.sheet.texts("repeat_requests"), draw), {"line": "\0"}, draw).replace("\0", line)
    return ScriptedTurn(kind="repeat", user=heard(user), reply=sentence_case(" ".join(normalise(line))) + ".")


def style(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """Another way of speaking."""
    if not wording.sheet.has("styles"):
        return None
    name = pick(list(wording.sheet.at("styles")), draw)
    words = wording.sheet.at("styles", name)
    reply = wording.reply("style", {"style": pick(words["says"], draw)}, draw)
    return ScriptedTurn(kind="style", user=heard(fill(pick(words["user"], draw), {}, draw)), reply=reply, style=name)


def role(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """The way of speaking of somebody else."""
    if not wording.sheet.has("roles"):
        return None
    who = pick(wording.sheet.texts("roles"), draw)
    user = fill(pick(wording.sheet.texts("role_requests"), draw), {"role": who}, draw)
    reply = wording.reply("role", {"role": who}, draw)
    return ScriptedTurn(kind="role", user=heard(user), reply=reply, style=f"like {who}")


def sound(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn | None:
    """What the user's voice sounds like."""
    if not wording.sheet.has("ask", "sound"):
        return None
    words = wording.sheet.said["heard"]
    rate, pitch, loudness = (pick(list(words[name]), draw) for name in HEARD)
    levels = (rate, pitch, loudness)
    names = {name: pick(words[name][level], draw) for name, level in zip(HEARD, levels, strict=True)}
    return replace(wording.asked("sound", "sound", names, draw), heard=levels)


def small_talk(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """One of the sheet's topics."""
    return _about(wording, wording.sheet.said["talk"][int(draw.integers(len(wording.sheet.said["talk"])))], draw)


def _about(wording: Wording, topic: dict[str, Any], draw: np.random.Generator) -> ScriptedTurn:
    template = pick(topic["user"], draw)
    names: dict[str, str] = {}
    if wording.sheet.has("lists", "number"):
        numbers = wording.sheet.texts("lists", "number")
        names = {"number": pick(numbers, draw), "number2": pick(numbers, draw)}
    user = fill(template, names, draw)
    reply = sentence_case(fill(pick(topic["reply"], draw), {}, draw))
    return ScriptedTurn(kind=topic["kind"], user=heard(user), reply=reply)


def courtesy(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """What everybody says, in few words: rare among all wordings of small talk, frequent where people meet."""
    kind = _COURTESIES[int(draw.integers(len(_COURTESIES)))]
    topic = next((topic for topic in wording.sheet.said["talk"] if topic["kind"] == kind), None)
    if topic is None:
        return small_talk(wording, standing, draw)
    plain = topic | {"user": topic["user"][:1]}
    return min((_about(wording, plain, draw) for _ in range(3)), key=lambda turn: len(turn.user.split()))


def nonsense(wording: Wording, standing: Standing, draw: np.random.Generator) -> ScriptedTurn:
    """Words that nobody could mean."""
    user = " ".join(word(draw, 0.5) for _ in range(int(draw.integers(2, 8))))
    reply = sentence_case(fill(pick(wording.sheet.texts("nonsense"), draw), {}, draw))
    return ScriptedTurn(kind="nonsense", user=heard(user), reply=reply)


def _bare(what: str) -> str:
    return what.removeprefix("a ")
