"""An excitation for voices: sines at the multiples of a pitch, and noise.

Neural source-filter models, arXiv:1904.12088 §III.
"""

from math import pi
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

_VOICED_HZ = 10.0
_LOUD, _QUIET = 0.1, 0.003


@final
class HarmonicSource(nn.Module):
    """A learnt mixture of harmonics, with a little noise where there is a pitch and more where there is none."""

    def __init__(self, sample_rate: int, hop: int, harmonics: int = 8) -> None:
        """``harmonics`` beside the lowest."""
        super().__init__()
        self.sample_rate, self.hop, self.harmonics = sample_rate, hop, harmonics
        self.mix = nn.Linear(harmonics + 1, 1)

    def forward(self, hz: Float[Tensor, "B T"], noise: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """``T * hop`` samples; ``noise`` has unit deviation. What lies above half the sample rate is silent."""
        each = hz.repeat_interleave(self.hop, dim=1)[..., None]
        several = each * torch.arange(1, self.harmonics + 2, device=hz.device)
        phases = (several.double() / self.sample_rate).cumsum(1) % 1
        voiced = (each > _VOICED_HZ).float()
        sines = _LOUD * torch.sin(2 * pi * phases.float()) * voiced * (several < self.sample_rate / 2)
        loud = _QUIET * voiced + _LOUD / 3 * (1 - voiced)
        return torch.tanh(self.mix(sines + loud * noise[..., None]))[..., 0]
