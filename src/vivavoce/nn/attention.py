"""What attention can have beside itself: a memory that it looks at, and biases that know distances.

Cross-attention as in Whisper's decoder (arXiv:2212.04356); the gated relative position bias of WavLM (arXiv:2110.13900
§3.2), whose table of distances is shared by the layers while each has a gate of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Remembered(NamedTuple):
    """Keys and values of a memory, per layer, and what of it may be looked at."""

    keys: tuple[Float[Tensor, "B H M E"], ...]
    values: tuple[Float[Tensor, "B H M E"], ...]
    valid: Bool[Tensor, "B 1 1 M"] | None = None

    def of(self, layer: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """What a layer sees of it."""
        return self.keys[layer], self.values[layer], self.valid

    def row(self, number: int) -> "Remembered":
        """That of one row, without what it may not look at."""
        seen = slice(None) if self.valid is None else self.valid[number, 0, 0]
        one = slice(number, number + 1)
        keys, values = (tuple(leaf[one][:, :, seen] for leaf in leaves) for leaves in (self.keys, self.values))
        return Remembered(keys, values)


def together(rows: Sequence[Remembered]) -> Remembered:
    """Memories of one row each (`Remembered.row`) as that of a batch, filled up where they are shorter."""
    if len(rows) == 1:
        return rows[0]
    sizes = torch.tensor([row.keys[0].shape[2] for row in rows], device=rows[0].keys[0].device)
    most = int(sizes.max())

    def joined(leaves: Sequence[Tensor]) -> Tensor:
        return torch.cat([F.pad(leaf, (0, 0, 0, most - leaf.shape[2])) for leaf in leaves])

    keys, values = ([row.keys for row in rows], [row.values for row in rows])
    valid = torch.arange(most, device=sizes.device) < sizes[:, None]
    return Remembered(
        tuple(joined(layer) for layer in zip(*keys, strict=True)),
        tuple(joined(layer) for layer in zip(*values, strict=True)),
        valid[:, None, None],
    )


@final
class CrossAttention(nn.Module):
    """Looks at a memory that does not change while a sequence is written."""

    def __init__(self, dim: int, heads: int, memory: int, bias: bool) -> None:
        """``memory`` is the width of what is looked at."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=bias)
        self.kv = nn.Linear(memory, 2 * dim, bias=bias)
        self.out = nn.Linear(dim, dim, bias=bias)

    def remember(self, memory: Float[Tensor, "B M C"]) -> tuple[Float[Tensor, "B H M E"], Float[Tensor, "B H M E"]]:
        """Keys and values, once for a memory."""
        keys, values = self.kv(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return keys, values

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        keys: Float[Tensor, "B H M E"],
        values: Float[Tensor, "B H M E"],
        valid: Bool[Tensor, "B 1 1 M"] | None,
    ) -> Float[Tensor, "B S D"]:
        """What each position finds in the memory."""
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        found = F.scaled_dot_product_attention(query, keys, values, attn_mask=valid)
        return self.out(found.transpose(1, 2).flatten(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeConfig:
    """Buckets of distances: half of them per direction, exact ones first, then by the logarithm up to ``farthest``."""

    buckets: int = 320
    farthest: int = 800


@final
class RelativeBias(nn.Module):
    """A number per head and bucket of distances."""

    def __init__(self, config: RelativeConfig, heads: int) -> None:
        """Starts without any preference."""
        super().__init__()
        self.config = config
        self.table = nn.Parameter(torch.zeros(config.buckets, heads))

    def forward(self, length: int) -> Float[Tensor, "H S S"]:
        """The bias of every pair of positions."""
        places = torch.arange(length, device=self.table.device)
        return self.table[self.bucket(places[None] - places[:, None])].permute(2, 0, 1)

    def bucket(self, distance: Int[Tensor, "S R"]) -> Int[Tensor, "S R"]:
        """The bucket of a key that stands so far behind its query."""
        each = self.config.buckets // 2
        exact = each // 2
        size = distance.abs()
        far = torch.log(size.float().clamp(min=1) / exact) / math.log(self.config.farthest / exact)
        grown = (exact + (far * (each - exact))).long().clamp(max=each - 1)
        return torch.where(size < exact, size, grown) + (distance > 0).long() * each


@final
class BiasGate(nn.Module):
    """How much of the bias a query wants, from the query's own features."""

    def __init__(self, heads: int, head_dim: int) -> None:
        """One gate for all heads and a scale for each."""
        super().__init__()
        self.gate = nn.Linear(head_dim, 8)
        self.scale = nn.Parameter(torch.ones(heads))

    def forward(self, x: Float[Tensor, "B S D"], bias: Float[Tensor, "H S S"]) -> Float[Tensor, "B H S S"]:
        """The bias of each query."""
        by_head = x.unflatten(-1, (len(self.scale), -1)).transpose(1, 2)
        first, second = self.gate(by_head).unflatten(-1, (2, 4)).sum(-1).sigmoid().unbind(-1)
        wanted = first * (second * self.scale[:, None] - 1) + 2
        return wanted[..., None] * bias
