"""What the recipes of token language models share: a run on grids, measured on held-out ones before and after."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, TrainingError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import load_part
from vivavoce.data.tokens import TokenCorpus
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.train import Best, Task, fit, warm_cosine
from vivavoce.train.recipe import hooks
from vivavoce.train.tasks.grid import GridBatch, GridTask, collate

T = TypeVar("T")
HELD = 64
"""Grids that are measured on at most, of each kind."""
_AT_ONCE = 16
Makes = Callable[[Any], Task[GridBatch, Any]]
"""The task that a model is learnt by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRun:
    """Numbers of a run on grids; ``batch`` grids a step.

    ``best`` gives the weights that did best on held-out grids and not the last ones.
    """

    steps: int = 5000
    batch: int = 8
    lr: float = 2e-5
    warmup: int = 150
    ema: float = 0.0
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshTrunk:
    """A trunk with fresh weights in place of a chat model's, of which then only the text is taken; ``dim`` 0: none.

    What a pretrained one is worth, or a model that a processor learns in an hour.
    """

    dim: int = 0
    layers: int = 6
    heads: int = 4

    def of(self, known: TransformerConfig) -> TransformerConfig:
        """The trunk's numbers, the rest as in a chat model's. ConfigError for heads that do not share the width."""
        if not self.dim:
            return known
        if self.layers < 1 or self.heads < 1 or self.dim % (2 * self.heads):
            raise ConfigError(
                f"a fresh trunk of {self.layers} layers with {self.heads} heads cannot be {self.dim} wide; "
                "give an even number for each head"
            )
        hidden = 64 * -(-8 * self.dim // (3 * 64))
        return replace(known, dim=self.dim, layers=self.layers, heads=self.heads, kv_heads=self.heads, hidden=hidden)


@dataclass(frozen=True, slots=True)
class Measured:
    """The mean loss of a held-out target and the share that is right, before and after."""

    before: Mapping[str, float]
    after: Mapping[str, float]

    def card(self, recipe: str, settings: Any, **more: Any) -> dict[str, Any]:
        """For the card of the part."""
        held = {"before": dict(self.before), "after": dict(self.after)}
        return {"recipe": f"vivavoce.recipes.{recipe}", "settings": dump(settings), "held_out": held, **more}


def stage_before(
    part: str,
    start: Path | None,
    llm: str | Path | None,
    stage: int,
    load: Callable[[Path, str], Any] = load_part,
) -> tuple[Path, Any]:
    """Folder and model that a later stage of a curriculum goes on from; TrainingError unless it is the stage before."""
    if start is None or llm is not None:
        raise TrainingError(f"stage {stage} starts from stage {stage - 1} and nothing else: --from FOLDER")
    known = load(start, part)
    if known.config.stage != stage - 1:
        raise TrainingError(
            f"stage {stage} starts from a model of stage {stage - 1}, the one in {start} is of stage "
            f"{known.config.stage}; train the stages in their order"
        )
    return start, known


@torch.no_grad()
def loss_of(task: Task[GridBatch, Any], grids: Sequence[Grid], device: str = "cpu") -> dict[str, float]:
    """The mean loss over all targets of grids, and the share of right guesses."""
    training, sums, count = task.training, {"tokens": 0.0, "right": 0.0}, 0.0
    task.eval()
    ordered = sorted(grids, key=lambda grid: grid.ids.shape[1])
    for begin in range(0, len(ordered), _AT_ONCE):
        batch = collate(ordered[begin : begin + _AT_ONCE])
        batch = GridBatch(batch.ids.to(device), batch.weights.to(device))
        found, weight = task.losses("model", batch, task.outputs(batch)), float(batch.weights[:, :, 1:].sum())
        for name in sums:
            sums[name] += weight * float(found[name].value)
        count += weight
    task.train(training)
    return {name: value / max(count, 1e-8) for name, value in sums.items()}


def learn(
    out: Path,
    title: str,
    model: nn.Module,
    batches: Callable[[int], GridBatch],
    held: Sequence[Grid],
    run: GridRun,
    *,
    seed: int,
    identity: Any,
    device: str = "cpu",
    measure_seconds: float = 300.0,
    others: Mapping[str, Sequence[Grid]] | None = None,
    makes: Makes = GridTask,
    workers: int = 0,
) -> Measured:
    """Trains what can be learnt of a model; at the end it has the trained, averaged or best weights, on the CPU.

    Of held-out grids some from everywhere in their order are taken, of ``others`` too, whose loss is measured by name.
    ``workers`` as in `train.fit`.
    """
    held, others = some(held), {name: some(grids) for name, grids in (others or {}).items() if grids}

    def measured(task: Any) -> dict[str, float]:
        found = loss_of(task, held, device)
        return found | {name: loss_of(task, grids, device)["tokens"] for name, grids in others.items()}

    task = makes(model.to(device)).to(device)
    before = measured(task)
    best = Best(before["tokens"]) if run.best else None
    optimizer = torch.optim.AdamW(
        [weight for weight in task.parameters() if weight.requires_grad], lr=run.lr, betas=(0.9, 0.95), weight_decay=0.0
    )
    done = fit(
        task.train(), batches, optimizer, steps=run.steps,
        hooks=hooks(out, title, identity, measure=measured, measure_seconds=measure_seconds),
        schedule=warm_cosine(run.steps, run.warmup), seed=seed, ema=run.ema, best=best, device=device,
        workers=workers,
    )  # fmt: skip
    after = measured(done.model)
    if best is not None:
        best.see(done.model, after)
        after = best.measured or after
    model.load_state_dict((best or Best()).of(done.model))
    model.cpu().eval()
    return Measured(before, after)


def some(held: Sequence[T]) -> Sequence[T]:
    """At most `HELD` of these, equally far apart."""
    return held[:: -(-len(held) // HELD) or 1]


def held_out(corpus: TokenCorpus, say: Callable[[str], None]) -> list[int]:
    """The utterances of dev, or the training ones where there are none, which is said."""
    dev = corpus.of("dev")
    if not dev:
        say(f"{corpus.folder} has no utterances of the split dev; training utterances are measured instead")
    return dev or corpus.of("train")


def pairs_of(path: Path, corpus: TokenCorpus) -> list[tuple[int, int]]:
    """Questions and answers of a file of JSON lines ``{"question": ID, "answer": ID}``; TrainingError for others."""
    places = {one.id: index for index, one in enumerate(corpus.utterances)}
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        found = [(places[line["question"]], places[line["answer"]]) for line in lines]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f'{path} has no pairs of this corpus ({error}); write lines of {{"question": ID, "answer": ID}}'
        ) from error
    if not found:
        raise TrainingError(f'{path} is empty; write lines of {{"question": ID, "answer": ID}}')
    return found
