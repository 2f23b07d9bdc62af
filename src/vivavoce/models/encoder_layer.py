"""A layer of an encoder as a front: what units (`models.units`) are clusters of."""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import Timing
from vivavoce.models.encoder import Encoder, EncoderConfig, EncoderState
from vivavoce.nn.transformer import TransformerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderLayerConfig:
    """The frames that come out of layer ``layer``, one vector per hop of the encoder."""

    encoder: EncoderConfig
    layer: int

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.encoder.front.sample_rate

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.encoder.front.hop

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.encoder.trunk.dim

    def build(self) -> "EncoderLayer":
        """The module; ConfigError for a layer that the encoder does not have."""
        if not 1 <= self.layer <= self.encoder.trunk.layers:
            raise ConfigError(f"the encoder has the layers 1 to {self.encoder.trunk.layers}, asked was {self.layer}")
        return EncoderLayer(self)


@final
class EncoderLayer(nn.Module):
    """An encoder up to a layer; nothing above it is kept."""

    def __init__(self, config: EncoderLayerConfig) -> None:
        """Random weights, which are a control; `of` takes an encoder's."""
        super().__init__()
        self.config = config
        trunk = replace(config.encoder.trunk, layers=config.layer)
        if isinstance(trunk, TransformerConfig) and not trunk.post:
            trunk = replace(trunk, last_norm=False)
        self.encoder: Encoder = replace(config.encoder, trunk=trunk).build()

    @staticmethod
    def of(encoder: Encoder, layer: int) -> "EncoderLayer":
        """The layer of an encoder, with its weights."""
        made = EncoderLayerConfig(encoder=encoder.config, layer=layer).build()
        own = made.encoder.state_dict()
        made.encoder.load_state_dict({name: value for name, value in encoder.state_dict().items() if name in own})
        return made.eval()

    @property
    def timing(self) -> Timing:
        """That of an encoder that streams; ConfigError for others."""
        if not self.config.encoder.streams:
            raise ConfigError("these features see all of the sound and cannot be streamed; use an encoder that streams")
        return self.encoder.timing

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """All frames at once, one per hop: where the front needs more sound than there is, the last frame is held.

        What is shorter than the front's first frame is filled up with silence.
        """
        front, least = self.config.encoder.front, self.config.hop
        while int(front.frames(torch.tensor([least]))) < 1:
            least += self.config.hop
        wanted = -(-wave.shape[2] // self.config.hop)
        heard = F.pad(wave[:, 0], (0, max(0, least - wave.shape[2])))
        frames = self.encoder(heard).layers[-1].transpose(1, 2)[:, :, :wanted]
        return F.pad(frames, (0, wanted - frames.shape[2]), mode="replicate")

    def init_state(self, rows: int) -> EncoderState:
        """Nothing heard yet."""
        _ = self.timing
        return self.encoder.init_state(rows)

    def step(
        self, wave: Float[Tensor, "B 1 N"], state: EncoderState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """Whole chunks (`timing`)."""
        return self.encoder.step(wave[:, 0], state, active).transpose(1, 2)
