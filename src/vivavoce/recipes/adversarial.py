"""How a whole codec is trained against judges; SoundStream, EnCodec, SpeechTokenizer, Mimi and FACodec are its values.

Each has a recipe of a few lines beside this file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.levelled import level
from vivavoce.recipes import miniature
from vivavoce.recipes.codec import Stage, crops_of, learn
from vivavoce.recipes.codec_data import CropConfig, Crops
from vivavoce.recipes.codec_teacher import teacher_of
from vivavoce.train import Run
from vivavoce.train.recipe import Given, Recipe, begin_from
from vivavoce.train.tasks.codec import SoundBatch
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights, CodecAdversarial, Pass, pass_codec

TEACHER = (
    "what teaches the first book: a run of hubert, wav2vec2 or w2vbert, a listener, a published encoder's folder or "
    "hf: name, or whisper-base; without it nothing does, the control"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecGame(Stage):
    """What all these runs have: the judges, and what each term counts."""

    crops: CropConfig = CropConfig(frames=75)
    judges: DiscriminatorConfig = DiscriminatorConfig()
    weights: AdversarialWeights = AdversarialWeights()
    steps: int = 100_000
    lr: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.9)
    ema: float = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialRun(CodecGame):
    """Numbers of a run; ``codec`` is the method's."""

    codec: CodecConfig


def train(
    run: AdversarialRun,
    speech: Path,
    folder: Path,
    *,
    start: Path | None = None,
    teacher: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
) -> Run:
    """Measures on dev clips and writes the part ``codec`` into ``folder``; decoded sound is kept in ``cache``.

    ``start`` is a folder with a codec to go on from.
    """
    codec = replace(run.codec, teacher_dim=0 if teacher is None else teacher_of(teacher).dim)
    crops = crops_of(run, codec, speech, cache or folder, teacher)
    return play(run, codec, crops, speech, folder, begin=_begin, start=start, device=device)


def _begin(codec: Codec, batch: SoundBatch) -> None:
    """Layers that neither shrink nor grow sound: books begun by k-means on what hardly differs are soon left behind."""
    vectors = level(codec.front, batch.wave[:, None])
    level(codec.back, vectors, float(batch.wave.std()))


def play(
    run: CodecGame,
    codec: Any,
    crops: Crops,
    speech: Path,
    folder: Path,
    *,
    passes: Pass = pass_codec,
    after: Callable[[Any, int], None] = lambda _codec, _step: None,
    begin: Callable[[Any, SoundBatch], None] = lambda _codec, _batch: None,
    start: Path | None = None,
    device: str = "cpu",
) -> Run:
    """The game itself: a codec of any form (`Pass`) learns from crops.

    ``begin`` may fit fresh weights to the first of them; ``after`` is that of `CodecAdversarial`.
    """
    torch.manual_seed(run.seed)
    judges = replace(run.judges, sample_rate=codec.sample_rate)
    task = CodecAdversarial(codec, judges, run.weights, passes=passes, after=after, seed=run.seed)
    if start is not None:
        begin_from(task.codec, load_part(start, "codec"), fresh=("teach.",))
    else:
        begin(task.codec, crops(0))
    optimizers = {phase: torch.optim.AdamW(task.parameters_of(phase), run.lr, betas=run.betas) for phase in task.phases}
    return learn(task, optimizers, run, crops, speech, folder, device)


def recipe_of(settings: AdversarialRun, tiny: Mapping[str, Any], **takes: str) -> Recipe[AdversarialRun]:
    """The recipe of a method; ``tiny`` are changes of its settings in miniature, the ``codec`` among them."""

    def run(settings: AdversarialRun, given: Given) -> None:
        assert given.speech is not None
        others = given.others
        if "teacher" in takes and "teacher" not in others:
            given.say("no teacher was given, so the first book is taught by nobody: this is the control")
        train(
            settings, given.speech, given.out, start=given.start, teacher=others.get("teacher"),
            cache=others.get("cache"), device=given.device,
        )  # fmt: skip

    def debug(folder: Path) -> dict[str, float]:
        small = miniature_of(settings, **tiny)
        speech = miniature.recordings(folder / "speech")
        teacher = BUNDLED if "teacher" in takes else None
        return beside_control(lambda out, run: train(run, speech, out, teacher=teacher, cache=folder), folder, small)

    return Recipe(
        part="codec",
        settings=settings,
        train=run,
        debug=debug,
        needs={"speech": "recordings at 16 kHz and more"},
        takes={"from": "a codec to go on from", "cache": "where decoded sound is kept", **takes},
    )


def miniature_of(run: Any, **changes: Any) -> Any:
    """Settings for a minute of a CPU: few steps, short crops, narrow judges of the same kinds."""
    judges = replace(run.judges, windows=run.judges.windows[-1:], channels=4, period_channels=2, scale_channels=2)
    small = {"steps": 40, "warmup": 5, "lr": 3e-3, "ema": 0.9, "crops": CropConfig(batch=4, frames=20)}
    return replace(run, judges=judges, **small | changes)


def beside_control(train: Callable[[Path, Any], Run], folder: Path, run: Any) -> dict[str, float]:
    """The mel distance after training beside that of a control that learnt for two steps only."""
    control = train(folder / "control", replace(run, steps=2))
    done = train(folder, run)
    return {"before": control.losses["mel"], "after": done.losses["mel"]}
