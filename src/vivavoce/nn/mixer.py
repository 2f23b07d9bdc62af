"""Depthwise convolutions with perceptrons, for phones and, causal and coloured by a voice, for frames."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.nn.few import Linear


class TextBlock(nn.Module):
    """Depthwise convolution over phones and a two-layer perceptron, both added to their input."""

    def __init__(self, width: int) -> None:
        """As wide as the text is."""
        super().__init__()
        self.mix = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = Linear(width, 4 * width)
        self.down = Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "B P D"], mask: Float[Tensor, "B P 1"]) -> Float[Tensor, "B P D"]:
        """Phones with what is around them; ``mask`` is 0 where there is none."""
        y = self.norm(self.mix((x * mask).transpose(1, 2)).transpose(1, 2))
        return x + self.down(torch.relu(self.up(y)))


class FrameBlock(nn.Module):
    """The same, causal, and coloured by the voice."""

    def __init__(self, width: int, kernel: int, voice: int) -> None:
        """``voice`` is the size of the vector that colours it."""
        super().__init__()
        self.kernel = kernel
        self.mix = nn.Conv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.colour = Linear(voice, 2 * width)
        self.up = Linear(width, 3 * width)
        self.down = Linear(3 * width, width)

    def forward(self, x: Float[Tensor, "B T D"], past: Tensor, voice: Float[Tensor, "B U E"]) -> Float[Tensor, "B T D"]:
        """Frames after ``past``, the ``kernel - 1`` before them."""
        mixed = self.mix(torch.cat((past, x), dim=1).transpose(1, 2)).transpose(1, 2)
        scale, shift = self.colour(voice).chunk(2, dim=-1)
        y = self.norm(mixed) * (1 + scale) + shift
        return x + self.down(torch.relu(self.up(y)))
