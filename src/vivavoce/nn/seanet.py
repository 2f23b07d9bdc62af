"""SEANet: strided convolutions straight from samples to latents and back (SoundStream, arXiv:2107.03312 §3.2).

As EnCodec builds it (arXiv:2210.13438 §3.1): per stage a residual unit and a strided convolution that doubles the
channels; the decoder mirrors it. Causal, and streaming by the caller's state. Departures: no LSTM at the bottleneck,
no weight normalisation (fold it into the weights when loading), zero instead of reflected padding before the first
sample.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import final

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import elu

from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import State, Timing
from vivavoce.nn.conv import CausalConv, CausalConvTranspose, ConvConfig, ConvState


@dataclass(frozen=True, slots=True, kw_only=True)
class SeanetConfig:
    """Strides in the encoder's order; the hop is their product."""

    dim: int = 128
    channels: int = 32
    strides: tuple[int, ...] = (2, 4, 5, 8)
    kernel: int = 7
    residual_kernel: int = 3
    last_kernel: int = 7

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return prod(self.strides)

    def encoder(self) -> "SeanetEncoder":
        """Samples to latents."""
        self._check()
        return SeanetEncoder(self)

    def decoder(self) -> "SeanetDecoder":
        """Latents to samples."""
        self._check()
        return SeanetDecoder(self)

    def _check(self) -> None:
        if not self.strides or min(self.strides) < 2:
            raise ConfigError(f"strides of at least 2 are wanted, got {self.strides}")


@dataclass
class ResidualState(State):
    """What the two convolutions of a unit still see."""

    narrow: ConvState
    widen: ConvState


@dataclass
class SeanetState(State):
    """What every layer still sees, in the order of the layers."""

    first: ConvState
    units: tuple[ResidualState, ...]
    strided: tuple[ConvState, ...]
    last: ConvState


@final
class ResidualUnit(nn.Module):
    """ELU and a convolution to half the channels, ELU and one back, added to the input."""

    def __init__(self, channels: int, kernel: int) -> None:
        """Half the channels inside."""
        super().__init__()
        self.narrow = ConvConfig(inputs=channels, outputs=channels // 2, kernel=kernel).build()
        self.widen = ConvConfig(inputs=channels // 2, outputs=channels).build()

    @property
    def timing(self) -> Timing:
        """That of its convolutions: a sample for a sample."""
        return self.narrow.timing

    def forward(self, x: Float[Tensor, "B D N"]) -> Float[Tensor, "B D N"]:
        """All samples at once."""
        return x + self.widen(elu(self.narrow(elu(x))))

    def init_state(self, rows: int) -> ResidualState:
        """Zeros before the first sample."""
        return ResidualState(self.narrow.init_state(rows), self.widen.init_state(rows))

    def step(
        self, x: Float[Tensor, "B D N"], state: ResidualState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D N"]:
        """The same, chunk by chunk."""
        return x + self.widen.step(elu(self.narrow.step(elu(x), state.narrow, active)), state.widen, active)


@final
class SeanetEncoder(nn.Module):
    """Samples to latents, ``hop`` samples to a frame."""

    def __init__(self, config: SeanetConfig) -> None:
        """Channels double at each stride."""
        super().__init__()
        self.config = config
        wide = [config.channels * 2**i for i in range(len(config.strides) + 1)]
        self.first = ConvConfig(inputs=1, outputs=wide[0], kernel=config.kernel).build()
        self.units = nn.ModuleList([ResidualUnit(w, config.residual_kernel) for w in wide[:-1]])
        self.strided = nn.ModuleList(
            [
                ConvConfig(inputs=a, outputs=b, kernel=2 * stride, stride=stride).build()
                for a, b, stride in zip(wide, wide[1:], config.strides, strict=False)
            ]
        )
        self.last = ConvConfig(inputs=wide[-1], outputs=config.dim, kernel=config.last_kernel).build()

    @property
    def timing(self) -> Timing:
        """``hop`` samples in, one frame out, no look-ahead."""
        return Timing(rate=Fraction(1), hop=self.config.hop)

    def forward(self, x: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """N must be a multiple of the hop (SpecError)."""
        x = self.first(x)
        for unit, strided in zip(self.units, self.strided, strict=True):
            x = strided(elu(unit(x)))
        return self.last(elu(x))

    def init_state(self, rows: int) -> SeanetState:
        """Silence before the first sample."""
        return _fresh(self, rows)

    def step(
        self, x: Float[Tensor, "B 1 N"], state: SeanetState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The frames that end within these samples; a multiple of the hop (SpecError)."""
        x = self.first.step(x, state.first, active)
        units, strided = _layers(self.units, self.strided)
        for unit, a, layer, b in zip(units, state.units, strided, state.strided, strict=True):
            x = layer.step(elu(unit.step(x, a, active)), b, active)
        return self.last.step(elu(x), state.last, active)


@final
class SeanetDecoder(nn.Module):
    """Latents to samples, the encoder mirrored."""

    def __init__(self, config: SeanetConfig) -> None:
        """Channels halve at each stride."""
        super().__init__()
        self.config = config
        wide = [config.channels * 2**i for i in range(len(config.strides), -1, -1)]
        self.first = ConvConfig(inputs=config.dim, outputs=wide[0], kernel=config.kernel).build()
        self.strided = nn.ModuleList(
            [
                ConvConfig(inputs=a, outputs=b, kernel=2 * stride, stride=stride).transposed()
                for a, b, stride in zip(wide, wide[1:], reversed(config.strides), strict=False)
            ]
        )
        self.units = nn.ModuleList([ResidualUnit(w, config.residual_kernel) for w in wide[1:]])
        self.last = ConvConfig(inputs=wide[-1], outputs=1, kernel=config.last_kernel).build()

    @property
    def timing(self) -> Timing:
        """One frame in, ``hop`` samples out."""
        return Timing(rate=Fraction(1))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B 1 N"]:
        """``T * hop`` samples."""
        x = self.first(x)
        for strided, unit in zip(self.strided, self.units, strict=True):
            x = unit(strided(elu(x)))
        return self.last(elu(x))

    def init_state(self, rows: int) -> SeanetState:
        """Nothing said yet."""
        return _fresh(self, rows)

    def step(
        self, x: Float[Tensor, "B D T"], state: SeanetState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B 1 N"]:
        """The samples of these frames."""
        x = self.first.step(x, state.first, active)
        units, strided = _layers(self.units, self.strided)
        for unit, a, layer, b in zip(units, state.units, strided, state.strided, strict=True):
            x = unit.step(layer.step(elu(x), b, active), a, active)
        return self.last.step(elu(x), state.last, active)


def _layers(
    units: nn.ModuleList, strided: nn.ModuleList
) -> tuple[list[ResidualUnit], list[CausalConv | CausalConvTranspose]]:
    return (
        [unit for unit in units if isinstance(unit, ResidualUnit)],
        [layer for layer in strided if isinstance(layer, CausalConv | CausalConvTranspose)],
    )


def _fresh(model: SeanetEncoder | SeanetDecoder, rows: int) -> SeanetState:
    """Zeros for every layer of either half."""
    units, strided = _layers(model.units, model.strided)
    return SeanetState(
        model.first.init_state(rows),
        tuple(unit.init_state(rows) for unit in units),
        tuple(layer.init_state(rows) for layer in strided),
        model.last.init_state(rows),
    )
