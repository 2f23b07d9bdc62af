"""w2v-BERT: contrastive learning below, masked prediction above, in one pass (arXiv:2108.06209).

Log-mel frames are thinned out to 25 a second. The first Conformer layers learn to tell quantised frames from
distractors, as wav2vec 2.0 does; the layers upon them name the ids that the same quantiser gives to hidden frames.
Departs: learnt keys of clipped distances instead of Transformer-XL's positions, LayerNorm instead of BatchNorm.
"""

from dataclasses import dataclass
from typing import final

from torch import nn

from vivavoce.core.errors import ConfigError
from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.encoder_heads import ContrastiveConfig, ContrastiveHead
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.gumbel import GumbelConfig
from vivavoce.nn.masking import MaskConfig

XL = EncoderConfig(
    front=StridedMelFrontConfig(channels=128, dim=1024),
    trunk=ConformerConfig(dim=1024, layers=24, heads=8, expand=4, kernel=5, positions="keys", centred=True),
    fill="random",
)
"""The paper's 0.6 B model: twelve layers below, twelve above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class W2vBertConfig:
    """The paper's XL by default; the first ``below`` layers of the encoder are the contrastive module."""

    encoder: EncoderConfig = XL
    below: int = 12
    head: ContrastiveConfig = ContrastiveConfig(
        quantizer=GumbelConfig(dim=1024, groups=1, size=1024, code_dim=1024), context=1024, dim=1024
    )
    mask: MaskConfig = MaskConfig(starts=0.065, span=10)

    def build(self) -> "W2vBertModel":
        """The model with fresh weights; ConfigError when a module has no layers, or ids are not of one book."""
        if not 0 < self.below < self.encoder.trunk.layers or self.head.quantizer.groups != 1:
            raise ConfigError(
                f"got {self.below} of {self.encoder.trunk.layers} layers below and {self.head.quantizer.groups} "
                "groups; wanted layers below and above, and one group"
            )
        return W2vBertModel(self)


@final
class W2vBertModel(nn.Module):
    """The part ``w2vbert``: both modules in one encoder, and what teaches each."""

    def __init__(self, config: W2vBertConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.encoder: Encoder = config.encoder.build()
        self.head: ContrastiveHead = config.head.build()
        self.names = nn.Linear(config.encoder.trunk.dim, config.head.quantizer.size)
