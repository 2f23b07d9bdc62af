"""Finite scalar quantisation: a few numbers per frame, each rounded to one of a few levels (arXiv:2309.15505).

Their product is one implicit book: nothing is learnt but the projections, no entry can die, there is no commitment. It
stands where a residual quantiser of one book could.
"""

from dataclasses import dataclass
from math import prod
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.nn.quantize import Quantized

_SLACK = 1e-3
"""Share by which the bounds lie outside the last levels, so that rounding can reach them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteScalarConfig:
    """Vectors of ``dim`` are projected to as many numbers as there are ``levels``; the book has their product.

    ``hidden``: the width of a layer that the projection has inside, after a normalisation; 0 for a linear one. Four
    linear functions of a vector tell far fewer classes apart than the book has entries.
    """

    dim: int
    levels: tuple[int, ...] = (8, 5, 5, 5)
    hidden: int = 0

    @property
    def books(self) -> int:
        """One."""
        return 1

    @property
    def size(self) -> int:
        """Entries of the implicit book."""
        return prod(self.levels)

    def build(self) -> "FiniteScalar":
        """The module."""
        if self.dim < 1 or not self.levels or min(self.levels) < 2 or self.hidden < 0:
            raise ConfigError(f"finite scalar quantisation needs levels of at least 2, got {self}")
        return FiniteScalar(self)


@final
class FiniteScalar(nn.Module):
    """Projects, bounds, rounds with gradients straight through, projects back."""

    levels: Tensor
    basis: Tensor
    started = True

    def __init__(self, config: FiniteScalarConfig) -> None:
        """Projections as in ``torch.nn.Linear``."""
        super().__init__()
        self.config = config
        self.into: nn.Module = nn.Linear(config.dim, len(config.levels))
        if config.hidden:
            self.into = nn.Sequential(
                nn.LayerNorm(config.dim),
                nn.Linear(config.dim, config.hidden),
                nn.GELU(),
                nn.Linear(config.hidden, len(config.levels)),
            )
        self.out = nn.Linear(len(config.levels), config.dim)
        self.register_buffer("levels", torch.tensor(config.levels), persistent=False)
        basis = [prod(config.levels[:place]) for place in range(len(config.levels))]
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    def forward(self, x: Float[Tensor, "B D T"]) -> Quantized:
        """Vectors to their levels and back."""
        with torch.autocast(x.device.type, enabled=False):
            bounded = self._bounded(x)
            made = (bounded + (bounded.round() - bounded).detach()) / (self.levels // 2)
            values = linear(made, self.out.weight, self.out.bias).transpose(1, 2)
        return Quantized(values, self._ids(bounded), values.new_zeros(()), values)

    def deciding(self) -> dict[str, Tensor]:
        """The tensors that decide which codes a vector gets."""
        return {f"into.{name}": value for name, value in self.into.state_dict().items()} | {"levels": self.levels}

    def encode(self, x: Float[Tensor, "B D T"], books: int | None = None) -> Int[Tensor, "B 1 T"]:
        """One id per vector; the first number's level counts by ones."""
        return self._ids(self._bounded(x))

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """The levels of ids, projected back."""
        if codes.shape[1] != 1:
            raise SpecError(f"got {codes.shape[1]} books, wanted the only one")
        level = codes.transpose(1, 2) // self.basis % self.levels
        half = self.levels // 2
        return self.out(((level - half) / half).to(self.out.weight.dtype)).transpose(1, 2)

    def start(self, x: Float[Tensor, "B D T"], rounds: int = 10) -> None:
        """Nothing has to be begun."""

    def _bounded(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B T L"]:
        inner = self.into(x.transpose(1, 2).float())
        half = (self.levels - 1) * (1 + _SLACK) / 2
        offset = (1 - self.levels % 2) / 2  # an even number of levels has no middle one
        return (inner + (offset / half).atanh()).tanh() * half - offset

    def _ids(self, bounded: Float[Tensor, "B T L"]) -> Int[Tensor, "B 1 T"]:
        level = bounded.detach().round().long() + self.levels // 2
        return (level * self.basis).sum(-1)[:, None]
