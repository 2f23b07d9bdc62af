"""Words as vectors that something else looks at: what a description is to a speaker that is told how to sound.

A small transformer over pieces of words, which is trained with whatever looks at it; `hub.t5` has the same form with
published weights, which stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.text.bpe import BpeConfig


class Pieces(NamedTuple):
    """Texts as ids, filled up with 0 at the end."""

    ids: Int[Tensor, "B W"]
    lengths: Int[Tensor, " B"]


@runtime_checkable
class TextEncoding(Protocol):
    """What a model asks of an encoder of texts before it is built."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    def build(self) -> Any:
        """The module: ``pieces`` of texts, and ``forward`` from pieces to vectors."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderConfig:
    """How texts are cut, and a trunk that looks both ways over the pieces."""

    bpe: BpeConfig
    trunk: TransformerConfig

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.trunk.dim

    def build(self) -> "TextEncoder":
        """The module with fresh weights; ConfigError for a trunk that looks back only."""
        if self.trunk.causal:
            raise ConfigError("an encoder of texts looks both ways; build its trunk with causal=False")
        return TextEncoder(self)


@final
class TextEncoder(nn.Module):
    """See the file's text; letters count as small ones."""

    def __init__(self, config: TextEncoderConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.bpe = config.bpe.build()
        self.embed = nn.Embedding(self.bpe.size, config.trunk.dim)
        self.trunk = config.trunk.build()
        nn.init.normal_(self.embed.weight, std=0.02)

    def pieces(self, texts: Sequence[str]) -> Pieces:
        """The ids of texts, as many as the trunk's window holds; a text without any is a space."""
        rows = [self.bpe.encode(" " + text.strip().lower())[: self.config.trunk.window] for text in texts]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        ids = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.long)
        for place, row in zip(ids, rows, strict=True):
            place[: len(row)] = torch.tensor(row)
        return Pieces(ids, lengths)

    def forward(self, pieces: Pieces) -> Float[Tensor, "B W D"]:
        """A vector per piece; those behind a text's end mean nothing."""
        valid = torch.arange(pieces.ids.shape[1], device=pieces.ids.device) < pieces.lengths[:, None]
        return self.trunk(self.embed(pieces.ids), valid)
