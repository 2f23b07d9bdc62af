"""From samples to frames as Whisper hears: half a minute of log-mel spectrogram, two convolutions (arXiv:2212.04356).

The spectrogram is not that of `audio.mel`: powers and logarithms to base ten, frames centred on their samples, and what
lies 80 dB under the loudest of the recording is levelled; so a frame depends on all of the recording.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.audio.stft import hann, mel_filters
from vivavoce.core.errors import SpecError

_WINDOW, _HOP, _RANGE = 400, 160, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperFrontConfig:
    """``seconds``: what a recording is filled up to, and the most it may last."""

    bins: int = 80
    dim: int = 512
    seconds: int = 30
    sample_rate: int = 16000
    causal: bool = False

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return 2 * _HOP

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.sample_rate, self.hop)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames that hold something of the recording; those after them are silence."""
        return -(-samples // self.hop)

    def build(self) -> "WhisperFront":
        """The module."""
        return WhisperFront(self)


@final
class WhisperFront(nn.Module):
    """See the file's text."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: WhisperFrontConfig) -> None:
        """Random convolutions; the filters follow from the configuration."""
        super().__init__()
        self.config = config
        rate = config.sample_rate
        self.register_buffer("window", hann(_WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(rate, _WINDOW, config.bins, 0.0, rate / 2), persistent=False)
        self.first = nn.Conv1d(config.bins, config.dim, 3, padding=1)
        self.second = nn.Conv1d(config.dim, config.dim, 3, 2, padding=1)

    def spectrogram(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B M T"]:
        """Log-mel frames of the whole half minute, a hundred a second. SpecError for what is longer."""
        size = self.config.seconds * self.config.sample_rate
        if wave.shape[1] > size:
            raise SpecError(
                f"got {wave.shape[1] / self.config.sample_rate:.1f} s, and this encoder hears {self.config.seconds} s "
                "at once; cut the recording"
            )
        filled = F.pad(wave, (0, size - wave.shape[1]))
        spectrum = torch.stft(filled, _WINDOW, _HOP, window=self.window, return_complex=True)[..., :-1]
        level = (self.filters @ spectrum.abs().square()).clamp(min=1e-10).log10()
        level = torch.maximum(level, level.amax((1, 2), keepdim=True) - _RANGE)
        return (level + 4) / 4

    def convolve(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B U D"]:
        """Two frames of a spectrogram to one."""
        return F.gelu(self.second(F.gelu(self.first(mel)))).transpose(1, 2)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B U D"]:
        """Recordings of at most half a minute."""
        return self.convolve(self.spectrogram(wave))
