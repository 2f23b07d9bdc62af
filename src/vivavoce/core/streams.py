"""Streams: everything that flows has a name, an exact clock and an alphabet.

Two token streams of the same size and rate are not interchangeable: ids of one codec mean nothing to another. Whoever
takes a stream therefore says what it wants (`Stream.expect`), and a mismatch is an error with both sides named. The
alphabet of ids that something learnt decides is a digest of it (`alphabet_of`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from vivavoce.core.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Sound; data is Float[B, C, N] in [-1, 1]."""

    name: str = "wave"
    sample_rate: int
    channels: int = 1

    @property
    def width(self) -> int:
        """Rows of the data's second axis."""
        return self.channels

    @property
    def rate(self) -> Fraction:
        """Ticks per second."""
        return Fraction(self.sample_rate)

    @property
    def alphabet(self) -> str:
        """What the values mean."""
        return f"pcm_{self.sample_rate}hz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Discrete ids on one clock; data is Int[B, K, T] with values in [0, size)."""

    name: str
    alphabet: str
    size: int
    books: int = 1
    first_book: int = 0
    rate: Fraction | None = None

    @property
    def width(self) -> int:
        """Rows of the data's second axis."""
        return self.books

    def first(self, books: int) -> "Tokens":
        """The same with its first books only."""
        return replace(self, books=books)

    def __str__(self) -> str:
        """For people."""
        books = f"{self.books} book{'s' * (self.books != 1)}{f' from number {self.first_book}' * (self.first_book > 0)}"
        often = "" if self.rate is None else f" at {float(self.rate):g} a second"
        return f"{self.name} of {self.alphabet}: {books} of {self.size} ids{often}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """Continuous vectors on one clock; data is Float[B, D, T]."""

    name: str
    alphabet: str
    dim: int
    rate: Fraction | None = None

    @property
    def width(self) -> int:
        """Rows of the data's second axis."""
        return self.dim


SpecT = TypeVar("SpecT", Wave, Tokens, Latents)


@dataclass(frozen=True, slots=True)
class Stream(Generic[SpecT]):
    """Data with its spec; ``lengths`` counts the valid ticks of each row."""

    spec: SpecT
    data: Shaped[Tensor, "B W T"]
    lengths: Int[Tensor, " B"]

    def __post_init__(self) -> None:
        """Holds data and spec together: SpecError names both sides when they differ."""
        if self.data.shape[1] != self.spec.width:
            raise SpecError(
                f"stream {self.spec.name!r} has {self.data.shape[1]} rows but its spec says {self.spec.width}"
            )
        if len(self.lengths) != len(self.data) or (len(self.lengths) and int(self.lengths.max()) > self.data.shape[2]):
            raise SpecError(f"stream {self.spec.name!r}: lengths {self.lengths.tolist()} for {tuple(self.data.shape)}")

    @property
    def seconds(self) -> Fraction | None:
        """Length of the longest row, exactly; None without a clock."""
        rate = self.spec.rate
        return None if rate is None else Fraction(int(self.lengths.max())) / rate

    def expect(self, wanted: SpecT) -> "Stream[SpecT]":
        """Itself, if its alphabet, width, clock and books are the wanted ones; the role's name does not matter.

        Raises SpecError that says what came and what was wanted.
        """
        if replace(self.spec, name=wanted.name) != wanted:
            raise SpecError(f"got {self.spec}, wanted {wanted}; encode with the part that this one was trained with")
        return self

    @property
    def rows(self) -> list[Shaped[Tensor, "W _"]]:
        """The data of each row without its padding."""
        return [row[:, :length] for row, length in zip(self.data, self.lengths.tolist(), strict=True)]

    def after(self, ticks: Int[Tensor, " B"]) -> "Stream[SpecT]":
        """Every row without its first so many ticks."""
        return padded(self.spec, [row[:, begin:] for row, begin in zip(self.rows, ticks.tolist(), strict=True)])

    def part(self: "Stream[Tokens]", first: int, books: int) -> "Stream[Tokens]":
        """The codebooks ``first`` to ``first + books`` as a stream of their own."""
        spec = self.spec
        if first < 0 or books < 1 or first + books > spec.books:
            raise SpecError(f"books {first}..{first + books} of {spec.name!r}, which has {spec.books}")
        chosen = replace(spec, books=books, first_book=spec.first_book + first)
        return Stream(chosen, self.data[:, first : first + books], self.lengths)

    def join(self: "Stream[Tokens]", rest: "Stream[Tokens]") -> "Stream[Tokens]":
        """These codebooks and the following ones; both must be of one alphabet and clock and adjoin."""
        a, b = self.spec, rest.spec
        follows = (a.alphabet, a.size, a.rate) == (
            b.alphabet,
            b.size,
            b.rate,
        ) and b.first_book == a.first_book + a.books
        if not follows or self.data.shape[2] != rest.data.shape[2]:
            raise SpecError(f"cannot join {b} after {a}")
        data = torch.cat((self.data, rest.data), dim=1)
        return Stream(replace(a, books=a.books + b.books), data, self.lengths)


def check_learnt(learnt: Tokens, given: Tokens) -> None:
    """SpecError that names both, unless a part gives the tokens that a model has learnt; the role's name does not
    matter."""
    if replace(given, name=learnt.name) != learnt:
        raise SpecError(f"this model was trained on {learnt}, got {given}; use the parts that it was trained with")


def whole(spec: SpecT, data: Shaped[Tensor, "B W T"]) -> Stream[SpecT]:
    """A stream in which every row is valid to its end."""
    return Stream(spec, data, torch.full((len(data),), data.shape[2], dtype=torch.long, device=data.device))


def padded(spec: SpecT, rows: Sequence[Shaped[Tensor, "W _"]]) -> Stream[SpecT]:
    """Rows of any lengths as a stream, with zeros behind those that are shorter. SpecError for no rows at all."""
    if not rows:
        raise SpecError(f"a stream {spec.name!r} of no rows was asked for; give one or more")
    data = nn.utils.rnn.pad_sequence([row.T for row in rows], batch_first=True).transpose(1, 2)
    return Stream(spec, data, torch.tensor([row.shape[1] for row in rows]))


def sound(wave: Shaped[Tensor, "*B N"], sample_rate: int) -> Stream[Wave]:
    """Mono sound, Float[N] or Float[B, N], as a stream."""
    rows = wave if wave.ndim == 2 else wave[None]
    return whole(Wave(sample_rate=sample_rate), rows[:, None])


def alphabet_of(kind: str, config: Any, tensors: Mapping[str, Tensor] | None = None) -> str:
    """The name of an alphabet: its kind, and twelve digits of the digest of everything that decides the ids.

    ``config`` is a tree that JSON can hold. Floating tensors count to half precision, in which parts are stored, so the
    name does not depend on the precision or the card that they are used in.
    """
    seen = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, value in sorted((tensors or {}).items()):
        seen.update(f"{name}{tuple(value.shape)}".encode())
        value = value.detach().cpu()
        seen.update((value.half() if value.is_floating_point() else value).contiguous().numpy().tobytes())
    return f"{kind}-{seen.hexdigest()[:12]}"
