"""wav2vec 2.0: an encoder that learns to tell what was hidden from distractors (arXiv:2006.11477).

Waves go through seven convolutions; half of the frames are hidden from a Transformer, whose output has to be nearer to
the quantised hidden frame than to those of other hidden frames of the utterance. `CtcModel` is what it becomes by
fine-tuning. Departs: no weight normalisation while training (published weights are loaded with theirs folded).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.streams import Stream, Wave
from vivavoce.models.encoder import Encoded, Encoder, EncoderConfig
from vivavoce.models.encoder_heads import ContrastiveConfig, ContrastiveHead, CtcConfig, CtcHead
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.gumbel import GumbelConfig
from vivavoce.nn.masking import MaskConfig
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.transformer import TransformerConfig

BASE = EncoderConfig(
    front=WaveFrontConfig(),
    trunk=TransformerConfig(
        dim=768, layers=12, heads=12, kv_heads=12, hidden=3072, window=1 << 20, causal=False, dropout=0.1, norm="layer",
        post=True, gated=False, bias=True, rotary=False, layerdrop=0.05,
    ),
    positions=ConvPositionsConfig(),
    dropout=0.1,
    front_gradient=0.1,
)  # fmt: skip
LARGE = replace(
    BASE,
    front=WaveFrontConfig(norm="layer", bias=True, standardize=True),
    trunk=replace(
        BASE.trunk, dim=1024, layers=24, heads=16, kv_heads=16, hidden=4096, post=False, dropout=0.0, layerdrop=0.0
    ),
    dropout=0.0,
    front_gradient=0.03,
)
"""Large with the settings of LV-60k: layer norms everywhere, norms before the sublayers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav2Vec2Config:
    """The paper's base by default."""

    encoder: EncoderConfig = BASE
    head: ContrastiveConfig = ContrastiveConfig()
    mask: MaskConfig = MaskConfig(starts=0.065, span=10)

    def build(self) -> "Wav2Vec2Model":
        """The model with fresh weights."""
        return Wav2Vec2Model(self)


LARGE_CONFIG = Wav2Vec2Config(
    encoder=LARGE,
    head=ContrastiveConfig(
        quantizer=GumbelConfig(code_dim=768, end=0.1), context=1024, dim=768
    ),
)  # fmt: skip


@final
class Wav2Vec2Model(nn.Module):
    """The part ``wav2vec2``: an encoder and what teaches it."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.encoder: Encoder = config.encoder.build()
        self.head: ContrastiveHead = config.head.build()


# ---- what an encoder becomes that has seen transcripts ----


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcModelConfig:
    """Any encoder that writes symbols. ``symbols`` are what the ids after the blank mean."""

    encoder: EncoderConfig = BASE
    symbols: tuple[str, ...] = ()
    dropout: float = 0.1

    def build(self) -> "CtcModel":
        """The model with fresh weights."""
        return CtcModel(self)


@final
class CtcModel(nn.Module):
    """The part ``ctc``: an encoder that was fine-tuned to write (§3.3)."""

    def __init__(self, config: CtcModelConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.encoder: Encoder = config.encoder.build()
        self.head: CtcHead = CtcConfig(
            context=config.encoder.trunk.dim, symbols=1 + len(config.symbols), dropout=config.dropout
        ).build()

    def forward(
        self,
        wave: Float[Tensor, "B N"],
        lengths: Int[Tensor, " B"] | None = None,
        *,
        mask: Bool[Tensor, "B T"] | None = None,
        channels: Bool[Tensor, "B D"] | None = None,
    ) -> tuple[Float[Tensor, "B T V"], Encoded]:
        """Log-probabilities of the blank and the symbols, and what the encoder heard."""
        heard = self.encoder(wave, lengths, mask=mask, channels=channels)
        return self.head(heard.last), heard

    @torch.inference_mode()
    def transcribe(self, sound: Stream[Wave]) -> list[tuple[str, ...]]:
        """The likeliest symbols of every row: repeats merged, blanks dropped."""
        features = self.encoder.encode(sound)
        best = self.head(features.data.transpose(1, 2)).argmax(-1)
        return [
            spelled(row[:length], self.config.symbols)
            for row, length in zip(best, features.lengths.tolist(), strict=True)
        ]


def spelled(best: Int[Tensor, " T"], symbols: Sequence[str]) -> tuple[str, ...]:
    """Symbols of a path through time."""
    return tuple(symbols[int(index) - 1] for index in torch.unique_consecutive(best) if index)
