"""A variational autoencoder of mel frames: a spectrogram to a small picture of normal numbers and back.

Latent diffusion's first stage (arXiv:2112.10752 §3.1) as AudioLDM uses it (arXiv:2301.12503 §4.1), without attention;
`nn.mel_judges` judges it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.nn.unet import PictureBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class MelVaeConfig:
    """Channels of each level, each of half the size of the one before; ``latent`` channels come out."""

    bins: int = 64
    latent: int = 8
    channels: tuple[int, ...] = (128, 256, 512)
    blocks: int = 2
    groups: int = 32

    @property
    def stride(self) -> int:
        """Frames, and bins, for one latent place."""
        return 2 ** (len(self.channels) - 1)

    def build(self) -> "MelVae":
        """The module; ConfigError where the numbers do not fit."""
        if self.bins % self.stride or any(wide % self.groups for wide in self.channels):
            raise ConfigError(
                f"{self.bins} bins must be a multiple of {self.stride}, and the channels {self.channels} of the "
                f"{self.groups} groups"
            )
        return MelVae(self)


class Posterior(NamedTuple):
    """A normal distribution for every latent number."""

    mean: Float[Tensor, "B C T M"]
    log_variance: Float[Tensor, "B C T M"]

    def draw(self) -> Float[Tensor, "B C T M"]:
        """One of its values."""
        return self.mean + (0.5 * self.log_variance).exp() * torch.randn_like(self.mean)

    def divergence(self) -> Float[Tensor, ""]:
        """How far it is from a standard one, a latent number on average (nats)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).mean()


class _Half(nn.Module):
    """Levels of blocks, going down or up."""

    levels: Any  # an nn.ModuleList of nn.ModuleLists, whose stub knows only modules

    def __init__(self, config: MelVaeConfig, *, up: bool) -> None:
        super().__init__()
        channels = config.channels[::-1] if up else config.channels

        def block(inputs: int, outputs: int) -> PictureBlock:
            return PictureBlock(inputs, outputs, config.groups, 1e-6)

        self.up, wide = up, channels[0]
        self.enter = nn.Conv2d(config.latent if up else 1, wide, 3, padding=1)
        self.levels, self.changes = nn.ModuleList(), nn.ModuleList()
        for number, outputs in enumerate(channels):
            count = config.blocks + up
            self.levels.append(nn.ModuleList(block(wide if not i else outputs, outputs) for i in range(count)))
            if number < len(channels) - 1:
                self.changes.append(nn.Conv2d(outputs, outputs, 3, 1 if up else 2, padding=int(up)))
            wide = outputs
        deep = config.channels[-1]
        self.middle = nn.ModuleList(block(deep, deep) for _ in range(2))
        self.norm = nn.GroupNorm(config.groups, wide, 1e-6)
        self.leave = nn.Conv2d(wide, 1 if up else 2 * config.latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for block in self.middle if self.up else ():
            x = block(x)
        for number, level in enumerate(self.levels):
            for block in level:
                x = block(x)
            if number < len(self.changes):
                x = F.interpolate(x, scale_factor=2.0, mode="nearest") if self.up else F.pad(x, (0, 1, 0, 1))
                x = self.changes[number](x)
        for block in () if self.up else self.middle:
            x = block(x)
        return self.leave(F.silu(self.norm(x)))


@final
class MelVae(nn.Module):
    """See the file's text."""

    def __init__(self, config: MelVaeConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.down, self.up = _Half(config, up=False), _Half(config, up=True)
        self.enter = nn.Conv2d(2 * config.latent, 2 * config.latent, 1)
        self.leave = nn.Conv2d(config.latent, config.latent, 1)

    def encode(self, mel: Float[Tensor, "B M T"]) -> Posterior:
        """What the frames, near zero mean and unit deviation, may be; SpecError unless T is a multiple of `stride`."""
        if mel.shape[2] % self.config.stride:
            raise SpecError(f"{mel.shape[2]} frames are not a multiple of {self.config.stride}; cut or fill them")
        mean, log_variance = self.enter(self.down(mel.transpose(1, 2)[:, None])).chunk(2, 1)
        return Posterior(mean, log_variance.clamp(-30, 20))

    def decode(self, latent: Float[Tensor, "B C T M"]) -> Float[Tensor, "B F N"]:
        """Frames."""
        return self.up(self.leave(latent))[:, 0].transpose(1, 2)
