"""Convolutions over time that see both sides, each with a norm and added to what came in."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from vivavoce.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvStackConfig:
    """``depth`` layers of one width; the kernel is odd."""

    width: int
    depth: int = 5
    kernel: int = 5

    def build(self) -> "ConvStack":
        """The module."""
        if self.kernel % 2 == 0:
            raise ConfigError(f"a stack of convolutions that see both sides has an odd kernel, got {self.kernel}")
        return ConvStack(self)


@final
class ConvStack(nn.Module):
    """See the file's text."""

    def __init__(self, config: ConvStackConfig) -> None:
        """Random weights."""
        super().__init__()
        width, kernel = config.width, config.kernel
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.depth))
        self.convs = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(config.depth))

    def forward(self, x: Float[Tensor, "B T D"], there: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, "B T D"]:
        """All frames at once; what is not there is silent for its neighbours."""
        inside = None if there is None else there[..., None]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = norm(x) if inside is None else norm(x) * inside
            x = x + gelu(conv(y.transpose(1, 2))).transpose(1, 2)
        return x
