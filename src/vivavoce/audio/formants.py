"""Changes of the mel spectrum that keep the words: another size of throat, and whispering."""

from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import conv1d, pad

from vivavoce.audio.stft import hz_of_mel, mel_of_hz


@cache
def _centres(bins: int) -> Float[Tensor, " M"]:
    """Where the bins are in Hz."""
    return hz_of_mel(torch.linspace(0, float(mel_of_hz(torch.tensor(12000.0))), bins + 2)[1:-1])


@cache
def _warp(factor: float, bins: int) -> tuple[Int[Tensor, " M"], Float[Tensor, " M"]]:
    top = float(mel_of_hz(torch.tensor(12000.0)))
    centre = _centres(bins)
    source = (mel_of_hz(centre / factor) / top * (bins + 1) - 1).clamp(0, bins - 1)
    low = source.floor().long().clamp(max=bins - 2)
    return low, source - low


def warp(mel: Float[Tensor, "*T M"], factor: float) -> Float[Tensor, "*T M"]:
    """The spectrum as a shorter (factor > 1) or longer vocal tract and larynx would give it; the top is held."""
    if factor == 1.0:
        return mel
    low, part = _warp(factor, mel.shape[-1])
    return mel[..., low] * (1 - part) + mel[..., low + 1] * part


def whispered(mel: Float[Tensor, "T M"], voiced: Float[Tensor, "T 1"]) -> Float[Tensor, "T M"]:
    """What a whisper of the same words looks like: no harmonics, little below 700 Hz, a flatter and weaker spectrum."""
    bins = mel.shape[1]
    reach = torch.arange(-9.0, 10.0)
    kernel = torch.exp(-0.5 * (reach / 3.5).square())
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    power = pad(torch.exp(mel)[:, None], (9, 9), mode="replicate")
    envelope = conv1d(power, kernel)[:, 0].clamp(min=1e-5).log()
    hz = _centres(bins)
    change = -2.5 * (1 - hz / 700).clamp(min=0) - 1.6 + 1.2 * ((hz - 700) / 3000).clamp(0, 1)
    return mel + voiced * (envelope + change - mel)


def depth(mel: Float[Tensor, "T M"]) -> float:
    """How much stronger sound is below 400 Hz than from 800 to 3000 Hz, in log units; a whisper lacks the lows."""
    hz, mean = _centres(mel.shape[1]), mel.mean(0)
    return float(mean[hz < 400].mean() - mean[(hz > 800) & (hz < 3000)].mean())
