"""The codec's training: real speech, spectral distances first, an adversary afterwards.

    python -m vivavoce.recipes.codec --speech DIR --run runs/codec

``DIR`` holds ``manifest.jsonl`` and its clips. Decoded sound is cached beside the run; a killed run goes on where it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.files import mono, read_audio
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ManifestError
from vivavoce.core.parts import save_part
from vivavoce.data.waves import WaveCache
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.nn.quantize import entropy
from vivavoce.train import Checkpoints, Curves, Export, JsonLines, Progress, Run, Validate, fit, warm_cosine
from vivavoce.train.tasks.codec import CodecSpectral, SoundBatch

_NARROW_HZ = 7600.0  # what a 16 kHz recording can be trusted to
_MP3_HZ = 5500.0


class Clip(NamedTuple):
    """A recording to learn from."""

    path: Path
    source: str
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
            clips.append(Clip(speech / row["path"], row["source"], highest))
    return clips


def batches(recipe: CodecRecipe, clips: Sequence[Clip], cache: WaveCache) -> Callable[[int], SoundBatch]:
    """Crops as a function of the step: sources by their share, then clips by length; half of them played faster or slower."""
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
    """STOI and PESQ-WB at 16 kHz, and bits per code, over clips (packages ``pystoi`` and ``pesq``)."""
    from pesq import pesq
    from pystoi import stoi

    rate = codec.config.mel.sample_rate
    clear, quality, codes = [], [], []
    for sample in samples:
        padded = torch.nn.functional.pad(sample.wave, (0, -len(sample.wave) % codec.config.hop))[None]
        codes.append(codec.encode(padded)[0])
        made = codec.resynthesize(sample.wave[None])[0]
        real16, made16 = (resample(x, rate, 16000).numpy() for x in (sample.wave, made))
        clear.append(stoi(real16, made16, 16000))
        quality.append(pesq(16000, real16, made16, "wb"))
    used = entropy(torch.cat(codes, dim=1)[None], codec.config.size)
    return {
        "stoi": float(np.mean(clear)),
        "pesq": float(np.mean(quality)),
        "bits_first": float(used[0]),
        "bits_rest": float(used[1:].mean()),
    }


def train(
    recipe: CodecRecipe,
    speech: Path,
    folder: Path,
    cache_folder: Path | None = None,
    card: Mapping[str, Any] | None = None,
    measure_every_seconds: float = 300.0,
) -> Run:
    """First stage: trains with spectral distances, measures on dev clips, writes the part into ``folder``."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    clips = read_clips(speech)
    cache = WaveCache.of([c.path for c in clips], recipe.codec.mel.sample_rate, cache_folder or folder)
    task = CodecSpectral(recipe.codec, bypass_steps=recipe.bypass_steps)
    optimizer = torch.optim.AdamW(task.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=0.01)
    samples = measuring_clips(speech, recipe.codec.mel.sample_rate)

    def measured(model: nn.Module) -> Mapping[str, float]:
        assert isinstance(model, CodecSpectral)
        return measure(model.codec, samples)

    def export(run: Run) -> None:
        assert isinstance(run.model, CodecSpectral)
        save_part(folder, "codec", recipe.codec, run.model.codec, dict(card or {}) | {"steps": run.step}, torch.float16)

    return fit(
        task,
        batches(recipe, clips, cache),
        optimizer,
        steps=recipe.steps,
        schedule=warm_cosine(recipe.steps, recipe.warmup, floor=0.1),
        seed=recipe.seed,
        ema=recipe.ema,
        hooks=(
            Progress("codec"),
            JsonLines(folder / "losses.jsonl"),
            Validate(folder / "dev.jsonl", measured, every_seconds=measure_every_seconds),
            Curves(folder / "losses.jsonl", folder / "losses.png"),
            Export(export),
            Checkpoints(folder, every_seconds=180, identity=json.dumps(dump(recipe.codec))),
        ),
    )
