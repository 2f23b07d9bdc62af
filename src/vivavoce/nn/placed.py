"""A linear map whose weights differ from place to place of a short sequence (the depth model of Moshi,
arXiv:2410.00037 §3.4.1: what predicts a book's first residual has little in common with what predicts its last)."""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError


@final
class PlacedLinear(nn.Module):
    """One matrix per place; sequences begin at the first and may end early."""

    def __init__(self, places: int, outputs: int, inputs: int, std: float = 0.02) -> None:
        """Weights [places, outputs, inputs]."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(places, outputs, inputs) * std)

    def forward(self, x: Float[Tensor, "B S I"]) -> Float[Tensor, "B S O"]:
        """Every place by its own matrix; SpecError for more places than there are."""
        if x.shape[1] > len(self.weight):
            raise SpecError(f"got {x.shape[1]} places, weights are there for {len(self.weight)}")
        return torch.einsum("bsi,soi->bso", x, self.weight[: x.shape[1]].to(x.dtype))


def place(trunk: Any, places: int) -> None:
    """Gives the matrices of every layer of a `nn.transformer.Transformer` one version per place; from then on it takes
    whole sequences of at most so many, and is not stepped. ConfigError for one with biases or in 8 bits."""
    if trunk.config.bias or trunk.config.bits == 8:
        raise ConfigError("matrices of places have no biases and 32 bits; leave bias and bits as they are")
    for layer in trunk.layers:
        for name in ("qkv", "out", "up", "down"):
            weight = getattr(layer, name).weight
            setattr(layer, name, PlacedLinear(places, *weight.shape, std=float(weight.detach().std())))
