"""What can be measured as a tokenizer: units and codecs from folders, and the controls that stand beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from vivavoce.assistant.tokens import open_tokenizer
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import alphabet_of, sound, whole
from vivavoce.evals.tokens_speech import RATE
from vivavoce.models.codec import Codec
from vivavoce.models.features import ListenerLayer, SpectrumConfig
from vivavoce.models.listener import Listener
from vivavoce.models.units import Units
from vivavoce.models.units_front import UnitsFront
from vivavoce.nn.given_book import GivenBook
from vivavoce.systems.encodec import ChunkedCodec
from vivavoce.systems.facodec import Facodec

Samples = Float[Tensor, " N"]
Frames = Tensor
"""Int[T, K] for ids, Float[T, D] for vectors."""
_BOOKS_TO_HALVE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """Sound at 16 kHz to ids or vectors, and, for codecs, to sound at ``sample_rate`` and back.

    ``size`` 0 stands for vectors, of which ``front`` is the digest. ``teacher`` names what the ids were made of.
    ``gated``: its ids are one book that is to say what is spoken, or a control of such, so that the gate judges it.
    ``control``: it is no candidate. ``only_sound``: what it tells is measured elsewhere. ``stand_for``: the vectors
    Float[V, D] of a single book's ids.
    """

    name: str
    rate: float
    size: int
    encode: Callable[[Samples], Frames]
    books: int = 1
    latency_ms: float | None = None
    teacher: str = ""
    front: str = ""
    stand_for: Tensor | None = None
    gated: bool = False
    control: bool = False
    shipped: bool = False
    sample_rate: int = 0
    resynthesize: Callable[[Samples, int], Samples] | None = None
    only_sound: bool = False

    @property
    def bits_per_second(self) -> float | None:
        """Of all books, without any coding of entropy."""
        return self.rate * self.books * float(np.log2(self.size)) if self.size else None


def controls(listener: Listener, seed: int = 1) -> list[Tokenizer]:
    """Log-mel, MFCC and the top of a listener with random weights, as vectors; and of the real listener's."""
    torch.manual_seed(seed)
    layers = listener.config.trunk.layers
    fronts: Mapping[str, Any] = {
        "log-mel": SpectrumConfig().build(),
        "MFCC": SpectrumConfig(cepstra=13).build(),
        "random network": ListenerLayer.of(listener.config.build(), layers),
        "listener, top layer": ListenerLayer.of(listener, layers),
    }
    return [_vectors(name, front) for name, front in fronts.items()]


def shuffled(known: Tokenizer, seed: int = 1) -> Tokenizer:
    """The same ids in another order within each recording: what is left is how often each is used."""

    def encode(wave: Samples) -> Frames:
        ids = known.encode(wave)
        order = rng.stream(seed, "shuffled", len(ids), int(ids.sum())).permutation(len(ids))
        return ids[torch.from_numpy(order)]

    return replace(known, name=f"{known.name}, shuffled", encode=encode, control=True, resynthesize=None)


def without_twins(todo: Sequence[Tokenizer]) -> list[Tokenizer]:
    """Vectors of one front once, whatever was made of them: it is the teacher of all of that."""
    kept: dict[str, str] = {}
    names = {one.name: kept.setdefault(one.front, one.name) for one in todo if one.front}
    return [
        replace(one, teacher=names.get(one.teacher, one.teacher))
        for one in todo
        if not one.front or names[one.name] == one.name
    ]


def opened(choice: str, shipped: bool = False, name: str = "") -> list[Tokenizer]:
    """What a folder holds: units with the vectors that they are made of, or a codec: its first book, half of its books,
    all of them, and where its first book is units their vectors; of a FACodec the first book of each factor, where what
    belongs to another would be a leak. Of a codec that takes recordings in chunks the sound alone is measured.

    ``name`` is what it is called, its folder's name if left out.
    """
    made: Any = open_tokenizer(choice)
    name = name or ("shipped codec" if shipped else Path(choice).resolve().name)
    if isinstance(made, Units):
        return [_units(name, made), _vectors(f"features of {name}", made.front)]
    if isinstance(made, Facodec):
        return [replace(one, shipped=shipped) for one in _factors(name, made)]
    one: Any = _chunked if isinstance(made, ChunkedCodec) else _codec
    books = made.tokens.books
    first = one(name if books == 1 else f"{name}, first book", made, 1)
    found = [replace(first, gated=isinstance(made, Codec), control=shipped)]
    if books >= _BOOKS_TO_HALVE:
        found.append(replace(one(f"{name}, {books // 2} of {books} books", made, books // 2), only_sound=True))
    if books > 1:
        found.append(one(name, made, books))
    found = [replace(part, shipped=shipped) for part in found]
    if isinstance(made, Codec) and isinstance(made.front, UnitsFront):
        teacher = _vectors(f"features of {name}", made.front.units)
        found = [replace(found[0], teacher=teacher.name), *found[1:], teacher]
    return found


_MEMORY: dict[str, WeakTensorKeyDictionary] = {}
"""Vectors of fronts by their digest and the sounds that a suite holds: units of one front are measured together."""


def _remembered(front: Any) -> Callable[[Samples], Tensor]:
    """The front's vectors of a sound at 16 kHz, computed once for all fronts with the same weights."""
    rate = front.config.sample_rate
    known = _MEMORY.setdefault(_digest(front), WeakTensorKeyDictionary())

    def vectors(wave: Samples) -> Tensor:
        if wave not in known:
            low = wave if rate == RATE else resample(wave, RATE, rate)
            low = torch.nn.functional.pad(low, (0, -len(low) % front.config.hop))
            with torch.no_grad():
                known[wave] = front(low[None, None])[0].T
        return known[wave]

    return vectors


def _digest(front: Any) -> str:
    return alphabet_of("front", dump(front.config), front.state_dict())


def _vectors(name: str, front: Any) -> Tokenizer:
    config, encode = front.config, _remembered(front)

    rate = config.sample_rate / config.hop
    return Tokenizer(
        name=name, rate=rate, size=0, encode=encode, latency_ms=_latency(front), front=_digest(front), control=True
    )


def _latency(part: Any) -> float | None:
    """None for what hears whole recordings only."""
    if isinstance(part, Codec) and not part.streams:
        return None
    try:
        return part.timing.latency_ms
    except (ConfigError, AttributeError):
        return None


def _units(name: str, units: Units) -> Tokenizer:
    front = units.front
    vectors = _remembered(front)

    @torch.no_grad()
    def encode(wave: Samples) -> Frames:
        return units.quantizer.encode(vectors(wave).T[None])[0].T

    return Tokenizer(
        name=name,
        rate=float(units.config.rate),
        size=units.config.size,
        encode=encode,
        latency_ms=_latency(front),
        gated=True,
        teacher=f"features of {name}",
        stand_for=_stand_for(units.quantizer, units.config.size),
    )


@torch.no_grad()
def _stand_for(quantizer: Any, size: int) -> Tensor:
    """What each id of the first book is decoded to."""
    return quantizer.decode(torch.arange(size)[None, None])[0].T


def _first_book(codec: Codec) -> Tensor:
    """What its ids stand for: in a codec on units what these are made of, not what they sound like."""
    if not isinstance(codec.quantizer, GivenBook):
        return _stand_for(codec.quantizer, codec.config.size)
    units = _stand_for(codec.quantizer.units, codec.quantizer.config.units.size)
    return torch.nn.functional.pad(units, (0, 0, 0, codec.config.size - len(units)))


def _factors(name: str, codec: Facodec) -> list[Tokenizer]:
    """The first books of prosody, content and detail, each by itself, and all books together."""
    config = codec.config
    rate = config.sample_rate

    def encode(wave: Samples) -> Frames:
        return codec.encode(sound(resample(wave, RATE, rate), rate)).codes.data[0].T

    def one(factor: str, book: int) -> Tokenizer:
        return Tokenizer(
            name=f"{name}, {factor}", rate=float(config.rate), size=config.size,
            encode=lambda wave: encode(wave)[:, book : book + 1],
            stand_for=_stand_for(getattr(codec, factor), config.size), gated=factor == "content",
        )  # fmt: skip

    def resynthesize(wave: Samples, sample_rate: int) -> Samples:
        made = codec.resynthesize(resample(wave, sample_rate, rate)[None])[0]
        return resample(made, rate, sample_rate)[: len(wave)]

    whole = Tokenizer(
        name=name, rate=float(config.rate), size=config.size, encode=encode, books=sum(config.books), sample_rate=rate,
        resynthesize=resynthesize,
    )  # fmt: skip
    firsts = zip(("prosody", "content", "detail"), accumulate((0, *config.books)), strict=False)
    return [*(one(factor, book) for factor, book in firsts), whole]


def _codec(name: str, codec: Codec, books: int) -> Tokenizer:
    rate = codec.config.sample_rate

    def encode(wave: Samples) -> Frames:
        codes = codec.encode(sound(resample(wave, RATE, rate), rate)).data[0, :books].T
        return codes[: -(-len(wave) * rate // RATE // codec.config.hop)]

    def resynthesize(wave: Samples, sample_rate: int) -> Samples:
        sent = resample(wave, sample_rate, rate)
        codes = codec.encode(sound(sent, rate)).part(0, books)
        return resample(codec.decode(codes).data[0, 0, : len(sent)], rate, sample_rate)[: len(wave)]

    return Tokenizer(
        name=name,
        rate=float(codec.config.rate),
        size=codec.config.size,
        encode=encode,
        books=books,
        stand_for=_first_book(codec) if books == 1 else None,
        latency_ms=_latency(codec),
        sample_rate=rate,
        resynthesize=resynthesize,
    )


def _chunked(name: str, codec: ChunkedCodec, books: int) -> Tokenizer:
    """Its chunks overlap, so the frames of its ids are on no clock that probes could follow."""
    wave_of, spec = codec.codec.config.wave, codec.tokens
    rate = wave_of.sample_rate
    assert spec.rate is not None

    def resynthesize(wave: Samples, sample_rate: int) -> Samples:
        sent = resample(wave, sample_rate, rate)
        coded = codec.encode(whole(wave_of, sent.expand(1, wave_of.channels, -1)), books)
        made = codec.decode(coded).data[0, :, : len(sent)].mean(0)
        return resample(made, rate, sample_rate)[: len(wave)]

    def encode(wave: Samples) -> Frames:
        sent = resample(wave, RATE, rate)
        return codec.encode(whole(wave_of, sent.expand(1, wave_of.channels, -1)), books).codes.data[0].T

    return Tokenizer(
        name=name, rate=float(spec.rate), size=spec.size, encode=encode, books=books, sample_rate=rate,
        latency_ms=1000 * codec.chunks.samples / rate, resynthesize=resynthesize, only_sound=True,
    )  # fmt: skip
