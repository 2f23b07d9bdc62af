"""Units as an encoder of sound for a language model: of each frame only its id is kept, and what that stands for.

Whatever a bridge (`models.bridge`) hears through it, it hears through units alone.
"""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

from vivavoce.core.streams import Latents, Stream, Wave, alphabet_of
from vivavoce.models.units import Units, UnitsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFramesConfig:
    """The units."""

    units: UnitsConfig = field(default_factory=UnitsConfig)

    def build(self) -> "UnitFrames":
        """The module."""
        return UnitFrames(self)


@final
class UnitFrames(nn.Module):
    """Sound to units, and each unit to its vector."""

    def __init__(self, config: UnitFramesConfig) -> None:
        """Fresh weights; `of` takes known units."""
        super().__init__()
        self.config = config
        self.units = config.units.build()

    @staticmethod
    def of(units: Units) -> "UnitFrames":
        """With the weights of units."""
        made = UnitFramesConfig(units=units.config).build()
        made.units.load_state_dict(units.state_dict())
        return made.eval()

    @property
    def wave(self) -> Wave:
        """What it hears."""
        return self.config.units.wave

    def spec(self) -> Latents:
        """The frames that it gives."""
        config, tokens = self.config.units, self.units.tokens
        alphabet = alphabet_of("unit frames", tokens.alphabet)
        return Latents(name="unit frames", alphabet=alphabet, dim=config.front.dim, rate=config.rate)

    @torch.no_grad()
    def encode(self, sound: Stream[Wave]) -> Stream[Latents]:
        """Sound to frames. SpecError for another rate."""
        ids = self.units.encode(sound)
        return Stream(self.spec(), self.units.quantizer.decode(ids.data), ids.lengths)
