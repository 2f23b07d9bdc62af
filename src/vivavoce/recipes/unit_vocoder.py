"""How the vocoder of units is trained: units without repeats to durations and a codec's tokens.

The corpus has the streams ``units`` and ``codes``.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.tokens import corpus as make_corpus
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import Stream
from vivavoce.data.tokens import Batches, TokenCorpus
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.unit_vocoder import UnitVocoderConfig
from vivavoce.models.units import merged
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import unit_corpus
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.vocoder import HeldBatch, VocoderBatch, VocoderTask

TRUNK = TransformerConfig(dim=384, layers=8, heads=6, kv_heads=6, hidden=1024, window=3000, causal=False)
HELD = TransformerConfig(dim=256, layers=3, heads=4, kv_heads=4, hidden=704, window=3000, causal=False)
DEPTH = TransformerConfig(dim=256, layers=3, heads=4, kv_heads=4, hidden=704, window=16, rotary=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVocoderRun:
    """Numbers of a run, on the first ``books`` of a codec."""

    trunk: TransformerConfig = TRUNK
    held: TransformerConfig = HELD
    depth: TransformerConfig = DEPTH
    books: int = 8
    steps: int = 20000
    seconds: float = 120.0
    lr: float = 5e-4
    warmup: int = 500
    ema: float = 0.999
    seed: int = 1


def held_batch(units: list[Stream[Any]], seconds: float = 0.0) -> HeldBatch:
    """Streams of units, one row each, as units without repeats and their frames."""
    pairs = [merged(one) for one in units]
    lengths = torch.cat([pair.units.lengths for pair in pairs])
    ids, frames = (
        pad_sequence([row.data[0, 0] for row in column], batch_first=True) for column in zip(*pairs, strict=True)
    )
    return HeldBatch(ids, frames + 1, lengths, seconds)


def train(
    run: UnitVocoderRun, corpus: Path, codec: Path, out: Path, *, start: Path | None = None, device: str = "cpu"
) -> dict[str, float]:
    """Trains and writes the parts ``vocoder`` and ``codec`` into ``out``; gives what was learnt at the end."""
    tokens = TokenCorpus(corpus)
    units, codes = tokens.spec("units"), tokens.spec("codes")
    if (known := load_part(codec, "codec").tokens) != codes or run.books > codes.books:
        raise SpecError(f"the corpus {corpus} has {codes}, the codec in {codec} gives {known}; make the corpus again")
    config = UnitVocoderConfig(
        durations=DurationsConfig(units=units, trunk=run.held), codes=codes.first(run.books), trunk=run.trunk,
        depth=run.depth,
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        begin_from(model, load_part(start, "vocoder"))

    def make(indices: list[int], _: np.random.Generator) -> VocoderBatch:
        items = [tokens.items(index) for index in indices]
        seconds = sum(tokens.utterances[index].seconds for index in indices)
        streams = [Stream(units, one["units"][None], torch.tensor([one["units"].shape[1]])) for one in items]
        lengths = torch.tensor([one["codes"].shape[1] for one in items])
        most = int(lengths.max())
        placed = [model.placed(one["units"], one["codes"].shape[1])[0] for one in items]
        padded = torch.stack([F.pad(one["codes"][: run.books], (0, most - one["codes"].shape[1])) for one in items])
        return VocoderBatch(
            held_batch(streams, seconds), pad_sequence(placed, batch_first=True), padded, lengths, seconds
        )

    task = VocoderTask(model)
    batches = Batches(tokens, tokens.of("train"), make, seconds=run.seconds, seed=run.seed)
    done = fit(
        task, batches, torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01),
        steps=run.steps, hooks=hooks(out, "unit vocoder", config), schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed, ema=run.ema, device=device, bf16=device != "cpu",
    )  # fmt: skip
    state: dict[str, Tensor] = done.model.state_dict()
    model.load_state_dict({key.removeprefix("model."): value.cpu() for key, value in state.items()})
    card = {"recipe": "vivavoce.recipes.unit_vocoder", "settings": dump(run)}
    save_part(out, "vocoder", config, model, card, torch.float16)
    copy_part(codec, "codec", out)
    return done.losses


# ---- the whole recipe, small ----

SMALL = UnitVocoderRun(
    trunk=TransformerConfig(dim=96, layers=2, heads=4, kv_heads=4, hidden=192, window=400, causal=False),
    held=TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=400, causal=False),
    depth=TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=4, rotary=False),
    books=2, steps=100, lr=5e-3, warmup=5, seconds=30.0, ema=0.0,
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """Some seconds on a CPU: two recordings are learnt by heart; the loss of tokens before and after."""
    corpus, _ = unit_corpus(folder, LINES[2:4])
    make_corpus(folder / "speech", [str(BUNDLED)], corpus)
    before = train(replace(SMALL, steps=1), corpus, BUNDLED, folder / "once")
    found = train(SMALL, corpus, BUNDLED, folder / "run")
    return {"before": before["codes"], "after": found["codes"], **found}


def _run(run: UnitVocoderRun, given: Given) -> None:
    train(run, given.others["corpus"], given.others["codec"], given.out, start=given.start, device=given.device)


RECIPE = Recipe(
    part="vocoder",
    settings=UnitVocoderRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a token corpus with units and codes", "codec": "the codec that it was made with"},
    takes={"from": "a vocoder to go on from"},
)
