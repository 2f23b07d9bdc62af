"""What the recipes of encoders have in common: how they are fitted, measured and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vivavoce.core.parts import load_part, save_part
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record, recordings
from vivavoce.recipes.pretraining_data import WaveCropConfig, WaveCrops, card, decoded
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.loop import moved
from vivavoce.train.recipe import begin_from, hooks
from vivavoce.train.task import Task
from vivavoce.train.tasks.pretraining import WaveBatch

_DEV_BATCHES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingRun:
    """Numbers that every run has."""

    data: WaveCropConfig = WaveCropConfig()
    steps: int = 4000
    warmup: int = 200
    lr: float = 1e-3
    decay: float = 0.01
    clip: float = 10.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class SpeechData:
    """Recordings by split, and their sound."""

    clips: Mapping[str, Sequence[Record]]
    sound: Mapping[str, Cache]


def heard(speech: Path, folder: Path, say: Callable[[str], None]) -> SpeechData:
    """What there is to learn from and to measure on; decoded sound is kept in ``folder``."""
    clips = {split: recordings(speech, split) for split in ("train", "dev")}
    return SpeechData(clips, {split: decoded(clips[split], folder / f"sound-{split}", say) for split in clips})


def learn(
    task: Task[WaveBatch, Any],
    part: str,
    run: PretrainingRun,
    speech: SpeechData,
    out: Path,
    *,
    labels: Mapping[str, Cache] | None = None,
    measured: Sequence[str] = ("contrastive", "right", "used"),
    noted: Mapping[str, Any] | None = None,
    start: Path | None = None,
    fresh: tuple[str, ...] = (),
    begin: Callable[[WaveBatch], None] = lambda _: None,
    device: str = "cpu",
) -> Run:
    """Fits a task whose ``model`` is the part, and writes it into ``out``; resumes there.

    ``begin`` may fit fresh weights to the first batch. ``labels`` are each frame's clusters by split, ``measured`` the
    terms that are measured on what is not learnt from, ``noted`` is added to the card. ``start`` is a folder with the
    part to go on from, but for what begins like ``fresh``.
    """
    model: Any = task.model
    if start is not None:
        begin_from(model, load_part(start, part), fresh)
    hop = model.config.encoder.front.hop
    crops = WaveCrops(run.data, hop, speech.sound["train"], [labels["train"]] if labels else (), run.seed)
    if start is None:
        begin(crops(0))
    dev: list[WaveBatch] = []
    if len(speech.sound["dev"]):
        quiet = replace(run.data, gains_db=(0.0, 0.0))
        held = WaveCrops(quiet, hop, speech.sound["dev"], [labels["dev"]] if labels else (), seed=0)
        dev = [held(number) for number in range(_DEV_BATCHES)]

    def export(now: Run) -> None:
        own: Any = now.model
        about = card(now, speech.clips["train"]) | dict(noted or {})
        save_part(out, part, model.config, own.model, about, torch.float16)

    return fit(
        task,
        crops,
        torch.optim.AdamW(task.parameters(), run.lr, betas=(0.9, 0.98), eps=1e-6, weight_decay=run.decay),
        steps=run.steps,
        hooks=hooks(
            out,
            part,
            model.config,
            every=max(1, min(20, run.steps // 100)),
            measure=(lambda now: measure(now, dev, measured, device)) if dev else None,
            export=export,
        ),
        schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed,
        clip=run.clip,
        device=device,
    )


def measure(task: nn.Module, batches: Sequence[WaveBatch], names: Sequence[str], device: str) -> dict[str, float]:
    """Terms on what was not trained on, with the same spans hidden each time."""
    assert isinstance(task, Task)
    found = dict.fromkeys(names, 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for batch in batches:
            batch = moved(batch, torch.device(device))
            terms = task.losses("model", batch, task.outputs(batch))
            found = {name: found[name] + float(terms[name].value) / len(batches) for name in names}
    return {f"dev_{name}": value for name, value in found.items()}
