"""A codec's front that also hears what is said: a front for the sound, and beside it the features of units.

Both give vectors on one clock, which stand end to end; `nn.given_book` makes the units' id the first code of a frame.
What units are made of is not learnt, and hears the sound at its own rate.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.audio.polyphase import Rational, RationalConfig, RationalState
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing
from vivavoce.models.features import ListenerLayerConfig
from vivavoce.models.front import MelFrontConfig
from vivavoce.models.posteriors import PosteriorsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsFrontConfig:
    """``sound`` and ``units`` give as many vectors a second."""

    sound: MelFrontConfig = MelFrontConfig()
    units: ListenerLayerConfig | PosteriorsConfig = PosteriorsConfig()

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.sound.sample_rate

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.sound.hop

    @property
    def dim(self) -> int:
        """Width of the vectors: both end to end."""
        return self.sound.dim + self.units.dim

    def build(self) -> "UnitsFront":
        """The module; ConfigError where the two have different clocks."""
        rates = [Fraction(part.sample_rate, part.hop) for part in (self.sound, self.units)]
        if rates[0] != rates[1]:
            raise ConfigError(f"the sound has {rates[0]} vectors a second and the units {rates[1]}; make them equal")
        return UnitsFront(self)


@dataclass
class UnitsFrontState(State):
    """Of both, and of the converter between their sample rates."""

    sound: Any
    units: Any
    converted: RationalState


@final
class UnitsFront(nn.Module):
    """Sound as a codec hears it, and what units are made of."""

    def __init__(self, config: UnitsFrontConfig) -> None:
        """Fresh weights; the units' are to be filled from a file."""
        super().__init__()
        self.config = config
        self.sound = config.sound.build()
        self.units = config.units.build().requires_grad_(False)
        ratio = Fraction(config.units.sample_rate, config.sound.sample_rate)
        self.convert: Rational = RationalConfig(
            rate=config.sample_rate, up=ratio.numerator, down=ratio.denominator
        ).build()

    def train(self, mode: bool = True) -> "UnitsFront":
        """The units' features stay as they are when all else learns."""
        super().train(mode)
        self.units.eval()
        return self

    @property
    def timing(self) -> Timing:
        """A chunk of what the units are made of, in samples of the sound."""
        chunk = self.units.timing.hop // self.config.units.hop
        return Timing(rate=Fraction(self.config.sample_rate), hop=chunk * self.config.hop)

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """All frames at once."""
        with torch.no_grad():
            heard = self.convert.step(wave[:, 0], self.convert.init_state(len(wave)))
            units = self.units(heard[:, None])
        return torch.cat((self.sound(wave), units), dim=1)

    def init_state(self, rows: int) -> UnitsFrontState:
        """Silence before the first sample."""
        return UnitsFrontState(self.sound.init_state(rows), self.units.init_state(rows), self.convert.init_state(rows))

    def step(
        self, wave: Float[Tensor, "B 1 N"], state: UnitsFrontState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """Whole chunks (`timing`); the very last may be shorter, of whole frames (SpecError)."""
        if wave.shape[2] % self.config.hop:
            raise SpecError(f"got {wave.shape[2]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        with torch.no_grad():
            heard = self.convert.step(wave[:, 0], state.converted, active)
            units = self.units.step(heard[:, None], state.units, active)
        return torch.cat((self.sound.step(wave, state.sound, active), units), dim=1)
