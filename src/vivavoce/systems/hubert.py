"""HuBERT: an encoder that learns to name the clusters of frames it does not see (arXiv:2106.07447).

In the first iteration the clusters are of cepstra, afterwards of a layer of what the iteration before taught. Departs
as `systems.wav2vec2` does, whose body it has; `systems.wav2vec2.CtcModel` is what it becomes by fine-tuning.
"""

from dataclasses import dataclass
from typing import final

from torch import nn

from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.encoder_heads import ClusterConfig, ClusterHead
from vivavoce.nn.masking import MaskConfig
from vivavoce.systems.wav2vec2 import BASE, LARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class HubertConfig:
    """The paper's base by default."""

    encoder: EncoderConfig = BASE
    head: ClusterConfig = ClusterConfig()
    mask: MaskConfig = MaskConfig(starts=0.08, span=10)

    def build(self) -> "HubertModel":
        """The model with fresh weights."""
        return HubertModel(self)


LARGE_CONFIG = HubertConfig(encoder=LARGE, head=ClusterConfig(context=1024, dim=768))


@final
class HubertModel(nn.Module):
    """The part ``hubert``: an encoder and the names of clusters."""

    def __init__(self, config: HubertConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.encoder: Encoder = config.encoder.build()
        self.head: ClusterHead = config.head.build()
