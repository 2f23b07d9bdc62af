"""Matrices of whole numbers: a quarter of the memory, and for single positions less to read than anything else.

Only the weights are rounded (each row to 255 steps of a scale of its own), what goes through them is not. Such a module
is given its weights and is not trained.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int, Int8
from torch import Tensor, nn

_FEW = 2
"""Up to so many positions the matrix is read as it is; from more on it pays to widen it first."""


def rounded(weight: Float[Tensor, "O I"]) -> tuple[Int8[Tensor, "O I"], Float32[Tensor, " O"]]:
    """Whole numbers and the rows' scales, whose product is nearest to the weight."""
    wide = weight.float()
    scale = wide.abs().amax(1).clamp(min=1e-12) / 127
    return (wide / scale[:, None]).round().to(torch.int8), scale


class Int8Linear(nn.Module):
    """A linear map, or a table of vectors, in 8 bits."""

    whole: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        """All zeros, until weights are loaded."""
        super().__init__()
        self.register_buffer("whole", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(outputs))
        self.register_buffer("bias", torch.zeros(outputs) if bias else None)

    def forward(self, x: Float[Tensor, "*S I"]) -> Float[Tensor, "*S O"]:
        """The same as `nn.Linear` with the rounded weights."""
        count = x.numel() // max(x.shape[-1], 1)
        if 0 < count <= _FEW and x.device.type == "cpu":
            narrow = x.reshape(count, -1).bfloat16()
            y = torch._weight_int8pack_mm(narrow, self.whole, self.scale.bfloat16()).float()
            y = y.view(*x.shape[:-1], -1)
        else:
            y = F.linear(x.float(), self.whole.float()) * self.scale.float()
        return (y if self.bias is None else y + self.bias.float()).to(x.dtype)

    def rows(self, ids: Int[Tensor, "*S"]) -> Float32[Tensor, "*S I"]:
        """Vectors of a table, chosen by their numbers."""
        return self.whole[ids].float() * self.scale[ids].float()[..., None]
