"""AudioLDM: sounds from words, by diffusion in the latent space of mel frames (arXiv:2301.12503).

It is trained on what a contrastive encoder says of *sounds* and asked with what that encoder says of *words*; of
several sounds the one is kept that fits the words best. Departs: the contrastive encoder is ours
(`models.contrastive`) instead of CLAP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.streams import Stream, Wave, whole
from vivavoce.generate.diffusion import RowNoise, Solver, denoiser, guided, sample
from vivavoce.models.latent_sound import LatentSound, LatentSoundConfig
from vivavoce.models.vocoder import Vocoder
from vivavoce.nn.diffusion import Net, ScaledLinear
from vivavoce.nn.unet import UNet, UNetConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLdmConfig:
    """What is diffused, the net, and the path from sound to noise."""

    sound: LatentSoundConfig = LatentSoundConfig()
    unet: UNetConfig = UNetConfig(film=128)
    schedule: ScaledLinear = ScaledLinear()

    def build(self) -> "AudioLdmModel":
        """The module with fresh weights; ConfigError where the nets do not fit."""
        self.sound.check(self.unet)
        return AudioLdmModel(self)


@final
class AudioLdmModel(nn.Module):
    """The part ``audioldm``: everything but the vocoder."""

    def __init__(self, config: AudioLdmConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.sound: LatentSound = config.sound.build()
        self.unet: UNet = config.unet.build()


@final
class AudioLdm:
    """Makes sounds."""

    def __init__(self, model: AudioLdmModel, vocoder: Vocoder) -> None:
        """SpecError when the vocoder takes other frames."""
        if vocoder.config.mel != (mel := model.config.sound.mel):
            raise SpecError(f"the model makes frames of {mel}, the vocoder takes {vocoder.config.mel}")
        self.model, self.vocoder = model.eval(), vocoder.eval()

    @staticmethod
    def load(folder: Path) -> "AudioLdm":
        """From the parts ``audioldm`` and ``vocoder`` in a folder."""
        return AudioLdm(load_part(folder, "audioldm"), load_part(folder, "vocoder"))

    @property
    def seconds(self) -> float:
        """How long a sound is."""
        return self.model.config.sound.seconds

    @torch.inference_mode()
    def make(
        self,
        texts: Sequence[str],
        *,
        seeds: Sequence[int] = (),
        guidance: float = 2.5,
        steps: int = 100,
        candidates: int = 3,
        solver: Solver = "ddim",
        of: Float[Tensor, "B N"] | None = None,
        strength: float = 0.5,
    ) -> Stream[Wave]:
        """A sound for every text; of so many candidates the one that fits best.

        Sounds ``of``, as long as `seconds`, are changed towards the texts, the more the nearer ``strength`` is to 1.
        Raises ConfigError for less than one candidate or a strength that is not in (0, 1].
        """
        if candidates < 1 or not 0 < strength <= 1:
            raise ConfigError(f"{candidates} candidates at strength {strength}; take one or more, and a part of 1")
        sound, schedule = self.model.sound, self.model.config.schedule
        words = sound.contrastive.texts(texts).repeat_interleave(candidates, 0)
        noise = RowNoise([seed * 1000 + n for seed in seeds or range(len(texts)) for n in range(candidates)])
        start, clean, times = noise(*sound.config.picture()), None, None
        if of is not None:
            clean = (sound.vae.encode(sound.frames(of)).mean * sound.scale).repeat_interleave(candidates, 0)
            times = schedule.grid(steps) * strength
        denoise = denoiser(self.net(words, guidance), schedule, "noise")
        made = sample(denoise, start, schedule, steps, solver, times=times, clean=clean, fresh=noise)
        frames = sound.sounding(made)
        fit = (words * sound.contrastive.sounds(frames)).sum(1).view(-1, candidates)
        best = torch.arange(len(texts)) * candidates + fit.argmax(1)
        wave = self.vocoder(sound.frames.back(frames[best]))
        return whole(Wave(sample_rate=sound.config.mel.sample_rate), wave[:, None].clamp(-1, 1))

    def net(self, film: Float[Tensor, "B D"], guidance: float) -> Net:
        """The noise that is predicted for sounds with these vectors, guided away from no condition."""
        unet, nothing = self.model.unet, self.model.sound.nothing(len(film))

        def noise(x: Tensor, t: Tensor) -> Tensor:
            with_it, without = unet(torch.cat((x, x)), torch.cat((t, t)), torch.cat((film, nothing))).chunk(2)
            return guided(with_it, without, guidance)

        return noise
