"""From samples to frames by convolutions alone, as wav2vec 2.0 and HuBERT hear (arXiv:2006.11477 §2)."""

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFrontConfig:
    """Layers of convolutions: kernels and strides one by one.

    ``norm``: over time and per channel behind the first layer ("group"), or over the channels of each frame behind
    every layer ("layer"). ``standardize`` brings each recording to zero mean and unit variance first. A ``causal``
    front gives frame t when its last sample has come, can be stepped, and can have neither of what sees all of a
    recording.
    """

    sample_rate: int = 16000
    dim: int = 512
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    norm: Literal["group", "layer"] = "group"
    bias: bool = False
    standardize: bool = False
    causal: bool = False

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return prod(self.strides)

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.sample_rate, self.hop)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """How many frames so many samples give."""
        if self.causal:
            return samples // self.hop
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = ((samples - kernel) // stride + 1).clamp(min=0)
        return samples

    def build(self) -> "WaveFront":
        """The module."""
        if self.causal and (self.norm == "group" or self.standardize):
            raise ConfigError(
                "a causal front cannot have norms over all of a recording; choose norm='layer' and standardize=False"
            )
        if len(self.kernels) != len(self.strides) or any(k < s for k, s in zip(self.kernels, self.strides)):  # noqa: B905 - compared just before
            raise ConfigError(f"wanted a kernel for every stride, none shorter than it; got {self}")
        return WaveFront(self)


@dataclass
class WaveFrontState(State):
    """What each layer still sees."""

    past: tuple[Tensor, ...]  # per layer [B, D, P]


@final
class WaveFront(nn.Module):
    """Convolutions with GELU; see the configuration."""

    convs: Any  # nn.ModuleList of nn.Conv1d, whose stub knows only modules
    norms: Any

    def __init__(self, config: WaveFrontConfig) -> None:
        """Random weights (He et al. 2015)."""
        super().__init__()
        self.config = config
        inputs = (1, *[config.dim] * (len(config.kernels) - 1))
        self.convs = nn.ModuleList(
            nn.Conv1d(into, config.dim, kernel, stride, bias=config.bias)
            for into, kernel, stride in zip(inputs, config.kernels, config.strides, strict=True)
        )
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight)
        if config.norm == "group":
            self.norms = nn.ModuleList([nn.GroupNorm(config.dim, config.dim)])
        else:
            self.norms = nn.ModuleList(nn.LayerNorm(config.dim) for _ in self.convs)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B T D"]:
        """Whole recordings. SpecError for fewer samples than a frame needs."""
        config = self.config
        if config.standardize:
            wave = (wave - wave.mean(1, keepdim=True)) * torch.rsqrt(wave.var(1, keepdim=True, correction=0) + 1e-7)
        if config.causal:
            wave = wave[:, : wave.shape[1] // config.hop * config.hop]
        if int(config.frames(torch.tensor([wave.shape[1]]))) < 1:
            raise SpecError(f"got {wave.shape[1]} samples, which is less than one frame; give {2 * config.hop} or more")
        x = wave[:, None]
        for number in range(len(self.convs)):
            if config.causal:
                x = F.pad(x, (config.kernels[number] - config.strides[number], 0))
            x = self._layer(number, x)
        return x.transpose(1, 2)

    def init_state(self, rows: int) -> WaveFrontState:
        """Silence before the first sample."""
        return WaveFrontState(
            tuple(
                zeros(rows, conv.in_channels, kernel - stride, like=conv.weight)
                for conv, kernel, stride in zip(self.convs, self.config.kernels, self.config.strides, strict=True)
            )
        )

    def step(
        self, x: Float[Tensor, "B N"], state: WaveFrontState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The next samples, whole frames of them (SpecError otherwise)."""
        if not self.config.causal:
            raise ConfigError("a front that looks ahead cannot be stepped; build it with causal=True")
        if x.shape[1] % self.config.hop:
            raise SpecError(f"got {x.shape[1]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        if not x.shape[1]:
            return x.new_zeros(len(x), 0, self.config.dim)
        before = state.clone() if active is not None else state
        y = x[:, None]
        for number, past in enumerate(state.past):
            joined = torch.cat((past, y), dim=2)
            past.copy_(joined[:, :, joined.shape[2] - past.shape[2] :])
            y = self._layer(number, joined)
        state.keep(before, active)
        return y.transpose(1, 2)

    def _layer(self, number: int, x: Float[Tensor, "B C N"]) -> Float[Tensor, "B D T"]:
        x = self.convs[number](x)
        if self.config.norm == "layer":
            x = self.norms[number](x.transpose(1, 2)).transpose(1, 2)
        elif number == 0:
            x = self.norms[0](x)
        return F.gelu(x)
