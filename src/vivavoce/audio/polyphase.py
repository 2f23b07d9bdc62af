"""Sample-rate conversion by a small ratio, batched over rows, with state that the caller owns.

`audio.resample` is better for files; this one is for live conversations, where many rows advance together and a row
begins anew with all zeros. Windowed sinc in polyphase form (Crochiere and Rabiner 1983).
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.core.errors import SpecError
from vivavoce.core.streaming import State, Timing, zeros


@dataclass(frozen=True, slots=True, kw_only=True)
class RationalConfig:
    """From ``rate`` to ``rate * up / down``; ``zeros`` are the sinc's zero crossings on each side."""

    rate: int = 24000
    up: int = 2
    down: int = 3
    zeros: int = 24
    roll_off: float = 0.95

    def build(self) -> "Rational":
        """The converter."""
        return Rational(self)


@dataclass
class RationalState(State):
    """The samples that the filter still sees."""

    past: Float[Tensor, "B P"]


@final
class Rational(nn.Module):
    """Gives ``up`` samples for every ``down``; delayed by half the filter."""

    filters: Tensor

    def __init__(self, config: RationalConfig) -> None:
        """Computes the filters, one per output phase."""
        super().__init__()
        self.config = config
        up, down = config.up, config.down
        cut = config.roll_off / max(up, down)
        half = math.ceil(config.zeros * max(up, down) / config.roll_off / (up * down)) * up * down
        place = torch.arange(-half, half, dtype=torch.float64)
        prototype = (
            up * cut * torch.sinc(cut * place) * torch.hann_window(2 * half, periodic=False, dtype=torch.float64)
        )
        taps = 2 * half // up
        length = -(-(taps + down) // down) * down
        filters = torch.zeros(up, length, dtype=torch.float64)
        for phase in range(up):
            newest = down * phase // up  # the newest input sample that this output phase sees
            for tap in range(taps):
                index = up * tap + (down * phase) % up
                column = length - down + newest - tap
                if index < 2 * half and column >= 0:
                    filters[phase, column] = prototype[index]
        self.register_buffer("filters", filters.float()[:, None], persistent=False)

    @property
    def timing(self) -> Timing:
        """One group of ``down`` samples at a time."""
        return Timing(rate=Fraction(self.config.rate), hop=self.config.down)

    def init_state(self, rows: int) -> RationalState:
        """Silence before the first sample."""
        return RationalState(zeros(rows, self.filters.shape[2] - self.config.down, like=self.filters))

    def step(
        self, x: Float[Tensor, "B N"], state: RationalState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B M"]:
        """The samples that became ready; N must be a multiple of ``down`` (SpecError)."""
        if x.shape[1] % self.config.down:
            raise SpecError(f"got {x.shape[1]} samples, wanted a multiple of {self.config.down}; buffer the rest")
        joined = torch.cat((state.past, x), dim=1)
        before = state.clone() if active is not None else state
        state.past.copy_(joined[:, joined.shape[1] - state.past.shape[1] :])
        state.keep(before, active)
        if not x.shape[1]:
            return x
        return nn.functional.conv1d(joined[:, None], self.filters, stride=self.config.down).transpose(1, 2).flatten(1)
