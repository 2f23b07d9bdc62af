"""Sounds as latent diffusion sees them: levelled mel frames, an autoencoder of them, an encoder of words and sounds.

AudioLDM and VoiceLDM have the same first stage; what differs is the net that learns its latent pictures.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.mel import LogMel, LogMelConfig
from vivavoce.core.errors import ConfigError
from vivavoce.models.contrastive import TextSound, TextSoundConfig
from vivavoce.models.vae import MelVae, MelVaeConfig
from vivavoce.nn.unet import UNetConfig

MEL = LogMelConfig(sample_rate=16000, bins=64, hop=160, window=640, n_fft=1024, fmax=8000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSoundConfig:
    """Mel frames and both nets; ``count`` is how many frames are drawn at once."""

    mel: LogMelConfig = MEL
    vae: MelVaeConfig = MelVaeConfig()
    contrastive: TextSoundConfig = TextSoundConfig()
    count: int = 1024

    @property
    def samples(self) -> int:
        """Of what is drawn at once."""
        return self.count * self.mel.hop

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self.samples / self.mel.sample_rate

    def picture(self, frames: int = 0) -> tuple[int, int, int]:
        """Channels, time and bins of what is diffused for so many frames, by default for all that are drawn at once."""
        return self.vae.latent, (frames or self.count) // self.vae.stride, self.mel.bins // self.vae.stride

    def build(self) -> "LatentSound":
        """The module with fresh weights; ConfigError where the nets do not fit."""
        if (self.vae.bins, self.contrastive.bins) != (self.mel.bins,) * 2 or self.count % self.vae.stride:
            raise ConfigError(
                f"frames of {self.mel.bins} bins, {self.count} at once, for nets that take {self.vae.bins} and "
                f"{self.contrastive.bins} bins and multiples of {self.vae.stride}"
            )
        return LatentSound(self)

    def check(self, unet: UNetConfig) -> None:
        """ConfigError when this net is not for these pictures and vectors."""
        if (unet.inputs, unet.outputs, unet.film) != (self.vae.latent, self.vae.latent, self.contrastive.dim):
            raise ConfigError(
                f"the net takes {unet.inputs} channels and vectors of {unet.film}, the autoencoder gives "
                f"{self.vae.latent} and the encoder of sounds {self.contrastive.dim}"
            )


@final
class LevelledMel(nn.Module):
    """Mel frames at zero mean and unit deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: LogMelConfig) -> None:
        """Buffers, which a recipe measures."""
        super().__init__()
        self.mel: LogMel = config.build()
        self.register_buffer("mean", torch.tensor(-5.0))
        self.register_buffer("deviation", torch.tensor(2.5))

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B M T"]:
        """Sound to frames."""
        return (self.mel(wave) - self.mean) / self.deviation

    def back(self, frames: Float[Tensor, "B M T"]) -> Float[Tensor, "B M T"]:
        """Frames as a vocoder takes them."""
        return frames * self.deviation + self.mean

    @torch.no_grad()
    def measure(self, wave: Float[Tensor, "B N"]) -> None:
        """Takes mean and deviation from some sounds."""
        frames = self.mel(wave)
        self.mean.copy_(frames.mean())
        self.deviation.copy_(frames.std())


@final
class LatentSound(nn.Module):
    """See the file's text."""

    scale: Tensor

    def __init__(self, config: LatentSoundConfig) -> None:
        """Fresh weights; ``scale`` brings latent numbers to unit deviation, a recipe measures it."""
        super().__init__()
        self.config = config
        self.frames = LevelledMel(config.mel)
        self.vae: MelVae = config.vae.build()
        self.contrastive: TextSound = config.contrastive.build()
        self.register_buffer("scale", torch.tensor(1.0))

    def latents(self, frames: Float[Tensor, "B M T"]) -> Float[Tensor, "B C U E"]:
        """What the autoencoder makes of frames, at unit deviation."""
        return self.vae.encode(frames).draw() * self.scale

    def sounding(self, latents: Float[Tensor, "B C U E"]) -> Float[Tensor, "B M T"]:
        """The other way round."""
        return self.vae.decode(latents / self.scale)

    def nothing(self, rows: int) -> Float[Tensor, "B D"]:
        """The condition of no condition: what the encoder says of no words."""
        return self.contrastive.texts([""]).expand(rows, -1)

    @torch.no_grad()
    def measure(self, wave: Float[Tensor, "B N"]) -> None:
        """Takes the scale from some sounds."""
        self.scale.copy_(1 / self.vae.encode(self.frames(wave)).draw().std())
