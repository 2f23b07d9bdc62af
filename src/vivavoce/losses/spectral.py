"""Distances between sounds in the spectral domain, at several resolutions at once.

Log-mel distances (as in DAC, arXiv:2306.06546 §3.4) say how much energy is where; distances of linear magnitudes keep
harmonics sharp. Each row may have a highest frequency above which it says nothing: recordings made at 16 kHz must not
teach that speech ends at 8 kHz.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.stft import hann, mel_filters

_FLOOR = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiSpectralConfig:
    """Windows (samples, hop a quarter) and the mel bins for each."""

    sample_rate: int = 24000
    windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    mels: tuple[int, ...] = (160, 100, 60, 30, 15)

    def build(self) -> "MultiSpectral":
        """The module; it has no weights."""
        return MultiSpectral(self)


@final
class MultiSpectral(nn.Module):
    """Mean over the windows of log-mel and log-magnitude distances."""

    def __init__(self, config: MultiSpectralConfig) -> None:
        """Filters and windows follow from the configuration."""
        super().__init__()
        self.config = config
        for window, mels in zip(config.windows, config.mels, strict=True):
            filters = mel_filters(config.sample_rate, window, mels, 0.0, config.sample_rate / 2)
            self.register_buffer(f"filters_{window}", filters.T.contiguous(), persistent=False)
            self.register_buffer(f"window_{window}", hann(window), persistent=False)

    def forward(
        self, made: Float[Tensor, "B N"], real: Float[Tensor, "B N"], highest_hz: Float[Tensor, " B"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Log-mel distance and linear distance (in natural-log units; relative to the real level)."""
        mel, linear = made.new_zeros(()), made.new_zeros(())
        for window in self.config.windows:
            shape = self.get_buffer(f"window_{window}")
            ours = magnitudes(made, shape)
            with torch.no_grad():
                theirs = magnitudes(real, shape)
            filters = self.get_buffer(f"filters_{window}")
            counts = self._below(filters, highest_hz, ours.shape[2])
            distance = (log_floor(ours @ filters) - log_floor(theirs @ filters)).abs().mean(1)
            mel = mel + ((distance * counts).sum(1) / counts.sum(1).clamp(min=1)).mean()
            bins = torch.linspace(0, self.config.sample_rate / 2, ours.shape[2], device=made.device)
            keep = (bins <= highest_hz[:, None])[:, None]
            linear = (
                linear
                + (((ours - theirs) * keep).abs().sum((1, 2)) / (theirs * keep).sum((1, 2)).clamp(min=0.1)).mean()
            )
        return mel / len(self.config.windows), linear / len(self.config.windows)

    def _below(self, filters: Float[Tensor, "F M"], highest_hz: Float[Tensor, " B"], bins: int) -> Float[Tensor, "B M"]:
        """Which mel bins end below the highest frequency of each row."""
        hz = torch.linspace(0, self.config.sample_rate / 2, bins, device=filters.device)
        ends = torch.where(filters > 0, hz[:, None], 0.0).amax(dim=0)
        return (ends <= highest_hz[:, None]).float()


def magnitudes(wave: Float[Tensor, "B N"], window: Float[Tensor, " W"]) -> Float[Tensor, "B T F"]:
    """Magnitudes of windowed frames, hop a quarter of the window."""
    with torch.autocast(wave.device.type, enabled=False):
        frames = wave.float().unfold(-1, len(window), len(window) // 4) * window
        spectra = torch.fft.rfft(frames)
        return torch.sqrt(spectra.real.square() + spectra.imag.square() + 1e-10)


def log_floor(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Natural logarithm, with what lies below 1e-5 counted as 1e-5."""
    return x.clamp(min=_FLOOR).log()
