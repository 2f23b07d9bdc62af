"""A first book that is given: units say what is spoken, and residual books refine what they leave of the sound.

Each vector holds two, end to end: what the sound is like, and what units are made of. The units' quantiser decides the
first id and is not learnt here; its entry is the mean of the sounds that have that id, the other books refine the rest
(the split of Mimi, arXiv:2410.00037, has both halves see the same vector and learns both).
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.quantize import Quantized, ResidualConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBookConfig:
    """``units`` decide the first of the books of ``residual``; both have the same size, or units fewer."""

    units: KMeansConfig | FiniteScalarConfig
    residual: ResidualConfig

    @property
    def dim(self) -> int:
        """Width of the vectors that go in."""
        return self.residual.dim + self.units.dim

    @property
    def values_dim(self) -> int:
        """Width of the vectors that come out."""
        return self.residual.dim

    @property
    def books(self) -> int:
        """All of them."""
        return self.residual.books

    @property
    def size(self) -> int:
        """Entries of a book."""
        return self.residual.size

    def build(self) -> "GivenBook":
        """The module; ConfigError where there are more units than a book has entries."""
        if self.units.size > self.residual.size:
            raise ConfigError(f"{self.units.size} units do not fit in books of {self.residual.size}; use larger books")
        return GivenBook(self)


@final
class GivenBook(nn.Module):
    """The units' id first in the codes, then the books that refine it."""

    def __init__(self, config: GivenBookConfig) -> None:
        """The units' quantiser is to be filled from a file, the books by `start`."""
        super().__init__()
        self.config = config
        self.units = config.units.build().requires_grad_(False)
        self.residual = config.residual.build()

    @property
    def started(self) -> bool:
        """Whether the books hold anything."""
        return self.residual.started

    def _parted(self, x: Float[Tensor, "B D T"]) -> tuple[Float[Tensor, "B E T"], Int[Tensor, "B T"]]:
        """What the sound is like, and the units' ids."""
        sound, vectors = x.split([self.config.residual.dim, self.config.units.dim], dim=1)
        with torch.no_grad():
            return sound, self.units.encode(vectors)[:, 0]

    def forward(self, x: Float[Tensor, "B D T"]) -> Quantized:
        """Quantised vectors, with gradients to what the sound is like."""
        return self.residual(*self._parted(x))

    def deciding(self) -> dict[str, Tensor]:
        """The tensors that decide which codes a vector gets."""
        halves = {"units": self.units.deciding(), "residual": self.residual.deciding()}
        return {f"{half}.{name}": value for half, found in halves.items() for name, value in found.items()}

    def encode(self, x: Float[Tensor, "B D T"], books: int | None = None) -> Int[Tensor, "B K T"]:
        """The ids of all books, or of the first ``books``."""
        sound, given = self._parted(x)
        return self.residual.encode(sound, books, given)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B E T"]:
        """Sum of the entries; fewer books than there are give a coarser vector."""
        return self.residual.decode(codes)

    def start(self, x: Float[Tensor, "B D T"], rounds: int = 10) -> None:
        """Fills the first book with means of what has each id, and the others by k-means."""
        sound, given = self._parted(x)
        self.residual.start(sound, rounds, given)
