"""How VALL-E is trained: its first book on grids, the others book by book, both on a token corpus.

The corpus has the streams ``phones`` and ``codes`` (``vivavoce tokens corpus SPEECH --part phones --part CODEC``). The
two models share nothing, so each may be trained by itself (``--set rest_steps=0``, ``--set steps=0``) and put beside
the other afterwards: what is handed in (``--with first=FOLDER --with rest=FOLDER``) is not trained.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import nn

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.token_corpora import corpus as make_corpus
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, read_card, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.tokens import Batches, TokenCorpus
from vivavoce.models.codec import Codec
from vivavoce.models.latents import books_of
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import recordings
from vivavoce.recipes.token_lm import loss_of
from vivavoce.recipes.valle_data import ValleData
from vivavoce.systems.valle import ValleConfig, ValleModel
from vivavoce.train import Best, Task, fit, warm_cosine
from vivavoce.train.loop import moved
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.book import BookTask
from vivavoce.train.tasks.grid import GridTask

FIRST = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=1500, dropout=0.1)
REST = TransformerConfig(
    dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=1500, dropout=0.1, causal=False, condition=512
)

MODELS = ("first", "rest")
MEASURE_SECONDS = 45.0
"""How often dev is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValleRun:
    """Numbers of a run, on the first ``books`` of a codec.

    A model of 0 steps stays as it is. ``prompt_seconds`` is the longest prefix of an utterance that is given in all
    books. The first model writes ``group`` frames in a step (VALL-E 2).
    """

    first: TransformerConfig = FIRST
    rest: TransformerConfig = REST
    books: int = 8
    group: int = 1
    steps: int = 20000
    rest_steps: int = 20000
    lr: float = 5e-4
    warmup: int = 500
    seconds: float = 120.0
    prompt_seconds: float = 3.0
    vectors: bool = True
    """Embeddings of the other books begin as the codec's own vectors lie."""
    ema: float = 0.999
    seed: int = 1


def train(
    run: ValleRun, corpus: Path, codec: Path, out: Path, *, start: Path | None = None,
    ready: Mapping[str, Path] = MappingProxyType({}), device: str = "cpu",
) -> dict[str, float]:  # fmt: skip
    """Trains both models and writes the parts ``valle`` and ``codec`` into ``out``; gives what they learnt at the end.

    Where the corpus has dev, the weights that did best on it are kept.

    ``start`` is a folder with a VALL-E whose weights are gone on from; the models in ``ready`` (``first``, ``rest``)
    are taken from a folder as they are. Raises SpecError when the corpus, or one of those parts, was not made by this
    codec.
    """
    tokens = TokenCorpus(corpus)
    phones, codes = tokens.spec("phones"), tokens.spec("codes")
    made_by: Codec = load_part(codec, "codec")
    if (known := made_by.tokens) != codes or run.books > codes.books:
        raise SpecError(f"the corpus {corpus} has {codes}, the codec in {codec} gives {known}; make the corpus again")
    codes = codes.first(run.books)
    config = ValleConfig(phones=phones, codes=codes, first=run.first, rest=run.rest, group=run.group)
    torch.manual_seed(run.seed)
    model = config.build()
    if run.vectors:
        model.rest.begin_by(books_of(made_by, run.books).tables)
    for name, folder in [("", start), *ready.items()]:
        if folder is None:
            continue
        earlier: ValleModel = load_part(folder, "valle")
        if (earlier.config.phones, earlier.config.codes) != (phones, codes):
            raise SpecError(
                f"the part in {folder} reads {earlier.config.codes}, the corpus has {codes}; use its own codec"
            )
        if name != "rest" and earlier.config.group != run.group:
            raise SpecError(
                f"the part in {folder} has groups of {earlier.config.group}; use --set group={earlier.config.group}"
            )
        begin_from(model.get_submodule(name), earlier.get_submodule(name))
    data = ValleData(tokens, config.layout, run.books, run.prompt_seconds)
    found: dict[str, float] = {}
    held = {name: read_card(folder, "valle").get("held_out", {}).get(name, {}) for name, folder in ready.items()}

    def first_measured(task: nn.Module) -> dict[str, float]:
        return loss_of(cast(GridTask, task), [data.grid(index) for index in data.dev], device)

    def rest_measured(task: nn.Module) -> dict[str, float]:
        numbers, task = {}, cast(BookTask, task)
        for stage in range(1, run.books):
            batch = moved(data.held(stage), torch.device(device))
            terms = task.losses("model", batch, task.outputs(batch))
            numbers |= {f"{name}_{stage}": float(term.value) for name, term in terms.items()}
        return numbers

    def learn(name: str, model: nn.Module, task: Task[Any, Any], steps: int, make: Any, measure: Any) -> None:
        if not steps or name in ready:
            return
        best = Best()
        batches = Batches(tokens, tokens.of("train"), make, seconds=run.seconds, seed=run.seed)
        optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01)
        seen = hooks(
            out / name, f"valle, {name}", config,
            measure=measure if data.dev else None,
            measure_seconds=MEASURE_SECONDS,
        )  # fmt: skip
        done = fit(
            task, batches, optimizer, steps=steps, hooks=seen, schedule=warm_cosine(steps, run.warmup), seed=run.seed,
            ema=run.ema, best=best, device=device, bf16=device != "cpu",
        )  # fmt: skip
        model.load_state_dict(best.of(done.model))
        held[name] = best.measured
        found.update({f"{name} {key}": value for key, value in done.losses.items()})

    learn("first", model.first, GridTask(model.first), run.steps, data.first, first_measured)
    learn("rest", model.rest, BookTask(model.rest), run.rest_steps, data.rest, rest_measured)
    card = {"recipe": "vivavoce.recipes.valle", "settings": dump(run), "learnt": found, "held_out": held}
    save_part(out, "valle", config, model.cpu(), card, torch.float16)
    copy_part(codec, "codec", out)
    return found


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
    others = given.others
    train(
        run, others["corpus"], others["codec"], given.out, start=given.start,
        ready={name: others[name] for name in MODELS if name in others}, device=given.device,
    )  # fmt: skip


RECIPE = Recipe(
    part="valle",
    settings=ValleRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a token corpus with phones and codes", "codec": "the codec that it was made with"},
    takes={
        "from": "a VALL-E to go on from",
        **{name: f"a VALL-E whose model {name} is taken as it is" for name in MODELS},
    },
)
