"""From samples to frames by Kaldi's filter bank, two frames stacked: what w2v-BERT 2.0 hears (arXiv:2312.05187).

Every bin is brought to zero mean and unit variance over a recording, so that a frame depends on all of it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.audio.pcm import FULL_SCALE
from vivavoce.audio.stft import frames
from vivavoce.core.errors import SpecError

_WINDOW, _HOP, _TRANSFORM, _STACKED = 400, 160, 512, 2
_FLOOR: Final = 2.0**-23


@dataclass(frozen=True, slots=True, kw_only=True)
class FbankFrontConfig:
    """``bins`` logarithmic powers of every 10 ms, two frames in one."""

    bins: int = 80
    sample_rate: int = 16000
    causal: bool = False

    @property
    def dim(self) -> int:
        """Width of the frames."""
        return _STACKED * self.bins

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return _STACKED * _HOP

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.sample_rate, self.hop)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Pairs of windows that fit wholly."""
        return (((samples - _WINDOW) // _HOP + 1) // _STACKED).clamp(min=0)

    def build(self) -> "FbankFront":
        """The module."""
        return FbankFront(self)


@final
class FbankFront(nn.Module):
    """Nothing is learnt; see the file's text."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: FbankFrontConfig) -> None:
        """Kaldi's window and its triangles, even on the mel scale."""
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(_WINDOW, periodic=False) ** 0.85, persistent=False)
        grid = _mel(torch.linspace(0, config.sample_rate / 2, _TRANSFORM // 2 + 1, dtype=torch.float64))
        low, high = _mel(torch.tensor([20.0, config.sample_rate / 2], dtype=torch.float64)).tolist()
        points = torch.linspace(low, high, config.bins + 2, dtype=torch.float64)
        left, centre, right = points[:-2, None], points[1:-1, None], points[2:, None]
        triangles = torch.minimum((grid - left) / (centre - left), (right - grid) / (right - centre)).clamp(min=0)
        self.register_buffer("filters", triangles.float(), persistent=False)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B T D"]:
        """Whole recordings. SpecError for fewer samples than two frames need."""
        if wave.shape[1] < _WINDOW + _HOP:
            raise SpecError(f"got {wave.shape[1]} samples, which is less than one frame; give {_WINDOW + _HOP} or more")
        pieces = frames(wave.float() * float(FULL_SCALE), _WINDOW, _HOP)
        pieces = pieces - pieces.mean(2, keepdim=True)
        before = torch.cat((pieces[..., :1], pieces[..., :-1]), dim=2)  # the first sample stands before itself
        spectrum = torch.fft.rfft((pieces - 0.97 * before) * self.window, n=_TRANSFORM).abs().square()
        level = (spectrum @ self.filters.T).clamp(min=_FLOOR).log()
        level = (level - level.mean(1, keepdim=True)) * torch.rsqrt(level.var(1, keepdim=True) + 1e-7)
        pairs = level.shape[1] // _STACKED
        return level[:, : pairs * _STACKED].reshape(len(wave), pairs, self.config.dim)


def _mel(hz: Float[Tensor, " *F"]) -> Float[Tensor, " *F"]:
    """Kaldi's mel scale, logarithmic from zero on."""
    return 1127.0 * torch.log1p(hz / 700.0)
