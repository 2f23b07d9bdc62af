"""A Q-Former over windows: from many frames to few vectors in the order of time (SALMONN, arXiv:2310.13289 §3.1).

The frames are cut into windows, and a few learnt queries look at each window by themselves through the same small
transformer (BLIP-2's, arXiv:2301.12597, without its words and positions). One global set of queries would have to find
out where things are; here the n-th vector is of the n-th window.
"""

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.transformer import TransformerConfig


def qformer_trunk(dim: int, layers: int, heads: int, hidden: int, memory: int) -> TransformerConfig:
    """BLIP-2's transformer: norms after the sublayers, biases, GELU, and a look at a memory in every layer."""
    return TransformerConfig(
        dim=dim, layers=layers, heads=heads, kv_heads=heads, hidden=hidden, window=64, causal=False, norm="layer",
        norm_eps=1e-12, post=True, gated=False, bias=True, rotary=False, memory=memory,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowQFormerConfig:
    """``queries`` vectors of every ``window`` frames; the trunk's ``memory`` is the width of the frames."""

    trunk: TransformerConfig
    window: int = 17
    queries: int = 1

    def vectors(self, frames: int) -> int:
        """How many vectors so many frames become; what is left of the last window is not looked at."""
        return max(frames // self.window, 1) * self.queries

    def build(self) -> "WindowQFormer":
        """The module; ConfigError for a trunk that cannot look at anything."""
        if not self.trunk.memory or self.trunk.causal or self.queries > self.trunk.window:
            raise ConfigError(f"a Q-Former looks at a memory and both ways, got {self.trunk}")
        return WindowQFormer(self)


@final
class WindowQFormer(nn.Module):
    """See the file's text."""

    def __init__(self, config: WindowQFormerConfig) -> None:
        """The queries are small random vectors."""
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.randn(config.queries, config.trunk.dim) * 0.02)
        self.trunk = config.trunk.build()

    def forward(self, frames: Float[Tensor, "B T C"]) -> Float[Tensor, "B Q D"]:
        """The vectors of all windows, in order; fewer frames than a window are filled up."""
        c = self.config
        if frames.shape[1] < c.window:
            frames = F.pad(frames, (0, 0, 0, c.window - frames.shape[1]))
        windows = frames.unfold(1, c.window, c.window).transpose(2, 3).flatten(0, 1)
        looked = self.trunk(self.queries.expand(len(windows), -1, -1), memory=self.trunk.remember(windows))
        return looked.unflatten(0, (len(frames), -1)).flatten(1, 2)
