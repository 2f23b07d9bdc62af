"""Matrices for few vectors at a time, as a stepped model has them: reading them takes longer than multiplying.

A part that was saved in 8 or 16 bits has rows of whole numbers times a scale, or of 16-bit floats. Both are held by
16-bit floats without loss, so that half the memory is read for the same product in float32: FBGEMM widens the numbers
as it multiplies. What was not saved so, many vectors, training and other machines go the usual way.
"""

from typing import Any, NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FEW = 32
"""Vectors; with more than so many the usual product is as fast."""
_CLOSE = 2.0**-22
"""Of a row's largest number: what a scale that was found again may be off."""


class _Kept(NamedTuple):
    """What was made of a weight; the weight is kept, so that no other one can come to stand at its address."""

    made_of: tuple[int, int]
    weight: Tensor
    packed: torch.ScriptObject | None
    scale: Tensor | None


@final
class Halved:
    """A matrix in 16-bit floats, made when it is first used and made anew when the weight is replaced or written to.

    A copy of the module that has one begins with nothing.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def linear(self, x: Float[Tensor, "*S I"], weight: Tensor, bias: Tensor | None) -> Float[Tensor, "*S O"]:
        """The same as ``torch.nn.functional.linear`` with the weight, whose later axes belong together."""
        few = 0 < x.numel() <= FEW * x.shape[-1] and x.dtype == weight.dtype == torch.float32
        if not few or torch.is_grad_enabled() or x.device.type != "cpu" or weight.is_inference():
            return F.linear(x, weight.flatten(1), bias)
        kept, now = self._kept, (weight.data_ptr(), weight._version)
        if kept is None or kept.made_of != now:
            kept = self._kept = _keep(weight.detach(), now)
        if kept.packed is None:
            return F.linear(x, weight.flatten(1), bias)
        made = torch.ops.quantized.linear_dynamic_fp16(x, kept.packed)
        if kept.scale is None:
            return made if bias is None else made.add_(bias)
        return made.mul_(kept.scale) if bias is None else torch.addcmul(bias, made, kept.scale)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Halved":
        return Halved()

    def __reduce__(self) -> tuple[Any, ...]:
        return Halved, ()


def _keep(weight: Tensor, now: tuple[int, int]) -> _Kept:
    """The matrix as FBGEMM reads it, where there is FBGEMM and nothing is lost."""
    found = _narrow(weight.flatten(1)) if "fbgemm" in torch.backends.quantized.supported_engines else None
    if found is None:
        return _Kept(now, weight, None, None)
    rows, scale = found
    return _Kept(now, weight, torch.ops.quantized.linear_prepack_fp16(rows.contiguous(), None), scale)


def _narrow(rows: Float[Tensor, "O I"]) -> tuple[Tensor, Tensor | None] | None:
    """The rows as 16-bit floats hold them, and their scales if they have any; None where something would be lost."""
    if torch.equal(rows.half().float(), rows):
        return rows, None
    largest = rows.abs().amax(1, keepdim=True)
    scale = largest.clamp(min=1e-12) / 127
    whole = (rows / scale).round()
    if bool(((whole * scale - rows).abs() <= _CLOSE * largest).all()):
        return whole, scale[:, 0]
    return None


class Linear(nn.Linear):
    """``torch.nn.Linear`` for what is stepped: see the file's text."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        """Weights as in ``torch.nn.Linear``."""
        super().__init__(inputs, outputs, bias)
        self._halved = Halved()

    def forward(self, input: Float[Tensor, "*S I"]) -> Float[Tensor, "*S O"]:
        """The same as `nn.Linear`."""
        return self._halved.linear(input, self.weight, self.bias)
