"""What is predicted of each phone or frame in the manner of a prompt: how long it lasts, how high it is.

Convolutions, and in every third of them a look at the prompt (NaturalSpeech 2, arXiv:2304.09116 §3.1 and §3.3), so that
somebody's pace and melody are taken from a few seconds of them.
"""

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.attention import CrossAttention


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptedPredictorConfig:
    """``inputs`` numbers of each place become one; ``memory`` is the width of the prompt's vectors."""

    inputs: int
    memory: int
    width: int = 512
    layers: int = 30
    kernel: int = 3
    every: int = 3
    heads: int = 8
    dropout: float = 0.5

    def build(self) -> "PromptedPredictor":
        """The module; ConfigError for an even kernel or heads that do not divide the width."""
        if self.kernel % 2 == 0 or self.width % self.heads or min(self.layers, self.every) < 1:
            raise ConfigError(f"a predictor has an odd kernel, and heads that divide its width, got {self}")
        return PromptedPredictor(self)


class _Layer(nn.Module):
    """A convolution over neighbours, and sometimes a look at the prompt; each added to what came in."""

    def __init__(self, config: PromptedPredictorConfig, looks: bool):
        super().__init__()
        width = config.width
        self.conv = nn.Conv1d(width, width, config.kernel, padding=config.kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.look = CrossAttention(width, config.heads, config.memory, bias=True) if looks else None
        self.look_norm = nn.LayerNorm(width) if looks else None
        self.dropout = config.dropout

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        inside: Float[Tensor, "B S 1"],
        prompt: Float[Tensor, "B M C"],
        seen: Bool[Tensor, "B 1 1 M"] | None,
    ) -> Float[Tensor, "B S D"]:
        if self.look is not None and self.look_norm is not None:
            x = x + self.look(self.look_norm(x), *self.look.remember(prompt), seen)
        y = self.conv((self.norm(x) * inside).transpose(1, 2)).transpose(1, 2)
        return x + F.dropout(torch.relu(y), self.dropout, self.training)


@final
class PromptedPredictor(nn.Module):
    """See the file's text."""

    def __init__(self, config: PromptedPredictorConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        self.enter = nn.Linear(config.inputs, config.width)
        self.layers = nn.ModuleList(_Layer(config, number % config.every == 0) for number in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, 1)

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        valid: Bool[Tensor, "B S"],
        prompt: Float[Tensor, "B M C"],
        prompt_valid: Bool[Tensor, "B M"] | None = None,
    ) -> Float[Tensor, "B S"]:
        """A number for each place; what is not ``valid`` changes nothing and gets 0."""
        inside = valid[..., None].to(x.dtype)
        seen = None if prompt_valid is None else prompt_valid[:, None, None]
        y = self.enter(x)
        for layer in self.layers:
            y = layer(y, inside, prompt, seen)
        return self.out(self.norm(y))[..., 0] * inside[..., 0]


def inside(lengths: Int[Tensor, " B"], most: int) -> Bool[Tensor, "B T"]:
    """What is not padding, of rows of these lengths."""
    return torch.arange(most, device=lengths.device) < lengths[:, None]


def rounded(frames: Float[Tensor, "B P"], valid: Bool[Tensor, "B P"]) -> Int[Tensor, "B P"]:
    """Whole frames of which the sum stays what it is, so that short phones on a slow clock do not all vanish or grow.

    A row has at least one frame.
    """
    ends = (frames.clamp(min=0) * valid).double().cumsum(1)
    marks = ends.round().long()
    marks[:, -1].clamp_(min=1)
    return torch.cat((marks[:, :1], marks.diff(dim=1)), dim=1)


def held(x: Float[Tensor, "B P D"], frames: Int[Tensor, "B P"]) -> Float[Tensor, "B T D"]:
    """What is known of each phone, at each of its frames (FastSpeech's length regulator, arXiv:1905.09263 §3.2)."""
    ends = frames.cumsum(1)
    places = torch.arange(int(ends[:, -1].max()), device=x.device).expand(len(x), -1)
    phone = torch.searchsorted(ends, places.contiguous(), right=True).clamp(max=x.shape[1] - 1)
    made = x.gather(1, phone[..., None].expand(-1, -1, x.shape[2]))
    return made * (places < ends[:, -1:])[..., None]
