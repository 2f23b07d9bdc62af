"""How w2v-BERT is trained, from recordings alone: contrastive below, masked prediction above."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.encoder_heads import ContrastiveConfig
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.gumbel import GumbelConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.pretraining import PretrainingRun, heard, learn
from vivavoce.recipes.pretraining_data import WaveCropConfig
from vivavoce.systems.w2vbert import W2vBertConfig
from vivavoce.train import Run
from vivavoce.train.recipe import LOSSES, Given, Recipe
from vivavoce.train.tasks.pretraining import ContrastiveWeights, W2vBertTask


def _sized(dim: int, layers: int, channels: int, entries: int, anneal: float) -> W2vBertConfig:
    """As many layers below as above."""
    trunk = ConformerConfig(
        dim=dim, layers=2 * layers, heads=4, expand=4, kernel=5, dropout=0.05, positions="keys", centred=True
    )
    encoder = EncoderConfig(front=StridedMelFrontConfig(channels=channels, dim=dim), trunk=trunk, fill="random")
    quantizer = GumbelConfig(dim=dim, groups=1, size=entries, code_dim=dim, anneal=anneal)
    head = ContrastiveConfig(quantizer=quantizer, context=dim, dim=dim, others=50)
    return W2vBertConfig(encoder=encoder, below=layers, head=head)


_SMALL = _sized(144, 2, 16, 256, 0.9995)
_STEPPED = replace(_SMALL.encoder.trunk, centred=False, chunk=4, window=96)
_CAUSAL = replace(_SMALL, encoder=replace(_SMALL.encoder, trunk=_STEPPED, streams=True))
"""As small, in chunks of 160 ms that see four seconds before them and nothing after: it can be stepped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class W2vBertRun(PretrainingRun):
    """Numbers of a run. ``size`` chooses the model (xl is the paper's, causal streams), unless one is given."""

    size: Literal["small", "causal", "xl"] = "small"
    model: W2vBertConfig | None = None
    weights: ContrastiveWeights = ContrastiveWeights()

    @property
    def chosen(self) -> W2vBertConfig:
        """The model."""
        return self.model or {"small": _SMALL, "causal": _CAUSAL, "xl": W2vBertConfig()}[self.size]


def train(
    run: W2vBertRun,
    speech: Path,
    out: Path,
    *,
    start: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Run:
    """Writes the part ``w2vbert`` into ``out``; resumes there. ``cache`` is where decoded sound is kept."""
    torch.manual_seed(run.seed)
    task = W2vBertTask(run.chosen, run.weights)
    measured = ("contrastive", "right", "used", "masked", "named")
    data = heard(speech, cache or out, say)
    return learn(task, "w2vbert", run, data, out, measured=measured, begin=task.begin, start=start, device=device)


def debug(folder: Path) -> dict[str, float]:
    """In seconds: both losses together before and after."""
    speech = miniature.recordings(folder / "speech")
    model = _sized(48, 1, 4, 16, 0.98)
    model = replace(model, encoder=replace(model.encoder, trunk=replace(model.encoder.trunk, dropout=0.0)))
    data = WaveCropConfig(seconds=8.0, crop=2.0)
    train(W2vBertRun(model=model, data=data, steps=40, warmup=5, lr=1e-3), speech, folder)
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    before, after = (line["contrastive"] + line["masked"] for line in (lines[0], lines[-1]))
    return {"before": before, "after": after, "entries": lines[-1]["entries"]}


def _run(run: W2vBertRun, given: Given) -> None:
    assert given.speech is not None
    cache = given.others.get("cache")
    train(run, given.speech, given.out, start=given.start, cache=cache, device=given.device, say=given.say)


RECIPE = Recipe(
    part="w2vbert",
    settings=W2vBertRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more"},
    takes={
        "from": "a w2v-BERT to go on from",
        "cache": "a folder for decoded sound, which several runs can share",
    },
)
