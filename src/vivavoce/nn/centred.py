"""Convolutions that look both ways, for whole recordings only: as much before as after, or one more before."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.conv import ConvConfig, convolve, convolve_transposed
from vivavoce.nn.edges import Edge, edged


@final
class CentredConv(nn.Module):
    """Convolution around each output frame; with ``normed`` one norm over all channels and frames follows."""

    def __init__(self, config: ConvConfig, edge: Edge, *, normed: bool = False) -> None:
        """Weights as in ``torch.nn.Conv1d``."""
        super().__init__()
        if config.past < 0:
            raise ConfigError(f"a kernel of {config.kernel} skips input at stride {config.stride}")
        self.config = config
        self.edge: Edge = edge
        made = nn.Conv1d(config.inputs, config.outputs, config.kernel, groups=config.groups, bias=config.bias)
        self.weight, self.bias = made.weight, made.bias
        self.norm = nn.GroupNorm(1, config.outputs) if normed else None

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        """All frames; the last output may be completed by what stands beyond the edge."""
        c = self.config
        right = c.past // 2
        x = edged(x, c.past - right, right + -x.shape[2] % c.stride, self.edge)
        x = convolve(x, self.weight, self.bias, c.stride, 0, c.dilation, c.groups)
        return x if self.norm is None else self.norm(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """Frames of a transposed convolution's output that are cut before and after."""

    left: int
    right: int


@final
class CentredConvTranspose(nn.Module):
    """Transposed convolution of which both ends are cut."""

    def __init__(self, config: ConvConfig, trim: Trim, *, normed: bool = False) -> None:
        """Weights as in ``torch.nn.ConvTranspose1d``."""
        super().__init__()
        if config.kernel < config.stride or config.dilation != 1:
            raise ConfigError(f"a transposed kernel wants kernel >= stride and no dilation, got {config}")
        self.config, self.trim = config, trim
        made = nn.ConvTranspose1d(
            config.inputs, config.outputs, config.kernel, config.stride, groups=config.groups, bias=config.bias
        )
        self.weight, self.bias = made.weight, made.bias
        self.norm = nn.GroupNorm(1, config.outputs) if normed else None

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        """All frames."""
        c = self.config
        x = convolve_transposed(x, self.weight, self.bias, c.stride, groups=c.groups)
        x = x if self.norm is None else self.norm(x)
        return x[:, :, self.trim.left : x.shape[2] - self.trim.right]
