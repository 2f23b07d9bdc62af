"""From mel frames as a picture to one vector: how somebody speaks, or, with one output, whether it is real (StyleTTS).

Residual blocks of two-dimensional convolutions that halve both axes, then the mean of what is left (arXiv:2205.15439
§3.1, after StarGAN v2, arXiv:1912.01865).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu, pad

_SLOPE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleEncoderConfig:
    """Channels of the first layer, which double up to ``most``; blocks; width of the vector."""

    channels: int = 64
    most: int = 512
    blocks: int = 4
    outputs: int = 128

    def build(self) -> "StyleEncoder":
        """The module."""
        return StyleEncoder(self)


@final
class _Halving(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Float[Tensor, "B D M T"]) -> Float[Tensor, "B E N S"]:
        made = self.second(leaky_relu(_halved(self.first(leaky_relu(x, _SLOPE))), _SLOPE))
        return (made + _halved(self.shortcut(x))) * 0.5**0.5


def _halved(x: Float[Tensor, "B D M T"]) -> Float[Tensor, "B D N S"]:
    return avg_pool2d(pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), "replicate"), 2)


@final
class StyleEncoder(nn.Module):
    """See the file's text."""

    def __init__(self, config: StyleEncoderConfig) -> None:
        """Random weights."""
        super().__init__()
        widths = [min(config.channels << block, config.most) for block in range(config.blocks + 1)]
        self.enter = nn.Conv2d(1, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(_Halving(a, b) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], widths[-1], 5, padding=2)
        self.out = nn.Linear(widths[-1], config.outputs)

    def forward(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B C"]:
        """The vector of each row; rows of one batch are as long as each other."""
        return self.out(self.features(mel)[-1].mean((2, 3)))

    def features(self, mel: Float[Tensor, "B M T"]) -> list[Float[Tensor, "B _ _ _"]]:
        """What comes out of every block, and last the map that the vector is the mean of."""
        x, found = self.enter(mel[:, None]), []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return [*found, leaky_relu(self.last(leaky_relu(x, _SLOPE)), _SLOPE)]

    def judged(self, mel: Float[Tensor, "B M T"]) -> tuple[Float[Tensor, "B C"], list[Float[Tensor, "B _ _ _"]]]:
        """The vector and the features."""
        found = self.features(mel)
        return self.out(found[-1].mean((2, 3))), found
