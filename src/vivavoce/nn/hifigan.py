"""Generators of waveforms by transposed convolutions: HiFi-GAN (arXiv:2010.05646 §2.2) and iSTFTNet (arXiv:2203.02395).

`Upsampler` is what the two have in common: stages that each make ``stride`` ticks of one, and the mean of residual
blocks of several kernels. `WaveHead` makes samples of the last stage, `InverseHead` a short spectrum per tick. With a
``style`` the blocks are those of StyleTTS 2 (arXiv:2306.07691 §3.2.5): every convolution follows an adaptive norm and
Snake; with a ``source`` an excitation joins each stage. Departs: no weight norm while training.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import pi, prod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from vivavoce.audio.stft import hann
from vivavoce.core.errors import ConfigError
from vivavoce.nn.adain import InstanceNorm
from vivavoce.nn.conv import PreciseConv, PreciseConvTranspose
from vivavoce.nn.snake import Snake

_LAST_SLOPE = 0.01
_LOUDEST = 6.0
"""Of the logarithm of a magnitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsamplerConfig:
    """Stages and their blocks: ``dilations`` are those of every block, one pair of convolutions each.

    The first stage has half the ``channels`` and every later one half of the one before. ``style`` is the width of the
    vector that the norms follow, ``source`` the channels of the excitation; 0: there is none.
    """

    inputs: int = 80
    channels: int = 512
    strides: tuple[int, ...] = (10, 5, 3, 2)
    kernels: tuple[int, ...] = (20, 10, 6, 4)
    block_kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    slope: float = 0.1
    style: int = 0
    source: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that do not fit each other."""
        fits = len(self.strides) == len(self.kernels) and all(
            kernel >= stride for kernel, stride in zip(self.kernels, self.strides, strict=False)
        )
        if not fits or self.channels % (1 << len(self.strides)):
            raise ConfigError(
                f"wanted one kernel per stride, none shorter than it, and channels that can be halved "
                f"{len(self.strides)} times, got {self}"
            )

    @property
    def stride(self) -> int:
        """Ticks that are made of one."""
        return prod(self.strides)

    @property
    def outputs(self) -> int:
        """Channels of the last stage."""
        return self.channels >> len(self.strides)

    def build(self) -> "Upsampler":
        """The module with fresh weights."""
        return Upsampler(self)


class _Activation(nn.Module):
    """What stands before a convolution of a block: a leaky ReLU, or an adaptive norm and Snake."""

    def __init__(self, channels: int, config: UpsamplerConfig) -> None:
        super().__init__()
        self.slope = config.slope
        self.norm = InstanceNorm(channels, config.style) if config.style else None
        self.snake = Snake(channels) if config.style else None

    def forward(self, x: Float[Tensor, "B D T"], style: Float[Tensor, "B C"] | None) -> Float[Tensor, "B D T"]:
        if self.norm is None or self.snake is None or style is None:
            return leaky_relu(x, self.slope)
        return self.snake(self.norm(x, style))


@final
class ResidualBlock(nn.Module):
    """Pairs of convolutions, the first of each dilated, each pair added to what came in."""

    def __init__(self, channels: int, kernel: int, config: UpsamplerConfig) -> None:
        """One pair per dilation."""
        super().__init__()
        many, half = range(len(config.dilations)), kernel // 2
        self.first = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=half * d) for d in config.dilations
        )
        self.second = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=half) for _ in many)
        self.before = nn.ModuleList(_Activation(channels, config) for _ in many)
        self.between = nn.ModuleList(_Activation(channels, config) for _ in many)

    def forward(self, x: Float[Tensor, "B D T"], style: Float[Tensor, "B C"] | None = None) -> Float[Tensor, "B D T"]:
        """All ticks at once."""
        for before, first, between, second in zip(self.before, self.first, self.between, self.second, strict=True):
            x = x + second(between(first(before(x, style)), style))
        return x


@final
class Upsampler(nn.Module):
    """Frames to ticks; see the file's text."""

    def __init__(self, config: UpsamplerConfig) -> None:
        """A convolution, then the stages."""
        super().__init__()
        self.config = config
        widths = [config.channels >> stage for stage in range(len(config.strides) + 1)]
        self.enter = nn.Conv1d(config.inputs, config.channels, 7, padding=3)
        self.stages, self.sources = nn.ModuleList(), nn.ModuleList()
        self.blocks = nn.ModuleList(
            nn.ModuleList(ResidualBlock(narrow, kernel, config) for kernel in config.block_kernels)
            for narrow in widths[1:]
        )
        rest = config.stride
        for (wide, narrow), stride, kernel in zip(pairwise(widths), config.strides, config.kernels, strict=True):
            more = kernel - stride
            self.stages.append(
                PreciseConvTranspose(wide, narrow, kernel, stride, padding=(more + 1) // 2, output_padding=more % 2)
            )
            rest //= stride
            if config.source:
                self.sources.append(PreciseConv(config.source, narrow, 2 * rest - rest % 2, rest, padding=rest // 2))

    def forward(
        self,
        x: Float[Tensor, "B D T"],
        style: Float[Tensor, "B C"] | None = None,
        source: Float[Tensor, "B E U"] | None = None,
    ) -> Float[Tensor, "B F U"]:
        """``T * stride`` ticks. Raises ConfigError where a style or an excitation is missing, or given and unwanted."""
        if (source is None) == bool(self.config.source) or (style is None) == bool(self.config.style):
            raise ConfigError("style and excitation are given to a generator that follows them, and to no other")
        x = self.enter(x)
        for number, stage in enumerate(self.stages):
            x = stage(leaky_relu(x, self.config.slope))
            if source is not None:
                x = x + self.sources[number](source)[:, :, : x.shape[2]]
            x = torch.stack([block(x, style) for block in self._blocks(number)]).mean(0)
        return x

    def _blocks(self, stage: int) -> nn.ModuleList:
        blocks = self.blocks[stage]
        assert isinstance(blocks, nn.ModuleList)
        return blocks


@final
class WaveHead(nn.Module):
    """A sample per tick (HiFi-GAN)."""

    def __init__(self, channels: int) -> None:
        """One convolution."""
        super().__init__()
        self.out = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, x: Float[Tensor, "B D U"]) -> Float[Tensor, "B N"]:
        """Samples in [-1, 1]."""
        return torch.tanh(self.out(leaky_relu(x, _LAST_SLOPE)))[:, 0]


@final
class InverseHead(nn.Module):
    """A short spectrum per tick, and its inverse (iSTFTNet).

    Departs: phases are the sine's multiples of π, so that every phase can be had.
    """

    window: Tensor

    def __init__(self, channels: int, window: int, hop: int) -> None:
        """Spectra of ``window`` samples every ``hop`` samples; ConfigError where windows do not overlap by half."""
        super().__init__()
        if window % 2 or window < 2 * hop:
            raise ConfigError(f"wanted an even window of two hops or more, got {window} and {hop}")
        self.hop = hop
        self.out = nn.Conv1d(channels, window + 2, 7, padding=3)
        self.register_buffer("window", hann(window), persistent=False)

    def forward(self, x: Float[Tensor, "B D U"]) -> Float[Tensor, "B N"]:
        """``U * hop`` samples."""
        # a tick more, since the sound of U spectra ends in the middle of the last one
        x = self.out(pad(leaky_relu(x, _LAST_SLOPE), (1, 0), "reflect"))
        with torch.autocast(x.device.type, enabled=False):
            level, phase = x.float().chunk(2, dim=1)
            spectra = torch.polar(level.clamp(max=_LOUDEST).exp(), pi * phase.sin())
            return torch.istft(spectra, len(self.window), self.hop, window=self.window)
