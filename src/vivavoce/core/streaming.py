"""Streaming: ``step(x, state)`` with state that the caller owns.

A `State` is a dataclass tree whose leaves are tensors with the session row as axis 0; all zeros means fresh. A step
changes it in place. The laws, held by tests for every module that claims them: chunked equals whole; rows do not see
each other; a paused row does not change; nothing in gives nothing out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

StateLike = TypeVar("StateLike", bound="State")


@dataclass
class State:
    """Base of all streaming states."""

    def tensors(self) -> Iterator[Tensor]:
        """All leaves."""
        for field in fields(self):
            yield from _leaves(getattr(self, field.name))

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Makes these rows (or all) fresh."""
        for leaf in self.tensors():
            if rows is None:
                leaf.zero_()
            else:
                leaf[rows] = 0

    def clone(self: StateLike) -> StateLike:
        """An independent copy."""
        return _rebuild(self, Tensor.clone)

    def rows(self: StateLike, chosen: Any) -> StateLike:
        """A copy that holds only these rows: a slice, an index tensor or a mask."""
        return _rebuild(self, lambda leaf: leaf[chosen].clone())

    def put(self: StateLike, chosen: Any, taken: StateLike) -> None:
        """Writes rows back that `rows` took."""
        for leaf, fresh in zip(self.tensors(), taken.tensors(), strict=True):
            leaf[chosen] = fresh

    def nbytes(self) -> int:
        """Memory of all leaves in bytes."""
        return sum(leaf.numel() * leaf.element_size() for leaf in self.tensors())

    def keep(self: StateLike, before: StateLike, active: Bool[Tensor, " B"] | None) -> None:
        """Gives the rows that are not active the values they had in ``before``."""
        if active is None or bool(active.all()):
            return
        for now, then in zip(self.tensors(), before.tensors(), strict=True):
            now[~active] = then[~active]


def _leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, State):
        yield from value.tensors()
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _leaves(item)


def _rebuild(value: Any, change: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, State):
        return type(value)(**{f.name: _rebuild(getattr(value, f.name), change) for f in fields(value)})
    if isinstance(value, tuple | list):
        return type(value)(_rebuild(item, change) for item in value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When output for a moment of input can be had: a frame of ``hop`` ticks waits for ``lookahead`` further ticks."""

    rate: Fraction
    hop: int = 1
    lookahead: int = 0

    @property
    def latency_ms(self) -> float:
        """Time from the first tick of a frame until it can be given out, compute aside."""
        return float(1000 * (self.hop + self.lookahead) / self.rate)


StateT = TypeVar("StateT", bound=State)


@runtime_checkable
class Streaming(Protocol[StateT]):
    """A module that can be stepped; see the laws above."""

    @property
    def timing(self) -> Timing:
        """Hop and look-ahead, computed from the configuration."""
        ...

    def init_state(self, rows: int) -> StateT:
        """A fresh state for so many conversations."""
        ...

    def step(self, x: Tensor, state: StateT, active: Bool[Tensor, " B"] | None = None) -> Tensor:
        """Output that became ready; changes ``state`` in place, except rows that are not ``active``."""
        ...


def zeros(rows: int, *shape: int, like: Tensor) -> Tensor:
    """A fresh leaf on the device and in the precision of a weight."""
    return torch.zeros((rows, *shape), dtype=like.dtype, device=like.device)
