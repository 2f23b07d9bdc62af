"""How loud speech is: levels of the active parts, so that pauses do not count."""

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.stft import frames

_FLOOR_DB = -120.0
_ACTIVE_DB = 25.0  # frames this far below the loudest one are pauses


def rms_db(wave: Float[Tensor, " N"]) -> float:
    """Level of the whole wave relative to full scale; -120 for silence."""
    power = float(wave.double().square().mean()) if wave.numel() else 0.0
    return max(_FLOOR_DB, 10 * torch.tensor(power).log10().item()) if power > 0 else _FLOOR_DB


def active_level_db(wave: Float[Tensor, " N"], sample_rate: int) -> float:
    """Level of the speech parts: 20 ms frames within 25 dB of the loudest; -120 for silence."""
    size = max(1, sample_rate // 50)
    if wave.numel() < size:
        return rms_db(wave)
    power = frames(wave[None], size, size)[0].double().square().mean(dim=1)
    loud = power[power >= power.max() * 10 ** (-_ACTIVE_DB / 10)]
    return max(_FLOOR_DB, 10 * float(loud.mean().clamp(min=1e-12).log10()))


def at_level(
    wave: Float[Tensor, " N"], sample_rate: int, level_db: float = -23.0, peak: float = 0.95
) -> Float[Tensor, " N"]:
    """The wave scaled so that its speech has this level, lower where its peak would pass ``peak``; silence stays."""
    now = active_level_db(wave, sample_rate)
    if now <= _FLOOR_DB:
        return wave
    gain = 10 ** ((level_db - now) / 20)
    return wave * min(gain, peak / max(float(wave.abs().max()), 1e-9))


def between_levels(
    wave: Float[Tensor, " N"], sample_rate: int, low_db: float, high_db: float, peak: float = 0.95
) -> Float[Tensor, " N"]:
    """The wave, made louder or fainter where the level of its speech lies outside these; silence stays."""
    now = active_level_db(wave, sample_rate)
    if low_db <= now <= high_db:
        return wave
    return at_level(wave, sample_rate, min(max(now, low_db), high_db), peak)
