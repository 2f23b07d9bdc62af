"""Residual quantisation in which every book looks at a few numbers only, and at their direction, not their size.

DAC's improvement of residual books (arXiv:2306.06546 §3.2, after ViT-VQGAN): each book has projections of its own, into
a small space in which the likest direction wins, and back. Entries are learnt by gradients. Departs: no weight
normalisation of the projections.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.nn.quantize import Quantized, kmeans


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorisedConfig:
    """So many books of ``size`` entries, each in a space of ``code_dim`` numbers."""

    dim: int
    code_dim: int = 8
    books: int = 9
    size: int = 1024
    commitment: float = 0.25
    """Weight of the vectors' way to their entries, beside 1 for the entries' way to their vectors."""
    fewer_books: float = 0.5
    """Share of training examples that see only the first n books, n uniform."""
    one_length: bool = False
    """Vectors and entries are brought to one length in the small space, as in ViT-VQGAN (arXiv:2110.04627 §3.2). DAC
    only chooses by direction; then lengths may run away from each other where nothing but commitment holds them."""

    def build(self) -> "FactorisedQuantizer":
        """The module."""
        if min(self.dim, self.code_dim, self.books) < 1 or self.size < 2:
            raise ConfigError(f"a quantiser needs at least one book of two entries, got {self}")
        return FactorisedQuantizer(self)


@final
class FactorisedQuantizer(nn.Module):
    """Books that refine each other; `start` is for nets that are fresh, nobody has to call it."""

    started = True

    def __init__(self, config: FactorisedConfig) -> None:
        """Entries are parameters."""
        super().__init__()
        self.config = config
        self.into = nn.ModuleList(nn.Linear(config.dim, config.code_dim) for _ in range(config.books))
        self.out = nn.ModuleList(nn.Linear(config.code_dim, config.dim) for _ in range(config.books))
        self.entries = nn.Parameter(torch.randn(config.books, config.size, config.code_dim))

    def forward(self, x: Float[Tensor, "B D T"], *, bare: bool = False) -> Quantized:
        """Vectors to their entries and back; ``commitment`` holds both ways of the books' learning.

        ``bare``: only through the projections, as if every vector were an entry.
        """
        config, rows = self.config, len(x)
        books = torch.full((rows,), config.books, device=x.device)
        if self.training:
            few = torch.rand(rows, device=x.device) < config.fewer_books
            books = torch.where(few, torch.randint(1, config.books + 1, (rows,), device=x.device), books)
        residual, summed, codes, learnt = x.transpose(1, 2), torch.zeros_like(x.transpose(1, 2)), [], x.new_zeros(())
        first = summed
        for book, (into, out) in enumerate(zip(self.into, self.out, strict=True)):
            used = (book < books)[:, None, None]
            inner = self._lengthened(into(residual))
            chosen = self._nearest(inner, book)
            picked = inner.detach() if bare else self._lengthened(self.entries[book][chosen])
            towards = mse_loss(picked, inner.detach(), reduction="none")
            towards = towards + config.commitment * mse_loss(inner, picked.detach(), reduction="none")
            learnt = learnt + (towards * used).mean() if not bare else learnt
            made = out(inner + (picked - inner).detach())
            residual, summed = residual - made, summed + made * used
            first = summed if book == 0 else first
            codes.append(chosen)
        values = summed.transpose(1, 2)
        return Quantized(values, torch.stack(codes, dim=1), learnt, first.transpose(1, 2))

    def deciding(self) -> dict[str, Tensor]:
        """The tensors that decide which codes a vector gets."""
        return dict(self.state_dict())

    def encode(self, x: Float[Tensor, "B D T"], books: int | None = None) -> Int[Tensor, "B K T"]:
        """The entries of likest direction, book after book; of the first ``books`` only, if given."""
        residual, codes = x.transpose(1, 2), []
        for book in range(self.config.books if books is None else books):
            chosen = self._nearest(self.into[book](residual), book)
            residual = residual - self.out[book](self._lengthened(self.entries[book][chosen]))
            codes.append(chosen)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """Sum of the projected entries; fewer books than there are give a coarser vector."""
        if not 1 <= codes.shape[1] <= self.config.books:
            raise SpecError(f"got {codes.shape[1]} books, wanted 1 to {self.config.books}")
        made = [
            self.out[book](self._lengthened(self.entries[book][chosen])) for book, chosen in enumerate(codes.unbind(1))
        ]
        return torch.stack(made).sum(0).transpose(1, 2)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "B D T"], rounds: int = 10) -> None:
        """Begins anew for vectors such as these: each book sees their spread around their mean, its entries are some of
        them, and what it gives back is the nearest to them that it can give.

        From random projections a net whose vectors hardly differ yet gives every one of them the same entry, and may
        stay there.
        """
        residual = x.transpose(1, 2).flatten(0, 1)
        for book, (into, out) in enumerate(zip(self.into, self.out, strict=True)):
            assert isinstance(into, nn.Linear) and isinstance(out, nn.Linear)
            centre = residual.mean(0)
            spread = (residual - centre) @ into.weight.T
            into.weight.div_(spread.std(0).clamp(min=1e-6)[:, None])
            into.bias.copy_(-into.weight @ centre)
            inner = self._lengthened(into(residual))
            drawn = torch.randint(len(inner), (self.config.size,), device=x.device)
            self.entries[book] = inner[drawn] + 0.05 * torch.randn_like(inner[drawn])
            picked = self._lengthened(self.entries[book][self._nearest(inner[None], book)[0]])
            known = torch.cat((picked, torch.ones_like(picked[:, :1])), dim=1)
            fitted = torch.linalg.lstsq(known, residual).solution
            out.weight.copy_(fitted[:-1].T)
            out.bias.copy_(fitted[-1])
            residual = residual - out(picked)

    @torch.no_grad()
    def begin(self, x: Float[Tensor, "B D T"], rounds: int = 10) -> None:
        """Entries for what the projections, which stay as they are, make of vectors: each book's by k-means."""
        residual = x.transpose(1, 2).flatten(0, 1)
        for book, (into, out) in enumerate(zip(self.into, self.out, strict=True)):
            inner = self._lengthened(into(residual))
            self.entries[book] = kmeans(inner, self.config.size, rounds)
            residual = residual - out(self._lengthened(self.entries[book][self._nearest(inner[None], book)[0]]))

    def _lengthened(self, inner: Float[Tensor, "*T C"]) -> Float[Tensor, "*T C"]:
        return normalize(inner, dim=-1) * self.config.code_dim**0.5 if self.config.one_length else inner

    @torch.no_grad()
    def _nearest(self, inner: Float[Tensor, "B T C"], book: int) -> Int[Tensor, "B T"]:
        return (normalize(inner, dim=-1) @ normalize(self.entries[book], dim=-1).T).argmax(-1)
