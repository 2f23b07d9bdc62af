"""EnCodec (arXiv:2210.13438): SEANet with a memory around residual books, learnt with balanced judges.

The 24 kHz codec is `encodec`, an ordinary `Codec`. The 48 kHz one looks both ways and takes stereo sound in chunks
(`ChunkedCodec`), each brought to one loudness that is kept beside its tokens. Learning: `recipes.encodec`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vivavoce.core.errors import SpecError
from vivavoce.core.streams import Stream, Tokens, Wave
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import ResidualConfig
from vivavoce.nn.seanet import SeanetConfig

_QUIETEST = 1e-8


def encodec(
    *,
    channels: int = 32,
    dim: int = 128,
    strides: tuple[int, ...] = (2, 4, 5, 8),
    books: int = 32,
    size: int = 1024,
    choices: tuple[int, ...] = (2, 4, 8, 16, 32),
    memory_layers: int = 2,
    dead_below: float = 2.0,
    sample_rate: int = 24000,
) -> CodecConfig:
    """The causal codec; ``choices`` are the numbers of books of its bandwidths (1.5 to 24 kbit/s at 24 kHz)."""
    net = SeanetConfig(
        dim=dim, channels=channels, strides=strides, skip="conv", memory="lstm", memory_layers=memory_layers,
        edge="reflect",
    )  # fmt: skip
    return CodecConfig(
        front=SeanetFrontConfig(net=net, sample_rate=sample_rate),
        quantizer=ResidualConfig(
            dim=dim, code_dim=0, books=books, size=size, choices=choices, fewer_books=0.0, dead_below=dead_below
        ),
        back=SeanetBackConfig(net=net),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """So many samples, begun every ``step`` samples; ``levelled``: each divided by its loudness."""

    samples: int
    step: int
    levelled: bool = True


@dataclass(frozen=True, slots=True)
class ChunkedTokens:
    """The tokens of chunks, one after the other, how many frames each has, and what it was divided by."""

    codes: Stream[Tokens]
    frames: tuple[int, ...]
    loudness: Float[Tensor, "B X"]

    def __post_init__(self) -> None:
        """SpecError when the numbers of chunks or frames differ."""
        odd = min(self.frames, default=0) < 0 or sum(self.frames) != self.codes.data.shape[2]
        if odd or len(self.frames) != self.loudness.shape[1]:
            raise SpecError(
                f"chunks of {self.frames} frames with {self.loudness.shape[1]} levels and {self.codes.data.shape[2]} "
                "frames of tokens do not belong together"
            )


@final
class ChunkedCodec:
    """A codec for whole recordings that takes them in overlapping chunks."""

    def __init__(self, codec: Codec, chunks: Chunks) -> None:
        """SpecError when a chunk is not whole frames."""
        if chunks.samples % codec.config.hop or not 0 < chunks.step <= chunks.samples:
            raise SpecError(f"{chunks} for a codec whose frames have {codec.config.hop} samples")
        self.codec, self.chunks = codec, chunks

    @property
    def frames(self) -> int:
        """Of a whole chunk."""
        return self.chunks.samples // self.codec.config.hop

    @property
    def tokens(self) -> Tokens:
        """The codec's, on the clock of the overlapping chunks."""
        spec = self.codec.tokens
        rate = Fraction(self.codec.config.sample_rate * self.frames, self.chunks.step)
        alphabet = f"{spec.alphabet}-chunks-{self.chunks.samples}-{self.chunks.step}"
        return Tokens(name=spec.name, alphabet=alphabet, size=spec.size, books=spec.books, rate=rate)

    def frames_of(self, samples: int) -> tuple[int, ...]:
        """How many frames each chunk of a recording of so many samples has."""
        lengths = (min(self.chunks.samples, samples - begin) for begin in range(0, samples, self.chunks.step))
        return tuple(-(-length // self.codec.config.hop) for length in lengths)

    @torch.no_grad()
    def encode(self, wave: Stream[Wave], books: int | None = None) -> ChunkedTokens:
        """Rows of one length; the last chunk may be shorter. SpecError for more books than there are."""
        books = None if books is None else self.codec.counted(books)
        wave = wave.expect(self.codec.config.wave)
        if bool((wave.lengths != wave.data.shape[2]).any()):
            raise SpecError("chunks are cut from recordings of one length; encode others one by one")
        codes, loudness = [], []
        for begin in range(0, max(wave.data.shape[2], 1), self.chunks.step):
            piece = wave.data[:, :, begin : begin + self.chunks.samples]
            level = piece.mean(1).square().mean(1).sqrt() + _QUIETEST
            level = level if self.chunks.levelled else torch.ones_like(level)
            latents = self.codec.front(piece / level[:, None, None])
            codes.append(self.codec.quantizer.encode(latents, books))
            loudness.append(level)
        joined = torch.cat(codes, dim=2)
        lengths = torch.full((len(joined),), joined.shape[2])
        stream = Stream(self.tokens.first(joined.shape[1]), joined, lengths)
        return ChunkedTokens(stream, tuple(piece.shape[2] for piece in codes), torch.stack(loudness, dim=1))

    @torch.no_grad()
    def decode(self, tokens: ChunkedTokens) -> Stream[Wave]:
        """Chunks faded into each other where they overlap. SpecError for tokens of another codec."""
        codes, own = tokens.codes, self.tokens
        codes.expect(own.first(min(codes.spec.books, own.books)))
        made, pieces = [], codes.data.split(tokens.frames, dim=2)
        for piece, level in zip(pieces, tokens.loudness.unbind(1), strict=True):
            sound = self.codec.back(self.codec.quantizer.decode(piece))
            made.append(sound * level[:, None, None])
        data = _faded(made, self.chunks.step)
        return Stream(self.codec.config.wave, data, torch.full((len(data),), data.shape[2]))


def _faded(pieces: list[Float[Tensor, "B C _"]], step: int) -> Float[Tensor, "B C N"]:
    """Overlapping pieces, each weighted by a triangle over it, divided by the sum of the weights."""
    length = pieces[0].shape[2]
    place = torch.linspace(0, 1, length + 2, device=pieces[0].device)[1:-1]
    triangle = 0.5 - (place - 0.5).abs()
    total = step * (len(pieces) - 1) + pieces[-1].shape[2]
    summed = torch.zeros(*pieces[0].shape[:2], total, device=pieces[0].device)
    weight = torch.zeros(total, device=pieces[0].device)
    for number, piece in enumerate(pieces):
        shape = triangle[: piece.shape[2]]
        summed += pad(piece * shape, (number * step, total - number * step - piece.shape[2]))
        weight[number * step : number * step + piece.shape[2]] += shape
    return summed / weight
