"""Short-time spectra: framing that looks only backwards, and mel filters."""

import torch
from jaxtyping import Float
from torch import Tensor


def hann(window: int) -> Float[Tensor, " W"]:
    """The periodic Hann window."""
    return torch.hann_window(window, periodic=True)


def frames(wave: Float[Tensor, "B N"], window: int, hop: int) -> Float[Tensor, "B T W"]:
    """Overlapping windows (a view); as many as fit wholly, which may be none."""
    if wave.shape[-1] < window:
        return wave.new_zeros(len(wave), 0, window)
    return wave.unfold(-1, window, hop)


def mel_of_hz(hz: Float[Tensor, " *F"]) -> Float[Tensor, " *F"]:
    """Slaney's mel scale: linear to 1 kHz, logarithmic above."""
    linear = hz * 3 / 200
    return torch.where(hz < 1000, linear, 15 + 27 * torch.log(hz.clamp(min=1000) / 1000) / torch.log(torch.tensor(6.4)))


def hz_of_mel(mel: Float[Tensor, " *F"]) -> Float[Tensor, " *F"]:
    """The inverse of `mel_of_hz`."""
    return torch.where(
        mel < 15, mel * 200 / 3, 1000 * torch.exp((mel.clamp(min=15) - 15) / 27 * torch.log(torch.tensor(6.4)))
    )


def mel_filters(sample_rate: int, n_fft: int, bins: int, fmin: float, fmax: float) -> Float[Tensor, "M F"]:
    """Triangles of equal area, evenly spaced on the mel scale."""
    edges = torch.tensor([fmin, fmax], dtype=torch.float64)
    low, high = mel_of_hz(edges).tolist()
    points = hz_of_mel(torch.linspace(low, high, bins + 2, dtype=torch.float64))
    grid = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    left, centre, right = points[:-2, None], points[1:-1, None], points[2:, None]
    rising = (grid - left) / (centre - left)
    falling = (right - grid) / (right - centre)
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (right - left)).float()
