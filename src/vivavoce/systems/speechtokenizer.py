"""SpeechTokenizer (arXiv:2308.16692): residual books of which the first is taught what is said.

The encoder's memory runs both ways, the decoder's forwards: the codec takes whole recordings only. The first book's
*quantised* vectors are taught by features of speech along the time of each of their numbers
(`losses.vq.distillation_over_time`). Books may be decoded in any range (`decode_range`): the first alone, or the rest.
"""

from dataclasses import replace

import torch

from vivavoce.core.errors import SpecError
from vivavoce.core.streams import Stream, Tokens, Wave
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import ResidualConfig, ResidualQuantizer
from vivavoce.nn.seanet import SeanetConfig


def speechtokenizer(
    *,
    channels: int = 64,
    dim: int = 1024,
    strides: tuple[int, ...] = (2, 4, 5, 8),
    books: int = 8,
    size: int = 1024,
    teacher_dim: int = 768,
    dead_below: float = 2.0,
    sample_rate: int = 16000,
) -> CodecConfig:
    """The codec; ``teacher_dim`` is the width of the features that teach the first book."""
    front = SeanetConfig(
        dim=dim, channels=channels, strides=strides, skip="conv", memory="bilstm", causal=False, edge="reflect",
        trim="both",
    )  # fmt: skip
    return CodecConfig(
        front=SeanetFrontConfig(net=front, sample_rate=sample_rate),
        quantizer=ResidualConfig(dim=dim, code_dim=0, books=books, size=size, fewer_books=0.0, dead_below=dead_below),
        back=SeanetBackConfig(net=replace(front, memory="lstm")),
        teacher_dim=teacher_dim,
    )


@torch.no_grad()
def decode_range(codec: Codec, codes: Stream[Tokens]) -> Stream[Wave]:
    """The sound of some books that follow each other (`Stream.part`): the rest without the first is its voice.

    SpecError for codes of another codec.
    """
    own, given, quantizer = codec.tokens, codes.spec, codec.quantizer
    if not isinstance(quantizer, ResidualQuantizer):
        raise SpecError(f"ranges of books are decoded of residual ones, this codec has a {type(quantizer).__name__}")
    if replace(given, name=own.name, books=own.books, first_book=0) != own:
        raise SpecError(f"got {given}, wanted books of {own}")
    entries = quantizer.entries[given.first_book : given.first_book + given.books]
    summed = torch.stack([book[chosen] for book, chosen in zip(entries, codes.data.unbind(1), strict=True)]).sum(0)
    sound = codec.back(quantizer.out(summed).transpose(1, 2))
    return Stream(codec.config.wave, sound, codes.lengths * codec.config.hop)
