"""WaveNet's gated, dilated convolutions, looking both ways: from noisy vectors to what they were (a denoiser).

The stack of WaveNet (arXiv:1609.03499 §2.4) as DiffWave uses it, with what NaturalSpeech 2 adds (arXiv:2304.09116
§3.2): a condition at every frame, and in every third layer a look at a few tokens, of which scale and shift of the
layer's channels are made (FiLM, arXiv:1709.07871).
"""

import math
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.attention import CrossAttention

_TIME_SCALE = 1000.0
"""Time from 0 to 1 turns as far as the thousand steps of the first diffusion models did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveNetConfig:
    """``channels`` go in and come out; ``frames`` and ``memory`` are the widths of the condition and of the tokens.

    Dilations are 1, 2, 4 and so on and begin anew after ``cycle`` layers; one layer in ``every`` looks at the tokens.
    """

    channels: int
    frames: int
    memory: int
    width: int = 512
    layers: int = 40
    kernel: int = 3
    cycle: int = 2
    every: int = 3
    heads: int = 8
    dropout: float = 0.0

    def build(self) -> "WaveNet":
        """The module; ConfigError for an even kernel or heads that do not divide the width."""
        if self.kernel % 2 == 0 or self.width % self.heads or min(self.layers, self.cycle, self.every) < 1:
            raise ConfigError(f"a WaveNet that looks both ways has an odd kernel, and heads that divide it, got {self}")
        return WaveNet(self)


def moments(time: Float[Tensor, " B"], dim: int) -> Float[Tensor, "B D"]:
    """Sines and cosines of a time between 0 and 1, slow ones last."""
    half = dim // 2
    speeds = torch.exp(-math.log(10000) / max(half - 1, 1) * torch.arange(half, device=time.device))
    angles = _TIME_SCALE * time[:, None] * speeds
    return torch.cat((angles.sin(), angles.cos()), dim=1)


class GatedLayer(nn.Module):
    """One dilated convolution: tanh times sigmoid, then what is handed on and what is handed out."""

    def __init__(self, config: WaveNetConfig, number: int):
        super().__init__()
        width = config.width
        dilation = 2 ** (number % config.cycle)
        self.time = nn.Linear(width, width)
        self.conv = nn.Conv1d(width, 2 * width, config.kernel, padding=config.kernel // 2 * dilation, dilation=dilation)
        self.frames = nn.Conv1d(config.frames, 2 * width, 1)
        looks = number % config.every == 0
        self.look = CrossAttention(width, config.heads, config.memory, bias=True) if looks else None
        self.film = nn.Linear(width, 4 * width) if looks else None
        self.out = nn.Conv1d(width, 2 * width, 1)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "B D T"],
        time: Float[Tensor, "B D"],
        frames: Float[Tensor, "B F T"],
        memory: Float[Tensor, "B M E"],
        valid: Float[Tensor, "B 1 T"],
    ) -> tuple[Float[Tensor, "B D T"], Float[Tensor, "B D T"]]:
        """What the next layer gets, and this layer's share of the result."""
        y = x + self.time(time)[:, :, None]
        made = self.conv(self.drop(y) * valid) + self.frames(frames)
        if self.look is not None and self.film is not None:
            found = self.look(y.transpose(1, 2), *self.look.remember(memory), None)
            scale, shift = self.film(found).transpose(1, 2).chunk(2, dim=1)
            made = made * (1 + scale) + shift
        gate, value = made.chunk(2, dim=1)
        onwards, out = self.out(gate.sigmoid() * value.tanh()).chunk(2, dim=1)
        return (x + onwards) / math.sqrt(2), out


@final
class WaveNet(nn.Module):
    """See the file's text."""

    def __init__(self, config: WaveNetConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv1d(config.channels, width, 1)
        self.time = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.layers = nn.ModuleList(GatedLayer(config, number) for number in range(config.layers))
        self.last = nn.Sequential(
            nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Conv1d(width, config.channels, 1)
        )

    def forward(
        self,
        x: Float[Tensor, "B C T"],
        time: Float[Tensor, " B"],
        frames: Float[Tensor, "B F T"],
        memory: Float[Tensor, "B M E"],
        valid: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B C T"]:
        """Vectors at a ``time`` from 0 (clean) to 1 (noise); with ``valid``, padded frames change nothing."""
        inside = x.new_ones(len(x), 1, x.shape[2]) if valid is None else valid[:, None].to(x.dtype)
        when = self.time(moments(time, self.config.width))
        y, summed = F.relu(self.enter(x)), x.new_zeros(())
        for layer in self.layers:
            y, out = layer(y, when, frames, memory, inside)
            summed = summed + out
        return self.last(summed / math.sqrt(len(self.layers))) * inside
