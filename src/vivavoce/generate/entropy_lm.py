"""A small language model in front of an arithmetic coder (EnCodec, arXiv:2210.13438 §3.3).

It tells all books of a frame from the frames before it; with ``depth`` (a departure) each book from those before it in
its frame as well, which tell more than the past does where frames are few. Probabilities become whole numbers, of at
least 1 in 2**24. They come from floating-point arithmetic all the same: a file is sure to be read by the machine and
the PyTorch that wrote it; another's sums may differ in the last bit, which the check of the file finds
(`assistant.tokens`). Who needs files that everybody reads takes counts (`generate.entropy_coding`). Encoding and
decoding take the same steps of one frame, so that nothing else differs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, pad

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import alphabet_of
from vivavoce.generate.entropy_coding import Decoder, Encoder
from vivavoce.nn.transformer import TransformerConfig, TransformerState

_PRECISION = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLmConfig:
    """Of tokens of ``alphabet``: ``books`` of ``size`` ids. The trunk sees 3.5 s of 75 frames a second.

    ``depth`` is the width of the net through which a book sees the ids before it in its frame; 0: none does, as in
    EnCodec.
    """

    alphabet: str
    size: int
    books: int
    trunk: TransformerConfig = TransformerConfig(
        dim=200, layers=5, heads=10, kv_heads=10, hidden=800, window=262, norm="layer"
    )
    depth: int = 0

    def build(self) -> "FrameLm":
        """The module; ConfigError for tokens that cannot be."""
        if self.size < 2 or self.books < 1 or self.depth < 0:
            raise ConfigError(f"tokens have at least one book of two ids, and a depth is 0 or more, got {self}")
        return FrameLm(self)


@final
class FrameLm(nn.Module):
    """Sums of embeddings in, one distribution per book out."""

    def __init__(self, config: FrameLmConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        dim = config.trunk.dim
        self.embed = nn.Embedding(config.books * config.size, dim)
        self.first = nn.Parameter(torch.zeros(dim))
        self.trunk = config.trunk.build()
        self.heads = nn.Linear(dim, config.books * config.size)
        self.depth = _Depth(config) if config.depth else None

    @property
    def alphabet(self) -> str:
        """The digest of all weights: it names what a coded file needs to be read."""
        return alphabet_of("lm", self.config.alphabet, self.state_dict())

    def forward(self, ids: Int[Tensor, "B K T"]) -> Float[Tensor, "B T K V"]:
        """Logits of every frame, each from those before it."""
        before = self._embedded(ids[:, :, :-1])
        start = self.first.expand(len(ids), 1, -1)
        x = self.trunk(torch.cat((start, before), dim=1))
        if self.depth is None:
            return self.heads(x).unflatten(2, (self.config.books, -1))
        seen = self.depth(x, ids.transpose(1, 2))
        weight, bias = (part.unflatten(0, (self.config.books, -1)) for part in (self.heads.weight, self.heads.bias))
        return torch.stack([linear(seen[:, :, book], weight[book], bias[book]) for book in range(len(weight))], dim=2)

    def loss(self, ids: Int[Tensor, "B K T"], lengths: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        """Mean nats an id, over the frames that there are."""
        each = cross_entropy(self(ids).flatten(0, 2).float(), ids.transpose(1, 2).flatten(), reduction="none")
        there = torch.arange(ids.shape[2], device=ids.device) < lengths[:, None]
        return (each.view(*there.shape, -1) * there[..., None]).sum() / (there.sum() * self.config.books).clamp(min=1)

    @torch.no_grad()
    def encode(self, ids: Int[Tensor, "K T"]) -> bytes:
        """Frame by frame, book by book. SpecError for ids of another form."""
        config = self.config
        if ids.shape[0] != config.books or (ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < config.size):
            raise SpecError(f"got ids {tuple(ids.shape)}, wanted {config.books} books of ids below {config.size}")
        coder, state, x = Encoder(), self.trunk.init_state(1), self.first[None, None]
        left = iter(ids.T.flatten().tolist())

        def put(frequencies: np.ndarray) -> int:
            id = next(left)
            coder.put(id, frequencies)
            return id

        for frame in ids.unbind(1):
            self._frame(x, state, put)
            x = self._embedded(frame[None, :, None])
        return coder.end()

    @torch.no_grad()
    def decode(self, data: bytes, frames: int) -> Int[Tensor, "K T"]:
        """The inverse of `encode`."""
        coder, state, x = Decoder(data), self.trunk.init_state(1), self.first[None, None]
        found = torch.zeros(self.config.books, frames, dtype=torch.long)
        for place in range(frames):
            found[:, place] = torch.tensor(self._frame(x, state, coder.take))
            x = self._embedded(found[None, :, place, None])
        return found

    def _embedded(self, ids: Int[Tensor, "B K T"]) -> Float[Tensor, "B T D"]:
        offsets = torch.arange(self.config.books, device=ids.device)[:, None] * self.config.size
        return self.embed(ids + offsets).sum(1)

    def _frame(
        self, x: Float[Tensor, "1 1 D"], state: TransformerState, name: Callable[[np.ndarray], int]
    ) -> list[int]:
        """The ids of the next frame, as ``name`` says them of frequencies (Int64[V]), one book after the other."""
        x, size, ids = self.trunk.step(x, state)[0, 0], self.config.size, list[int]()
        if self.depth is None:
            return [name(row) for row in _frequencies(self.heads(x).unflatten(0, (self.config.books, -1)))]
        for book in range(self.config.books):
            rows = slice(book * size, (book + 1) * size)
            logits = linear(self.depth.step(x, ids), self.heads.weight[rows], self.heads.bias[rows])
            ids.append(name(_frequencies(logits)))
        return ids


@final
class _Depth(nn.Module):
    """What the trunk says of a frame, for each book with the ids of those before it added; the first has none."""

    def __init__(self, config: FrameLmConfig) -> None:
        super().__init__()
        dim, self._size = config.trunk.dim, config.size
        self.embed = nn.Embedding((config.books - 1) * config.size, dim)
        self.books = nn.Parameter(torch.zeros(config.books, dim))
        self.net = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, config.depth), nn.GELU(), nn.Linear(config.depth, dim)
        )

    def forward(self, x: Float[Tensor, "B T D"], ids: Int[Tensor, "B T K"]) -> Float[Tensor, "B T K D"]:
        """For every book, from the true ids of those before it."""
        offsets = torch.arange(ids.shape[2] - 1, device=ids.device) * self._size
        seen = pad(self.embed(ids[:, :, :-1] + offsets).cumsum(2), (0, 0, 1, 0))
        return self._own(x[:, :, None] + seen, self.books)

    def step(self, x: Float[Tensor, " D"], ids: list[int]) -> Float[Tensor, " D"]:
        """For the book after those whose ids are known."""
        places = torch.tensor(ids, dtype=torch.long) + torch.arange(len(ids)) * self._size
        return self._own(x + self.embed(places).sum(0), self.books[len(ids)])

    def _own(self, x: Tensor, book: Tensor) -> Tensor:
        return x + self.net(x + book)


def _frequencies(logits: Float[Tensor, "*K V"]) -> np.ndarray:
    return (logits.double().softmax(-1) * _PRECISION).long().numpy() + 1


def padded(rows: list[Int[Tensor, "K _"]]) -> tuple[Int[Tensor, "B K T"], Int[Tensor, " B"]]:
    """Recordings side by side, and how long each is."""
    longest = max(row.shape[1] for row in rows)
    lengths = torch.tensor([row.shape[1] for row in rows])
    return torch.stack([pad(row, (0, longest - row.shape[1])) for row in rows]), lengths
