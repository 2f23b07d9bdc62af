"""Distances between sounds in the spectral domain, at several resolutions at once.

Log-mel distances (as in DAC, arXiv:2306.06546 §3.4) say how much energy is where; distances of linear magnitudes keep
harmonics sharp. Each row may have a highest frequency above which it says nothing: recordings made at 16 kHz must not
teach that speech ends at 8 kHz.
"""

from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.stft import hann, mel_filters

_FLOOR = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiSpectralConfig:
    """Windows (samples, hop a quarter) and the mel bins for each.

    ``drawn`` of them, chosen anew, count in a training step.
    """

    sample_rate: int = 24000
    windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    mels: tuple[int, ...] = (160, 100, 60, 30, 15)
    drawn: int = 2

    def build(self) -> "MultiSpectral":
        """The module; it has no weights."""
        return MultiSpectral(self)


@final
class MultiSpectral(nn.Module):
    """Mean over the windows of log-mel and linear distances."""

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
        """Log-mel distance (natural units) and linear distance (relative to the level of the real sound)."""
        windows = self.config.windows
        if self.training and self.config.drawn < len(windows):
            windows = tuple(windows[i] for i in torch.randperm(len(windows))[: self.config.drawn].tolist())
        pairs = [self._one(window, made, real, highest_hz) for window in windows]
        return torch.stack([mel for mel, _ in pairs]).mean(), torch.stack([linear for _, linear in pairs]).mean()

    def _one(
        self, window: int, made: Float[Tensor, "B N"], real: Float[Tensor, "B N"], highest_hz: Float[Tensor, " B"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        shape, filters = self.get_buffer(f"window_{window}"), self.get_buffer(f"filters_{window}")
        with torch.autocast(made.device.type, enabled=False):
            ours, theirs = magnitudes(made, shape), magnitudes(real, shape)
            hz = torch.linspace(0, self.config.sample_rate / 2, window // 2 + 1, device=made.device)
            counts = (torch.where(filters > 0, hz[:, None], 0.0).amax(dim=0) <= highest_hz[:, None]).float()
            distance = (log_floor(ours @ filters) - log_floor(theirs @ filters)).abs().mean(1)
            mel = ((distance * counts).sum(1) / counts.sum(1).clamp(min=1)).mean()
            keep = (hz <= highest_hz[:, None]).float()
            level = (theirs.sum(1) * keep).sum(1).clamp(min=0.1)
            linear = (((ours - theirs).abs().sum(1) * keep).sum(1) / level).mean()
        return mel, linear


class _Magnitude(torch.autograd.Function):
    """Windowed frames to magnitudes.

    PyTorch's own backward of a real FFT is a full complex one; this is half the work.
    """

    @staticmethod
    def forward(ctx: Any, frames: Tensor, window: Tensor) -> Tensor:
        spectra = torch.fft.rfft(frames * window)
        made = spectra.abs()
        ctx.save_for_backward(spectra, made, window)
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        spectra, made, window = ctx.saved_tensors
        towards = spectra * (gradients[0] / made.clamp(min=1e-7))
        towards[..., 1 : (len(window) + 1) // 2] *= 0.5  # the inverse counts each of these bins twice
        return torch.fft.irfft(towards, n=len(window), norm="forward") * window, None


def magnitudes(wave: Float[Tensor, "B N"], window: Float[Tensor, " W"]) -> Float[Tensor, "B T F"]:
    """Magnitudes of windowed frames, hop a quarter of the window."""
    frames = wave.float().unfold(-1, len(window), len(window) // 4)
    return _Magnitude.apply(frames, window)


def log_floor(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Natural logarithm, with what lies below 1e-5 counted as 1e-5."""
    return x.clamp(min=_FLOOR).log()


@final
class AlphaSpectral(nn.Module):
    """SoundStream's reconstruction loss (arXiv:2107.03312 §3.4): 64 mel bins at windows of 64 to 2048 samples.

    Per window s the mean absolute distance, plus √(s/2) times the root mean square distance of logarithms.
    """

    def __init__(self, sample_rate: int, windows: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)) -> None:
        """Filters and windows follow from the numbers."""
        super().__init__()
        self.windows = windows
        for window in windows:
            filters = mel_filters(sample_rate, window, 64, 0.0, sample_rate / 2)
            self.register_buffer(f"filters_{window}", filters.T.contiguous(), persistent=False)
            self.register_buffer(f"window_{window}", hann(window), persistent=False)

    def forward(self, made: Float[Tensor, "B N"], real: Float[Tensor, "B N"]) -> Float[Tensor, ""]:
        """Mean over the windows that fit; no highest frequency, as in the paper."""
        found = [self._one(window, made, real) for window in self.windows if window <= made.shape[1]]
        return torch.stack(found).mean()

    def _one(self, window: int, made: Float[Tensor, "B N"], real: Float[Tensor, "B N"]) -> Float[Tensor, ""]:
        shape, filters = self.get_buffer(f"window_{window}"), self.get_buffer(f"filters_{window}")
        with torch.autocast(made.device.type, enabled=False):
            ours, theirs = magnitudes(made, shape) @ filters, magnitudes(real, shape) @ filters
            logs = (log_floor(ours) - log_floor(theirs)).square().mean(2).clamp(min=1e-12).sqrt().mean()
            return (ours - theirs).abs().mean() + (window / 2) ** 0.5 * logs
