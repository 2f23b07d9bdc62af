"""Where a frame stands, added to the frames: a convolution that sees the neighbours, or a table.

The convolutional embedding of wav2vec 2.0 (arXiv:2006.11477 §2) without its weight normalisation, which is folded into
the weights where somebody's checkpoint has it; sinusoids as Whisper lays them out (arXiv:2212.04356).
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import SpecError
from vivavoce.core.streaming import zeros
from vivavoce.nn.conv import ConvState, PreciseConv, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvPositionsConfig:
    """A grouped convolution over ``kernel`` frames around each; ``causal``: only over those before it."""

    kernel: int = 128
    groups: int = 16
    causal: bool = False

    def build(self, dim: int) -> "ConvPositions":
        """The module."""
        return ConvPositions(self, dim)


@final
class ConvPositions(nn.Module):
    """Adds a summary of the neighbours to every frame."""

    def __init__(self, config: ConvPositionsConfig, dim: int) -> None:
        """Random weights, as small as the paper's code has them."""
        super().__init__()
        self.config = config
        self.conv = PreciseConv(dim, dim, config.kernel, groups=config.groups)
        nn.init.normal_(self.conv.weight, std=math.sqrt(4 / (config.kernel * dim)))
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """All frames at once."""
        kernel = self.config.kernel
        before = kernel - 1 if self.config.causal else kernel // 2
        return self._added(x, F.pad(x.transpose(1, 2), (before, kernel - 1 - before)))

    def init_state(self, rows: int) -> ConvState:
        """Nothing before the first frame."""
        return ConvState(zeros(rows, self.conv.in_channels, self.config.kernel - 1, like=self.conv.weight))

    def step(
        self, x: Float[Tensor, "B T D"], state: ConvState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The next frames of a causal one."""
        joined = torch.cat((state.past, x.transpose(1, 2)), dim=2)
        settle(state.past, joined[:, :, joined.shape[2] - state.past.shape[2] :], active)
        return self._added(x, joined) if x.shape[1] else x

    def _added(self, x: Float[Tensor, "B T D"], joined: Float[Tensor, "B D S"]) -> Float[Tensor, "B T D"]:
        return x + F.gelu(self.conv(joined)).transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """A vector for each of ``length`` places; they are not learnt."""

    length: int = 1500

    def build(self, dim: int) -> "Table":
        """The module, which begins with sinusoids."""
        return Table(self, dim)


@final
class Table(nn.Module):
    """Adds to every frame the vector of its place."""

    places: Tensor

    def __init__(self, config: TableConfig, dim: int) -> None:
        """Sines in the first half of a vector, cosines in the other."""
        super().__init__()
        self.config = config
        self.register_buffer("places", sinusoids(config.length, dim))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """SpecError for more frames than there are places."""
        if x.shape[1] > self.config.length:
            raise SpecError(f"got {x.shape[1]} frames, but there are {self.config.length} places; cut the sound")
        return x + self.places[: x.shape[1]]


def sinusoids(length: int, dim: int) -> Float[Tensor, "T D"]:
    """Waves from 2π to 20000π frames long, spaced evenly on a logarithmic scale."""
    half = dim // 2
    speeds = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    angles = torch.arange(length)[:, None] * speeds
    return torch.cat((angles.sin(), angles.cos()), dim=1)
