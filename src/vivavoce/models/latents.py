"""Codes as vectors, and vectors as codes: the sum of a codec's entries is where diffusion lives (NaturalSpeech 2).

The decoder of most quantisers is a sum over books, whatever projections they have; so each book is a table of vectors
as wide as the codec's (arXiv:2304.09116 §3.2). From what a vector is beyond the entries of the other books, the
distances to the entries of a book are scores of its codes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.core.errors import SpecError
from vivavoce.models.codec import Codec
from vivavoce.nn.quantize import SplitQuantizer

_CLOSE = 1e-3


class Books(NamedTuple):
    """``base`` and an entry of each book add up to a vector.

    ``refines`` says of each book which others it refines: their entries are taken away before its codes are scored.
    """

    base: Float[Tensor, " D"]
    tables: Float[Tensor, "K V D"]
    refines: Bool[Tensor, "K K"]

    def vectors(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """What codes stand for."""
        found = torch.stack([F.embedding(ids, table) for ids, table in zip(codes.unbind(1), self.tables, strict=True)])
        return (found.sum(0) + self.base).transpose(1, 2)

    def scores(self, vectors: Float[Tensor, "B D T"], codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B K T V"]:
        """Minus the distance of what other books leave of a vector to each entry; the likeliest is the nearest."""
        found = torch.stack(
            [F.embedding(ids, table) for ids, table in zip(codes.unbind(1), self.tables, strict=True)], dim=1
        )
        left = (vectors.transpose(1, 2) - self.base)[:, None] - torch.einsum(
            "ki,bitd->bktd", self.refines.to(found.dtype), found
        )
        distances = [torch.cdist(left[:, book], table) for book, table in enumerate(self.tables)]
        return -torch.stack(distances, dim=1)

    def to(self, device: torch.device) -> "Books":
        """The same on a device."""
        return Books(*(value.to(device) for value in self))

    def scaled(self, mean: Float[Tensor, " D"], spread: Float[Tensor, ""]) -> "Books":
        """The same books of vectors that are brought to a mean of 0 and a deviation of 1 over all numbers."""
        return Books((self.base - mean) / spread, self.tables / spread, self.refines)


@torch.no_grad()
def books_of(codec: Codec, books: int) -> Books:
    """The first ``books`` of a codec; SpecError for one whose books do not add up to its vectors."""
    size, books = codec.config.size, codec.counted(books)
    decode, tables, before = codec.quantizer.decode, [], torch.zeros(())
    for book in range(books):
        codes = torch.zeros(1, book + 1, size, dtype=torch.long)
        codes[0, book] = torch.arange(size)
        made = decode(codes)[0].T
        tables.append(made - before)
        before = made[0]
    refines = torch.ones(books, books, dtype=torch.bool).tril(-1)
    if isinstance(codec.quantizer, SplitQuantizer):  # its halves see the same vector, neither refines the other
        semantic = codec.quantizer.config.semantic.books
        refines[:semantic, semantic:] = True
    found = Books(torch.zeros(tables[0].shape[1]), torch.stack(tables), refines)
    some = torch.randint(size, (1, books, 64), generator=torch.Generator().manual_seed(0))
    wanted = decode(some)
    if not (found.vectors(some) - wanted).abs().max() <= _CLOSE * wanted.abs().max():
        raise SpecError("the books of this codec do not add up to its vectors; take one with residual books")
    return found
