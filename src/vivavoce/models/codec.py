"""A codec: sound to a few tokens per frame and back, streaming both ways.

Three parts that are handed in: a front (`models.front`), a quantiser (`nn.quantize`), a back (`models.back`), composed
as in Vocos (arXiv:2306.00814). What ids mean is decided by front and quantiser alone, so their digest is the alphabet
(`Codec.tokens`): another back may learn to say the same tokens more beautifully.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.config import dump
from vivavoce.core.derived import Derived
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Streaming, Timing
from vivavoce.core.streams import Stream, Tokens, Wave, alphabet_of, whole
from vivavoce.models.back import BackConfig, SpectralBackConfig
from vivavoce.models.front import FrontConfig, MelFront, MelFrontConfig, SeanetFrontConfig
from vivavoce.models.units_front import UnitsFront
from vivavoce.nn.chain import Chain
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.given_book import GivenBookConfig
from vivavoce.nn.quantize import Quantized, QuantizerConfig, ResidualConfig, SplitConfig

_FRONT, _BACK = MelFrontConfig(), SpectralBackConfig()
_PIECE = 250
"""Token frames that go through at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecConfig:
    """Three parts; ``teacher_dim`` is the width of a semantic teacher's features, 0 builds no head for one."""

    front: FrontConfig = _FRONT
    quantizer: QuantizerConfig = SplitConfig(
        semantic=ResidualConfig(dim=256, books=1, fewer_books=0.0), acoustic=ResidualConfig(dim=256, books=7)
    )
    back: BackConfig = _BACK
    teacher_dim: int = 0

    @property
    def sample_rate(self) -> int:
        """Of the sound."""
        return self.front.sample_rate

    @property
    def hop(self) -> int:
        """Samples per token frame."""
        return self.front.hop

    @property
    def rate(self) -> Fraction:
        """Token frames per second."""
        return Fraction(self.sample_rate, self.hop)

    @property
    def wave(self) -> Wave:
        """The sound that goes in and comes out."""
        channels = self.front.net.wave_channels if isinstance(self.front, SeanetFrontConfig) else 1
        return Wave(sample_rate=self.sample_rate, channels=channels)

    @property
    def books(self) -> int:
        """Codes per frame."""
        return self.quantizer.books

    @property
    def size(self) -> int:
        """Entries of a book."""
        return self.quantizer.size

    def build(self) -> "Codec":
        """The module; ConfigError when the parts do not fit each other."""
        front, back = (self.front.dim, self.front.hop), (self.back.dim, self.back.hop)
        taken = given = self.quantizer.dim
        if isinstance(self.quantizer, GivenBookConfig):
            given = self.quantizer.values_dim
        if front != (taken, self.back.hop) or back[0] != given:
            raise ConfigError(
                f"the front gives vectors of {front[0]} every {front[1]} samples, the quantiser makes of {taken} "
                f"{given}, the back takes vectors of {back[0]} every {back[1]}; make them equal"
            )
        return Codec(self)

    @staticmethod
    def of_earlier(fields: Mapping[str, Any]) -> "CodecConfig":
        """The first form, in which the mel codec's numbers stood side by side under a hand-written alphabet."""
        return mel_codec(**{name: value for name, value in fields.items() if name != "alphabet"})


def mel_codec(
    *,
    mel: LogMelConfig = _FRONT.mel,
    stride: int = _FRONT.stride,
    encode_fine: ConvNeXtConfig = _FRONT.fine,
    encode_coarse: ConvNeXtConfig = _FRONT.coarse,
    decode_coarse: ConvNeXtConfig = _BACK.coarse,
    decode_fine: ConvNeXtConfig = _BACK.fine,
    books: int = 8,
    size: int = 1024,
    code_dim: int = 64,
    teacher_dim: int = 0,
) -> CodecConfig:
    """Mel in, spectra out, and between them a semantic book beside residual ones (the split of Mimi, arXiv:2410.00037).

    Cheap by design: no layer runs faster than the mel frames.
    """
    if books < 2:
        raise ConfigError(f"a split codec needs a semantic book and an acoustic one, got {books} in all")
    dim = encode_coarse.dim
    return CodecConfig(
        front=MelFrontConfig(mel=mel, stride=stride, fine=encode_fine, coarse=encode_coarse),
        quantizer=SplitConfig(
            semantic=ResidualConfig(dim=dim, code_dim=code_dim, books=1, size=size, fewer_books=0.0),
            acoustic=ResidualConfig(dim=dim, code_dim=code_dim, books=books - 1, size=size),
        ),
        back=SpectralBackConfig(
            dim=dim, stride=stride, coarse=decode_coarse, fine=decode_fine, window=mel.window, frame=mel.hop
        ),
        teacher_dim=teacher_dim,
    )


class Resynthesis(NamedTuple):
    """One training forward."""

    wave: Float[Tensor, "B N"]  # lags the input by `Codec.delay`
    quantized: Quantized
    meaning: Float[Tensor, "B D T"] | None  # the first book's guess of the teacher's features
    latents: Float[Tensor, "B D T"]


@final
class Codec(nn.Module):
    """Front, quantiser, back."""

    def __init__(self, config: CodecConfig) -> None:
        """Nothing is shared between front and back."""
        super().__init__()
        self.config = config
        self.front = config.front.build()
        self.quantizer = config.quantizer.build()
        self.back = config.back.build()
        self.teach = nn.Linear(config.front.dim, config.teacher_dim) if config.teacher_dim else None
        self._alphabet: Derived[str] = Derived()
        self.register_load_state_dict_pre_hook(_rename_earlier)

    @property
    def delay(self) -> int:
        """Samples by which decoded sound lags the sound that was encoded."""
        return self.config.back.delay

    @property
    def timing(self) -> Timing:
        """One token frame per hop, or as many as the front gives at once; sound in to sound out waits for the delay
        too."""
        return Timing(rate=Fraction(self.config.sample_rate), hop=self._chunk, lookahead=self.delay)

    @property
    def _chunk(self) -> int:
        """Samples that the front takes at once."""
        return self.front.timing.hop if isinstance(self.front, UnitsFront) else self.config.hop

    @property
    def tokens(self) -> Tokens:
        """The stream of codes; its alphabet is the digest of all that decides the ids."""
        deciding = {f"front.{name}": value for name, value in self.front.state_dict().items()}
        deciding |= {f"quantizer.{name}": value for name, value in self.quantizer.deciding().items()}
        config = self.config
        alphabet = self._alphabet.of(deciding.values(), lambda: alphabet_of("codec", dump(config.front), deciding))
        return Tokens(name="codes", alphabet=alphabet, size=config.size, books=config.books, rate=config.rate)

    def forward(self, wave: Float[Tensor, "B N"], mel: Float[Tensor, "B M S"] | None = None) -> Resynthesis:
        """Training: through the quantiser with gradients; ``mel`` replaces the wave's own where it was altered."""
        latents = self.front(wave[:, None]) if mel is None else self.mel_front.of_mel(mel)
        quantized = self.quantizer(latents)
        made = self.back(quantized.values)[:, 0]
        meaning = quantized.meaning.transpose(1, 2)
        return Resynthesis(
            made, quantized, None if self.teach is None else self.teach(meaning).transpose(1, 2), latents
        )

    @torch.no_grad()
    def encode(self, wave: Stream[Wave], books: int | None = None) -> Stream[Tokens]:
        """Sound of any length to codes, and as much silence after it as pushes its end out when decoding.

        ``books``: the first so many only. Raises SpecError for more than there are, and for sound of another kind.
        """
        wave = wave.expect(self.config.wave)
        tokens = self.tokens if books is None else self.tokens.first(self.counted(books))
        hop = self.config.hop
        sound = pad(wave.data, (0, self.delay))
        sound = pad(sound, (0, -sound.shape[2] % hop))
        latents = _through(self.front, sound, _PIECE * hop // self._chunk * self._chunk)
        codes = self.quantizer.encode(latents) if books is None else self.quantizer.encode(latents, books)
        return Stream(tokens, codes, (wave.lengths + self.delay + hop - 1) // hop)

    def counted(self, books: int) -> int:
        """The books asked for; SpecError if there are not so many."""
        if not 1 <= books <= self.config.books:
            raise SpecError(f"{books} books were asked for and the codec has {self.config.books}; use 1 to that many")
        return books

    @torch.no_grad()
    def decode(self, codes: Stream[Tokens]) -> Stream[Wave]:
        """Codes to sound, aligned with what was encoded; later books may be left out (`Stream.part`).

        Raises SpecError for codes of another alphabet.
        """
        own = self.tokens
        codes.expect(own.first(min(codes.spec.books, own.books)))
        return self.decode_vectors(self.quantizer.decode(codes.data), codes.lengths)

    @torch.no_grad()
    def decode_vectors(self, vectors: Float[Tensor, "B D T"], lengths: Int[Tensor, " B"]) -> Stream[Wave]:
        """The same of vectors such as the quantiser makes of codes, with as many frames in each row."""
        sound = _through(self.back, vectors, _PIECE)
        missing = vectors.shape[2] * self.config.hop - sound.shape[2]  # some nets lose a few ticks at the end
        sound = pad(sound, (0, missing))[:, :, self.delay :]
        return Stream(self.config.wave, sound, (lengths * self.config.hop - self.delay).clamp(min=0))

    def resynthesize(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """There and back, aligned with the input and of its length."""
        return self.decode(self.encode(whole(self.config.wave, wave[:, None]))).data[:, 0, : wave.shape[1]]

    @property
    def mel_front(self) -> MelFront:
        """The front, where mel frames can be put in directly; ConfigError for codecs without one."""
        if not isinstance(self.front, MelFront):
            raise ConfigError(f"this needs a codec with a mel front, this one has a {type(self.front).__name__}")
        return self.front

    @property
    def streams(self) -> bool:
        """Whether it can be stepped; codecs that look ahead take whole recordings only."""
        return isinstance(self.front, Streaming) and isinstance(self.back, Streaming)

    def init_encode(self, rows: int) -> State:
        """Silence before the first sample; ConfigError for a codec that looks ahead."""
        return _stepped(self.front).init_state(rows)

    def encode_step(
        self,
        wave: Float[Tensor, "B N"],
        state: State,
        active: Bool[Tensor, " B"] | None = None,
        books: int | None = None,
    ) -> Int[Tensor, "B K T"]:
        """Codes of the frames that end within these samples; N must be a multiple of ``config.hop`` (SpecError), of
        `timing`'s hop until the last ones. ``books`` as in `encode`."""
        if wave.shape[1] % self.config.hop:
            raise SpecError(f"got {wave.shape[1]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        if not wave.shape[1]:  # fronts of several parts need something
            made = self.config.books if books is None else self.counted(books)
            return torch.zeros(len(wave), made, 0, dtype=torch.long, device=wave.device)
        latents = self.front.step(wave[:, None], state, active)
        return self.quantizer.encode(latents) if books is None else self.quantizer.encode(latents, self.counted(books))

    def encode_mel_step(
        self, mel: Float[Tensor, "B M S"], state: Any, active: Bool[Tensor, " B"] | None = None
    ) -> Int[Tensor, "B K T"]:
        """Codes of mel frames that come from elsewhere; the state's own mel part is not used."""
        return self.quantizer.encode(self.mel_front.mel_step(mel, state, active))

    def init_decode(self, rows: int) -> State:
        """Nothing said yet; ConfigError for a codec that looks ahead."""
        return _stepped(self.back).init_state(rows)

    def decode_step(
        self, codes: Int[Tensor, "B K T"], state: State, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N"]:
        """``config.hop`` samples per frame of codes, late by `delay`."""
        return self.back.step(self.quantizer.decode(codes), state, active)[:, 0]


def _stepped(part: Any) -> Any:
    """A front or back that can be stepped."""
    if not isinstance(part, Streaming):
        raise ConfigError("this codec looks ahead and cannot be stepped; give it whole recordings (encode, decode)")
    return part


def _through(part: Any, x: Float[Tensor, "B D T"], piece: int) -> Float[Tensor, "B E S"]:
    """Ticks through a front or a back, a piece at a time if it streams.

    Chains may hold the first ticks back until more have come; what is short goes through them at once.
    """
    if not isinstance(part, Streaming) or (isinstance(part, Chain) and x.shape[2] <= piece):
        return part(x)
    state = part.init_state(len(x))
    return torch.cat([part.step(one, state) for one in x.split(piece, dim=2)], dim=2)


_EARLIER = {
    "enter": "front.enter", "encode_fine": "front.fine", "down": "front.down", "encode_coarse": "front.coarse",
    "encoded": "front.norm", "decode_enter": "back.enter", "decode_coarse": "back.coarse", "up": "back.up",
    "decode_fine": "back.fine", "decoded": "back.norm", "head": "back.head",
}  # fmt: skip


def _rename_earlier(module: nn.Module, state: dict[str, Tensor], prefix: str, *others: Any) -> None:
    """Weights that were saved before front and back were parts get their present names."""
    for key in [key for key in state if key.startswith(prefix)]:
        layer, _, rest = key.removeprefix(prefix).partition(".")
        if layer in _EARLIER:
            state[f"{prefix}{_EARLIER[layer]}.{rest}"] = state.pop(key)
