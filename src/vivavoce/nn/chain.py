"""Layers one after the other, and a residual around some: what convolutional nets for sound are composed of.

A chain streams when all its layers do. `Chain` is for whole recordings, `StreamingChain` is stepped too; `chain` makes
the one that its layers allow. Layers without a state (activations) need no ``step``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.core.streaming import State, Streaming, Timing
from vivavoce.nn.edges import Held, release
from vivavoce.nn.transformer import TransformerConfig, TransformerState

POINTWISE = (nn.ELU, nn.Tanh)
"""Activations without weights; others say by ``pointwise`` that they have no memory."""


@dataclass
class ChainState(State):
    """The states of the layers that have one."""

    layers: tuple[Any, ...]


class Chain(nn.Module):
    """Layers for whole recordings; ``hop`` ticks go in for one that comes out."""

    def __init__(self, layers: Sequence[nn.Module], hop: int = 1) -> None:
        """Numbered as given."""
        super().__init__()
        self.layers: Any = nn.ModuleList(layers)  # of anything that can be called, whose stub knows only modules
        self.hop = hop

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B E S"]:
        """All ticks at once."""
        for layer in self.layers:
            x = layer(x)
        return x


class StreamingChain(Chain):
    """The same, chunk by chunk."""

    def __init__(self, layers: Sequence[nn.Module], hop: int = 1) -> None:
        """Numbered as given; each streams or has no memory."""
        super().__init__(layers, hop)
        self._stepped = tuple(isinstance(layer, Streaming) for layer in layers)

    @property
    def timing(self) -> Timing:
        """No look-ahead."""
        return Timing(rate=Fraction(1), hop=self.hop)

    def init_state(self, rows: int) -> ChainState:
        """Nothing heard yet."""
        return ChainState(tuple(layer.init_state(rows) for layer in self.layers if isinstance(layer, Streaming)))

    def step(
        self, x: Float[Tensor, "B D T"], state: ChainState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B E S"]:
        """What became ready; whole hops are wanted (SpecError)."""
        states = iter(state.layers)
        for layer, stepped in zip(self.layers, self._stepped, strict=True):
            x = layer.step(x, next(states), active) if stepped else layer(x)
        return x


def streams(layer: nn.Module) -> bool:
    """Whether a layer can be stepped or has no memory."""
    return isinstance(layer, (*POINTWISE, Streaming)) or getattr(layer, "pointwise", False)


def chain(layers: Sequence[nn.Module], hop: int = 1) -> Chain:
    """A streaming chain if every layer streams, else one for whole recordings."""
    return (StreamingChain if all(streams(layer) for layer in layers) else Chain)(layers, hop)


@dataclass
class ResidualState(State):
    """Of the block and of the shortcut, and input that waits for the block's first output."""

    block: ChainState
    shortcut: tuple[Any, ...]
    held: Held | None


class Residual(nn.Module):
    """A block that keeps the number of ticks, added to its input or to a convolution of it."""

    def __init__(self, block: Chain, shortcut: nn.Module | None = None) -> None:
        """Without ``shortcut`` the input itself is added."""
        super().__init__()
        self.block: Any = block
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """All ticks at once."""
        return (x if self.shortcut is None else self.shortcut(x)) + self.block(x)


class StreamingResidual(Residual):
    """The same, chunk by chunk. ``late``: ticks that the block wants to have seen before it gives its first."""

    def __init__(self, block: StreamingChain, shortcut: nn.Module | None = None, *, channels: int, late: int) -> None:
        """``channels`` is the width of the input."""
        super().__init__(block, shortcut)
        self.channels, self.late = channels, late

    @property
    def timing(self) -> Timing:
        """A tick for a tick."""
        return Timing(rate=Fraction(1))

    def init_state(self, rows: int) -> ResidualState:
        """Nothing heard yet."""
        like = next(self.parameters())
        shortcut = self.shortcut
        return ResidualState(
            self.block.init_state(rows),
            (shortcut.init_state(rows),) if isinstance(shortcut, Streaming) else (),
            Held.fresh(rows, self.channels, self.late, like) if self.late else None,
        )

    def step(
        self, x: Float[Tensor, "B D T"], state: ResidualState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The same, tick by tick."""
        made = self.block.step(x, state.block, active)
        if isinstance(self.shortcut, Streaming):
            x = self.shortcut.step(x, state.shortcut[0], active)
        elif self.shortcut is not None:
            x = self.shortcut(x)
        return (x if state.held is None else release(x, state.held, active)) + made


def residual(block: Chain, shortcut: nn.Module | None, channels: int, late: int) -> Residual:
    """A streaming one if the block and the shortcut stream, else one for whole recordings."""
    if isinstance(block, StreamingChain) and (shortcut is None or streams(shortcut)):
        return StreamingResidual(block, shortcut, channels=channels, late=late)
    return Residual(block, shortcut)


class OverTime(nn.Module):
    """A transformer between convolutions, which have time on the last axis."""

    def __init__(self, config: TransformerConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.trunk: Any = config.build()

    @property
    def timing(self) -> Timing:
        """A tick for a tick."""
        return Timing(rate=Fraction(1))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """All ticks at once."""
        return self.trunk(x.transpose(1, 2)).transpose(1, 2)

    def init_state(self, rows: int) -> TransformerState:
        """Nothing to look back on."""
        return self.trunk.init_state(rows)

    def step(
        self, x: Float[Tensor, "B D T"], state: TransformerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The next ticks."""
        return self.trunk.step(x.transpose(1, 2), state, active).transpose(1, 2)
