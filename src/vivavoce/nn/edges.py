"""Causal convolutions that begin with something else than zeros: the first frame again, or the first frames mirrored.

Published codecs were trained so. A mirror shows what comes after the first frame: the first outputs can be given only
when as many frames have come as the convolution looks back, and then all at once. Conversations of a batch have to go
through this beginning together.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.nn.conv import ConvConfig, convolved, settle
from vivavoce.nn.few import Halved

Edge = Literal["zeros", "reflect", "replicate"]


@dataclass
class Held(State):
    """The first frames, while they wait for more, and how many frames came in all (no more than one beyond these)."""

    first: Float[Tensor, "B D P"]
    seen: Int[Tensor, " B"]

    @staticmethod
    def fresh(rows: int, channels: int, room: int, like: Tensor) -> "Held":
        """Nothing came."""
        return Held(zeros(rows, channels, room, like=like), torch.zeros(rows, dtype=torch.long, device=like.device))


def release(x: Float[Tensor, "B D T"], held: Held, active: Bool[Tensor, " B"] | None) -> Float[Tensor, "B D S"]:
    """Nothing until more frames came than are held, then all of them, and from then on what comes.

    SpecError when some rows are at their beginning and others are not, or not at the same place of it.
    """
    room = held.first.shape[2]
    seen = begun(held, active)
    if seen > room:
        return x
    come = seen + x.shape[2]
    gathered = torch.cat((held.first[:, :, :seen], x), dim=2)
    if come <= room:
        settle(held.first[:, :, :come], gathered, active)
    settle(held.seen, torch.full_like(held.seen, min(come, room + 1)), active)
    return gathered if come > room else x[:, :, :0]


def begun(held: Held, active: Bool[Tensor, " B"] | None) -> int:
    """How many frames the active rows have had, counted up to one beyond the room."""
    seen = held.seen if active is None else held.seen[active]
    if not len(seen):
        return held.first.shape[2] + 1
    least, most = int(seen.min()), int(seen.max())
    if least != most:
        raise SpecError(
            "this codec mirrors the first frames, so conversations that are stepped together have to begin together"
        )
    return least


@dataclass
class EdgeState(State):
    """Frames that the next output still sees, and the beginning."""

    past: Float[Tensor, "B D P"]
    held: Held


@final
class EdgeConv(nn.Module):
    """A causal convolution with an edge; the last output frame of a whole sound may be completed by it too."""

    def __init__(self, config: ConvConfig, edge: Edge) -> None:
        """Weights as in ``torch.nn.Conv1d``."""
        super().__init__()
        if config.past < 0:
            raise ConfigError(f"a kernel of {config.kernel} skips input at stride {config.stride}")
        self.config = config
        self.edge: Edge = edge
        made = nn.Conv1d(config.inputs, config.outputs, config.kernel, groups=config.groups, bias=config.bias)
        self.weight, self.bias = made.weight, made.bias
        self._halved = Halved()

    @property
    def timing(self) -> Timing:
        """``stride`` frames in, one out; the first ones are late where the edge is mirrored."""
        return Timing(rate=Fraction(1), hop=self.config.stride)

    @property
    def late(self) -> int:
        """Frames that are wanted before the first output."""
        return self.config.past if self.edge == "reflect" else 0

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        """All frames at once."""
        return self._conv(edged(x, self.config.past, -x.shape[2] % self.config.stride, self.edge))

    def init_state(self, rows: int) -> EdgeState:
        """Nothing came."""
        config = self.config
        return EdgeState(
            zeros(rows, config.inputs, config.past, like=self.weight),
            Held.fresh(rows, config.inputs, self.late, self.weight),
        )

    def step(
        self, x: Float[Tensor, "B D T"], state: EdgeState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B O S"]:
        """The frames that end within these inputs."""
        config = self.config
        if x.shape[2] % config.stride:
            raise SpecError(f"got {x.shape[2]} frames, wanted a multiple of {config.stride}; pad with zeros")
        if self.edge == "reflect":
            first = begun(state.held, active) <= self.late
            x = release(x, state.held, active)
            if not x.shape[2]:
                return x.new_zeros(len(x), config.outputs, 0)
            past = x[:, :, 1 : self.late + 1].flip(2) if first else state.past
        else:
            if not x.shape[2]:
                return x.new_zeros(len(x), config.outputs, 0)
            fresh = (state.held.seen == 0)[:, None, None]
            past = torch.where(fresh, x[:, :, :1], state.past)
            settle(state.held.seen, torch.ones_like(state.held.seen), active)
        joined = torch.cat((past, x), dim=2)
        settle(state.past, joined[:, :, joined.shape[2] - config.past :], active)
        return self._conv(joined)

    def _conv(self, joined: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        return convolved(joined, self.config, self.weight, self.bias, self._halved)


def edged(x: Float[Tensor, "B D T"], left: int, right: int, edge: Edge) -> Float[Tensor, "B D S"]:
    """Frames before the first and after the last one.

    What is too short to be mirrored has silence after it, of which what is not wanted is cut again.
    """
    if edge == "reflect":
        short = max(max(left, right) + 1 - x.shape[2], 0)
        made = pad(pad(x, (0, short)), (left, right), "reflect")
        return made[:, :, : made.shape[2] - short]
    return pad(x, (left, right)) if edge == "zeros" else pad(x, (left, right), "replicate")
