"""Low-rank adaptation (LoRA, arXiv:2106.09685): a frozen linear map and a small one beside it, which is learnt.

Queries, keys and values are one matrix here, so the small map goes to some of its rows only: those of queries and
values, as the paper found best. Its scale can be changed afterwards (SALMONN, arXiv:2310.13289 §3.3.2), and it can be
merged into the weights.
"""

from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """What is added is ``alpha / rank`` times the small map; ``dropout`` is on what goes into it."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05

    def __post_init__(self) -> None:
        """Refuses a map of no rank."""
        if self.rank < 1:
            raise ConfigError(f"a low-rank map needs a rank of at least 1, got {self.rank}")


@final
class LoraLinear(nn.Module):
    """A linear map with small maps to some of its rows; these start at zero, so nothing is changed at first."""

    def __init__(self, linear: nn.Module, inputs: int, rows: tuple[range, ...], config: LoraConfig) -> None:
        """``linear`` is any map of vectors of ``inputs`` numbers."""
        super().__init__()
        self.linear, self.rows = linear, rows
        self.scale = config.alpha / config.rank
        self.drop = nn.Dropout(config.dropout)
        self.down = nn.ParameterList(torch.randn(config.rank, inputs) / inputs**0.5 for _ in rows)
        self.up = nn.ParameterList(torch.zeros(len(own), config.rank) for own in rows)

    def forward(self, x: Float[Tensor, "*S I"]) -> Float[Tensor, "*S O"]:
        """The map's result and what the small ones add."""
        y = self.linear(x)
        if not self.scale:
            return y
        small, at, pieces = self.drop(x), 0, []
        for own, down, up in zip(self.rows, self.down, self.up, strict=True):
            added = F.linear(F.linear(small, down), up) * self.scale
            pieces += [y[..., at : own.start], y[..., own.start : own.stop] + added]
            at = own.stop
        return torch.cat((*pieces, y[..., at:]), dim=-1)

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """The map alone, with what the small ones add in its weights; ConfigError for weights in 8 bits."""
        if not isinstance(self.linear, nn.Linear):
            raise ConfigError("a low-rank map cannot be merged into weights of 8 bits; merge it into wider ones first")
        for own, down, up in zip(self.rows, self.down, self.up, strict=True):
            self.linear.weight[own.start : own.stop] += self.scale * (up @ down)
        return self.linear


def add_lora(trunk: Any, config: LoraConfig) -> None:
    """Puts small maps beside the queries and values of every layer of a `nn.transformer.Transformer`."""
    c = trunk.config
    queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
    rows = (range(queries), range(queries + keys, queries + 2 * keys))
    for layer in trunk.layers:
        layer.qkv = LoraLinear(layer.qkv, c.dim, rows, config)


def only_lora(module: nn.Module) -> None:
    """From now on nothing of a module is learnt but its small maps."""
    module.requires_grad_(False)
    for part in module.modules():
        if isinstance(part, LoraLinear):
            part.down.requires_grad_(True)
            part.up.requires_grad_(True)


def scale_lora(module: nn.Module, scale: float) -> None:
    """From now on the small maps of a module count so much; 0 leaves them out."""
    for part in module.modules():
        if isinstance(part, LoraLinear):
            part.scale = scale


def merge_lora(module: nn.Module) -> None:
    """Merges all small maps of a module into the weights beside them."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, LoraLinear):
                setattr(part, name, child.merged())
