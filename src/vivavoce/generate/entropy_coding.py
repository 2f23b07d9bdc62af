"""Tokens in fewer bits: an arithmetic coder, and counts that tell it what comes next.

Witten, Neal and Cleary (1987) in whole numbers. Any predictor of whole-number frequencies can drive it; the one here
counts: how often an id came at all, after the id before it in its book, and after that one and the id of the book
above in the same frame. Of each count something is taken for what never came (Ney, Essen and Kneser 1994), as much as
the counts of one and two of its kind say: nearly all where hardly a pair comes twice, as in the books of a codec.
Everything is integers, so what one machine wrote every other reads.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import alphabet_of

_BITS: Final = 32
_TOP: Final = 1 << _BITS
_HALF: Final = _TOP // 2
_QUARTER: Final = _TOP // 4
_PRECISION: Final = 1 << 24
"""What frequencies sum to, about."""
_WHOLE: Final = 1024


@final
class Encoder:
    """Ids to bytes."""

    def __init__(self) -> None:
        """Nothing written yet."""
        self._low, self._high, self._waiting = 0, _TOP - 1, 0
        self._bits: list[int] = []

    def put(self, id: int, frequencies: np.ndarray) -> None:
        """One id, whose frequency must not be 0."""
        ends = np.cumsum(frequencies)
        total, end = int(ends[-1]), int(ends[id])
        begin, span = end - int(frequencies[id]), self._high - self._low + 1
        self._high = self._low + span * end // total - 1
        self._low += span * begin // total
        while True:
            if self._high < _HALF:
                self._emit(0)
            elif self._low >= _HALF:
                self._emit(1)
                self._low, self._high = self._low - _HALF, self._high - _HALF
            elif self._low >= _QUARTER and self._high < _HALF + _QUARTER:
                self._waiting += 1
                self._low, self._high = self._low - _QUARTER, self._high - _QUARTER
            else:
                return
            self._low, self._high = 2 * self._low, 2 * self._high + 1

    def _emit(self, bit: int) -> None:
        self._bits += [bit, *[1 - bit] * self._waiting]
        self._waiting = 0

    def end(self) -> bytes:
        """All of it."""
        self._waiting += 1
        self._emit(int(self._low >= _QUARTER))
        return np.packbits(np.array(self._bits, np.uint8)).tobytes()


@final
class Decoder:
    """Bytes to ids."""

    def __init__(self, data: bytes) -> None:
        """Reads the first bits."""
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
        self._at, self._low, self._high, self._value = 0, 0, _TOP - 1, 0
        for _ in range(_BITS):
            self._value = 2 * self._value + self._next()

    def _next(self) -> int:
        self._at += 1
        return self._bits[self._at - 1] if self._at <= len(self._bits) else 0

    def take(self, frequencies: np.ndarray) -> int:
        """The next id. SpecError where the bytes have ended long ago."""
        if self._at > len(self._bits) + 2 * _BITS:
            raise SpecError("the coded tokens end too early; the file is damaged, encode the recording again")
        ends = np.cumsum(frequencies)
        total, span = int(ends[-1]), self._high - self._low + 1
        target = ((self._value - self._low + 1) * total - 1) // span
        id = int(np.searchsorted(ends, target, side="right"))
        end = int(ends[id])
        self._high = self._low + span * end // total - 1
        self._low += span * (end - int(frequencies[id])) // total
        while True:
            if self._high < _HALF:
                less = 0
            elif self._low >= _HALF:
                less = _HALF
            elif self._low >= _QUARTER and self._high < _HALF + _QUARTER:
                less = _QUARTER
            else:
                return id
            self._low, self._high = 2 * (self._low - less), 2 * (self._high - less) + 1
            self._value = 2 * (self._value - less) + self._next()


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsConfig:
    """Counts of tokens of ``alphabet``: ``books`` of ``size`` ids; ``pairs`` and ``triples`` are how many kinds of
    each were counted."""

    alphabet: str
    size: int
    books: int
    pairs: int = 0
    triples: int = 0

    def build(self) -> "Counts":
        """The module; ConfigError for tokens that cannot be."""
        if self.size < 2 or self.books < 1:
            raise ConfigError(f"tokens have at least one book of two ids, got {self}")
        return Counts(self)


@final
class Counts(nn.Module):
    """What was counted in a corpus, stored as a part (``token-counts``): no file that it coded can be read without."""

    single: Tensor
    pairs: Tensor
    triples: Tensor

    def __init__(self, config: CountsConfig) -> None:
        """Nothing counted."""
        super().__init__()
        self.config = config
        self.register_buffer("single", torch.zeros(config.books, config.size, dtype=torch.int32))
        self.register_buffer("pairs", torch.zeros(config.pairs, 4, dtype=torch.int32))
        self.register_buffer("triples", torch.zeros(config.triples, 5, dtype=torch.int32))

    @property
    def alphabet(self) -> str:
        """The digest of all counts: it names what a coded file needs to be read."""
        return alphabet_of("discounted", self.config.alphabet, self.state_dict())

    def encode(self, ids: Int[Tensor, "K T"]) -> bytes:
        """Frame by frame, book by book. SpecError for ids of another form."""
        config = self.config
        if ids.shape[0] != config.books or (ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < config.size):
            raise SpecError(f"got ids {tuple(ids.shape)}, wanted {config.books} books of ids below {config.size}")
        coder, known = Encoder(), _Known(self)
        for id in ids.T.flatten().tolist():
            coder.put(id, known.frequencies())
            known.saw(id)
        return coder.end()

    def decode(self, data: bytes, frames: int) -> Int[Tensor, "K T"]:
        """The inverse of `encode`."""
        coder, known, found = Decoder(data), _Known(self), []
        for _ in range(frames * self.config.books):
            found.append(coder.take(known.frequencies()))
            known.saw(found[-1])
        return torch.tensor(found, dtype=torch.long).reshape(frames, self.config.books).T


def _contexts(frames: Sequence[Sequence[int]], frame: Sequence[int], nobody: int) -> tuple[int, int, int]:
    """Book of the next id, the id before it, and the one above it (of the first book: two before)."""
    book = len(frame)
    last = frames[-1][book] if frames else nobody
    above = frame[-1] if book else frames[-2][0] if len(frames) > 1 else nobody
    return book, last, above


def count(rows: Sequence[Int[Tensor, "K T"]], alphabet: str, size: int) -> Counts:
    """Counts of a corpus; recordings do not follow each other. ConfigError for no recordings."""
    if not rows:
        raise ConfigError("there are no tokens to count; look at the splits of the corpus")
    single = torch.zeros(rows[0].shape[0], size, dtype=torch.int32)
    pairs: Counter[tuple[int, ...]] = Counter()
    triples: Counter[tuple[int, ...]] = Counter()
    for row in rows:
        frames = row.T.tolist()
        for at, whole in enumerate(frames):
            for book, id in enumerate(whole):
                _, last, above = _contexts(frames[max(0, at - 2) : at], whole[:book], size)
                single[book, id] += 1
                pairs[book, last, id] += 1
                triples[book, last, above, id] += 1
    config = CountsConfig(alphabet=alphabet, size=size, books=len(single), pairs=len(pairs), triples=len(triples))
    made = config.build()
    made.single.copy_(single)
    made.pairs.copy_(torch.tensor([[*key, times] for key, times in sorted(pairs.items())], dtype=torch.int32))
    made.triples.copy_(torch.tensor([[*key, times] for key, times in sorted(triples.items())], dtype=torch.int32))
    return made


@final
class _Known:
    """Counts as a predictor, which goes on counting while a recording is coded."""

    def __init__(self, counts: Counts) -> None:
        self._size, self._books = counts.config.size, counts.config.books
        self._single = counts.single.numpy().astype(np.int64)
        self._tables: dict[tuple[int, ...], dict[int, int]] = {}
        self._taken: list[list[int]] = []
        """Per order and book: what is taken of each count, in parts of `_WHOLE`."""
        for table in (counts.pairs, counts.triples):
            seen = [[0, 0] for _ in range(self._books)]
            for book, *context, id, times in table.tolist():
                self._tables.setdefault((book, *context), {})[id] = times
                if times <= len(seen[book]):
                    seen[book][times - 1] += 1
            self._taken.append([_WHOLE * once // (once + 2 * twice) if once else _WHOLE // 2 for once, twice in seen])
        self._frames: list[list[int]] = []
        self._frame: list[int] = []

    def frequencies(self) -> np.ndarray:
        """A context's counts, and of what is taken from them the share of the shorter context."""
        book, last, above = _contexts(self._frames, self._frame, self._size)
        own = self._single[book]
        shares = (2 * own + 1) * _PRECISION // int(2 * own.sum() + self._size)
        for context, taken in zip(((book, last), (book, last, above)), self._taken, strict=True):
            seen = self._tables.get(context)
            if seen:
                kinds, total = len(seen), _WHOLE * sum(seen.values())
                shares = shares * (kinds * taken[book]) // total
                ids = np.fromiter(seen, np.int64, kinds)
                left = _WHOLE * np.fromiter(seen.values(), np.int64, kinds) - taken[book]
                shares[ids] += left * _PRECISION // total
        return shares + 1

    def saw(self, id: int) -> None:
        """Counts it."""
        book, last, above = _contexts(self._frames, self._frame, self._size)
        self._single[book, id] += 1
        for context in ((book, last), (book, last, above)):
            table = self._tables.setdefault(context, {})
            table[id] = table.get(id, 0) + 1
        self._frame.append(id)
        if len(self._frame) == self._books:
            self._frames = [*self._frames[-1:], self._frame]
            self._frame = []
