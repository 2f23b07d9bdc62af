"""ConvNeXt blocks over time, causal: a depthwise convolution, then a wide pointwise layer per frame (arXiv:2201.03545).

Vocos (arXiv:2306.00814) showed that a plain stack of them at one frame rate makes a vocoder. Departures: the
convolution looks only backwards; no global response norm.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from vivavoce.core.streaming import State, Timing
from vivavoce.nn.conv import ConvConfig, ConvState
from vivavoce.nn.few import Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNeXtConfig:
    """A stack of equal blocks."""

    dim: int = 256
    depth: int = 4
    kernel: int = 7
    expand: int = 3

    def build(self) -> "ConvNeXt":
        """The module."""
        return ConvNeXt(self)


@dataclass
class ConvNeXtState(State):
    """What each block still sees."""

    blocks: tuple[ConvState, ...]


@final
class ConvNeXtBlock(nn.Module):
    """Depthwise over time, pointwise over features, added to the input with a learnt small gain."""

    def __init__(self, config: ConvNeXtConfig) -> None:
        """Begins near the identity: the gain is 1 / depth."""
        super().__init__()
        depthwise = ConvConfig(inputs=config.dim, outputs=config.dim, kernel=config.kernel, groups=config.dim)
        self.depthwise = depthwise.build()
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.widen = Linear(config.dim, config.dim * config.expand)
        self.narrow = Linear(config.dim * config.expand, config.dim)
        self.gain = nn.Parameter(torch.full((config.dim,), 1 / config.depth))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """All frames at once."""
        return x + self._pointwise(self.depthwise(x))

    def step(
        self, x: Float[Tensor, "B D T"], state: ConvState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The same, frame by frame."""
        return x + self._pointwise(self.depthwise.step(x, state, active))

    def _pointwise(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        hidden = self.narrow(gelu(self.widen(self.norm(x.transpose(1, 2))), approximate="tanh"))
        return (hidden * self.gain).transpose(1, 2)


@final
class ConvNeXt(nn.Module):
    """Blocks at one frame rate."""

    def __init__(self, config: ConvNeXtConfig) -> None:
        """Builds ``depth`` blocks."""
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList([ConvNeXtBlock(config) for _ in range(config.depth)])

    @property
    def timing(self) -> Timing:
        """Frame in, frame out."""
        return Timing(rate=Fraction(1))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """All frames at once."""
        for block in self.blocks:
            x = block(x)
        return x

    def init_state(self, rows: int) -> ConvNeXtState:
        """Zeros before the first frame."""
        return ConvNeXtState(tuple(block.depthwise.init_state(rows) for block in self._blocks()))

    def step(
        self, x: Float[Tensor, "B D T"], state: ConvNeXtState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The same, frame by frame."""
        for block, past in zip(self._blocks(), state.blocks, strict=True):
            x = block.step(x, past, active)
        return x

    def _blocks(self) -> list[ConvNeXtBlock]:
        return [block for block in self.blocks if isinstance(block, ConvNeXtBlock)]
