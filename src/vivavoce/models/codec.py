"""A codec: sound to a few tokens per frame and back, streaming both ways.

Cheap by design: log-mel frames go in and an inverse FFT makes the samples, so no layer runs faster than 100 frames per
second (the front end and head of Vocos, arXiv:2306.00814; the middle of SoundStream, arXiv:2107.03312; the split of
Mimi, arXiv:2410.00037). A token frame covers ``hop`` samples; decoded sound lags by one such frame, which is all the
look-ahead there is (`Codec.delay`).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.audio.mel import FLOOR, LogMelConfig, LogMelState
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing
from vivavoce.core.streams import Tokens, Wave
from vivavoce.nn.conv import ConvConfig, ConvState
from vivavoce.nn.convnext import ConvNeXtConfig, ConvNeXtState
from vivavoce.nn.quantize import Quantized, ResidualConfig, SplitConfig
from vivavoce.nn.spectral import OverlapState, SpectralHeadConfig

_MEL_MEAN, _MEL_SCALE = -5.5, 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecConfig:
    """Mel frames, a fine trunk at their rate, a coarse one at the token rate, the same mirrored, and the books."""

    alphabet: str = "vivavoce_mini_codec"
    mel: LogMelConfig = LogMelConfig()
    stride: int = 4
    encode_fine: ConvNeXtConfig = ConvNeXtConfig(dim=128, depth=2)
    encode_coarse: ConvNeXtConfig = ConvNeXtConfig(dim=256, depth=2)
    decode_coarse: ConvNeXtConfig = ConvNeXtConfig(dim=288, depth=2)
    decode_fine: ConvNeXtConfig = ConvNeXtConfig(dim=256, depth=3)
    books: int = 8
    size: int = 1024
    code_dim: int = 64
    teacher_dim: int = 0  # width of the semantic teacher's features; 0 builds no distillation head

    @property
    def hop(self) -> int:
        """Samples per token frame."""
        return self.mel.hop * self.stride

    @property
    def rate(self) -> Fraction:
        """Token frames per second."""
        return self.mel.rate / self.stride

    @property
    def wave(self) -> Wave:
        """The sound that goes in and comes out."""
        return Wave(sample_rate=self.mel.sample_rate)

    @property
    def tokens(self) -> Tokens:
        """The stream of codes."""
        return Tokens(name="codes", alphabet=self.alphabet, size=self.size, books=self.books, rate=self.rate)

    def build(self) -> "Codec":
        """The module."""
        if self.books < 2:
            raise ConfigError(f"a split codec needs a semantic book and an acoustic one, got {self.books} in all")
        return Codec(self)


@dataclass
class EncodeState(State):
    """What the encoder still sees."""

    mel: LogMelState
    enter: ConvState
    fine: ConvNeXtState
    coarse: ConvNeXtState


@dataclass
class DecodeState(State):
    """What the decoder still sees, and sound not yet complete."""

    coarse: ConvNeXtState
    enter: ConvState
    fine: ConvNeXtState
    head: OverlapState


class Resynthesis(NamedTuple):
    """One training forward."""

    wave: Float[Tensor, "B N"]  # lags the input by `Codec.delay`
    quantized: Quantized
    meaning: Float[Tensor, "B D T"] | None  # the first book's guess of the teacher's features
    latents: Float[Tensor, "B D T"]


@final
class Codec(nn.Module):
    """Encoder, split residual quantiser, decoder."""

    def __init__(self, config: CodecConfig) -> None:
        """Builds the parts; nothing is shared between encoder and decoder."""
        super().__init__()
        self.config = config
        inner, outer = config.encode_coarse.dim, config.decode_fine.dim
        self.mel = config.mel.build()
        self.enter = ConvConfig(inputs=config.mel.bins, outputs=config.encode_fine.dim, kernel=3).build()
        self.encode_fine = config.encode_fine.build()
        self.down = ConvConfig(
            inputs=config.encode_fine.dim, outputs=inner, kernel=config.stride, stride=config.stride
        ).build()
        self.encode_coarse = config.encode_coarse.build()
        self.encoded = nn.LayerNorm(inner)
        self.quantizer = SplitConfig(
            semantic=ResidualConfig(dim=inner, code_dim=config.code_dim, books=1, size=config.size, fewer_books=0.0),
            acoustic=ResidualConfig(dim=inner, code_dim=config.code_dim, books=config.books - 1, size=config.size),
        ).build()
        self.teach = nn.Linear(inner, config.teacher_dim) if config.teacher_dim else None
        self.decode_enter = ConvConfig(inputs=inner, outputs=config.decode_coarse.dim, kernel=3).build()
        self.decode_coarse = config.decode_coarse.build()
        self.up = nn.Linear(config.decode_coarse.dim, outer * config.stride)
        self.decode_fine = config.decode_fine.build()
        self.decoded = nn.LayerNorm(outer)
        self.head = SpectralHeadConfig(dim=outer, window=config.mel.window, hop=config.mel.hop).build()

    @property
    def delay(self) -> int:
        """Samples by which decoded sound lags the sound that was encoded: one token frame."""
        return self.config.hop

    @property
    def timing(self) -> Timing:
        """One token frame per hop; sound in to sound out waits for one more."""
        return Timing(rate=Fraction(self.config.mel.sample_rate), hop=self.config.hop, lookahead=self.delay)

    def forward(self, wave: Float[Tensor, "B N"], mel: Float[Tensor, "B M S"] | None = None) -> Resynthesis:
        """Training: through the quantiser with gradients; ``mel`` replaces the wave's own where it was altered."""
        latents = self._latents(self.mel(wave) if mel is None else mel)
        quantized, meaning = self.quantizer(latents)
        made = self._sound(quantized.values)
        return Resynthesis(
            made,
            quantized,
            None if self.teach is None else self.teach(meaning.transpose(1, 2)).transpose(1, 2),
            latents,
        )

    def encode(self, wave: Float[Tensor, "B N"]) -> Int[Tensor, "B K T"]:
        """Sound in [-1, 1] to codes.

        N must be a multiple of ``config.hop`` (SpecError; pad with ``audio.files.pad_to``).
        """
        if wave.shape[1] % self.config.hop:
            raise SpecError(f"got {wave.shape[1]} samples, wanted a multiple of {self.config.hop}; pad with zeros")
        return self.encode_mel(self.mel(wave))

    def encode_mel(self, mel: Float[Tensor, "B M S"]) -> Int[Tensor, "B K T"]:
        """Log-mel frames to codes, ``config.stride`` frames to one."""
        return self.quantizer.encode(self._latents(mel))

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B N"]:
        """Codes to sound that lags by `delay`; later books may be left out."""
        return self._sound(self.quantizer.decode(codes))

    def resynthesize(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """There and back, aligned with the input and of its length."""
        length = wave.shape[1]
        padded = torch.nn.functional.pad(wave, (0, -length % self.config.hop + self.delay))
        return self.decode(self.encode(padded))[:, self.delay : self.delay + length]

    def init_encode(self, rows: int) -> EncodeState:
        """Silence before the first sample."""
        return EncodeState(
            self.mel.init_state(rows),
            self.enter.init_state(rows),
            self.encode_fine.init_state(rows),
            self.encode_coarse.init_state(rows),
        )

    def encode_step(
        self, wave: Float[Tensor, "B N"], state: EncodeState, active: Bool[Tensor, " B"] | None = None
    ) -> Int[Tensor, "B K T"]:
        """Codes of the frames that end within these samples; N must be a multiple of ``config.hop``."""
        if wave.shape[1] % self.config.hop:
            raise SpecError(f"got {wave.shape[1]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        return self.encode_mel_step(self.mel.step(wave, state.mel, active), state, active)

    def encode_mel_step(
        self, mel: Float[Tensor, "B M S"], state: EncodeState, active: Bool[Tensor, " B"] | None = None
    ) -> Int[Tensor, "B K T"]:
        """Codes of mel frames that come from elsewhere; the state's own mel part is not used."""
        if mel.shape[2] == 0:
            return torch.zeros(len(mel), self.config.books, 0, dtype=torch.long, device=mel.device)
        x = self.enter.step(_level(mel), state.enter, active)
        x = self.down(self.encode_fine.step(x, state.fine, active))
        return self.quantizer.encode(self._normed(self.encode_coarse.step(x, state.coarse, active)))

    def init_decode(self, rows: int) -> DecodeState:
        """Nothing said yet."""
        return DecodeState(
            self.decode_coarse.init_state(rows),
            self.decode_enter.init_state(rows),
            self.decode_fine.init_state(rows),
            self.head.init_state(rows),
        )

    def decode_step(
        self, codes: Int[Tensor, "B K T"], state: DecodeState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N"]:
        """``config.hop`` samples per frame of codes."""
        if codes.shape[2] == 0:
            return state.head.tail.new_zeros(len(codes), 0)
        x = self.decode_enter.step(self.quantizer.decode(codes), state.enter, active)
        x = self._raise(self.decode_coarse.step(x, state.coarse, active))
        x = self.decode_fine.step(x, state.fine, active)
        return self.head.step(self._final(x), state.head, active)

    def _latents(self, mel: Float[Tensor, "B M S"]) -> Float[Tensor, "B D T"]:
        x = self.encode_fine(self.enter(_level(mel)))
        return self._normed(self.encode_coarse(self.down(x)))

    def _sound(self, latents: Float[Tensor, "B D T"]) -> Float[Tensor, "B N"]:
        x = self._raise(self.decode_coarse(self.decode_enter(latents)))
        return self.head(self._final(self.decode_fine(x)))

    def _normed(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        return self.encoded(x.transpose(1, 2)).transpose(1, 2)

    def _final(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        return self.decoded(x.transpose(1, 2)).transpose(1, 2)

    def _raise(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B E S"]:
        """One coarse frame to ``stride`` fine ones."""
        wide = self.up(x.transpose(1, 2))
        return wide.unflatten(2, (self.config.stride, -1)).flatten(1, 2).transpose(1, 2)


def _level(mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B M T"]:
    """Log-mel values brought to about zero mean and unit spread."""
    return (mel - _MEL_MEAN) / _MEL_SCALE


def without_highs(mel: Float[Tensor, "B M T"], bins: int) -> Float[Tensor, "B M T"]:
    """Mel frames as a narrow-band recording would give them: nothing from bin ``bins`` on."""
    made = mel.clone()
    made[:, bins:] = torch.log(torch.tensor(FLOOR))
    return made
