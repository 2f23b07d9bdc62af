"""How much a mind gets right: held-out dialogues of its character, asked turn by turn, and tools nobody taught it.

``python -m vivavoce.evals.minds FOLDER`` prints it for the mind of the model in a folder, in a minute.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vivavoce.assistant.described import ModelFile, read_model
from vivavoce.core import rng
from vivavoce.core.parts import load_part
from vivavoce.core.talk import Call, Say, Tool
from vivavoce.data.character import HEARD, Character, ScriptedTurn
from vivavoce.data.character.recognised import Recognised
from vivavoce.data.sentences import sentences
from vivavoce.data.sheet import Sheet, load_sheet
from vivavoce.data.templates import fill
from vivavoce.evals import tools
from vivavoce.models.mind import Exchange, plain_words
from vivavoce.systems.mini.declared import Declared
from vivavoce.systems.mini.grounding import Forms
from vivavoce.systems.mini.mind import Mind, MindContext, MindEvent, Style

_CHANGES = 4


@dataclass(frozen=True, slots=True)
class MindReport:
    """How often things were right, and what was wrong."""

    right: Counter[str]
    asked: Counter[str]
    wrong: tuple[tuple[str, str, str, str], ...]
    """Kind, the user's words, what was wanted, what came."""

    def shares(self) -> dict[str, float]:
        """The share of right answers of each kind."""
        return {name: self.right[name] / count for name, count in sorted(self.asked.items())}


def order_tool(sheet: Sheet) -> Tool:
    """The character's tool as a client would declare it."""
    tool = sheet.tool
    return Tool(name=tool.name, description=tool.description, parameters=tool.schema())


def measure(
    mind: Mind,
    sheet: Sheet | None = None,
    *,
    dialogues: int = 0,
    orders: int = 0,
    foreign: int = 0,
    chains: int = 0,
    seed: int = 7,
    noise: bool = False,
) -> MindReport:
    """Asks held-out dialogues turn by turn, with their own history, and counts what is right.

    ``calls``: turns with a call, right only if every call is exactly the wanted one. ``silent``: turns without, in
    which nothing was called. ``replies``: turns whose reply has the facts in it. ``style``: changes of voice.
    ``calls after N changes``: ``chains`` orders, each changed four times. With ``noise``, words are misheard.
    """
    sheet = sheet or load_sheet()
    character = Character(sheet, held_out=True)
    tools = (order_tool(sheet),)
    recognised = Recognised(sheet) if noise else None
    draw = rng.stream(seed, "mind measure")
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    wrong: list[tuple[str, str, str, str]] = []
    facts = _facts_of(sheet)
    known = _known_replies(Character(sheet))

    def count(name: str, good: bool, turn: ScriptedTurn, user: str, wanted: object, came: object) -> None:
        asked[name] += 1
        right[name] += good
        if not good:
            wrong.append((f"{name}/{turn.kind}", user, str(wanted), str(came)))

    def ask(turn: ScriptedTurn, history: tuple[Exchange, ...], user: str) -> None:
        context = MindContext(history=history, user=user, tools=tools, heard=turn.heard or ("medium", "low", "loud"))
        calls, reply, style = gather(mind.respond(context))
        wanted = [dict(call.arguments) for call in turn.calls]
        came = [json.loads(call.arguments) for call in calls]
        count("calls" if wanted else "silent", came == wanted, turn, user, wanted, came)
        if turn.style is not None:
            count("style", style == turn.style, turn, user, turn.style, style)
        before = history[-1] if history else None
        count("replies", _right(turn, reply, before, known, facts, sheet), turn, user, turn.reply, reply)

    for turn in [*character.orders(orders // 2, seed), *character.orders(orders - orders // 2, seed, rich=True)]:
        ask(turn, (), " ".join(recognised.words(turn, draw)) if recognised else turn.user)
    for dialogue in character.dialogues(dialogues, seed):
        history: tuple[Exchange, ...] = ()
        for turn in dialogue.turns:
            user = " ".join(recognised.words(turn, draw)) if recognised else turn.user
            ask(turn, history, user)
            calls = tuple(Call(call.name, json.dumps(dict(call.arguments))) for call in turn.calls)
            kept = Exchange(user=user, calls=calls, reply=turn.kept, restyle=turn.style or "", cut=turn.cut is not None)
            history = (*history, kept)
    for _ in range(chains):
        order, history = character.orders_of.draw(draw), ()
        said = character.orders_of.plain(order, draw)
        for changes in range(_CHANGES + 1):
            user, called = " ".join(plain_words(said)), character.orders_of.call(order)
            wanted = Call(called.name, json.dumps(dict(called.arguments)))
            calls, _, _ = gather(mind.respond(MindContext(history=history, user=user, tools=tools)))
            turn = ScriptedTurn(kind="chain", user=user, reply="")
            count(f"calls after {changes} changes", calls == [wanted], turn, user, wanted, calls)
            reply = f"{character.orders_of.readback(order)}, coming up."
            history = (*history, Exchange(user=user, calls=(wanted,), reply=reply))
            changed = character.orders_of.change(order, draw)
            if changed is None:
                break
            said, order = changed
    for text in sentences(foreign, seed + 1):
        context = MindContext(user=text, tools=tools)
        calls, _, _ = gather(mind.respond(context))
        count("silent", not calls, ScriptedTurn(kind="foreign", user=text, reply=""), text, [], calls)
    return MindReport(right, asked, tuple(wrong))


def declared(mind: Mind, sheet: Sheet | None = None) -> tools.Answer:
    """What the mind calls and says where a client declares one tool of its own."""
    sheet = sheet or load_sheet()
    server = Declared(mind, sheet)

    def wording(*path: str, **values: str) -> str:
        return fill(sheet.texts(*path)[0], values, rng.stream(0, "wording"))

    def answer(text: str, schema: tools.Schema) -> tuple[list[tuple[str, dict[str, Any]]], str]:
        tool = Tool(name=schema.tool, description=schema.description, parameters=dict(schema.parameters))
        calls: list[tuple[str, dict[str, Any]]] = []
        reply = ""
        for event in server.respond(MindContext(user=text, tools=(tool,)), wording):
            if isinstance(event, Call):
                calls.append((event.name, json.loads(event.arguments)))
            elif calls:  # what it says besides is measured elsewhere
                break
            elif isinstance(event, Say):
                reply += event.text
        return calls, reply

    return answer


def gather(events: Iterator[MindEvent]) -> tuple[list[Call], str, str | None]:
    """Calls, the whole reply, and the new way of speaking."""
    calls: list[Call] = []
    reply, style = "", None
    for event in events:
        if isinstance(event, Call):
            calls.append(event)
        elif isinstance(event, Say):
            reply += event.text
        elif isinstance(event, Style):
            style = event.words
    return calls, reply, style


def _known_replies(character: Character) -> dict[str, set[str]]:
    """Replies of the kinds of turns that answer with one of a few sentences."""
    known: dict[str, set[str]] = {}
    for turn in character.talk(2000, 3):
        known.setdefault(turn.kind, set()).add(turn.reply)
    for dialogue in character.dialogues(300, 4):
        for turn in dialogue.turns:
            known.setdefault(turn.kind, set()).add(turn.reply)
    return known


def _right(
    turn: ScriptedTurn,
    reply: str,
    before: Exchange | None,
    known: dict[str, set[str]],
    facts: frozenset[str],
    sheet: Sheet,
) -> bool:
    """Whether a reply says what it has to: the facts of the wanted one, in any of its wordings."""
    if not reply:
        return False
    said, wanted = reply.lower(), turn.reply.lower()
    if turn.kind == "last_reply" and before is not None and ": " in wanted:
        return said.split(": ", 1)[-1] == wanted.split(": ", 1)[1]
    if turn.kind == "last_user" and before is not None:
        return said.rstrip(".").endswith(" ".join(before.user.lower().split()))
    if turn.kind == "repeat":
        return said.rstrip(".") == wanted.rstrip(".")
    if turn.calls:
        return all(
            value in said
            for call in turn.calls
            for name, value in call.arguments.items()
            if not sheet.tool.slot(name).read
        )
    if turn.kind in ("my_order", "owe", "price", "incomplete"):
        return _counted(wanted, facts) == _counted(said, facts)
    if turn.kind == "sound":
        return True if turn.heard is None else _sounds(turn.heard, said, sheet)
    if turn.style is not None or turn.kind in ("has", "not_served", "mention"):
        return len(said.split()) > 1
    return reply in known.get(turn.kind, {reply})


def _counted(text: str, facts: frozenset[str]) -> Counter[str]:
    return Counter(part for part in text.replace(",", " ").replace(".", " ").split() if part in facts)


def _facts_of(sheet: Sheet) -> frozenset[str]:
    """Words of values and of prices."""
    values = " ".join(value for slot in sheet.tool.slots if not slot.spelled for value in slot.every()).split()
    numbers = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
    return frozenset([*values, *numbers]) - {"a", "of", "bit"}


def _sounds(heard: tuple[str, str, str], said: str, sheet: Sheet) -> bool:
    """Whether a description has a word for each level that was heard, and for no other level."""
    words = sheet.said["heard"]
    for name, level in zip(HEARD, heard, strict=True):
        if not any(text.lower() in said for text in words[name][level]):
            return False
    return True


def main(folder: Path) -> None:
    """Prints how much the mind in ``folder`` gets right of held-out orders, dialogues, changes and other sentences."""
    described = read_model(folder)
    sheet = described.sheet
    mind = Mind(load_part(described.at("mind"), "mind"), Forms.of(sheet.tool))
    asked = {
        "single orders": measure(mind, sheet, orders=200),
        "single orders, misheard": measure(mind, sheet, orders=200, noise=True),
        "dialogues": measure(mind, sheet, dialogues=60),
        "changes": measure(mind, sheet, chains=40),
        "other sentences": measure(mind, sheet, foreign=400),
    }
    for name, report in asked.items():
        counts = ", ".join(f"{kind} {report.right[kind]} of {count}" for kind, count in report.asked.items())
        print(f"{name}: {counts}")
    if described.character != ModelFile.character:
        return  # the tools of others that are asked for below are about what the default character sells
    print(
        "tools that it was not taught: orders with every field right, with something invented, asked or called wrongly"
    )
    counted = tools.measure(declared(mind, sheet), 120)
    for name, count in counted.asked.items():
        wrongly = f"{counted.invented[name]} invented, {counted.asked_wrong[name]} asked or called wrongly"
        print(f"  {name}: {counted.exact[name]} of {count}, {wrongly}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
