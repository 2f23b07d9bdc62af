"""Fronts of a codec: sound to one vector per token frame, streaming.

A front takes Float[B, 1, N] and gives Float[B, D, T]; N is whole frames of ``config.hop`` samples.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.audio.mel import FLOOR, LogMelConfig, LogMelState
from vivavoce.core.streaming import State, Timing
from vivavoce.nn.chain import Chain, OverTime, chain
from vivavoce.nn.conv import ConvConfig, ConvState
from vivavoce.nn.convnext import ConvNeXtConfig, ConvNeXtState
from vivavoce.nn.edges import EdgeConv
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig

_MEL_MEAN, _MEL_SCALE = -5.5, 2.5


@runtime_checkable
class FrontConfig(Protocol):
    """What a codec asks of a front before it is built."""

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        ...

    @property
    def hop(self) -> int:
        """Samples per vector."""
        ...

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    def build(self) -> Any:
        """The module: ``forward``, ``init_state`` and ``step``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MelFrontConfig:
    """Log-mel frames, a fine ConvNeXt trunk at their rate, and a coarse one at the token rate (arXiv:2306.00814)."""

    mel: LogMelConfig = LogMelConfig()
    stride: int = 4
    fine: ConvNeXtConfig = ConvNeXtConfig(dim=128, depth=2)
    coarse: ConvNeXtConfig = ConvNeXtConfig(dim=256, depth=2)

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.mel.sample_rate

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.mel.hop * self.stride

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.coarse.dim

    def build(self) -> "MelFront":
        """The module."""
        return MelFront(self)


@dataclass
class MelFrontState(State):
    """What the front still sees."""

    mel: LogMelState
    enter: ConvState
    fine: ConvNeXtState
    coarse: ConvNeXtState


@final
class MelFront(nn.Module):
    """No layer runs faster than the mel frames, 100 a second."""

    def __init__(self, config: MelFrontConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.mel = config.mel.build()
        self.enter = ConvConfig(inputs=config.mel.bins, outputs=config.fine.dim, kernel=3).build()
        self.fine = config.fine.build()
        self.down = ConvConfig(
            inputs=config.fine.dim, outputs=config.dim, kernel=config.stride, stride=config.stride
        ).build()
        self.coarse = config.coarse.build()
        self.norm = nn.LayerNorm(config.dim)

    @property
    def timing(self) -> Timing:
        """A vector for ``hop`` samples, no look-ahead."""
        return Timing(rate=Fraction(self.config.sample_rate), hop=self.config.hop)

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """All frames at once."""
        return self.of_mel(self.mel(wave[:, 0]))

    def of_mel(self, mel: Float[Tensor, "B M S"]) -> Float[Tensor, "B D T"]:
        """From mel frames, ``config.stride`` of them to one vector."""
        return self._normed(self.coarse(self.down(self.fine(self.enter(_level(mel))))))

    def init_state(self, rows: int) -> MelFrontState:
        """Silence before the first sample."""
        return MelFrontState(
            self.mel.init_state(rows),
            self.enter.init_state(rows),
            self.fine.init_state(rows),
            self.coarse.init_state(rows),
        )

    def step(
        self, wave: Float[Tensor, "B 1 N"], state: MelFrontState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The vectors of the frames that end within these samples."""
        return self.mel_step(self.mel.step(wave[:, 0], state.mel, active), state, active)

    def mel_step(
        self, mel: Float[Tensor, "B M S"], state: MelFrontState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The same from mel frames that come from elsewhere; the state's own mel part is not used."""
        if mel.shape[2] == 0:
            return mel.new_zeros(len(mel), self.config.dim, 0)
        x = self.enter.step(_level(mel), state.enter, active)
        x = self.down(self.fine.step(x, state.fine, active))
        return self._normed(self.coarse.step(x, state.coarse, active))

    def _normed(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


def _level(mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B M T"]:
    """Log-mel values brought to about zero mean and unit spread."""
    return (mel - _MEL_MEAN) / _MEL_SCALE


def without_highs(mel: Float[Tensor, "B M T"], bins: int) -> Float[Tensor, "B M T"]:
    """Mel frames as a narrow-band recording would give them: nothing from bin ``bins`` on."""
    made = mel.clone()
    made[:, bins:] = torch.log(torch.tensor(FLOOR))
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class SeanetFrontConfig:
    """SEANet's encoder, straight from samples (SoundStream, EnCodec).

    It may be followed by a transformer and a convolution that takes ``stride`` vectors to one (Mimi).
    """

    net: SeanetConfig = SeanetConfig()
    sample_rate: int = 24000
    trunk: TransformerConfig | None = None
    stride: int = 1

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.net.hop * self.stride

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.net.dim

    def build(self) -> Chain:
        """The module; it streams if the net is causal."""
        layers = self.net.encoder_layers()
        if self.trunk is not None:
            layers.append(OverTime(self.trunk))
        if self.stride > 1:
            coarse = ConvConfig(
                inputs=self.dim, outputs=self.dim, kernel=2 * self.stride, stride=self.stride, bias=False
            )
            layers.append(EdgeConv(coarse, "replicate"))
        return chain(layers, self.hop)
