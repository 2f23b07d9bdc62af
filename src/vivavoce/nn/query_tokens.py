"""A few learnt queries look at a sequence of any length: what they find is all that the rest of a model gets of it.

The bottleneck before NaturalSpeech 2's denoiser (arXiv:2304.09116 §3.3). `nn.qformer` asks per window and keeps the
order of time; here the queries are of the whole, and how long it was can no longer be told.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.attention import CrossAttention


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTokensConfig:
    """So many ``tokens`` of ``dim`` numbers, which are found in vectors of ``memory`` numbers."""

    tokens: int = 32
    dim: int = 512
    memory: int = 512
    heads: int = 8

    def build(self) -> "QueryTokens":
        """The module; ConfigError where the heads do not divide the width."""
        if min(self.tokens, self.dim, self.memory, self.heads) < 1 or self.dim % self.heads:
            raise ConfigError(f"query tokens are a few vectors whose width the heads divide, got {self}")
        return QueryTokens(self)


@final
class QueryTokens(nn.Module):
    """One look of all queries."""

    def __init__(self, config: QueryTokensConfig) -> None:
        """The queries are random vectors."""
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.randn(config.tokens, config.dim))
        self.look = CrossAttention(config.dim, config.heads, config.memory, bias=True)

    def forward(
        self, memory: Float[Tensor, "B M C"], valid: Bool[Tensor, "B M"] | None = None
    ) -> Float[Tensor, "B Q D"]:
        """The tokens; ``valid`` marks what may be looked at, at least one vector in each row."""
        seen = None if valid is None else valid[:, None, None]
        return self.look(self.queries.expand(len(memory), -1, -1), *self.look.remember(memory), seen)
