"""How the mind is made: a vocabulary from the character's talk, then next-token learning on its dialogues.

`train` writes the part ``mind`` (some 2 M parameters, 4.5 MB); `evals.minds` says what it gets right.
"""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vivavoce.assistant.described import find_folder
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.parts import load_weights, save_part
from vivavoce.data.character import Character
from vivavoce.data.sentences import word
from vivavoce.data.sheet import Sheet, find_sheet, load_sheet
from vivavoce.evals.minds import measure
from vivavoce.models.mind import MindConfig, MindModel
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.mind_data import Lines
from vivavoce.recipes.words import transcripts_of
from vivavoce.systems.mini.grounding import Forms
from vivavoce.systems.mini.mind import Mind
from vivavoce.text.bpe import BpeConfig, learn
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.grid import GridTask

TRUNK = TransformerConfig(dim=192, layers=5, heads=4, kv_heads=2, hidden=448, window=512)


@dataclass(frozen=True, slots=True, kw_only=True)
class MindRecipe:
    """What a run is made of; ``character`` is a name or the path of a sheet, and ``workers`` processes write the lines
    (0: a thread)."""

    character: str = "innkeeper"
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


def vocabulary(sheet: Sheet, size: int, seed: int) -> BpeConfig:
    """Learnt from what a character and those who talk to it say, with common words beside them."""
    character = Character(sheet)
    tool = sheet.tool
    texts: list[str] = []
    for dialogue in character.dialogues(800, seed):
        for turn in dialogue.turns:
            texts += [f" {turn.user}", f" {turn.reply}"]
            texts += [f" {key} = {value};" for call in turn.calls for key, value in call.arguments.items()]
    draw = rng.stream(seed, "mind vocabulary")
    texts += [f" {word(draw, 0.85)}" for _ in range(6000)]
    texts += [f" {' '.join(tool.name.split('_'))}"] * 20
    return learn(texts, size)


def build(recipe: MindRecipe, start: Path | None = None) -> MindModel:
    """A fresh model of a recipe, or one with the vocabulary, the size and the weights of the mind in ``start``."""
    sheet = load_sheet(find_sheet(recipe.character))
    torch.manual_seed(recipe.seed)
    if start is None:
        spelling = vocabulary(sheet, recipe.vocabulary, recipe.seed)
        return MindConfig(bpe=spelling, trunk=recipe.trunk, tools=(sheet.tool.name,)).build()
    config, weights = load_weights(find_folder(start), "mind")
    model = replace(config, tools=(sheet.tool.name,)).build()
    model.load_state_dict(weights)
    return model


def train(
    folder: Path,
    *,
    recipe: MindRecipe = MindRecipe(),
    start: Path | None = None,
    read: Sequence[str] = (),
    weights: Path | None = None,
    device: str = "cpu",
    every_seconds: float = 120.0,
    card: dict[str, Any] | None = None,
) -> Run:
    """Trains in ``folder`` (goes on where a killed run was) and writes the part to ``weights`` where that is given.

    ``start`` is the folder of a mind to go on from, ``read`` are sentences of people reading; see `Lines`.
    """
    model = build(recipe, start)
    sheet = load_sheet(find_sheet(recipe.character))
    lines = Lines(model, seed=recipe.seed, batch=recipe.batch, longest=recipe.longest, read=read, sheet=sheet)
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
        return measure(Mind(own, Forms.of(sheet.tool)), sheet, dialogues=12, orders=30, foreign=20).shares()

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
    train(given.out, recipe=recipe, start=given.start, read=read, weights=given.out, device=given.device)


RECIPE = Recipe(
    part="mind",
    settings=MindRecipe(),
    train=_run,
    debug=debug,
    takes={"speech": "recordings whose texts are no orders", "from": "a mind to go on from"},
)
