"""Annotations are executed for every kind of call, not for the first one only."""

from dataclasses import dataclass
from typing import Any, Literal

import beartype
import jaxtyping
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from vivavoce.nn.convnext import ConvNeXtConfig

checked: Any = jaxtyping.jaxtyped(typechecker=beartype.beartype)


@checked
def doubled(x: Float[Tensor, "B T"], wide: bool = False) -> Float[Tensor, "B T"]:
    return torch.cat((x, x), dim=1) if wide else 2 * x


@checked
def added(x: Float[Tensor, "B T"], y: Float[Tensor, "B T"], far: list[int] | None = None) -> Float[Tensor, " B"]:
    return (x + y).sum(1)


@checked
def cut(side: Literal["left", "right"], given: Any = None) -> int:
    return 1 if given is None else given


@checked
def several(values: list[int], *, more: tuple[str, ...] = ()) -> dict[str, int]:
    return {name: 1 for name in more} if values else {1: 1}  # type: ignore[dict-item]


@checked
@dataclass(frozen=True, slots=True)
class Pair:
    left: Float[Tensor, " N"]
    right: Float[Tensor, " N"]


def wrong(call: Any, *args: Any, **kwargs: Any) -> None:
    with pytest.raises((TypeCheckError, BeartypeCallHintViolation)):
        call(*args, **kwargs)


def test_other_shapes_and_elements_are_checked_after_some_have_passed() -> None:
    for _ in range(3):
        doubled(torch.zeros(2, 3))
        wrong(doubled, torch.zeros(3))
        wrong(doubled, torch.zeros(2, 3, dtype=torch.long))
        wrong(doubled, [1.0])
        added(torch.zeros(2, 3), torch.zeros(2, 3))
        wrong(added, torch.zeros(2, 3), torch.zeros(2, 4))
    doubled(torch.zeros(4, 3))


def test_what_comes_out_is_checked_where_what_goes_in_has_passed() -> None:
    doubled(torch.zeros(2, 5), False)
    wrong(doubled, torch.zeros(2, 5), True)
    assert cut("left", 5) == 5
    wrong(cut, "left", 5.0)


def test_literals_are_checked_by_value() -> None:
    assert cut("left") == cut("right") == 1
    wrong(cut, "middle")


def test_containers_are_checked_by_what_they_hold() -> None:
    several([1, 2], more=("a",))
    wrong(several, ["a"], more=("a",))
    wrong(several, [1], more=(1,))
    wrong(several, [], more=())
    several([1] * 100)
    wrong(several, ["a"] * 100)


def test_dataclasses_are_checked_when_they_are_built() -> None:
    Pair(torch.zeros(2), torch.zeros(2))
    wrong(Pair, torch.zeros(2), torch.zeros(3))


@checked
@dataclass(frozen=True, slots=True)
class Named:
    side: str


@checked
@dataclass(frozen=True, slots=True)
class Sided:
    side: Literal["left", "right"]


def test_dataclasses_of_the_same_fields_are_checked_each_by_its_own_types() -> None:
    assert Named.__init__.__code__ == Sided.__init__.__code__
    Named("middle")
    Sided("left")
    wrong(Sided, "middle")


def test_functions_in_functions_are_checked() -> None:
    def made(kind: Any) -> Any:
        @checked
        def inner(x: Float[Tensor, " N"]) -> Any:
            return kind

        return inner

    for _ in range(2):
        made(1)(torch.zeros(2))
        wrong(made(1), torch.zeros(2, 2))


def test_the_package_is_imported_so() -> None:
    block = ConvNeXtConfig(dim=8, depth=1).build()
    block(torch.zeros(1, 8, 4))
    wrong(block, torch.zeros(8, 4))
    assert hasattr(type(block).forward, "_remembers")
