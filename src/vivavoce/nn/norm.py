"""The norms of transformers, which can follow a condition."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError


class Norm(nn.Module):
    """Root-mean-square norm (arXiv:1910.07467) or layer norm, computed in float32 whatever comes in.

    With a ``condition`` its vector adds to scale and shift.
    """

    def __init__(self, dim: int, eps: float, *, centred: bool, condition: int = 0):
        """``centred``: a layer norm."""
        super().__init__()
        self.eps, self.centred = eps, centred
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if centred else None
        self.adapt = nn.Linear(condition, 2 * dim) if condition else None
        if self.adapt is not None:
            nn.init.zeros_(self.adapt.weight)
            nn.init.zeros_(self.adapt.bias)

    def forward(
        self, x: Float[Tensor, "B S D"], condition: Float[Tensor, "B C"] | None = None
    ) -> Float[Tensor, "B S D"]:
        """Unit spread, scaled and shifted."""
        wide = x.float()  # by hand: on a CPU the library's norm takes ten times as long for a single position
        if self.centred:
            wide = wide - wide.mean(-1, keepdim=True)
        y = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps) * self.weight.float()
        if self.bias is not None:
            y = y + self.bias.float()
        if self.adapt is not None:
            if condition is None:
                raise ConfigError("this transformer's norms follow a condition; give one to forward")
            scale, shift = self.adapt(condition)[:, None].float().chunk(2, dim=-1)
            y = y * (1 + scale) + shift
        return y.to(x.dtype)
