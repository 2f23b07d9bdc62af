"""Values that are computed from weights and kept for as long as the weights stay what they are."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, final

from torch import Tensor

T = TypeVar("T")


def digest_of(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors and their names, in hexadecimal: what is computed from them is kept under it."""
    seen = hashlib.sha256()
    for name, value in sorted(weights.items()):
        seen.update(name.encode() + value.numpy().tobytes())
    return seen.hexdigest()


@final
class Derived(Generic[T]):
    """A value made of tensors, made anew when one of them was replaced, moved, cast or written to.

    Writing is seen by the count that PyTorch keeps for autograd; the one way around it is ``tensor.data``, which nobody
    uses to change weights here. A copy of the module that has one begins with nothing.
    """

    def __init__(self) -> None:
        self._made_of: list[tuple[Tensor, int]] = []
        self._value: T | None = None

    def of(self, tensors: Iterable[Tensor], make: Callable[[], T]) -> T:
        """The value that ``make`` gives for these tensors; never kept for inference tensors, whose changes are not
        counted."""
        now = [tensor.detach() for tensor in tensors]
        if any(tensor.is_inference() for tensor in now):
            return make()
        if self._value is None or not self._same(now):
            self._value = make()
            # Aliases keep the memory, so that no other tensor can come to stand at the same address.
            self._made_of = [(tensor, tensor._version) for tensor in now]
        return self._value

    def _same(self, now: list[Tensor]) -> bool:
        return len(now) == len(self._made_of) and all(
            tensor.data_ptr() == known.data_ptr()
            and tensor._version == version
            and tensor.shape == known.shape
            and tensor.stride() == known.stride()
            and tensor.dtype == known.dtype
            and tensor.device == known.device
            for tensor, (known, version) in zip(now, self._made_of, strict=True)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Derived[T]":
        return Derived()

    def __reduce__(self) -> tuple[Any, ...]:
        return Derived, ()
