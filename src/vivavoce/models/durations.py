"""How long units are held: from units without repeats to frames for each (arXiv:2104.00355 §3.2, after FastSpeech).

Language models write units without repeats; whoever makes sound of them, or continues with acoustic tokens on a clock,
needs the repeats again (`models.units.spread`).
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.streams import Stream, Tokens
from vivavoce.models.units import LONGEST_RUN, Merged
from vivavoce.nn.transformer import TransformerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationsConfig:
    """The units, a trunk that looks both ways, and how many voices have a vector each, beside one for all others."""

    units: Tokens
    trunk: TransformerConfig
    voices: int = 0

    @property
    def merged(self) -> Tokens:
        """The units without repeats, which have no clock."""
        return replace(self.units, rate=None)

    def build(self) -> "Durations":
        """The module with fresh weights."""
        return Durations(self)


@final
class Durations(nn.Module):
    """Units to the logarithm of their frames."""

    def __init__(self, config: DurationsConfig) -> None:
        """One embedding per unit."""
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.units.size, config.trunk.dim)
        self.voices = nn.Embedding(1 + config.voices, config.trunk.dim) if config.voices else None
        self.trunk = config.trunk.build()
        self.out = nn.Linear(config.trunk.dim, 1)

    def forward(
        self, units: Int[Tensor, "B U"], lengths: Int[Tensor, " B"], voices: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B U"]:
        """``log(frames)`` of every unit; ``voices`` by number, 0 for everybody without a vector."""
        valid = torch.arange(units.shape[1], device=units.device) < lengths[:, None]
        x = self.embed(units)
        if self.voices is not None:
            x = x + self.voices(torch.zeros_like(lengths) if voices is None else voices)[:, None]
        return self.out(self.trunk(x, valid))[..., 0]

    @torch.no_grad()
    def predict(self, units: Stream[Tokens], voice: int = 0) -> Merged:
        """Units with durations (see `models.units.merged`). SpecError for units of another alphabet."""
        rows = units.expect(self.config.merged)
        frames = (
            self(rows.data[:, 0], rows.lengths, torch.full_like(rows.lengths, voice))
            .exp()
            .round()
            .clamp(1, LONGEST_RUN)
            .long()
        )
        held = Tokens(name="durations", alphabet=f"frames-{LONGEST_RUN}", size=LONGEST_RUN)
        return Merged(rows, Stream(held, frames[:, None] - 1, rows.lengths))
