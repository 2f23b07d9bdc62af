"""Judges of mel frames over windows of several lengths, so that what is drawn is not smoother than speech.

Mega-TTS (arXiv:2306.03509 §3.1) and SyntaSpeech's multi-length discriminator: each judge sees pieces of one length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from vivavoce.nn.discriminate import DiscriminatorOutputs


@dataclass(frozen=True, slots=True, kw_only=True)
class MelJudgesConfig:
    """One judge per window (frames)."""

    windows: tuple[int, ...] = (32, 64, 128)
    channels: int = 32
    layers: int = 3
    mean: float = -5.0
    deviation: float = 2.5

    def build(self) -> "MelJudges":
        """The module."""
        return MelJudges(self)


@final
class MelJudges(nn.Module):
    """Strided convolutions over time and frequency."""

    def __init__(self, config: MelJudgesConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        widths = (1, *(config.channels,) * config.layers)
        self.judges = nn.ModuleList(
            nn.ModuleList([*(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths)), nn.Conv2d(widths[-1], 1, 3, 1, 1)])
            for _ in config.windows
        )

    def places(self, lengths: Int[Tensor, " B"]) -> list[Int[Tensor, " B"]]:
        """Where each judge's window begins in rows of these lengths, drawn."""
        room = [(lengths - window).clamp(min=0) + 1 for window in self.config.windows]
        return [(torch.rand(len(lengths), device=lengths.device) * most).long() for most in room]

    def forward(self, mel: Float[Tensor, "B M T"], places: Sequence[Int[Tensor, " B"]]) -> list[DiscriminatorOutputs]:
        """What each judge says of its window; rows that are shorter than it are seen to the end of the batch's."""
        level = (mel - self.config.mean) / self.config.deviation
        found = []
        for judge, window, begin in zip(self.judges, self.config.windows, places, strict=True):
            at = begin[:, None] + torch.arange(min(window, mel.shape[2]), device=mel.device)
            at = at.clamp(max=mel.shape[2] - 1)
            x = level.gather(2, at[:, None].expand(-1, mel.shape[1], -1)).transpose(1, 2)[:, None]
            *layers, score = judge  # type: ignore[misc]  # a list of modules
            features = []
            for layer in layers:
                x = leaky_relu(layer(x), 0.2)
                features.append(x)
            found.append(DiscriminatorOutputs(score(x), tuple(features)))
        return found
