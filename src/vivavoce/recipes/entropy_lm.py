"""How a small language model of tokens is trained, so that an entropy coder can write them in fewer bits (EnCodec)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch

from vivavoce.assistant.demo import LINES
from vivavoce.core.config import dump
from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.tokens import Batches
from vivavoce.generate.entropy_lm import FrameLm, FrameLmConfig, padded
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.token_counts import Unigram, opened, saved
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.entropy import CodesBatch, EntropyTask

_TRUNK = FrameLmConfig(alphabet="", size=2, books=1).trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyLmRun:
    """Numbers of a run: ``seconds`` of sound a batch; ``measured`` recordings at most are coded at the end.

    ``depth`` is the width through which a book sees those before it in its frame; EnCodec's see none (0).
    """

    stream: str = "codes"
    trunk: TransformerConfig = _TRUNK
    depth: int = 0
    measured: int = 20
    steps: int = 4000
    warmup: int = 200
    seconds: float = 60.0
    lr: float = 1e-3
    seed: int = 1


def train(
    run: EntropyLmRun, corpus: Path, out: Path, *, start: Path | None = None, device: str = "cpu",
    say: Callable[[str], None] = print,
) -> FrameLm:  # fmt: skip
    """Writes the part ``token-lm`` into ``out``, resumes there; the card says what it saves on the dev recordings.

    ``start`` is a folder with a model of the same tokens to go on from; TrainingError for one of others.
    """
    tokens, spec = opened(corpus, run.stream)
    config = FrameLmConfig(alphabet=spec.alphabet, size=spec.size, books=spec.books, trunk=run.trunk, depth=run.depth)
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        known: FrameLm = load_part(start, "token-lm")
        if known.config.alphabet != spec.alphabet:
            raise TrainingError(f"the model in {start} knows other tokens than {corpus} holds; leave --from out")
        begin_from(model, known)

    def batch(chosen: list[int], draw: np.random.Generator) -> CodesBatch:
        return CodesBatch(*padded([tokens.items(index)[run.stream] for index in chosen]))

    fit(
        EntropyTask(model),
        Batches(tokens, tokens.of("train"), batch, seconds=run.seconds, seed=run.seed),
        torch.optim.AdamW(model.parameters(), run.lr, weight_decay=0.01),
        steps=run.steps,
        schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed,
        hooks=hooks(out, "token-lm", config, every=max(1, min(20, run.steps // 100))),
        device=device,
    )
    model.cpu().eval()
    held = [tokens.items(index)[run.stream] for index in tokens.of("dev")[: run.measured]]
    heard = (tokens.items(index)[run.stream] for index in tokens.of("train"))
    unigram = Unigram.of(heard, spec.books, spec.size)
    card = {"settings": dump(run), "steps": run.steps, "tokens": spec.alphabet, **saved(model, held, unigram, say)}
    save_part(out, "token-lm", config, model, card)
    return model


def debug(folder: Path) -> dict[str, float]:
    """In seconds: nats an id at random, and of the recordings that a tiny model has learnt."""
    corpus, _ = miniature.unit_corpus(folder, LINES, size=16)
    trunk = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=64, norm="layer")
    run = EntropyLmRun(stream="units", trunk=trunk, steps=60, warmup=5, seconds=30.0, lr=1e-2)
    model, (tokens, spec) = train(run, corpus, folder), opened(corpus, "units")
    with torch.no_grad():
        after = model.loss(*padded([tokens.items(index)["units"] for index in tokens.of("train")]))
    return {"before": log(spec.size), "after": float(after)}


def _run(run: EntropyLmRun, given: Given) -> None:
    train(run, given.others["corpus"], given.out, start=given.start, device=given.device, say=given.say)


RECIPE = Recipe(
    part="token-lm",
    settings=EntropyLmRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a folder that `vivavoce tokens corpus` wrote"},
    takes={"from": "a language model of these tokens to go on from"},
)
