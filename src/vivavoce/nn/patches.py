"""A judge of patches: whether each piece of a spectrogram looks like a real one's (arXiv:1611.07004 §3.2.2)."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchJudgeConfig:
    """Channels of the first layer, and how many layers halve the picture."""

    channels: int = 64
    halved: int = 3

    def build(self) -> "PatchJudge":
        """The module with fresh weights."""
        return PatchJudge(self)


@final
class PatchJudge(nn.Module):
    """See the file's text."""

    def __init__(self, config: PatchJudgeConfig) -> None:
        """Fresh weights."""
        super().__init__()
        wide = config.channels
        layers: list[nn.Module] = [nn.Conv2d(1, wide, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        for number in range(1, config.halved + 1):
            stride, before, wide = 2 if number < config.halved else 1, wide, min(2 * wide, 8 * config.channels)
            layers += [nn.Conv2d(before, wide, 4, stride, padding=1), nn.GroupNorm(1, wide), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, nn.Conv2d(wide, 1, 4, padding=1))

    def forward(self, frames: Float[Tensor, "B M T"]) -> Float[Tensor, "B U E"]:
        """A score for each patch."""
        return self.net(frames.transpose(1, 2)[:, None])[:, 0]
