"""Vector quantisation: a frame's vector becomes a few book entries, each refining what the ones before it left.

SoundStream (arXiv:2107.03312 §3.3): k-means start, codebooks that follow their vectors by moving averages, entries
that are no longer used moved to vectors of the batch, and training with fewer books for part of the examples.
`SplitQuantizer` gives the first book a projection of its own, so that it can be taught meaning without the others
bending it (Mimi, arXiv:2410.00037 §3.3.3).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from vivavoce.core.derived import Derived
from vivavoce.core.errors import ConfigError, SpecError


class Quantized(NamedTuple):
    """What a quantiser gives while training."""

    values: Float[Tensor, "B D T"]  # gradients pass straight through
    codes: Int[Tensor, "B K T"]
    commitment: Float[Tensor, ""]
    meaning: Float[Tensor, "B D T"]  # what the first book alone says, for its teacher


@runtime_checkable
class QuantizerConfig(Protocol):
    """What a codec asks of a quantiser before it is built."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    @property
    def books(self) -> int:
        """Codes per frame."""
        ...

    @property
    def size(self) -> int:
        """Entries of a book."""
        ...

    def build(self) -> Any:
        """The module: ``forward`` (`Quantized`), ``encode``, ``decode``, ``deciding``, ``start`` and ``started``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualConfig:
    """Residual books over projected vectors of ``code_dim`` numbers; 0: over the vectors as they are.

    Training sees all books, or as many as ``fewer_books`` and ``choices`` say, and ``unquantised`` of the examples as
    if there were no books (Mimi, arXiv:2410.00037 §3.3.3).
    """

    dim: int
    code_dim: int = 64
    bias: bool = True
    """Of the projections."""
    books: int = 8
    size: int = 1024
    decay: float = 0.99
    dead_below: float = 0.1  # an entry used less often than this, per batch on average, is moved
    fewer_books: float = 0.25  # share of training examples that see only the first n books, n uniform
    choices: tuple[int, ...] = ()
    """Numbers of books of which one is drawn for each batch (EnCodec's list of bandwidths, arXiv:2210.13438 §3.2)."""
    unquantised: float = 0.0

    @property
    def inner(self) -> int:
        """Width of the entries."""
        return self.code_dim or self.dim

    def build(self) -> "ResidualQuantizer":
        """The module."""
        few = [count for count in self.choices if not 1 <= count <= self.books]
        if min(self.dim, self.books) < 1 or self.code_dim < 0 or self.size < 2 or few:
            raise ConfigError(f"a quantiser needs at least one book of two entries, got {self}")
        return ResidualQuantizer(self)


@final
class ResidualQuantizer(nn.Module):
    """Books that refine each other; not started until `start` has seen vectors, and until then the identity."""

    entries: Tensor
    usage: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        """Entries are buffers: they follow the vectors, no optimiser touches them. Usage 0 means not started."""
        super().__init__()
        self.config = config
        same = not config.code_dim
        self.into = nn.Identity() if same else nn.Linear(config.dim, config.code_dim, bias=config.bias)
        self.out = nn.Identity() if same else nn.Linear(config.code_dim, config.dim, bias=config.bias)
        self.register_buffer("entries", torch.zeros(config.books, config.size, config.inner))
        self.register_buffer("usage", torch.zeros(config.books, config.size))
        self._sizes: Derived[Tensor] = Derived()
        """Half the squared lengths of the entries, which cost more than a search among few."""

    @property
    def started(self) -> bool:
        """Whether the books hold anything."""
        return bool(self.usage.any())

    def bare(self, x: Float[Tensor, "B D T"]) -> Bool[Tensor, " B"] | None:
        """Draws the examples that a step of training does not quantise; None where all are."""
        share = self.config.unquantised
        return torch.rand(len(x), device=x.device) < share if self.training and share else None

    def forward(
        self,
        x: Float[Tensor, "B D T"],
        given: Int[Tensor, "B T"] | None = None,
        bare: Bool[Tensor, " B"] | None = None,
    ) -> Quantized:
        """Vectors to their nearest entries and back; moves the books when training.

        ``given``: the first book's codes come from elsewhere; its entries are then the means of what they stand for.
        ``bare``: examples that are projected but not quantised, drawn here if they are not given.
        """
        bare = self.bare(x) if bare is None else bare
        with torch.autocast(x.device.type, enabled=False):
            inner = self.into(x.transpose(1, 2).float())
            if not self.started:
                made = first = inner
                codes = torch.zeros(len(x), self.config.books, x.shape[2], dtype=torch.long, device=x.device)
                commitment = inner.new_zeros(())
            else:
                made, first, codes, commitment = self._quantize(inner, given, bare)
            values = self.out(made).transpose(1, 2)
            alone = values if first is made else self.out(first).transpose(1, 2)
        return Quantized(values, codes, commitment, alone)

    def deciding(self) -> dict[str, Tensor]:
        """The tensors that decide which codes a vector gets."""
        return {"entries": self.entries} | {f"into.{key}": value for key, value in self.into.state_dict().items()}

    def encode(
        self, x: Float[Tensor, "B D T"], books: int | None = None, given: Int[Tensor, "B T"] | None = None
    ) -> Int[Tensor, "B K T"]:
        """The nearest entries, book after book; of the first ``books`` only, if that is said. `forward` says what
        ``given`` is."""
        residual, codes = self.into(x.transpose(1, 2)), []
        sizes = self._sizes.of([self.entries], lambda: 0.5 * self.entries.square().sum(2))
        for book in range(self.config.books if books is None else books):
            entries = self.entries[book]
            if book == 0 and given is not None:
                chosen = given
            else:
                chosen = (sizes[book] - residual @ entries.T).argmin(dim=-1)
            residual = residual - entries[chosen]
            codes.append(chosen)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """Sum of the entries, projected back; fewer books than there are give a coarser vector."""
        if not 1 <= codes.shape[1] <= self.config.books:
            raise SpecError(f"got {codes.shape[1]} books, wanted 1 to {self.config.books}")
        config = self.config
        first = torch.arange(0, codes.shape[1] * config.size, config.size, device=codes.device)
        chosen = (codes + first[:, None]).transpose(1, 2)
        summed = embedding_bag(chosen.flatten(0, 1), self.entries.flatten(0, 1), mode="sum")
        return self.out(summed.unflatten(0, (len(codes), -1))).transpose(1, 2)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "B D T"], rounds: int = 10, given: Int[Tensor, "B T"] | None = None) -> None:
        """Fills the books by k-means on these vectors, each book on what the ones before it left."""
        residual = self.into(x.transpose(1, 2).float()).flatten(0, 1)
        if len(residual) < self.config.size:
            raise SpecError(f"got {len(residual)} vectors, wanted at least {self.config.size} to start the books with")
        for book in range(self.config.books):
            if book == 0 and given is not None:
                chosen = given.flatten()
                self.entries[book] = _means(residual, chosen, self.config.size)[0]
            else:
                self.entries[book] = kmeans(residual, self.config.size, rounds)
                chosen = nearest(residual, self.entries[book])
            residual = residual - self.entries[book][chosen]
            self.usage[book] = torch.bincount(chosen, minlength=self.config.size).to(self.usage)

    def _quantize(
        self, inner: Float[Tensor, "B T C"], given: Int[Tensor, "B T"] | None, bare: Bool[Tensor, " B"] | None
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B T C"], Int[Tensor, "B K T"], Float[Tensor, ""]]:
        """All books' sum, the first one's entries, the codes and the commitment."""
        config = self.config
        books = torch.full((len(inner),), config.books, device=inner.device)
        if self.training:
            few = torch.rand(len(inner), device=inner.device) < config.fewer_books
            books = torch.where(few, torch.randint(1, config.books + 1, books.shape, device=inner.device), books)
            if config.choices:
                books = books.clamp(max=config.choices[int(torch.randint(len(config.choices), ()))])
        residual, summed, codes, commitment = inner, torch.zeros_like(inner), [], inner.new_zeros(())
        first = summed
        for book in range(config.books):
            used = (book < books)[:, None, None]
            fixed = given if book == 0 else None
            with torch.no_grad():
                chosen = nearest(residual, self.entries[book]) if fixed is None else fixed
                picked = self.entries[book][chosen] * used
                if self.training:
                    seen = used[:, 0, 0]
                    self._follow(
                        book, residual.detach()[seen].flatten(0, 1), chosen[seen].flatten(), free=fixed is None
                    )
            commitment = commitment + ((residual - picked).square() * used).sum(2).mean() / config.books
            residual = residual - picked
            summed = summed + picked
            first = summed if book == 0 else first
            codes.append(chosen)
        made = inner + (summed - inner).detach()
        if bare is not None:
            made = torch.where(bare[:, None, None], inner, made)
        alone = made if config.books == 1 else inner + (first - inner).detach()
        return made, alone, torch.stack(codes, dim=1), commitment

    def _follow(self, book: int, vectors: Float[Tensor, "N C"], chosen: Int[Tensor, " N"], free: bool) -> None:
        """Moving averages: an entry is the mean of the vectors that chose it; unused ones jump to random vectors where
        they are ``free`` to be chosen."""
        if len(vectors) == 0:
            return
        entries, usage, decay = self.entries[book], self.usage[book], self.config.decay
        count = torch.zeros_like(usage).index_add_(0, chosen, torch.ones_like(chosen, dtype=usage.dtype))
        total = torch.zeros_like(entries).index_add_(0, chosen, vectors)
        after = decay * usage + (1 - decay) * count
        weight = (decay * usage / after.clamp(min=1e-8))[:, None]
        entries.copy_(weight * entries + (1 - decay) * total / after.clamp(min=1e-8)[:, None])
        usage.copy_(after)
        if not free:
            return
        dead = (usage < self.config.dead_below).nonzero()[:, 0]
        if len(dead):
            drawn = torch.randint(len(vectors), (len(dead),), device=vectors.device)
            entries[dead] = vectors[drawn]
            usage[dead] = max(len(vectors) / self.config.size, self.config.dead_below)  # a fair share, to be kept first


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """One semantic book beside residual acoustic books; both see the same vector, their outputs are added."""

    semantic: ResidualConfig
    acoustic: ResidualConfig

    @property
    def books(self) -> int:
        """All of them."""
        return self.semantic.books + self.acoustic.books

    @property
    def size(self) -> int:
        """Entries of a book."""
        return self.semantic.size

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.semantic.dim

    def build(self) -> "SplitQuantizer":
        """The module."""
        if (self.semantic.dim, self.semantic.size) != (self.acoustic.dim, self.acoustic.size):
            raise ConfigError(f"both halves must have one dim and one size, got {self.semantic} and {self.acoustic}")
        return SplitQuantizer(self)


@final
class SplitQuantizer(nn.Module):
    """The semantic half first in the codes, then the acoustic books."""

    def __init__(self, config: SplitConfig) -> None:
        """Two residual quantisers side by side."""
        super().__init__()
        self.config = config
        self.semantic = config.semantic.build()
        self.acoustic = config.acoustic.build()

    @property
    def started(self) -> bool:
        """Whether the books hold anything."""
        return self.semantic.started

    def forward(self, x: Float[Tensor, "B D T"]) -> Quantized:
        """Quantised vectors, and the semantic half of them alone for its teacher. An example is quantised by both
        halves or by neither."""
        bare = self.semantic.bare(x)
        meaning, detail = self.semantic(x, bare=bare), self.acoustic(x, bare=bare)
        codes = torch.cat((meaning.codes, detail.codes), dim=1)
        commitment = meaning.commitment + detail.commitment
        return Quantized(meaning.values + detail.values, codes, commitment, meaning.values)

    def deciding(self) -> dict[str, Tensor]:
        """The tensors that decide which codes a vector gets."""
        halves = {"semantic": self.semantic.deciding(), "acoustic": self.acoustic.deciding()}
        return {f"{half}.{name}": value for half, found in halves.items() for name, value in found.items()}

    def encode(self, x: Float[Tensor, "B D T"], books: int | None = None) -> Int[Tensor, "B K T"]:
        """The nearest entries of all books, or of the first ``books``; the semantic ones are always there."""
        codes = self.semantic.encode(x)
        rest = None if books is None else books - self.semantic.config.books
        return codes if rest == 0 else torch.cat((codes, self.acoustic.encode(x, rest)), dim=1)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """Vectors from the codes; the first book must be there, later ones may be missing."""
        first = self.config.semantic.books
        if not first <= codes.shape[1] <= self.config.books:
            raise SpecError(f"got {codes.shape[1]} books, wanted {first} to {self.config.books}")
        made = self.semantic.decode(codes[:, :first])
        return made if codes.shape[1] == first else made + self.acoustic.decode(codes[:, first:])

    def start(self, x: Float[Tensor, "B D T"], rounds: int = 10) -> None:
        """Fills all books by k-means."""
        self.semantic.start(x, rounds)
        self.acoustic.start(x, rounds)


def nearest(x: Float[Tensor, "*B C"], entries: Float[Tensor, "V C"]) -> Int[Tensor, "*B"]:
    """Index of the entry at the least Euclidean distance; the first of several equals."""
    return (0.5 * entries.square().sum(1) - x @ entries.T).argmin(dim=-1)


def kmeans(x: Float[Tensor, "N C"], size: int, rounds: int) -> Float[Tensor, "V C"]:
    """Means of ``size`` clusters, begun at random vectors; empty clusters are begun anew.

    In single precision, whatever ``x`` has: sums of many bfloat16 lose the small ones.
    """
    x = x.float()
    means = x[torch.randperm(len(x), device=x.device)[:size]].clone()
    for _ in range(rounds):
        means, count = _means(x, nearest(x, means), size)
        empty = count == 0
        means[empty] = x[torch.randint(len(x), (int(empty.sum()),), device=x.device)]
    return means


def _means(
    x: Float[Tensor, "N C"], chosen: Int[Tensor, " N"], size: int
) -> tuple[Float[Tensor, "V C"], Float[Tensor, " V"]]:
    """The mean of the vectors that chose each entry, 0 where none did, and how many these were."""
    count = torch.zeros(size, device=x.device).index_add_(0, chosen, torch.ones(len(x), device=x.device))
    total = x.new_zeros(size, x.shape[1]).index_add_(0, chosen, x)
    return total / count.clamp(min=1)[:, None], count


def perplexity(codes: Int[Tensor, "B K T"], size: int, mask: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, " K"]:
    """Per book, two to the power of the entropy of its use: ``size`` when all entries are used alike."""
    return torch.exp2(entropy(codes, size, mask))


def entropy(codes: Int[Tensor, "B K T"], size: int, mask: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, " K"]:
    """Bits per code and book of the distribution of its use."""
    flat = codes.transpose(1, 2)[mask] if mask is not None else codes.transpose(1, 2).flatten(0, 1)
    shares = torch.stack([torch.bincount(book, minlength=size) for book in flat.T]).double()
    shares = shares / shares.sum(dim=1, keepdim=True).clamp(min=1)
    return -(shares * shares.clamp(min=1e-12).log2()).sum(dim=1).float()
