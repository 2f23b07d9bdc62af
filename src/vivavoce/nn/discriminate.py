"""Discriminators: networks that look at spectra at several resolutions, at a wave folded by several periods, or at a
wave at several scales, and say how real each patch is.

The multi-scale STFT discriminator of EnCodec (arXiv:2210.13438 §3.4), made for a CPU. Departures: three scales, and
groups of neighbouring bins enter as channels, which makes the pictures small and the multiplications dense; spectra
enter with square-root magnitudes, so that quiet parts count. The multi-period discriminator of HiFi-GAN
(arXiv:2010.05646 §2.3). The multi-scale waveform discriminator of MelGAN (arXiv:1910.06711 §2.2) and SoundStream. In
all, frequencies that a recording cannot be trusted to are taken from the real and the made sound alike.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

from vivavoce.audio.stft import hann
from vivavoce.nn.conv import PreciseConv


class DiscriminatorOutputs(NamedTuple):
    """What one discriminator says."""

    score: Float[Tensor, "B 1 T F"]  # high for real
    features: tuple[Float[Tensor, "B D T F"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscriminatorConfig:
    """One network per window, hop a quarter of it, one per period (samples) and one per scale of the wave.

    ``period_channels`` and ``scale_channels`` are the first layer's; every later one has four times as many, up to 32
    or 64 times. The first scale is the wave itself, each further one has half the rate; none by default.
    """

    sample_rate: int = 24000
    windows: tuple[int, ...] = (1024, 512, 256)
    channels: int = 32
    grouped: int = 8  # neighbouring bins that enter as channels
    periods: tuple[int, ...] = ()
    period_channels: int = 16
    scales: int = 0
    scale_channels: int = 16

    def build(self) -> "Discriminator":
        """The module."""
        return Discriminator(self)


@final
class SpectrumJudge(nn.Module):
    """Convolutions over time and frequency; frequency is halved by the later ones, time is seen ever further."""

    window: Tensor

    def __init__(self, window: int, config: DiscriminatorConfig) -> None:
        """Three layers and a score."""
        super().__init__()
        self.config = config
        self.register_buffer("window", hann(window), persistent=False)
        wide = config.channels
        widths = ((2 * config.grouped, wide, 1, 1), (wide, wide, 2, 2), (wide, 2 * wide, 2, 4))
        self.layers = nn.ModuleList(
            [
                weight_norm(nn.Conv2d(a, b, (3, 5), (1, stride), (dilation, 2), (dilation, 1)))
                for a, b, stride, dilation in widths
            ]
        )
        self.score = weight_norm(nn.Conv2d(2 * wide, 1, (3, 3), padding=(1, 1)))

    def forward(self, wave: Float[Tensor, "B N"], highest_hz: Float[Tensor, " B"]) -> DiscriminatorOutputs:
        """A score per patch, and what the layers saw."""
        x, features = self._picture(wave, highest_hz), []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
            features.append(x)
        return DiscriminatorOutputs(self.score(x), tuple(features))

    def _picture(self, wave: Float[Tensor, "B N"], highest_hz: Float[Tensor, " B"]) -> Float[Tensor, "B G T F"]:
        grouped = self.config.grouped
        with torch.autocast(wave.device.type, enabled=False):
            spectra = torch.fft.rfft(wave.float().unfold(-1, len(self.window), len(self.window) // 4) * self.window)
            parts = torch.stack((spectra.real, spectra.imag), dim=1)
            loud = parts / (parts.square().sum(1, keepdim=True) + 1e-4) ** 0.25
            hz = torch.linspace(0, self.config.sample_rate / 2, loud.shape[3], device=wave.device)
            whole = (loud * (hz <= highest_hz[:, None])[:, None, None])[..., : loud.shape[3] // grouped * grouped]
            picture = whole.unflatten(3, (-1, grouped)).permute(0, 1, 4, 2, 3).flatten(1, 2)
            return picture.contiguous(memory_format=torch.channels_last)


def below(wave: Float[Tensor, "B N"], highest_hz: Float[Tensor, " B"], sample_rate: int) -> Float[Tensor, "B N"]:
    """The wave without what lies above a frequency of its own for each row."""
    with torch.autocast(wave.device.type, enabled=False):
        spectra = torch.fft.rfft(wave.float())
        hz = torch.linspace(0, sample_rate / 2, spectra.shape[1], device=wave.device)
        return torch.fft.irfft(spectra * (hz <= highest_hz[:, None]), n=wave.shape[1])


@final
class PeriodJudge(nn.Module):
    """The wave as an image, one period a row; convolutions run from period to period."""

    def __init__(self, period: int, channels: int) -> None:
        """Four strided layers, a last one and a score."""
        super().__init__()
        self.period = period
        widths = [1, *(min(4**i, 32) * channels for i in range(4))]
        self.layers = nn.ModuleList([weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in pairwise(widths)])
        self.layers.append(weight_norm(nn.Conv2d(widths[-1], widths[-1], (5, 1), 1, (2, 0))))
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, wave: Float[Tensor, "B N"]) -> DiscriminatorOutputs:
        """A score per patch, and what the layers saw."""
        folded = pad(wave[:, None], (0, -wave.shape[1] % self.period), "reflect")
        x, features = folded.unflatten(2, (-1, self.period)), []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.1)
            features.append(x)
        return DiscriminatorOutputs(self.score(x), tuple(features))


@final
class WaveJudge(nn.Module):
    """Strided convolutions over the samples themselves, in groups, so that a long view costs little."""

    def __init__(self, channels: int) -> None:
        """A first layer, four that each take a quarter of the ticks, a last one and a score."""
        super().__init__()
        widths = [min(4**i, 64) * channels for i in range(5)]
        self.layers = nn.ModuleList([weight_norm(nn.Conv1d(1, channels, 15, padding=7))])
        for a, b in pairwise(widths):
            self.layers.append(weight_norm(PreciseConv(a, b, 41, 4, 20, groups=max(1, a // 4))))
        self.layers.append(weight_norm(nn.Conv1d(widths[-1], widths[-1], 5, padding=2)))
        self.score = weight_norm(nn.Conv1d(widths[-1], 1, 3, padding=1))

    def forward(self, wave: Float[Tensor, "B N"]) -> DiscriminatorOutputs:
        """A score per patch, and what the layers saw; the last axis has one place."""
        x, features = wave[:, None], []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
            features.append(x[..., None])
        return DiscriminatorOutputs(self.score(x)[..., None], tuple(features))


@final
class Discriminator(nn.Module):
    """Judges of several resolutions, periods and scales."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        """One judge per window, per period and per scale."""
        super().__init__()
        self.config = config
        self.judges = nn.ModuleList([SpectrumJudge(w, config) for w in config.windows])
        self.folders = nn.ModuleList([PeriodJudge(period, config.period_channels) for period in config.periods])
        self.scales = nn.ModuleList([WaveJudge(config.scale_channels) for _ in range(config.scales)])

    def forward(self, wave: Float[Tensor, "B N"], highest_hz: Float[Tensor, " B"]) -> list[DiscriminatorOutputs]:
        """What each judge says."""
        found = [judge(wave, highest_hz) for judge in self.judges]
        if self.folders or self.scales:
            heard = below(wave, highest_hz, self.config.sample_rate)
            found += [judge(heard) for judge in self.folders]
            for number, judge in enumerate(self.scales):
                heard = avg_pool1d(heard, 4, 2, 1, count_include_pad=False) if number else heard
                found.append(judge(heard))
        return found
