"""Snake, an activation for periodic signals: x + sin²(ax) / a, with an ``a`` per channel (arXiv:2006.08195)."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

_LEAST = 1e-9


@final
class Snake(nn.Module):
    """Has no memory."""

    pointwise = True

    def __init__(self, channels: int) -> None:
        """Begins with a frequency of one."""
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """Value by value."""
        alpha = self.alpha[:, None]
        return x + torch.sin(alpha * x).square() / (alpha + _LEAST)
