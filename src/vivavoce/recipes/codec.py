"""How the codec is trained, sound to tokens and back: real speech, spectral distances. `codec_gan` goes on from it.

A listener may teach the first book. The speech folder holds ``manifest.jsonl`` and its clips. Decoded sound is cached;
a killed run goes on where it was.
"""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from vivavoce.audio.files import SYNTHETIC_SOUND, write_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.core import rng
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import Stream, sound
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record, recordings, write_manifest
from vivavoce.evals import quality
from vivavoce.losses.spectral import MultiSpectralConfig
from vivavoce.models.codec import Codec, CodecConfig, mel_codec
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.quantize import entropy
from vivavoce.recipes.codec_data import (
    LEAST_RATE,
    CropConfig,
    Crops,
    MeasuringClip,
    measuring_clips,
    waves,
)
from vivavoce.recipes.codec_teacher import taught, teacher_of
from vivavoce.systems.facodec import Facodec
from vivavoce.train import Run, clock_cosine, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.codec import CodecSpectral, CodecWeights
from vivavoce.train.tasks.codec_adversarial import CodecAdversarial
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
class Stage:
    """Numbers of a run of either stage; with ``seconds`` it ends by the clock, and ``steps`` is only its limit."""

    crops: CropConfig = CropConfig(share=_SHARE)
    steps: int = 12000
    seconds: float = 0.0
    warmup: int = 300
    lr: float = 1e-3
    ema: float = 0.998
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRun(Stage):
    """Numbers of the first stage; after ``bypass_steps`` the books are begun."""

    codec: CodecConfig = CodecConfig()
    weights: CodecWeights = CodecWeights()
    bypass_steps: int = 300


_MEASURED_HZ = 7600.0
"""What any of the recordings reaches."""
_JUDGED = (("stoi", quality.stoi, "pystoi"), ("pesq", quality.pesq, "pesq"))
Sounding = Codec | Facodec
"""What makes sound of its tokens."""


def measure(codec: Sounding, samples: Sequence[MeasuringClip]) -> dict[str, float]:
    """Log-mel distance and bits per code over clips; STOI and PESQ-WB where there are the packages for them."""
    rate = codec.config.sample_rate
    found: defaultdict[str, list[float]] = defaultdict(list)
    codes = []
    device = next(codec.parameters()).device
    spectral = MultiSpectralConfig(sample_rate=rate).build().eval()
    judged = {name: judge for name, judge, package in _JUDGED if find_spec(package) is not None}
    for sample in samples:
        made = codec.resynthesize(sample.wave[None].to(device))[0].cpu()
        found["mel"].append(float(spectral(made[None], sample.wave[None], torch.tensor([_MEASURED_HZ]))[0]))
        for name, judge in judged.items():
            found[name].append(judge(sample.wave, made, rate))
        coded = codec.encode(sound(sample.wave.to(device), rate))
        codes.append((coded if isinstance(coded, Stream) else coded.codes).data[0].cpu())
    used = entropy(torch.cat(codes, dim=1)[None], codec.config.size)
    return {
        **{name: float(np.mean(values)) for name, values in found.items()},
        "bits_first": float(used[0]),
        "bits_rest": float(used[1:].mean()),
    }


def train(
    run: CodecRun,
    speech: Path,
    folder: Path,
    *,
    start: Path | None = None,
    teacher: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
) -> Run:
    """Measures on dev clips and writes the part ``codec`` into ``folder``; decoded sound is kept in ``cache``.

    ``start`` is a folder with a codec to go on from; ``teacher`` one with a listener, and then the codec is built with
    a head for it.
    """
    if teacher is not None:
        known = teacher_of(teacher)
        run = replace(run, codec=replace(run.codec, teacher_dim=known.dim))
    torch.manual_seed(run.seed)
    task = CodecSpectral(run.codec, run.weights, bypass_steps=run.bypass_steps)
    if start is not None:
        begin_from(task.codec, load_part(start, "codec"), fresh=("teach.",))
    optimizer = torch.optim.AdamW(task.parameters(), run.lr, betas=(0.9, 0.99), weight_decay=0.01)
    crops = crops_of(run, run.codec, speech, cache or folder, teacher)
    return learn(task, {"model": optimizer}, run, crops, speech, folder, device)


def crops_of(run: Stage, codec: CodecConfig, speech: Path, kept: Path, teacher: Path | None) -> Crops:
    """What a codec learns from: people's recordings, with what a teacher makes of them; both are kept in ``kept``."""
    clips = recordings(speech, "train", least_rate=LEAST_RATE)
    features = None if teacher is None else taught(teacher_of(teacher), codec.rate, clips, kept)
    return Crops(run.crops, codec, clips, decoded(clips, codec.sample_rate, kept), features, run.seed)


def decoded(clips: Sequence[Record], rate: int, kept: Path) -> Cache:
    """The sound of the clips at a rate, from ``kept`` where it was decoded before."""
    return waves(clips, rate, kept, workers=os.cpu_count() or 1)


def learn(
    task: CodecSpectral | CodecGan | CodecAdversarial,
    optimizers: Mapping[str, Optimizer],
    run: Stage,
    crops: Crops,
    speech: Path,
    folder: Path,
    device: str,
    *,
    borrowed: Mapping[str, str] | None = None,
    exact: Sequence[str] = (),
) -> Run:
    """Any of them: measures on dev clips of ``speech``, exports the part ``codec`` into ``folder``.

    ``borrowed`` and ``exact`` are those of `save_part`.
    """
    config = task.codec.config
    samples = measuring_clips(speech, config.sample_rate)

    def codec_of(model: nn.Module) -> Sounding:
        assert isinstance(model, CodecSpectral | CodecGan | CodecAdversarial)
        return model.codec

    def export(now: Run) -> None:
        card = _card(now, crops.clips)
        save_part(folder, "codec", config, codec_of(now.model), card, torch.float16, borrowed=borrowed, exact=exact)

    return fit(
        task,
        crops,
        optimizers,
        steps=run.steps,
        schedule=(
            clock_cosine(run.seconds, run.warmup, floor=0.05)
            if run.seconds
            else warm_cosine(run.steps, run.warmup, floor=0.1)
        ),
        seed=run.seed,
        ema=run.ema,
        hooks=hooks(
            folder,
            "codec",
            config,
            every=max(1, min(20, run.steps // 100)),
            measure=(lambda model: measure(codec_of(model), samples)) if samples else None,
            export=export,
        ),
        device=device,
        seconds=run.seconds,
        workers=4 if device != "cpu" else 0,  # a graphics card is faster than one thread that cuts crops
    )


def _card(run: Run, clips: Sequence[Record]) -> dict[str, Any]:
    licences = sorted({(clip.source, clip.licence) for clip in clips})
    return {
        "stage": type(run.task).__name__,
        "data": [{"source": source, "licence": licence} for source, licence in licences],
        "steps": run.step,
        "audio_hours": round(run.audio_seconds / 3600, 2),
    }


# ---- the whole recipe, small ----

_THIN = ConvNeXtConfig(dim=32, depth=1)
SMALL = CodecRun(
    codec=mel_codec(
        mel=LogMelConfig(bins=40), encode_fine=_THIN, encode_coarse=_THIN, decode_coarse=_THIN, decode_fine=_THIN,
        books=3, size=32, code_dim=8,
    ),
    crops=CropConfig(share=(("vowels", 1.0),), batch=4, frames=16),
    steps=50, warmup=5, lr=4e-3, ema=0.9, bypass_steps=20,
)  # fmt: skip


def debug(folder: Path, run: CodecRun = SMALL) -> dict[str, float]:
    """In seconds on a CPU, on made-up vowels: the first and the last mel distance."""
    speech, records = folder / "speech", []
    for number in range(6):
        path = f"{number}.wav"
        write_audio(speech / path, torch.from_numpy(_vowels(number)), 24000, comment=SYNTHETIC_SOUND)
        records.append(
            Record(
                id=path, path=path, split="train", speaker=str(number), source="vowels", licence="CC0", seconds=2.0,
                sample_rate=24000, native_sample_rate=24000,
            )
        )  # fmt: skip
    write_manifest(speech, records)
    done = train(run, speech, folder)
    curve = [json.loads(line)["mel"] for line in (folder / LOSSES).read_text().splitlines()]
    return {"before": curve[0], "after": done.losses["mel"]}


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


def _run(run: CodecRun, given: Given) -> None:
    assert given.speech is not None
    teacher = given.others.get("teacher")
    train(run, given.speech, given.out, start=given.start, teacher=teacher, device=given.device)


RECIPE = Recipe(
    part="codec",
    settings=CodecRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more"},
    takes={
        "from": "a codec to go on from",
        "teacher": "what teaches the first book: a listener, a run of hubert, a published encoder, or whisper-base",
    },
)
