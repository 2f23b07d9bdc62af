"""Whose voice it is, from any number of recordings of them (Mega-TTS 2, arXiv:2307.07218 §3.2).

Every recording is encoded for itself. Their mean is a global timbre (Mega-TTS 1, arXiv:2306.03509 §3.1, has only that);
and each phone looks at the frames of all of them, so that it finds how this person says just this phone.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.attention import CrossAttention
from vivavoce.nn.conv import PreciseConv
from vivavoce.nn.conv_stack import ConvStackConfig


class References(NamedTuple):
    """Recordings of the speaker of each row, as mel frames filled up with zeros; a row may have fewer than others."""

    mel: Float[Tensor, "B R M T"]
    lengths: Int[Tensor, "B R"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiReferenceConfig:
    """``stride`` frames of a reference become one vector; ``heads`` 0: phones get the global timbre alone."""

    bins: int = 80
    stack: ConvStackConfig = ConvStackConfig(width=512)
    stride: int = 16
    heads: int = 8

    def build(self) -> "MultiReference":
        """The module; ConfigError for heads that do not divide the width."""
        if self.stride < 1 or (self.heads and self.stack.width % self.heads):
            raise ConfigError(f"heads divide the width of a timbre encoder, and it has a stride, got {self}")
        return MultiReference(self)


@final
class MultiReference(nn.Module):
    """See the file's text."""

    def __init__(self, config: MultiReferenceConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        width = config.stack.width
        self.enter = nn.Linear(config.bins, width)
        self.before = config.stack.build()
        self.down = PreciseConv(width, width, config.stride, config.stride)
        self.after = config.stack.build()
        self.whole = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.look = CrossAttention(width, config.heads, width, bias=True) if config.heads else None

    def frames(self, references: References) -> tuple[Float[Tensor, "B F D"], Bool[Tensor, "B F"]]:
        """The vectors of all recordings of a row, one recording after the other, and which of them are any."""
        rows, count, _, size = references.mel.shape
        stride = self.config.stride
        mel = nn.functional.pad(references.mel.flatten(0, 1).transpose(1, 2), (0, 0, 0, -size % stride))
        lengths = references.lengths.flatten()
        there = torch.arange(mel.shape[1], device=mel.device) < lengths[:, None]
        x = self.before(self.enter(mel) * there[..., None], there) * there[..., None]
        x = self.down(x.transpose(1, 2)).transpose(1, 2)
        kept = torch.arange(x.shape[1], device=x.device) < (-(-lengths // stride))[:, None]
        x = self.after(x, kept)
        return x.reshape(rows, count * x.shape[1], -1), kept.reshape(rows, -1)

    def forward(self, phones: Float[Tensor, "B P D"], references: References) -> Float[Tensor, "B P D"]:
        """Phones in this voice; a row without any recording gets a timbre of no numbers."""
        x, kept = self.frames(references)
        counted = kept[..., None]
        timbre = (x * counted).sum(1) / counted.sum(1).clamp(min=1)
        made = phones + self.whole(timbre)[:, None]
        if self.look is None:
            return made
        keys, values = self.look.remember(x)
        any_of = kept.any(1)
        seen = (kept | ~any_of[:, None])[:, None, None]
        return made + self.look(self.norm(phones), keys, values, seen) * any_of[:, None, None]
