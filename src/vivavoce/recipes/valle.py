"""How VALL-E is trained: its first book on grids, the others book by book, both on a token corpus.

The corpus has the streams ``phones`` and ``codes`` (``vivavoce tokens corpus SPEECH --part phones --part CODEC``).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.tokens import corpus as make_corpus
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.tokens import Batches, TokenCorpus
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import recordings
from vivavoce.systems.valle import ValleConfig
from vivavoce.train import Run, Task, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.book import BookBatch, BookTask
from vivavoce.train.tasks.grid import GridBatch, GridTask, collate

FIRST = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=1500, dropout=0.1)
REST = TransformerConfig(
    dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=1500, dropout=0.1, causal=False, condition=512
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValleRun:
    """Numbers of a run, on the first ``books`` of a codec.

    ``prompt_seconds`` is the longest prefix of an utterance that is given in all books.
    """

    first: TransformerConfig = FIRST
    rest: TransformerConfig = REST
    books: int = 8
    steps: int = 20000
    rest_steps: int = 20000
    lr: float = 5e-4
    warmup: int = 500
    seconds: float = 120.0
    prompt_seconds: float = 3.0
    ema: float = 0.999
    seed: int = 1


def train(
    run: ValleRun, corpus: Path, codec: Path, out: Path, *, start: Path | None = None, device: str = "cpu"
) -> dict[str, float]:
    """Trains both models and writes the parts ``valle`` and ``codec`` into ``out``; gives what they learnt at the end.

    ``start`` is a folder with a VALL-E whose weights are gone on from. Raises SpecError when the corpus, or that part,
    was not made by this codec.
    """
    tokens = TokenCorpus(corpus)
    phones, codes = tokens.spec("phones"), tokens.spec("codes")
    if (known := load_part(codec, "codec").tokens) != codes or run.books > codes.books:
        raise SpecError(f"the corpus {corpus} has {codes}, the codec in {codec} gives {known}; make the corpus again")
    codes = codes.first(run.books)
    config = ValleConfig(phones=phones, codes=codes, first=run.first, rest=run.rest)
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        known = load_part(start, "valle")
        if (known.config.phones, known.config.codes) != (phones, codes):
            raise SpecError(
                f"the part in {start} reads {known.config.codes}, the corpus has {codes}; use its own codec"
            )
        begin_from(model, known)
    layout, rate = config.layout, float(codes.rate or 1)

    def seconds(indices: list[int]) -> float:
        return sum(tokens.utterances[index].seconds for index in indices)

    def grids(indices: list[int], _: np.random.Generator) -> GridBatch:
        items = [tokens.items(index) for index in indices]
        grids = [layout.pack({"phones": one["phones"], "codes": one["codes"][:1]}) for one in items]
        return collate(grids, seconds=seconds(indices))

    def books(indices: list[int], draw: np.random.Generator) -> BookBatch:
        items = [tokens.items(index) for index in indices]
        text = [one["phones"][0] for one in items]
        frames = [one["codes"].shape[1] for one in items]
        longest = int(run.prompt_seconds * rate)
        prompts = [int(draw.integers(min(longest, frames // 2) + 1)) for frames in frames]
        padded = [
            nn.functional.pad(one["codes"][: run.books], (0, max(frames) - one["codes"].shape[1])) for one in items
        ]
        return BookBatch(
            nn.utils.rnn.pad_sequence(text, batch_first=True),
            torch.tensor([len(row) for row in text]),
            torch.stack(padded),
            torch.tensor(frames),
            torch.tensor(prompts),
            torch.from_numpy(draw.integers(1, codes.books, len(items))),
            seconds(indices),
        )

    def learn(task: Task[Any, Any], name: str, steps: int, make: Any) -> Run:
        batches = Batches(tokens, tokens.of("train"), make, seconds=run.seconds, seed=run.seed)
        optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01)
        schedule = warm_cosine(steps, run.warmup)
        return fit(
            task, batches, optimizer, steps=steps, hooks=hooks(out / name, f"valle, {name}", config),
            schedule=schedule, seed=run.seed, ema=run.ema,
            device=device, bf16=device != "cpu",
        )  # fmt: skip

    first = learn(GridTask(model.first), "first", run.steps, grids)
    rest = learn(BookTask(model.rest), "rest", run.rest_steps, books)
    for mine, trained in ((model.first, first.model), (model.rest, rest.model)):
        mine.load_state_dict({k.removeprefix("model."): v.cpu() for k, v in trained.state_dict().items()})
    save_part(out, "valle", config, model, {"recipe": "vivavoce.recipes.valle", "settings": dump(run)}, torch.float16)
    copy_part(codec, "codec", out)
    return {
        f"{name} {key}": value for name, one in (("first", first), ("rest", rest)) for key, value in one.losses.items()
    }


# ---- the whole recipe, small ----

SAID = LINES[2:4]
"""Recordings that the miniature learns by heart, and what is said in them."""
COPIES = 4
"""Of each, so that a batch has several stages of it."""
_TRUNK = TransformerConfig(dim=128, layers=2, heads=4, kv_heads=4, hidden=256, window=400)
_REST = TransformerConfig(dim=160, layers=2, heads=4, kv_heads=4, hidden=320, window=400, causal=False, condition=64)
SMALL = ValleRun(
    first=_TRUNK, rest=_REST, books=4, steps=100, rest_steps=340, lr=3e-3, warmup=10, seconds=60.0, prompt_seconds=0.6,
    ema=0.0,
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """Under a minute on a CPU: two recordings are learnt by heart; the loss of the first book before and after."""
    speech = recordings(folder / "speech", SAID, copies=COPIES)
    make_corpus(speech, ["phones", str(BUNDLED)], folder / "corpus")
    found = train(SMALL, folder / "corpus", BUNDLED, folder / "run")
    before = json.loads((folder / "run" / "first" / LOSSES).read_text().splitlines()[0])["tokens"]
    return {"before": before, "after": found["first tokens"], **found}


def _run(run: ValleRun, given: Given) -> None:
    train(run, given.others["corpus"], given.others["codec"], given.out, start=given.start, device=given.device)


RECIPE = Recipe(
    part="valle",
    settings=ValleRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a token corpus with phones and codes", "codec": "the codec that it was made with"},
    takes={"from": "a VALL-E to go on from"},
)
