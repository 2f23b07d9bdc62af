"""Adaptive instance norm: every channel is brought to zero mean and unit variance over time, a style sets the rest.

Arbitrary style transfer (arXiv:1703.06868), for sounds as in StyleTTS (arXiv:2205.15439 §3.1); FiLM (arXiv:1709.07871)
is the same without the norm. Adaptive layer and root-mean-square norms are in `nn.norm`.
"""

from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

_EPS = 1e-5
_SLOPE = 0.2


@final
class Film(nn.Module):
    """Scale and shift of every channel from a vector; the identity at first."""

    def __init__(self, channels: int, style: int) -> None:
        """``style`` is the vector's width."""
        super().__init__()
        self.map = nn.Linear(style, 2 * channels)
        nn.init.zeros_(self.map.bias)
        nn.init.normal_(self.map.weight, std=0.02)

    def forward(self, x: Float[Tensor, "B D T"], style: Float[Tensor, "B C"]) -> Float[Tensor, "B D T"]:
        """``x * (1 + scale) + shift``."""
        scale, shift = self.map(style)[:, :, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


@final
class InstanceNorm(nn.Module):
    """Mean and variance of each channel over the valid frames of its row, then scale and shift from a style."""

    def __init__(self, channels: int, style: int) -> None:
        """``style`` is the vector's width."""
        super().__init__()
        self.film = Film(channels, style)

    def forward(
        self, x: Float[Tensor, "B D T"], style: Float[Tensor, "B C"] | None = None,
        mask: Float[Tensor, "B 1 T"] | None = None,
    ) -> Float[Tensor, "B D T"]:  # fmt: skip
        """Padding (mask 0) counts for nothing and stays 0."""
        if mask is None:
            mean, variance = x.mean(2, keepdim=True), x.var(2, unbiased=False, keepdim=True)
        else:
            count = mask.sum(2, keepdim=True).clamp(min=1)
            mean = (x * mask).sum(2, keepdim=True) / count
            variance = ((x - mean).square() * mask).sum(2, keepdim=True) / count
        x = (x - mean) * torch.rsqrt(variance + _EPS)
        x = self.film(x, style)
        return x if mask is None else x * mask


def wider(mask: Float[Tensor, "B 1 T"] | None, times: int) -> Float[Tensor, "B 1 U"] | None:
    """A mask on a clock so many times as fast."""
    return None if mask is None else mask.repeat_interleave(times, dim=2)


@final
class AdainBlock(nn.Module):
    """Two convolutions, each after an adaptive norm and a leaky ReLU, added to the input (StyleTTS §3.1).

    With ``times`` 2 it makes two frames of one.
    """

    def __init__(
        self, inputs: int, outputs: int, style: int, *, times: Literal[1, 2] = 1, kernel: int = 3, dropout: float = 0.0
    ) -> None:
        """The input is mapped where widths differ."""
        super().__init__()
        self.times = times
        self.before, self.between = InstanceNorm(inputs, style), InstanceNorm(outputs, style)
        self.first = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        self.second = nn.Conv1d(outputs, outputs, kernel, padding=kernel // 2)
        self.shortcut = nn.Conv1d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.spread = nn.ConvTranspose1d(inputs, inputs, 4, 2, padding=1, groups=inputs) if times == 2 else None
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B D T"], style: Float[Tensor, "B C"], mask: Float[Tensor, "B 1 T"] | None = None
    ) -> Float[Tensor, "B E U"]:
        """``T * times`` frames; padding is 0 and stays 0."""
        y = leaky_relu(self.before(x, style, mask), _SLOPE)
        if self.spread is not None:
            x, y, mask = interpolate(x, scale_factor=2.0, mode="nearest"), self.spread(y), wider(mask, 2)
            y = y if mask is None else y * mask
        y = self.between(self.first(self.drop(y)), style, mask)
        y = self.second(self.drop(leaky_relu(y, _SLOPE)))
        made = (y + self.shortcut(x)) * 0.5**0.5
        return made if mask is None else made * mask
