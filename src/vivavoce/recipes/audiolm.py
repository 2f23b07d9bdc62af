"""How AudioLM is trained: its three stages and the durations between them, each on crops of a token corpus.

The corpus has the streams ``units`` and ``codes``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.tokens import corpus as make_corpus
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import Stream, whole
from vivavoce.data.tokens import TokenCorpus
from vivavoce.models.units import merged
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import unit_corpus
from vivavoce.recipes.token_lm import GridRun, Measured, held_out, learn
from vivavoce.recipes.unit_vocoder import held_batch
from vivavoce.systems.audiolm import AudioLMConfig
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.grid import GridBatch, collate
from vivavoce.train.tasks.vocoder import DurationsTask, HeldBatch

TRUNK = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=2500, dropout=0.1)
HELD = TransformerConfig(dim=256, layers=3, heads=4, kv_heads=4, hidden=704, window=3000, causal=False)
STAGES = ("semantic", "coarse", "fine")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLMRun:
    """Numbers of a run, on the first ``books`` of a codec, the first ``coarse_books`` of them in the second stage.

    ``crops`` are the seconds that each stage sees.
    """

    semantic: TransformerConfig = TRUNK
    coarse: TransformerConfig = TRUNK
    fine: TransformerConfig = TRUNK
    durations: TransformerConfig = HELD
    books: int = 8
    coarse_books: int = 3
    crops: tuple[float, ...] = (30.0, 10.0, 3.0)
    grids: GridRun = field(default_factory=lambda: GridRun(steps=20000, batch=16, lr=5e-4, warmup=500, ema=0.999))
    duration_steps: int = 2000
    seed: int = 1


def train(
    run: AudioLMRun, corpus: Path, units: Path, codec: Path, out: Path, *, start: Path | None = None,
    device: str = "cpu", say: Callable[[str], None] = print,
) -> dict[str, Measured]:  # fmt: skip
    """Trains all stages and writes the parts ``audiolm``, ``units`` and ``codec`` into ``out``.

    Raises SpecError when the corpus was not made by these parts.
    """
    tokens = TokenCorpus(corpus)
    found = {"units": load_part(units, "units").tokens, "codes": load_part(codec, "codec").tokens}
    for name, known in found.items():
        if tokens.spec(name) != known:
            raise SpecError(
                f"the corpus {corpus} has {tokens.spec(name)}, the part gives {known}; make the corpus again"
            )
    config = AudioLMConfig(
        units=found["units"], codes=found["codes"].first(run.books), coarse_books=run.coarse_books,
        semantic=run.semantic, coarse=run.coarse, fine=run.fine, durations=run.durations, seconds=run.crops[2],
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        begin_from(model, load_part(start, "audiolm"))
    train_on, held_on = tokens.of("train"), held_out(tokens, say)
    measured = {}
    for number, stage in enumerate(STAGES):
        held = [cropped(run, config, tokens.items(index), number, None) for index in held_on]

        def batches(step: int, number: int = number, stage: str = stage) -> GridBatch:
            draw = rng.stream(run.seed, "audiolm", stage, step)
            chosen = draw.choice(train_on, min(run.grids.batch, len(train_on)), replace=False)
            return collate([cropped(run, config, tokens.items(int(index)), number, draw) for index in chosen])

        measured[stage] = learn(
            out / stage, f"audiolm, {stage}", getattr(model, stage), batches, held, run.grids, seed=run.seed,
            identity=config, device=device,
        )  # fmt: skip

    def held_batches(step: int) -> HeldBatch:
        draw = rng.stream(run.seed, "audiolm", "durations", step)
        chosen = draw.choice(train_on, min(run.grids.batch, len(train_on)), replace=False)
        return held_batch([whole(config.units, tokens.items(int(index))["units"][None]) for index in chosen])

    task = DurationsTask(model.durations)
    fit(
        task, held_batches, torch.optim.AdamW(task.parameters(), lr=run.grids.lr), steps=run.duration_steps,
        hooks=hooks(out / "durations", "audiolm, durations", config),
        schedule=warm_cosine(run.duration_steps, run.grids.warmup), seed=run.seed, device=device, bf16=device != "cpu",
    )  # fmt: skip
    card = {
        "recipe": "vivavoce.recipes.audiolm",
        "settings": dump(run),
        "held_out": {stage: one.card("", run)["held_out"] for stage, one in measured.items()},
    }
    save_part(out, "audiolm", config, model.cpu(), card, torch.float16)
    copy_part(units, "units", out)
    copy_part(codec, "codec", out)
    return measured


def cropped(
    run: AudioLMRun, config: AudioLMConfig, items: dict[str, Tensor], stage: int, draw: np.random.Generator | None
) -> Grid:
    """A piece of an utterance, from a drawn place (its beginning without ``draw``), as a stage reads it.

    A crop ends like an utterance only where the utterance ends.
    """
    unit_rate, rate = float(config.units.rate or 1), float(config.codes.rate or 1)
    seconds = min(items["units"].shape[1] / unit_rate, items["codes"].shape[1] / rate)
    size = min(run.crops[stage], seconds)
    begin = 0.0 if draw is None else float(draw.random()) * (seconds - size)
    units, codes = (
        items[name][:, round(begin * clock) : round(begin * clock) + max(1, round(size * clock))]
        for name, clock in (("units", unit_rate), ("codes", rate))
    )
    codes = codes[: config.codes.books]
    books = config.coarse_books
    streams: Stream = merged(whole(config.units, units[None])).units
    made = (
        {"units": streams.data[0]},
        {"units": units, "coarse": codes[:books]},
        {"coarse": codes[:books], "fine": codes[books:]},
    )
    grid = config.layouts[stage].pack(made[stage])
    if stage == 0 and begin + size < seconds - 1 / unit_rate:
        grid.target[:, -1] = False
    return grid


# ---- the whole recipe, small ----

_SMALL = TransformerConfig(dim=96, layers=2, heads=4, kv_heads=4, hidden=192, window=600)
SMALL = AudioLMRun(
    semantic=_SMALL, coarse=_SMALL, fine=_SMALL,
    durations=TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=300, causal=False),
    books=3, coarse_books=2, crops=(30.0, 10.0, 1.0), duration_steps=40,
    grids=GridRun(steps=60, batch=2, lr=5e-3, warmup=5),
)  # fmt: skip
SAID = (LINES[0], LINES[3])
"""Two recordings that the miniature learns by heart."""


def debug(folder: Path) -> dict[str, float]:
    """Half a minute on a CPU: two recordings are learnt by heart; the second stage's loss before and after."""
    corpus, units = unit_corpus(folder, SAID, size=24)
    make_corpus(folder / "speech", [str(BUNDLED)], corpus)
    found = train(SMALL, corpus, units, BUNDLED, folder / "run")
    numbers = {"before": found["coarse"].before["tokens"], "after": found["coarse"].after["tokens"]}
    for stage, one in found.items():
        numbers |= {f"{stage} before": one.before["tokens"], f"{stage} after": one.after["tokens"]}
    return numbers


def _run(run: AudioLMRun, given: Given) -> None:
    others = given.others
    train(
        run, others["corpus"], others["units"], others["codec"], given.out, start=given.start, device=given.device,
        say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="audiolm",
    settings=AudioLMRun(),
    train=_run,
    debug=debug,
    needs={
        "corpus": "a token corpus with units and codes",
        "units": "the part that made the units",
        "codec": "the codec that it was made with",
    },
    takes={"from": "an AudioLM to go on from"},
)
