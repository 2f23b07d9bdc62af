"""A linear map whose weights differ from place to place of a short sequence (the depth model of Moshi,
arXiv:2410.00037 §3.4.1: what predicts a book's first residual has little in common with what predicts its last)."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError


@final
class PlacedLinear(nn.Module):
    """One matrix per place; sequences begin at the first and may end early."""

    def __init__(self, places: int, inputs: int, outputs: int, bias: bool = False) -> None:
        """Weights [places, outputs, inputs]; ConfigError where a bias is asked for."""
        super().__init__()
        if bias:
            raise ConfigError("matrices of places have no biases; leave bias=False")
        self.weight = nn.Parameter(torch.randn(places, outputs, inputs) * 0.02)

    def forward(self, x: Float[Tensor, "B S I"]) -> Float[Tensor, "B S O"]:
        """Every place by its own matrix; SpecError for more places than there are."""
        if x.shape[1] > len(self.weight):
            raise SpecError(f"got {x.shape[1]} places, weights are there for {len(self.weight)}")
        return torch.einsum("bsi,soi->bso", x, self.weight[: x.shape[1]].to(x.dtype))
