"""How the mind is made: a vocabulary from the character's talk, then next-token learning on its dialogues.

`train` writes the part ``mind`` (some 2 M parameters, 4.5 MB); `measure` asks it held-out dialogues turn by turn, and
``python -m vivavoce.recipes.mind FOLDER`` prints what the part in a folder gets right, in a minute.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.talk import Call, Say, Tool
from vivavoce.data.character import Character, Turn
from vivavoce.data.sentences import sentences, word
from vivavoce.data.templates import fill
from vivavoce.evals import tools
from vivavoce.models.mind import Exchange, MindConfig, MindModel, plain_words
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.mind_data import Lines
from vivavoce.recipes.words import transcripts_of
from vivavoce.systems.mini.declared import Declared
from vivavoce.systems.mini.mind import Mind, MindContext, MindEvent, Style
from vivavoce.text.bpe import BpeConfig, learn
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.grid import GridTask

_CHANGES = 4
TRUNK = TransformerConfig(dim=192, layers=5, heads=4, kv_heads=2, hidden=448, window=512)


@dataclass(frozen=True, slots=True, kw_only=True)
class MindRecipe:
    """What a run is made of; ``workers`` processes write the lines (0: a thread)."""

    trunk: TransformerConfig = TRUNK
    vocabulary: int = 1024
    longest: int = 400
    steps: int = 16000
    batch: int = 128
    lr: float = 2e-3
    warmup: int = 400
    seed: int = 1
    ema: float = 0.999
    workers: int = 0


def vocabulary(size: int, seed: int) -> BpeConfig:
    """Learnt from what the character and its customers say, with common words beside them."""
    character = Character()
    tool = character.sheet.tool
    texts: list[str] = []
    for dialogue in character.dialogues(800, seed):
        for turn in dialogue.turns:
            texts += [f" {turn.user}", f" {turn.reply}"]
            texts += [f" {key} = {value};" for call in turn.calls for key, value in call.arguments.items()]
    draw = rng.stream(seed, "mind vocabulary")
    texts += [f" {word(draw, 0.85)}" for _ in range(6000)]
    texts += [f" {' '.join(tool.name.split('_'))}"] * 20
    return learn(texts, size)


def build(recipe: MindRecipe) -> MindModel:
    """A fresh model of a recipe."""
    tool = Character().sheet.tool.name
    config = MindConfig(bpe=vocabulary(recipe.vocabulary, recipe.seed), trunk=recipe.trunk, tools=(tool,))
    torch.manual_seed(recipe.seed)
    return config.build()


def train(
    folder: Path,
    *,
    recipe: MindRecipe = MindRecipe(),
    read: Sequence[str] = (),
    weights: Path | None = None,
    device: str = "cpu",
    every_seconds: float = 120.0,
    card: dict[str, Any] | None = None,
) -> Run:
    """Trains in ``folder`` (goes on where a killed run was) and writes the part to ``weights`` where that is given.

    ``read`` are sentences of people reading; see `Lines`.
    """
    model = build(recipe)
    lines = Lines(model, seed=recipe.seed, batch=recipe.batch, longest=recipe.longest, read=read)
    task = GridTask(model)
    decayed = [p for p in task.parameters() if p.ndim > 1]
    others = [p for p in task.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.97), fused=True)
    about = {"recipe": "mind", "config": dump(recipe), **(card or {})}

    def export(run: Run) -> None:
        if weights is not None and isinstance(run.model, GridTask):
            own = deepcopy(run.model.model).cpu()
            save_part(weights, "mind", model.config, own, {**about, "step": run.step}, torch.float16)

    def check(module: torch.nn.Module) -> dict[str, float]:
        assert isinstance(module, GridTask) and isinstance(module.model, MindModel)
        own = deepcopy(module.model).cpu()
        return measure(Mind(own), dialogues=12, orders=30, foreign=20).shares()

    seen = hooks(
        folder, "mind", replace(recipe, workers=0), measure=check, export=export, checkpoint_seconds=every_seconds,
        measure_seconds=every_seconds * 20,
    )  # fmt: skip
    return fit(
        task,
        lines,
        optimizer,
        steps=recipe.steps,
        hooks=seen,
        schedule=warm_cosine(recipe.steps, recipe.warmup),
        seed=recipe.seed,
        ema=recipe.ema,
        device=device,
        workers=recipe.workers,
    )


def debug(folder: Path) -> dict[str, float]:
    """Less than a minute on a CPU: a small mind learns the first rules of the counter."""
    trunk = TransformerConfig(dim=64, layers=2, heads=4, kv_heads=2, hidden=128, window=512)
    recipe = MindRecipe(
        trunk=trunk, vocabulary=600, longest=160, steps=60, warmup=10, lr=4e-3, batch=8, ema=0.0, workers=2
    )
    run = train(folder, recipe=recipe, weights=folder / "weights", every_seconds=600.0)
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["tokens"], "after": run.losses["tokens"]}


def _run(recipe: MindRecipe, given: Given) -> None:
    read = transcripts_of(given.speech / "manifest.jsonl") if given.speech is not None else ()
    train(given.out, recipe=recipe, read=read, weights=given.out, device=given.device)


RECIPE = Recipe(
    part="mind",
    settings=MindRecipe(),
    train=_run,
    debug=debug,
    takes={"speech": "recordings whose texts are no orders"},
)


# ---- what it can do ----


@dataclass(frozen=True, slots=True)
class Report:
    """How often things were right, and what was wrong."""

    right: Counter[str]
    asked: Counter[str]
    wrong: tuple[tuple[str, str, str, str], ...]
    """Kind, the user's words, what was wanted, what came."""

    def shares(self) -> dict[str, float]:
        """The share of right answers of each kind."""
        return {name: self.right[name] / count for name, count in sorted(self.asked.items())}


def order_tool(character: Character) -> Tool:
    """The character's tool as a client would declare it."""
    tool = character.sheet.tool
    return Tool(name=tool.name, description=tool.description, parameters=tool.schema())


def measure(
    mind: Mind,
    *,
    dialogues: int = 0,
    orders: int = 0,
    foreign: int = 0,
    chains: int = 0,
    seed: int = 7,
    noise: bool = False,
) -> Report:
    """Asks held-out dialogues turn by turn, with their own history, and counts what is right.

    ``calls``: turns with a call, right only if every call is exactly the wanted one. ``silent``: turns without, in
    which nothing was called. ``replies``: turns whose reply has the facts in it. ``style``: changes of voice.
    ``calls after N changes``: ``chains`` orders, each changed four times. With ``noise``, words are misheard.
    """
    character = Character(held_out=True)
    tools = (order_tool(character),)
    lines = Lines(mind.model, seed=seed, batch=1, longest=400) if noise else None
    draw = rng.stream(seed, "mind measure")
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    wrong: list[tuple[str, str, str, str]] = []
    known = _known_replies(Character())

    def count(name: str, good: bool, turn: Turn, user: str, wanted: object, came: object) -> None:
        asked[name] += 1
        right[name] += good
        if not good:
            wrong.append((f"{name}/{turn.kind}", user, str(wanted), str(came)))

    def ask(turn: Turn, history: tuple[Exchange, ...], user: str) -> None:
        context = MindContext(history=history, user=user, tools=tools, heard=turn.heard or ("medium", "low", "loud"))
        calls, reply, style = gather(mind.respond(context))
        wanted = [dict(call.arguments) for call in turn.calls]
        came = [json.loads(call.arguments) for call in calls]
        count("calls" if wanted else "silent", came == wanted, turn, user, wanted, came)
        if turn.style is not None:
            count("style", style == turn.style, turn, user, turn.style, style)
        before = history[-1] if history else None
        count("replies", _right(turn, reply, before, known), turn, user, turn.reply, reply)

    for turn in [*character.orders(orders // 2, seed), *character.orders(orders - orders // 2, seed, rich=True)]:
        ask(turn, (), " ".join(lines.words(turn, draw)) if lines else turn.user)
    for dialogue in character.dialogues(dialogues, seed):
        history: tuple[Exchange, ...] = ()
        for turn in dialogue.turns:
            user = " ".join(lines.words(turn, draw)) if lines else turn.user
            ask(turn, history, user)
            calls = tuple(Call(call.name, json.dumps(dict(call.arguments))) for call in turn.calls)
            kept = Exchange(user=user, calls=calls, reply=turn.kept, restyle=turn.style or "", cut=turn.cut is not None)
            history = (*history, kept)
    for _ in range(chains):
        order, history = character.counter.draw(draw), ()
        said = character.counter.plain(order, draw)
        for changes in range(_CHANGES + 1):
            user, called = " ".join(plain_words(said)), character.counter.call(order)
            wanted = Call(called.name, json.dumps(dict(called.arguments)))
            calls, _, _ = gather(mind.respond(MindContext(history=history, user=user, tools=tools)))
            turn = Turn(kind="chain", user=user, reply="")
            count(f"calls after {changes} changes", calls == [wanted], turn, user, wanted, calls)
            reply = f"{character.counter.readback(order)}, coming up."
            history = (*history, Exchange(user=user, calls=(wanted,), reply=reply))
            said, order = character.counter.change(order, draw)
    for text in sentences(foreign, seed + 1):
        context = MindContext(user=text, tools=tools)
        calls, _, _ = gather(mind.respond(context))
        count("silent", not calls, Turn(kind="foreign", user=text, reply=""), text, [], calls)
    return Report(right, asked, tuple(wrong))


def declared(mind: Mind) -> tools.Answer:
    """What the mind calls and says where a client declares one tool of its own."""
    character = Character()
    server = Declared(mind, character.sheet)

    def wording(*path: str, **values: str) -> str:
        return fill(character.sheet.texts(*path)[0], values, rng.stream(0, "wording"))

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


def _right(turn: Turn, reply: str, before: Exchange | None, known: dict[str, set[str]]) -> bool:
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
        return all(value in said for call in turn.calls for value in call.arguments.values())
    if turn.kind in ("my_order", "owe", "price", "incomplete"):
        facts = [part for part in wanted.replace(",", " ").replace(".", " ").split() if part in facts_of()]
        return Counter(facts) == Counter(
            part for part in said.replace(",", " ").replace(".", " ").split() if part in facts_of()
        )
    if turn.kind == "sound":
        return True if turn.heard is None else _sounds(turn.heard, said)
    if turn.style is not None or turn.kind in ("has", "not_served", "mention"):
        return len(said.split()) > 1
    return reply in known.get(turn.kind, {reply})


@cache
def facts_of() -> frozenset[str]:
    """Words of values and of prices."""
    character = Character()
    values = " ".join(value for slot in character.sheet.tool.slots for value in slot.every()).split()
    numbers = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
    return frozenset([*values, *numbers]) - {"a", "of", "bit"}


def _sounds(heard: tuple[str, str, str], said: str) -> bool:
    """Whether a description has a word for each level that was heard, and for no other level."""
    words = Character().sheet.said["heard"]
    for name, level in zip(("rate", "pitch", "loudness"), heard, strict=True):
        if not any(text.lower() in said for text in words[name][level]):
            return False
    return True


def main(folder: Path) -> None:
    """Prints how much the mind in ``folder`` gets right of held-out orders, dialogues, changes and other sentences."""
    mind = Mind(load_part(folder, "mind"))
    asked = {
        "single orders": measure(mind, orders=200),
        "single orders, misheard": measure(mind, orders=200, noise=True),
        "dialogues": measure(mind, dialogues=60),
        "changes": measure(mind, chains=40),
        "other sentences": measure(mind, foreign=400),
    }
    for name, report in asked.items():
        counts = ", ".join(f"{kind} {report.right[kind]} of {count}" for kind, count in report.asked.items())
        print(f"{name}: {counts}")
    print(
        "tools that it was not taught: orders with every field right, with something invented, asked or called wrongly"
    )
    counted = tools.measure(declared(mind), 120)
    for name, count in counted.asked.items():
        wrongly = f"{counted.invented[name]} invented, {counted.asked_wrong[name]} asked or called wrongly"
        print(f"  {name}: {counted.exact[name]} of {count}, {wrongly}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
