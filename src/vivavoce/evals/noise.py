"""Named noises, made from a seed by signal processing, and their mixture with speech."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.loudness import active_level_db, rms_db
from vivavoce.core import rng

Samples = Float[np.ndarray, " N"]


def _shaped(length: int, rate: int, draw: np.random.Generator, curve: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """Gaussian noise with a spectrum: ``curve`` gives the magnitude at a frequency in Hz."""
    spectrum = np.fft.rfft(draw.standard_normal(length))
    return np.fft.irfft(spectrum * curve(np.fft.rfftfreq(length, 1 / rate)), length)


def _hiss(length: int, rate: int, draw: np.random.Generator) -> Samples:
    return _shaped(length, rate, draw, np.ones_like)


def _pink(length: int, rate: int, draw: np.random.Generator) -> Samples:
    return _shaped(length, rate, draw, lambda hz: 1 / np.sqrt(np.maximum(hz, 40)))


def _fan(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A ventilator: rumble and the harmonics of its blades."""
    time = np.arange(length) / rate
    pitch = draw.uniform(90, 130)
    tones = sum(np.sin(2 * np.pi * (pitch * k * time + draw.random())) / k for k in range(1, 7))
    rumble = _shaped(length, rate, draw, lambda hz: 1 / np.maximum(hz, 60))
    return rumble / rumble.std() + 0.6 * np.asarray(tones)


def _babble(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Eight murmurs: speech-shaped noise on a voice's harmonics, switched at the pace of syllables."""
    total = np.zeros(length)
    time = np.arange(length) / rate
    for _ in range(8):
        pitch = draw.uniform(90, 240) * (
            1 + 0.1 * np.sin(2 * np.pi * draw.uniform(0.2, 0.6) * time + draw.uniform(0, 6))
        )
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        buzz = sum(np.cos(k * phase) / k for k in range(1, 25))
        breath = draw.standard_normal(length)
        spectrum = np.fft.rfft(np.asarray(buzz) + 0.3 * breath)
        hz = np.fft.rfftfreq(length, 1 / rate)
        colour = sum(
            np.exp(-(((hz - centre * draw.uniform(0.85, 1.15)) / 250) ** 2)) / k
            for k, centre in ((1, 500), (1.6, 1500), (2.5, 2500))
        )
        pace = draw.uniform(3, 5)
        gate = np.clip(np.sin(2 * np.pi * pace * time + draw.uniform(0, 6)) + draw.uniform(-0.3, 0.5), 0, 1)
        total += np.fft.irfft(spectrum * np.asarray(colour), length) * gate
    return total


def _kitchen(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Cups and cutlery over a quiet hum: ringing bursts at random moments."""
    total = 0.15 * _pink(length, rate, draw)
    total /= max(np.abs(total).std(), 1e-9) * 12
    for _ in range(max(1, int(4 * length / rate))):
        size = min(length, int(draw.uniform(0.05, 0.25) * rate))
        start = int(draw.integers(0, max(1, length - size)))
        time = np.arange(size) / rate
        ring = sum(np.sin(2 * np.pi * draw.uniform(1200, 6500) * time) for _ in range(4))
        total[start : start + size] += draw.uniform(0.2, 1) * np.asarray(ring) * np.exp(-time * draw.uniform(20, 60))
    return total


def _cafe(length: int, rate: int, draw: np.random.Generator) -> Samples:
    babble, kitchen = _babble(length, rate, draw), _kitchen(length, rate, draw)
    return babble / max(babble.std(), 1e-9) + 0.5 * kitchen / max(kitchen.std(), 1e-9)


NOISES: dict[str, Callable[[int, int, np.random.Generator], Samples]] = {
    "hiss": _hiss,
    "pink": _pink,
    "fan": _fan,
    "babble": _babble,
    "kitchen": _kitchen,
    "cafe": _cafe,
}


def noise(name: str, length: int, sample_rate: int, seed: int) -> Float[Tensor, " N"]:
    """So many samples of a named noise; the same seed gives the same sound."""
    made = NOISES[name](length, sample_rate, rng.stream(seed, "noise", name))
    return torch.from_numpy((0.1 * made / max(made.std(), 1e-9)).astype(np.float32))


def mix(speech: Float[Tensor, " N"], sample_rate: int, name: str, snr_db: float, seed: int) -> Float[Tensor, " N"]:
    """Speech in noise: ``snr_db`` is that of the active speech; turned down where it would clip."""
    if not len(speech):
        return speech
    other = noise(name, len(speech), sample_rate, seed)
    gain = 10 ** ((active_level_db(speech, sample_rate) - snr_db - rms_db(other)) / 20)
    mixed = speech + gain * other
    return mixed * min(1.0, 0.99 / max(float(mixed.abs().max()), 1e-9))
