"""Mel-frequency cepstra with their slopes: what HuBERT's first units are clusters of (arXiv:2106.07447 §III)."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.audio.mel import LogMel, LogMelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MfccConfig:
    """The first ``cepstra`` of each frame, their slopes, and the slopes of those over ``reach`` frames to each side."""

    mel: LogMelConfig = LogMelConfig(sample_rate=16000, bins=40, hop=160, window=400, n_fft=512, fmin=20.0, fmax=7600.0)
    cepstra: int = 13
    reach: int = 2

    @property
    def dim(self) -> int:
        """Numbers per frame."""
        return 3 * self.cepstra

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return self.mel.rate

    def build(self) -> "Mfcc":
        """The module."""
        return Mfcc(self)


@final
class Mfcc(nn.Module):
    """See the file's text."""

    cosines: Tensor

    def __init__(self, config: MfccConfig) -> None:
        """Everything follows from the configuration."""
        super().__init__()
        self.config = config
        self.mel: LogMel = config.mel.build()
        basis = cosines(config.cepstra, config.mel.bins)
        basis[0] *= math.sqrt(0.5)  # orthonormal
        self.register_buffer("cosines", basis, persistent=False)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B D T"]:
        """Cepstra, slopes, slopes of slopes; a frame per whole hop."""
        cepstra = self.cosines @ self.mel(wave)
        slopes = slope(cepstra, self.config.reach)
        return torch.cat((cepstra, slopes, slope(slopes, self.config.reach)), dim=1)


def cosines(count: int, bins: int) -> Float[Tensor, "C M"]:
    """The first cosines over mel bins, all of one length; the first is √2 longer than in an orthonormal transform."""
    order, places = torch.arange(count)[:, None], torch.arange(bins)[None] + 0.5
    return (order * places * torch.pi / bins).cos() * (2 / bins) ** 0.5


def slope_within(x: Float[Tensor, "B D T"], reach: int) -> Float[Tensor, "B D S"]:
    """The slope of the line through each value and ``reach`` to each side, where these are there: S = T - 2 reach."""
    places = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    return x.unfold(2, 2 * reach + 1, 1) @ (places / places.square().sum())


def slope(x: Float[Tensor, "B D T"], reach: int) -> Float[Tensor, "B D T"]:
    """The slope at every value; the ends are as if they went on."""
    return slope_within(F.pad(x, (reach, reach), mode="replicate"), reach) if x.shape[2] else x
