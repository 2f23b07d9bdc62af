"""How HuBERT is trained, from recordings alone, in two iterations.

The first names clusters of cepstra. With ``--with teacher=RUN`` it is the second: clusters of a layer of what that run
taught. ``--with listener=FOLDER`` is another method, whose clusters are of a listener's features, which knew texts.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.mfcc import MfccConfig
from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.parts import load_part, save_part
from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.encoder_heads import ClusterConfig
from vivavoce.models.listener import Listener
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.nn.kmeans import FitConfig
from vivavoce.nn.masking import MaskConfig
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.pretraining import PretrainingRun, heard, learn
from vivavoce.recipes.pretraining_data import (
    FrameFeatures,
    WaveCropConfig,
    cepstra,
    clusters,
    each,
    labelled,
    of_layer,
    used,
)
from vivavoce.systems import hubert
from vivavoce.systems.hubert import HubertConfig
from vivavoce.train import Run
from vivavoce.train.recipe import LOSSES, Given, Recipe
from vivavoce.train.tasks.pretraining import HubertTask

SMALL = EncoderConfig(
    front=StridedMelFrontConfig(channels=16, dim=160, strides=(2, 1)),
    trunk=TransformerConfig(
        dim=160, layers=4, heads=4, kv_heads=4, hidden=640, window=1 << 20, causal=False, dropout=0.05, norm="layer",
        post=False, gated=False, bias=True, rotary=False,
    ),
    positions=ConvPositionsConfig(kernel=64, groups=16),
    dropout=0.05,
)  # fmt: skip
"""1.4 M weights for a CPU: a log-mel front instead of convolutions over samples, which cost most of the time."""
MEDIUM = replace(
    SMALL,
    front=StridedMelFrontConfig(channels=16, dim=192, strides=(2, 1)),
    trunk=replace(SMALL.trunk, dim=192, layers=6, hidden=768, dropout=0.1, layerdrop=0.05),
    dropout=0.1,
)
"""2.9 M weights for some minutes of a graphics card."""

CAUSAL = replace(
    SMALL,
    trunk=replace(SMALL.trunk, causal=True, window=150),
    positions=ConvPositionsConfig(kernel=64, groups=16, causal=True),
    streams=True,
)
"""As small, of frames that see three seconds before them and nothing after: it can be stepped, 20 ms at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubertRun(PretrainingRun):
    """Numbers of a run. ``size`` chooses the model (base and large are the paper's, causal streams), unless one is
    given.

    ``clusters`` are those of the first iteration, ``later`` those of every other; ``layer`` is the teacher's layer
    that these are clusters of.
    """

    size: Literal["small", "medium", "causal", "base", "large"] = "small"
    model: HubertConfig | None = None
    fitting: FitConfig = FitConfig(starts=20)
    clusters: int = 100
    later: int = 500
    layer: int = 2
    penalty: float = 10.0

    @property
    def chosen(self) -> HubertConfig:
        """The model."""
        own = {"small": SMALL, "medium": MEDIUM, "causal": CAUSAL}
        known = {
            name: HubertConfig(encoder=one, head=ClusterConfig(context=one.trunk.dim, dim=128))
            for name, one in own.items()
        }
        return self.model or (known | {"base": HubertConfig(), "large": hubert.LARGE_CONFIG})[self.size]


def train(
    run: HubertRun,
    speech: Path,
    out: Path,
    *,
    start: Path | None = None,
    teacher: Path | None = None,
    listener: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Run:
    """Writes the parts ``hubert`` and ``clusters`` (what it was taught to name) into ``out``; resumes there.

    ``start`` is a folder with a HuBERT to go on from, ``teacher`` one with that of the iteration before, ``cache``
    where decoded sound is kept.
    """
    features, size, named = _targets(run, teacher, listener, device)
    config = run.chosen
    config = replace(config, head=replace(config.head, sizes=(size,)))
    torch.manual_seed(run.seed)
    task = HubertTask(config, run.penalty)
    data = heard(speech, cache or out, say)
    if (out / "clusters.json").exists():
        centers = load_part(out, "clusters")
        if (centers.config.features, centers.config.size) != (named, size):
            had = f"{centers.config.size} clusters of {centers.config.features}"
            raise TrainingError(f"the run in {out} names {had}, asked were {size} of {named}; give another --out")
    else:
        centers = clusters(features, data.sound["train"], size, run.fitting, named=named, say=say)
        save_part(out, "clusters", centers.config, centers)
    labels = {
        split: labelled(features, centers, data.sound[split], clips, out / f"labels-{split}", say)
        for split, clips in data.clips.items()
    }
    say(f"{named}: {used(labels['train'], size):.0f} of {size} in use")
    measured, noted = ("masked", "right"), {"targets": named}
    return learn(
        task, "hubert", run, data, out, labels=labels, measured=measured, noted=noted, start=start, fresh=("head.",),
        device=device,
    )  # fmt: skip


def _targets(
    run: HubertRun, teacher: Path | None, listener: Path | None, device: str
) -> tuple[FrameFeatures, int, str]:
    """What clusters are of, how many there are, and their name."""
    front = run.chosen.encoder.front
    if teacher is not None and listener is not None:
        raise SpecError("clusters are of one teacher's features; give --with teacher or --with listener")
    if listener is not None:
        part: Listener = load_part(listener, "listener")
        return (
            each(_repeated(lambda wave: part.listen(wave).features[0], part.config.trunk.rate, front.rate)),
            run.later,
            "listener",
        )
    if teacher is not None:
        encoder: Encoder = load_part(teacher, "hubert").encoder
        if encoder.config.front.hop != front.hop:
            raise SpecError(
                f"the teacher has {float(encoder.config.front.rate)} frames a second and the model "
                f"{float(front.rate)}; choose models alike"
            )
        return of_layer(encoder, run.layer, device), run.later, f"hubert layer {run.layer}"
    return cepstra(MfccConfig(), front.hop), run.clusters, "cepstra with slopes"


def _repeated(
    features: Callable[[Float[Tensor, "1 N"]], Float[Tensor, "T D"]], rate: Fraction, wanted: Fraction
) -> Callable[[Float[Tensor, "1 N"]], Float[Tensor, "T D"]]:
    """Frames as often as the model has them."""
    times = wanted / rate
    if times.denominator != 1:
        raise SpecError(f"{float(rate)} frames a second cannot be repeated to {float(wanted)}; choose another teacher")
    return lambda wave: features(wave).repeat_interleave(int(times), dim=0)


def debug(folder: Path) -> dict[str, float]:
    """Both iterations in seconds: the masked loss of the second one before and after."""
    speech = miniature.recordings(folder / "speech")
    trunk = replace(SMALL.trunk, dim=64, layers=2, heads=2, kv_heads=2, hidden=128, dropout=0.0)
    encoder = replace(
        SMALL, front=StridedMelFrontConfig(channels=4, dim=64, strides=(2, 1)), trunk=trunk,
        positions=ConvPositionsConfig(kernel=16, groups=4), dropout=0.0,
    )  # fmt: skip
    head = ClusterConfig(context=64, dim=32)
    run = HubertRun(
        model=HubertConfig(encoder=encoder, head=head, mask=MaskConfig(starts=0.05, span=4)),
        data=WaveCropConfig(seconds=6.0, crop=2.0), fitting=FitConfig(starts=2, steps=40, batch=512),
        clusters=16, later=24, layer=1, steps=40, warmup=5, lr=3e-3,
    )  # fmt: skip
    train(run, speech, folder / "first", cache=folder)
    train(run, speech, folder / "second", teacher=folder / "first", cache=folder)
    lines = [json.loads(line) for line in (folder / "second" / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["masked"], "after": lines[-1]["masked"]}


def _run(run: HubertRun, given: Given) -> None:
    assert given.speech is not None
    others = given.others
    train(
        run,
        given.speech,
        given.out,
        start=given.start,
        teacher=others.get("teacher"),
        listener=others.get("listener"),
        cache=others.get("cache"),
        device=given.device,
        say=given.say,
    )


RECIPE = Recipe(
    part="hubert",
    settings=HubertRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more"},
    takes={
        "from": "a HuBERT to go on from",
        "teacher": "a run of the iteration before, whose layer is clustered",
        "listener": "a folder with a listener, whose features are clustered instead",
        "cache": "a folder for decoded sound, which several runs can share",
    },
)
