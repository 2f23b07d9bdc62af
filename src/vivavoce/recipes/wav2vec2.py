"""How wav2vec 2.0 is trained, from recordings alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.encoder_heads import ContrastiveConfig
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.nn.gumbel import GumbelConfig
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.hubert import CAUSAL, MEDIUM, SMALL
from vivavoce.recipes.pretraining import PretrainingRun, heard, learn
from vivavoce.recipes.pretraining_data import WaveCropConfig
from vivavoce.systems import wav2vec2
from vivavoce.systems.wav2vec2 import Wav2Vec2Config
from vivavoce.train import Run
from vivavoce.train.recipe import LOSSES, Given, Recipe
from vivavoce.train.tasks.pretraining import ContrastiveWeights, Wav2Vec2Task


def _own(encoder: EncoderConfig) -> Wav2Vec2Config:
    quantizer = GumbelConfig(dim=encoder.front.dim, size=160, code_dim=128, anneal=0.9995)
    head = ContrastiveConfig(quantizer=quantizer, context=encoder.trunk.dim, dim=128, others=50)
    return Wav2Vec2Config(encoder=replace(encoder, front_gradient=0.1), head=head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav2Vec2Run(PretrainingRun):
    """Numbers of a run. ``size`` chooses the model (base and large are the paper's, causal streams), unless one is
    given."""

    size: Literal["small", "medium", "causal", "base", "large"] = "small"
    model: Wav2Vec2Config | None = None
    weights: ContrastiveWeights = ContrastiveWeights()

    @property
    def chosen(self) -> Wav2Vec2Config:
        """The model."""
        own = {"small": _own(SMALL), "medium": _own(MEDIUM), "causal": _own(CAUSAL)}
        return self.model or (own | {"base": Wav2Vec2Config(), "large": wav2vec2.LARGE_CONFIG})[self.size]


def train(
    run: Wav2Vec2Run,
    speech: Path,
    out: Path,
    *,
    start: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Run:
    """Writes the part ``wav2vec2`` into ``out``; resumes there. ``cache`` is where decoded sound is kept."""
    torch.manual_seed(run.seed)
    task = Wav2Vec2Task(run.chosen, run.weights)
    return learn(
        task, "wav2vec2", run, heard(speech, cache or out, say), out, begin=task.begin, start=start, device=device
    )


def debug(folder: Path) -> dict[str, float]:
    """In seconds: the contrastive loss before and after."""
    speech = miniature.recordings(folder / "speech")
    trunk = replace(SMALL.trunk, dim=64, layers=2, heads=2, kv_heads=2, hidden=128, dropout=0.0)
    encoder = replace(
        SMALL, front=StridedMelFrontConfig(channels=4, dim=64, strides=(2, 1)), trunk=trunk,
        positions=ConvPositionsConfig(kernel=16, groups=4), dropout=0.0, front_gradient=0.1,
    )  # fmt: skip
    head = ContrastiveConfig(
        quantizer=GumbelConfig(dim=64, size=16, code_dim=32, anneal=0.98), context=64, dim=32, others=20
    )
    model = Wav2Vec2Config(encoder=encoder, head=head)
    data = WaveCropConfig(seconds=8.0, crop=2.0)
    train(Wav2Vec2Run(model=model, data=data, steps=40, warmup=5, lr=1e-3), speech, folder)
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["contrastive"], "after": lines[-1]["contrastive"]}


def _run(run: Wav2Vec2Run, given: Given) -> None:
    assert given.speech is not None
    cache = given.others.get("cache")
    train(run, given.speech, given.out, start=given.start, cache=cache, device=given.device, say=given.say)


RECIPE = Recipe(
    part="wav2vec2",
    settings=Wav2Vec2Run(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more"},
    takes={
        "from": "a wav2vec 2.0 to go on from",
        "cache": "a folder for decoded sound, which several runs can share",
    },
)
