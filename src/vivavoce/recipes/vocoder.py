"""How a vocoder is trained: log-mel frames of recordings to their sound, against judges.

HiFi-GAN, arXiv:2010.05646 §2. The generator is HiFi-GAN, iSTFTNet or Vocos. Crops are those of the codec's recipes,
and so are the judges.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.manifest import recordings
from vivavoce.evals import quality
from vivavoce.models.vocoder import HifiganConfig, IstftnetConfig, Vocoder, VocoderConfig, VocosConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.hifigan import UpsamplerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.adversarial import CodecGame, beside_control, miniature_of
from vivavoce.recipes.codec import decoded
from vivavoce.recipes.codec_data import LEAST_RATE, CropConfig, Crops, measuring_clips
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.codec import SoundBatch
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights, CodecAdversarial, Passed

_LEVELLED = 8
"""Batches that mean and deviation of the mel bins are measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderRun(CodecGame):
    """Numbers of a run; ``generator`` chooses which of the three is trained."""

    generator: Literal["hifigan", "istftnet", "vocos"] = "hifigan"
    mel: LogMelConfig = LogMelConfig(bins=80, hop=300, window=1200, n_fft=2048)
    channels: int = 512
    """Of a HiFi-GAN or an iSTFTNet, or the width of a Vocos."""
    strides: tuple[int, ...] = (10, 5, 3, 2)
    """Of a HiFi-GAN; an iSTFTNet has the first of them down to ``inverse_hop``."""
    inverse_hop: int = 5
    depth: int = 8
    crops: CropConfig = CropConfig(batch=16, frames=32, narrowed=0.0)
    judges: DiscriminatorConfig = DiscriminatorConfig(periods=(2, 3, 5, 7, 11))
    weights: AdversarialWeights = AdversarialWeights(
        wave=0.0, mel=45.0, adversarial=1.0, features=2.0, balanced=False, game="squares", judged=1.0
    )
    lr: float = 2e-4
    betas: tuple[float, float] = (0.8, 0.99)

    @property
    def vocoder(self) -> VocoderConfig:
        """What is trained; ConfigError where strides and hop do not fit."""
        bins, hop = self.mel.bins, self.mel.hop
        if self.generator == "vocos":
            trunk = ConvNeXtConfig(dim=self.channels, depth=self.depth)
            return VocoderConfig(mel=self.mel, net=VocosConfig(inputs=bins, trunk=trunk, window=4 * hop, hop=hop))
        kernels = tuple(2 * stride for stride in self.strides)
        up = UpsamplerConfig(inputs=bins, channels=self.channels, strides=self.strides, kernels=kernels)
        if self.generator == "hifigan":
            return VocoderConfig(mel=self.mel, net=HifiganConfig(up=up))
        net = IstftnetConfig(up=up, window=4 * self.inverse_hop, last_hop=self.inverse_hop)
        return VocoderConfig(mel=self.mel, net=net)


def pass_vocoder(vocoder: Vocoder, batch: SoundBatch, weights: AdversarialWeights) -> Passed:
    """Sound to frames and back."""
    del weights
    return Passed(batch.wave, vocoder(vocoder.mel(batch.wave)), batch.wave.new_zeros(()), {})


def train(
    run: VocoderRun,
    speech: Path,
    folder: Path,
    *,
    start: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
) -> Run:
    """Measures on dev clips and writes the part ``vocoder`` into ``folder``; decoded sound is kept in ``cache``.

    ``start`` is a folder with a vocoder to go on from; TrainingError when it takes other frames.
    """
    config = run.vocoder
    clips = recordings(speech, "train", least_rate=LEAST_RATE)
    crops = Crops(run.crops, config, clips, decoded(clips, config.sample_rate, cache or folder), None, run.seed)
    samples = measuring_clips(speech, config.sample_rate)
    torch.manual_seed(run.seed)
    judges = replace(run.judges, sample_rate=config.sample_rate)
    task = CodecAdversarial(config, judges, run.weights, passes=pass_vocoder, seed=run.seed)
    if start is None:
        with torch.no_grad():
            task.codec.level(torch.cat([task.codec.mel(crops(step).wave) for step in range(_LEVELLED)]))
    else:
        known = load_part(start, "vocoder")
        if known.config.mel != config.mel:
            raise TrainingError(f"the vocoder in {start} takes frames of {known.config.mel}, this run has {config.mel}")
        begin_from(task.codec, known)

    def measure(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, CodecAdversarial)
        return measured(model.codec, [sample.wave for sample in samples])

    def export(now: Run) -> None:
        assert isinstance(now.model, CodecAdversarial)
        card: dict[str, Any] = {
            "generator": run.generator,
            "steps": now.step,
            "audio_hours": round(now.audio_seconds / 3600, 2),
        }
        save_part(folder, "vocoder", config, now.model.codec, card, torch.float16)

    return fit(
        task,
        crops,
        {phase: torch.optim.AdamW(task.parameters_of(phase), run.lr, betas=run.betas) for phase in task.phases},
        steps=run.steps,
        schedule=warm_cosine(run.steps, run.warmup, floor=0.1),
        seed=run.seed,
        ema=run.ema,
        hooks=hooks(
            folder, f"vocoder, {run.generator}", config, every=max(1, min(20, run.steps // 100)),
            measure=measure if samples else None, export=export,
        ),
        device=device,
        seconds=run.seconds,
    )  # fmt: skip


def measured(vocoder: Vocoder, waves: list[Float[Tensor, " N"]]) -> dict[str, float]:
    """STOI and PESQ-WB of recordings that went to frames and back."""
    device, clear, opinion = next(vocoder.parameters()).device, 0.0, 0.0
    for wave in waves:
        sound = wave[: len(wave) // vocoder.config.hop * vocoder.config.hop]
        with torch.no_grad():
            made = vocoder(vocoder.mel(sound[None].to(device)))[0].cpu()
        clear += quality.stoi(sound, made, vocoder.config.sample_rate) / len(waves)
        opinion += quality.pesq(sound, made, vocoder.config.sample_rate) / len(waves)
    return {"stoi": clear, "pesq": opinion}


# ---- the whole recipe, small ----

SMALL_MEL = LogMelConfig(bins=20, hop=300, window=1200, n_fft=2048)


def debug(folder: Path, generator: Literal["hifigan", "istftnet", "vocos"] = "istftnet") -> dict[str, float]:
    """In seconds on a CPU: the mel distance beside that of a control that hardly learnt."""
    strides = (10, 6) if generator == "istftnet" else (10, 5, 3, 2)
    small = VocoderRun(generator=generator, mel=SMALL_MEL, channels=32, strides=strides, depth=2)
    run = miniature_of(small, crops=CropConfig(batch=2, frames=16, narrowed=0.0), steps=16, lr=8e-3)
    run = replace(run, judges=replace(run.judges, periods=(2,)))
    speech = miniature.recordings(folder / "speech", miniature.LINES[:1])
    return beside_control(lambda out, run: train(run, speech, out, cache=folder), folder, run)


def _run(run: VocoderRun, given: Given) -> None:
    assert given.speech is not None
    train(run, given.speech, given.out, start=given.start, cache=given.others.get("cache"), device=given.device)


RECIPE = Recipe(
    part="vocoder",
    settings=VocoderRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more"},
    takes={"from": "a vocoder to go on from", "cache": "where decoded sound is kept"},
)
