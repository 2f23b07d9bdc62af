"""How speech sounds, by signal processing alone: pitch, level and pace of a recording.

Nothing here was trained and nothing is shared with the models, so that it can judge them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.loudness import active_level_db
from vivavoce.audio.resample import resample
from vivavoce.audio.stft import frames

_RATE = 16_000
_WINDOW, _HOP = 640, 160
_LOWEST_HZ, _HIGHEST_HZ = 60, 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Melody:
    """What a listener would say of a voice: how high, how loud, how fast."""

    pitch_hz: float
    """Median over voiced frames; NaN where nothing is voiced."""
    level_db: float
    seconds: float
    """From the first to the last audible frame."""
    voiced: float
    """Share of the audible frames that have a pitch; a whisper has hardly any."""


def pitch(wave: Float[Tensor, " N"]) -> Float[Tensor, " T"]:
    """Pitch in Hz of each 10 ms frame of 16 kHz sound, 0 where it is not voiced.

    Autocorrelation divided by that of the window (Boersma 1993), the strongest peak from 60 to 420 Hz, with a small
    preference for short periods; voiced where the peak reaches 0.5.
    """
    if len(wave) < _WINDOW:
        return torch.zeros(0)
    window = torch.hann_window(_WINDOW)
    cut = frames(wave[None], _WINDOW, _HOP)[0]
    cut = (cut - cut.mean(1, keepdim=True)) * window
    size = 2 * _WINDOW
    correlation = torch.fft.irfft(torch.fft.rfft(cut, size).abs() ** 2, size)[:, :_WINDOW]
    reference = torch.fft.irfft(torch.fft.rfft(window, size).abs() ** 2, size)[:_WINDOW]
    shape = correlation / correlation[:, :1].clamp(min=1e-9) / (reference / reference[0]).clamp(min=1e-3)
    first, last = _RATE // _HIGHEST_HZ, _RATE // _LOWEST_HZ
    lags = torch.arange(first, last + 1)
    strength = shape[:, first : last + 1] - 0.02 * torch.log2(lags * _LOWEST_HZ / _RATE + 1)
    before, inner, after = strength[:, :-2], strength[:, 1:-1], strength[:, 2:]
    curve = (2 * inner - before - after).clamp(min=1e-6)
    offset = ((after - before) / (2 * curve)).clamp(-0.5, 0.5)  # the top of the parabola through three lags
    peak = (inner >= before) & (inner >= after)
    best = torch.where(peak, inner + 0.25 * (after - before) * offset, torch.full_like(inner, -1.0)).max(1)
    period = lags[1:-1] + offset
    loud = cut.square().mean(1)
    audible = loud > loud.max() * 10**-3.5
    voiced = (best.values > 0.5) & audible
    return torch.where(voiced, _RATE / period.gather(1, best.indices[:, None])[:, 0], torch.zeros(()))


def melody(wave: Float[Tensor, " N"], sample_rate: int) -> Melody:
    """Pitch, level, length and voicing of one utterance."""
    sound = resample(wave, sample_rate, _RATE)
    if len(sound) < _WINDOW:
        return Melody(pitch_hz=float("nan"), level_db=-120.0, seconds=0.0, voiced=0.0)
    heights = pitch(sound)
    power = frames(sound[None], _WINDOW, _HOP)[0].square().mean(1)
    audible = (power > max(float(power.max()) * 1e-4, 1e-9)).nonzero()[:, 0]
    voiced = heights[heights > 0]
    seconds = float(audible[-1] - audible[0] + 1) * _HOP / _RATE if len(audible) else 0.0
    return Melody(
        pitch_hz=float(voiced.median()) if len(voiced) else float("nan"),
        level_db=active_level_db(sound, _RATE),
        seconds=seconds,
        voiced=len(voiced) / max(len(audible), 1),
    )
