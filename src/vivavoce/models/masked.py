"""A model of a few books of tokens some of which are hidden: it says what they are, one book at a time.

The generator of one factor of NaturalSpeech 3 (arXiv:2403.03100 §4.2) and of MaskGIT over residual books: what is seen
of a place is what it is conditioned on, the sum of the embeddings of its earlier books, and of the book that is written
what is not hidden; of a prompt's places all books. Book and time set scale and shift of the norms.
"""

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.nn.wavenet import moments


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedLMConfig:
    """A trunk that looks both ways under a condition; ``inputs`` numbers are known of each place.

    Of the ``books``, which have ``size`` ids each, those from ``first`` on are written; the others are given.
    """

    trunk: TransformerConfig
    inputs: int
    size: int
    books: int = 1
    first: int = 0

    def build(self) -> "MaskedLM":
        """The module with fresh weights."""
        if self.trunk.causal or not self.trunk.condition or not 0 <= self.first < self.books:
            raise ConfigError(f"a model of hidden tokens looks both ways, under a condition, got {self}")
        return MaskedLM(self)


@final
class MaskedLM(nn.Module):
    """Scores of one book at all places."""

    def __init__(self, config: MaskedLMConfig) -> None:
        """One head and one vector for what is hidden per book that is written."""
        super().__init__()
        self.config = config
        dim, levels = config.trunk.dim, config.books - config.first
        self.enter = nn.Linear(config.inputs, dim)
        self.embed = nn.Parameter(torch.randn(config.books, config.size, dim) * 0.02)
        self.hidden = nn.Parameter(torch.randn(levels, dim) * 0.02)
        self.level = nn.Embedding(levels, config.trunk.condition)
        self.time = nn.Linear(config.trunk.condition, config.trunk.condition)
        self.trunk = config.trunk.build()
        self.heads = nn.Parameter(torch.randn(levels, config.size, dim) * 0.02)

    def forward(
        self,
        codes: Int[Tensor, "B K T"],
        hidden: Bool[Tensor, "B T"],
        level: Int[Tensor, " B"],
        time: Float[Tensor, " B"],
        prompt: Int[Tensor, " B"],
        inputs: Float[Tensor, "B T I"],
        lengths: Int[Tensor, " B"],
    ) -> Float[Tensor, "B T V"]:
        """Scores of book ``level`` of each row; the first ``prompt`` places of a row are known in all books."""
        config, written = self.config, level - self.config.first
        books = torch.arange(config.books, device=codes.device)[None, :, None]
        places = torch.arange(codes.shape[2], device=codes.device)
        own = (books == level[:, None, None]) & ~hidden[:, None]
        seen = (books < level[:, None, None]) | (places < prompt[:, None])[:, None] | own
        looked = torch.stack([F.embedding(codes[:, book], table) for book, table in enumerate(self.embed)], dim=1)
        x = (looked * seen[..., None]).sum(1) + hidden[..., None] * self.hidden[written][:, None] + self.enter(inputs)
        condition = self.level(written) + F.silu(self.time(moments(time, config.trunk.condition)))
        y = self.trunk(x, places < lengths[:, None], condition)
        return torch.einsum("btd,bvd->btv", y, self.heads[written]).float()
