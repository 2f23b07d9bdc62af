"""The codec's training: real speech, spectral distances first, judges afterwards.

`train`, then `polish`; both go on from an earlier part when given one, and take a listener as teacher of the first
book. The speech folder holds ``manifest.jsonl`` and its clips. Decoded sound is cached; a killed run goes on where it
was.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vivavoce.audio.files import write_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import sound
from vivavoce.data.manifest import Record
from vivavoce.evals import quality
from vivavoce.models.codec import Codec, CodecConfig, mel_codec
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.quantize import entropy
from vivavoce.recipes.codec_data import (
    CropConfig,
    Crops,
    DrawnSpectra,
    Sample,
    load_drawn,
    measuring_clips,
    read_clips,
    teacher_features,
    waves,
)
from vivavoce.train import (
    Checkpoints,
    Curves,
    Export,
    JsonLines,
    Progress,
    Run,
    Validate,
    clock_cosine,
    fit,
    warm_cosine,
)
from vivavoce.train.tasks.codec import CodecSpectral, CodecWeights
from vivavoce.train.tasks.codec_gan import CodecGan

_SHARE = (
    ("librispeech", 0.42),
    ("kathleen", 0.12),
    ("ljspeech", 0.12),
    ("kerstin", 0.10),
    ("librispeech-mp3", 0.10),
    ("an4", 0.09),
    ("picovoice-wakewords", 0.05),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRecipe:
    """Numbers of a run; the schedule's end is ``steps``, so a run may be cut short by lowering it.

    With ``seconds`` it ends by the clock instead.
    """

    codec: CodecConfig = CodecConfig()
    crops: CropConfig = CropConfig(share=_SHARE)
    weights: CodecWeights = CodecWeights()
    judges: DiscriminatorConfig = DiscriminatorConfig()
    steps: int = 12000
    seconds: float = 0.0
    warmup: int = 300
    lr: float = 1e-3
    ema: float = 0.998
    bypass_steps: int = 300
    polish_steps: int = 4000
    polish_lr: float = 3e-4
    judges_share: tuple[float, float] = (0.3, 0.3)  # at first, and after `judges_over` steps
    judges_over: int = 4000
    judges_alone: int = 200
    judged_every: int = 2
    judged_samples: int = 10240
    seed: int = 1


def measure(codec: Codec, samples: Sequence[Sample]) -> dict[str, float]:
    """STOI, PESQ-WB and bits per code over clips (packages ``pystoi`` and ``pesq``)."""
    rate = codec.config.sample_rate
    clear, opinion, codes = [], [], []
    device = next(codec.parameters()).device
    for sample in samples:
        made = codec.resynthesize(sample.wave[None].to(device))[0].cpu()
        clear.append(quality.stoi(sample.wave, made, rate))
        opinion.append(quality.pesq(sample.wave, made, rate))
        codes.append(codec.encode(sound(sample.wave.to(device), rate)).data[0].cpu())
    used = entropy(torch.cat(codes, dim=1)[None], codec.config.size)
    return {
        "stoi": float(np.mean(clear)),
        "pesq": float(np.mean(opinion)),
        "bits_first": float(used[0]),
        "bits_rest": float(used[1:].mean()),
    }


def train(
    recipe: CodecRecipe,
    speech: Path,
    folder: Path,
    *,
    start: Path | None = None,
    teacher: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    measure_seconds: float = 300.0,
    checkpoint_seconds: float = 180.0,
) -> Run:
    """First stage: spectral distances. Measures on dev clips and writes the part ``codec`` into ``folder``.

    ``start`` is a folder with a codec to go on from; ``teacher`` one with a listener, and then the codec is built with
    a head for it.
    """
    recipe = _taught(recipe, teacher)
    torch.manual_seed(recipe.seed)
    task = CodecSpectral(recipe.codec, recipe.weights, bypass_steps=recipe.bypass_steps)
    _begin(task.codec, start)
    optimizer = torch.optim.AdamW(task.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=0.01)
    data = _data(recipe, speech, cache or folder, teacher)
    return _fit(
        task, optimizer, recipe, recipe.steps, speech, folder, data, device, measure_seconds, checkpoint_seconds
    )


def polish(
    recipe: CodecRecipe,
    speech: Path,
    folder: Path,
    *,
    start: Path,
    drawn: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    measure_seconds: float = 300.0,
    checkpoint_seconds: float = 180.0,
) -> Run:
    """Second stage: goes on from the codec in ``start`` with judges; what makes tokens stays as it is.

    ``drawn`` is a file of spectra that a speaker drew (`codec_data.DrawnSpectra`), for ``recipe.crops.drawn`` rows.
    """
    recipe = replace(recipe, codec=load_part(start, "codec").config)
    torch.manual_seed(recipe.seed)
    task = CodecGan(
        recipe.codec,
        recipe.judges,
        recipe.weights,
        share=recipe.judges_share,
        over=recipe.judges_over,
        judges_alone=recipe.judges_alone,
        judged_every=recipe.judged_every,
        seen_samples=recipe.judged_samples,
    )
    _begin(task.codec, start)
    rate, betas = recipe.polish_lr, (0.8, 0.99)
    optimizers = {
        "codec": torch.optim.AdamW(task.parameters_of("codec"), rate, betas=betas, weight_decay=0.01),
        "judges": torch.optim.AdamW(task.parameters_of("judges"), rate, betas=betas),
    }
    data = _data(recipe, speech, cache or folder, None, None if drawn is None else load_drawn(drawn))
    return _fit(
        task, optimizers, recipe, recipe.polish_steps, speech, folder, data, device, measure_seconds, checkpoint_seconds
    )


def _taught(recipe: CodecRecipe, teacher: Path | None) -> CodecRecipe:
    if teacher is None:
        return recipe
    dim = load_part(teacher, "listener").config.trunk.dim
    return replace(recipe, codec=replace(recipe.codec, teacher_dim=dim))


def _begin(codec: Codec, start: Path | None) -> None:
    """Weights of an earlier run; a head for a teacher that it did not have stays as it was built."""
    if start is not None:
        state = load_part(start, "codec").state_dict()
        own = {key: value for key, value in codec.state_dict().items() if key.startswith("teach.") and key not in state}
        codec.load_state_dict(state | own)


def _data(
    recipe: CodecRecipe, speech: Path, kept: Path, teacher: Path | None, drawn: DrawnSpectra | None = None
) -> Crops:
    """Crops of the training recordings, decoded into ``kept``."""
    clips = read_clips(speech)
    told = None
    if teacher is not None:
        digest = json.loads((teacher / "listener.json").read_text())["weights"]["sha256"]
        told = teacher_features(load_part(teacher, "listener"), digest, clips, kept)
    sound = waves(clips, recipe.codec.sample_rate, kept, workers=os.cpu_count() or 1)
    return Crops(recipe.crops, recipe.codec, clips, sound, told, recipe.seed, drawn)


def _fit(
    task: CodecSpectral | CodecGan,
    optimizers: Any,
    recipe: CodecRecipe,
    steps: int,
    speech: Path,
    folder: Path,
    crops: Crops,
    device: str,
    measure_seconds: float,
    checkpoint_seconds: float,
) -> Run:
    rate = recipe.codec.sample_rate
    samples = measuring_clips(speech, rate)

    def codec_of(model: nn.Module) -> Codec:
        assert isinstance(model, CodecSpectral | CodecGan)
        return model.codec

    def export(run: Run) -> None:
        save_part(folder, "codec", recipe.codec, codec_of(run.model), _card(recipe, run, crops.clips), torch.float16)

    validate = Validate(
        folder / "dev.jsonl", lambda model: measure(codec_of(model), samples), every_seconds=measure_seconds
    )
    return fit(
        task,
        crops,
        optimizers,
        steps=steps,
        schedule=(
            clock_cosine(recipe.seconds, recipe.warmup, floor=0.05)
            if recipe.seconds
            else warm_cosine(steps, recipe.warmup, floor=0.1)
        ),
        seed=recipe.seed,
        ema=recipe.ema,
        hooks=(
            # first: what others do depends on the step at which a run goes on
            Checkpoints(folder, every_seconds=checkpoint_seconds, identity=json.dumps(dump(recipe.codec))),
            Progress("codec"),
            JsonLines(folder / "losses.jsonl", every=max(1, min(20, steps // 100))),
            *((validate,) if samples else ()),
            Export(export, every_seconds=checkpoint_seconds),
            Curves(folder / "losses.jsonl", folder / "losses.png"),
        ),
        device=device,
        seconds=recipe.seconds,
        workers=4 if device != "cpu" else 0,  # a graphics card is faster than one thread that cuts crops
    )


def _card(recipe: CodecRecipe, run: Run, clips: Sequence[Record]) -> dict[str, Any]:
    licences = sorted({(clip.source, clip.licence) for clip in clips})
    return {
        "recipe": "vivavoce.recipes.codec",
        "settings": dump(recipe),
        "stage": type(run.task).__name__,
        "data": [{"source": source, "licence": licence} for source, licence in licences],
        "seed": recipe.seed,
        "steps": run.step,
        "audio_hours": round(run.audio_seconds / 3600, 2),
    }


# ---- the whole recipe, small ----


def debug(folder: Path, say: Callable[[str], None] = print) -> dict[str, float]:
    """Both stages in well under a minute on a CPU, on made-up vowels: gives the first and the last mel distance."""
    speech = folder / "speech"
    rows = []
    for number in range(6):
        path = f"{number}.wav"
        write_audio(speech / path, torch.from_numpy(_vowels(number)), 24000)
        row = {"id": path, "path": path, "split": "train", "speaker": str(number), "source": "vowels", "licence": "CC0"}
        rows.append(json.dumps(row | {"seconds": 2.0, "sample_rate": 24000, "native_sample_rate": 24000}))
    (speech / "manifest.jsonl").write_text("\n".join(rows) + "\n")
    thin = ConvNeXtConfig(dim=32, depth=1)
    codec = mel_codec(
        mel=LogMelConfig(bins=40), encode_fine=thin, encode_coarse=thin, decode_coarse=thin, decode_fine=thin,
        books=3, size=32, code_dim=8,
    )  # fmt: skip
    recipe = CodecRecipe(
        codec=codec, crops=CropConfig(share=(("vowels", 1.0),), batch=4, frames=16), steps=50, warmup=5, lr=4e-3,
        ema=0.9, bypass_steps=20, polish_steps=6, judged_samples=4096, judges=DiscriminatorConfig(channels=8),
    )  # fmt: skip
    first = train(recipe, speech, folder / "first", cache=folder / "cache")
    second = polish(recipe, speech, folder / "second", start=folder / "first", cache=folder / "cache")
    curve = [json.loads(line)["mel"] for line in (folder / "first/losses.jsonl").read_text().splitlines()]
    found = {"before": curve[0], "after": first.losses["mel"], "polished": second.losses["mel"]}
    say("mel distance " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    return found


def _vowels(number: int) -> np.ndarray:
    """Two seconds of gliding harmonics with formants."""
    draw = rng.stream(1, "vowels", number)
    time = np.arange(48000) / 24000
    pitch = draw.uniform(90, 220) * 2 ** (0.3 * np.sin(2 * np.pi * draw.uniform(0.5, 2) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / 24000
    formants = draw.uniform([300, 900, 2200], [800, 2200, 3200])
    wave = np.zeros_like(time)
    for harmonic in range(1, 30):
        hz = harmonic * pitch
        loud = sum(np.exp(-(((hz - formant) / 200) ** 2)) for formant in formants)
        wave += (0.02 + loud) * np.sin(harmonic * phase) / harmonic**0.5
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * draw.uniform(2, 4) * time)
    return (0.2 * wave * envelope / np.abs(wave).max()).astype(np.float32)
