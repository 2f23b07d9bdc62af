"""Gradient reversal: what a classifier learns to read, the network before it learns to hide (arXiv:1505.07818)."""

from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reversed_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """The same values; gradients come back with the other sign, times ``strength``."""
    return _Reversal.apply(x, strength)
