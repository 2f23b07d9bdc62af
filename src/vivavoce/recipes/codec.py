"""The codec's training: real speech, spectral distances first, an adversary afterwards.

`train` and then `polish`; the speech folder holds ``manifest.jsonl`` and its clips. Decoded sound is cached beside the
run; a killed run goes on where it was.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.files import mono, pad_to, read_audio
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ManifestError
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.waves import WaveCache
from vivavoce.evals import quality
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.nn.quantize import entropy
from vivavoce.train import Checkpoints, Curves, Export, JsonLines, Progress, Run, Validate, fit, warm_cosine
from vivavoce.train.tasks.codec import CodecSpectral, SoundBatch
from vivavoce.train.tasks.codec_gan import CodecGan

_NARROW_HZ = 7600.0  # what a 16 kHz recording can be trusted to
_MP3_HZ = 5500.0


class Clip(NamedTuple):
    """A recording to learn from."""

    path: Path
    source: str
    licence: str
    highest_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRecipe:
    """What a run is made of."""

    codec: CodecConfig = CodecConfig()
    steps: int = 12000
    warmup: int = 300
    lr: float = 1e-3
    batch: int = 10
    frames: int = 32  # token frames per crop
    seed: int = 1
    ema: float = 0.998
    polish_steps: int = 4000
    polish_lr: float = 3e-4
    judges_share: float = 1.0
    bypass_steps: int = 300
    share: tuple[tuple[str, float], ...] = (
        ("librispeech", 0.42),
        ("kathleen", 0.12),
        ("ljspeech", 0.12),
        ("kerstin", 0.10),
        ("librispeech-mp3", 0.10),
        ("an4", 0.09),
        ("picovoice-wakewords", 0.05),
    )


def read_clips(speech: Path, split: str = "train") -> list[Clip]:
    """Recordings of a manifest folder, and the highest frequency at which each can be trusted."""
    try:
        rows = [json.loads(line) for line in (speech / "manifest.jsonl").read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"{speech}/manifest.jsonl cannot be read ({error}); give a folder with a manifest"
        ) from error
    clips = []
    for row in rows:
        if row["split"] == split and row["sample_rate"] >= 16000:
            wide = row["native_sample_rate"] >= 22050
            highest = _MP3_HZ if row["quality"] != "lossless" else 12000.0 if wide else _NARROW_HZ
            if row["native_sample_rate"] == 22050:
                highest = 10500.0
            clips.append(Clip(speech / row["path"], row["source"], row["licence"], highest))
    return clips


def batches(recipe: CodecRecipe, clips: Sequence[Clip], cache: WaveCache) -> Callable[[int], SoundBatch]:
    """Crops as a function of the step: sources by their share, then clips by length.

    Half of them played faster or slower.
    """
    size, rate = recipe.frames * recipe.codec.hop, recipe.codec.mel.sample_rate
    lengths = np.array([cache.length(number) for number in range(len(clips))], dtype=np.float64)
    sources = {name: np.array([i for i, c in enumerate(clips) if c.source == name]) for name, _ in recipe.share}
    present = [(name, share) for name, share in recipe.share if len(sources[name])]
    if not present:
        raise ManifestError(f"none of the sources {[name for name, _ in recipe.share]} is in the manifest")
    shares = np.array([share for _, share in present]) / sum(share for _, share in present)
    chances = {name: lengths[sources[name]] / lengths[sources[name]].sum() for name, _ in present}
    narrow_bins = int((recipe.codec.build().mel.filters.argmax(dim=1) * rate / recipe.codec.mel.n_fft <= 7700).sum())

    def make(step: int) -> SoundBatch:
        draw = rng.stream(recipe.seed, "codec", step)
        waves, bins, highest = [], [], []
        for _ in range(recipe.batch):
            name = present[draw.choice(len(present), p=shares)][0]
            clip = int(sources[name][draw.choice(len(chances[name]), p=chances[name])])
            speed = float(draw.uniform(0.82, 1.2)) if draw.random() < 0.5 else 1.0
            wave = _crop(cache, clip, size, speed, rate, draw)
            waves.append(wave * 10 ** (draw.uniform(-14, 4) / 20))
            top = min(clips[clip].highest_hz * speed, rate / 2)
            narrow = top > 9000 and draw.random() < 0.4
            bins.append(narrow_bins if narrow else recipe.codec.mel.bins)
            highest.append(top)
        stacked = torch.stack(waves).clamp(-1, 1)
        return SoundBatch(stacked, torch.tensor(bins), torch.tensor(highest), recipe.batch * size / rate)

    return make


def _crop(
    cache: WaveCache, clip: int, size: int, speed: float, rate: int, draw: np.random.Generator
) -> Float[Tensor, " N"]:
    wanted = int(size * speed) + 64
    latest = max(0, cache.length(clip) - wanted)
    wave = cache.samples(clip, int(draw.integers(0, latest + 1)), wanted)
    if speed != 1.0:
        wave = resample(wave, rate, round(rate / speed), quality="MQ")
    return torch.nn.functional.pad(wave, (0, max(0, size - len(wave))))[:size]


class Sample(NamedTuple):
    """A clip to measure with, at the codec's rate."""

    wave: Float[Tensor, " N"]


def measuring_clips(speech: Path, rate: int, each_seconds: float = 5.0, most: int = 12) -> list[Sample]:
    """Lossless dev clips, spread over the speakers, cut to a few seconds."""
    rows = [json.loads(line) for line in (speech / "manifest.jsonl").read_text().splitlines()]
    chosen, seen = [], set()
    for row in rows:
        if (
            row["split"] == "dev"
            and row["quality"] == "lossless"
            and row["speaker"] not in seen
            and row["seconds"] >= 2.5
        ):
            seen.add(row["speaker"])
            wave = mono(read_audio(speech / row["path"], rate)[0])
            chosen.append(Sample(wave[: int(each_seconds * rate)]))
    return chosen[:: max(1, len(chosen) // most)][:most]


def measure(codec: Codec, samples: Sequence[Sample]) -> dict[str, float]:
    """STOI, PESQ-WB and bits per code over clips (packages ``pystoi`` and ``pesq``)."""
    rate, hop = codec.config.mel.sample_rate, codec.config.hop
    clear, opinion, codes = [], [], []
    for sample in samples:
        made = codec.resynthesize(sample.wave[None])[0]
        clear.append(quality.stoi(sample.wave, made, rate))
        opinion.append(quality.pesq(sample.wave, made, rate))
        codes.append(codec.encode(pad_to(sample.wave[None], hop))[0])
    used = entropy(torch.cat(codes, dim=1)[None], codec.config.size)
    return {
        "stoi": float(np.mean(clear)),
        "pesq": float(np.mean(opinion)),
        "bits_first": float(used[0]),
        "bits_rest": float(used[1:].mean()),
    }


def train(recipe: CodecRecipe, speech: Path, folder: Path, cache: Path | None = None, **every: float) -> Run:
    """First stage: spectral distances. Measures on dev clips and writes the part ``codec`` into ``folder``."""
    torch.manual_seed(recipe.seed)
    task = CodecSpectral(recipe.codec, bypass_steps=recipe.bypass_steps)
    optimizer = torch.optim.AdamW(task.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=0.01)
    return _fit(task, optimizer, recipe, speech, folder, cache, **every)


def polish(
    recipe: CodecRecipe, start: Path, speech: Path, folder: Path, cache: Path | None = None, **every: float
) -> Run:
    """Second stage: goes on from the part ``codec`` in ``start`` with judges."""
    torch.manual_seed(recipe.seed)
    task = CodecGan(recipe.codec, share=recipe.judges_share)
    task.codec.load_state_dict(load_part(start, "codec").state_dict())
    optimizers = {
        "codec": torch.optim.AdamW(task.codec.parameters(), recipe.polish_lr, betas=(0.8, 0.99), weight_decay=0.01),
        "judges": torch.optim.AdamW(task.judges.parameters(), 2 * recipe.polish_lr, betas=(0.5, 0.9)),
    }
    return _fit(task, optimizers, recipe, speech, folder, cache, **every)


def _fit(
    task: CodecSpectral | CodecGan,
    optimizers: Any,
    recipe: CodecRecipe,
    speech: Path,
    folder: Path,
    cache: Path | None,
    measure_seconds: float = 300.0,
) -> Run:
    rate = recipe.codec.mel.sample_rate
    clips = read_clips(speech)
    waves = WaveCache.of([clip.path for clip in clips], rate, cache or folder)
    samples = measuring_clips(speech, rate)

    def codec_of(model: nn.Module) -> Codec:
        assert isinstance(model, CodecSpectral | CodecGan)
        return model.codec

    def export(run: Run) -> None:
        card = _card(recipe, run, clips)
        save_part(folder, "codec", recipe.codec, codec_of(run.model), card, torch.float16)

    steps = recipe.steps if isinstance(task, CodecSpectral) else recipe.polish_steps
    return fit(
        task,
        batches(recipe, clips, waves),
        optimizers,
        steps=steps,
        schedule=warm_cosine(steps, recipe.warmup, floor=0.1),
        seed=recipe.seed,
        ema=recipe.ema,
        hooks=(
            Progress("codec"),
            JsonLines(folder / "losses.jsonl"),
            Validate(
                folder / "dev.jsonl", lambda model: measure(codec_of(model), samples), every_seconds=measure_seconds
            ),
            Curves(folder / "losses.jsonl", folder / "losses.png"),
            Export(export),
            Checkpoints(folder, every_seconds=180, identity=json.dumps(dump(recipe.codec))),
        ),
    )


def _card(recipe: CodecRecipe, run: Run, clips: Sequence[Clip]) -> dict[str, Any]:
    licences = sorted({(clip.source, clip.licence) for clip in clips})
    return {
        "recipe": "vivavoce.recipes.codec",
        "settings": dump(recipe),
        "stage": type(run.task).__name__,
        "data": [{"source": source, "licence": licence} for source, licence in licences],
        "steps": run.step,
        "audio_hours": round(run.audio_seconds / 3600, 2),
    }
