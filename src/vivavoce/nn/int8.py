"""Matrices of whole numbers: a quarter of the memory, and less to read than anything else.

Only the weights are rounded (each row to 255 steps of a scale of its own). What goes through them is taken as two
whole numbers of seven bits, the second of which is what the first leaves over, so products are whole numbers too and
exact; that costs a second row, which is nearly free where reading the matrix is what takes the time. Such a module is
given its weights and is not trained.
"""

import warnings
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int, Int8
from torch import Tensor, nn

_FEW = 32
"""Up to so many positions a matrix that is not packed is read as it is; from more on it pays to widen it first."""
_HALF = 63
"""The largest whole number in what goes through: products of two neighbours then stay within 16 bits."""
_FINE = 126
"""What is left over is counted in so many parts of a step."""


def rounded(weight: Float[Tensor, "O I"]) -> tuple[Int8[Tensor, "O I"], Float32[Tensor, " O"]]:
    """Whole numbers and the rows' scales, whose product is nearest to the weight."""
    wide = weight.float()
    scale = wide.abs().amax(1).clamp(min=1e-12) / 127
    return (wide / scale[:, None]).round().to(torch.int8), scale


class Int8Linear(nn.Module):
    """A linear map, or a table of vectors, in 8 bits."""

    whole: Tensor | None
    scale: Tensor
    bias: Tensor | None

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        """All zeros, until weights are loaded."""
        super().__init__()
        self.register_buffer("whole", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(outputs))
        self.register_buffer("bias", torch.zeros(outputs) if bias else None)
        self._packed: torch.ScriptObject | None = None

    def pack(self) -> None:
        """Puts the matrix in the order in which this processor multiplies it; then it stays on the processor, and is
        no table any more.

        Does nothing where the processor has no such order.
        """
        if "fbgemm" in torch.backends.quantized.supported_engines and self.whole is not None:
            self._packed = _packed(self.whole)
            self.whole = None

    def forward(self, x: Float[Tensor, "*S I"]) -> Float[Tensor, "*S O"]:
        """The same as `nn.Linear` with the rounded weights."""
        count = x.numel() // max(x.shape[-1], 1)
        if self._packed is not None:
            y = _product(self._packed, x.float().flatten(0, -2)).mul_(self.scale).view(*x.shape[:-1], -1)
        elif self.whole is not None and 0 < count <= _FEW and x.device.type == "cpu":
            narrow = x.reshape(count, -1).bfloat16()
            y = torch._weight_int8pack_mm(narrow, self.whole, self.scale.bfloat16()).float()
            y = y.view(*x.shape[:-1], -1)
        else:
            assert self.whole is not None
            y = F.linear(x.float(), self.whole.float()) * self.scale.float()
        return (y if self.bias is None else y + self.bias.float()).to(x.dtype)

    def chosen(self, ids: Int[Tensor, " N"]) -> "Int8Linear":
        """Some rows of a table as a map of its own, packed."""
        assert self.whole is not None
        made = Int8Linear(self.whole.shape[1], len(ids))
        made.whole, made.scale = self.whole[ids], self.scale[ids]
        made.pack()
        return made

    def rows(self, ids: Int[Tensor, "*S"]) -> Float32[Tensor, "*S I"]:
        """Vectors of a table, chosen by their numbers."""
        assert self.whole is not None
        return self.whole[ids].float() * self.scale[ids].float()[..., None]


def _packed(whole: Int8[Tensor, "O I"]) -> torch.ScriptObject:
    """The matrix in FBGEMM's order."""
    outputs = len(whole)
    with warnings.catch_warnings():
        # The tensor type is deprecated, the product is not, and there is no other way to give it a matrix.
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        scales, zeros = torch.ones(outputs, dtype=torch.double), torch.zeros(outputs, dtype=torch.long)
        typed = torch._make_per_channel_quantized_tensor(whole, scales, zeros, 0)
        return torch.ops.quantized.linear_prepack(typed, None)


def _product(packed: torch.ScriptObject, x: Float32[Tensor, "N I"]) -> Float32[Tensor, "N O"]:
    """``x`` times the matrix of whole numbers."""
    step = torch.linalg.vector_norm(x, torch.inf, 1, keepdim=True).div_(_HALF).clamp_(min=1e-30)
    exact = x / step
    coarse = exact.round()
    parts = torch.cat((coarse, exact.sub_(coarse).mul_(_FINE).round_(), _guard(x.shape[1])))
    whole, rest, _ = torch.ops.quantized.linear_dynamic(parts, packed, True).split((len(x), len(x), 1))
    return whole.add_(rest, alpha=1 / _FINE).mul_(step)


@cache
def _guard(inputs: int) -> Float32[Tensor, "1 I"]:
    """A row by which the product, which chooses its steps by what goes in, finds that their size is one: nothing is
    rounded again."""
    row = torch.zeros(1, inputs)
    row[0, 0], row[0, 1] = -_HALF - 1, _HALF
    return row
