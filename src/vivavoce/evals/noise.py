"""Named noises, made from a seed by signal processing, and their mixture with speech.

They are made in other ways than the sounds that the listener learns from (`data.nonspeech`), and most are other things.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.loudness import active_level_db, rms_db
from vivavoce.core import rng
from vivavoce.data.nonspeech import Samples, shaped


def _hiss(length: int, rate: int, draw: np.random.Generator) -> Samples:
    return shaped(length, rate, draw, np.ones_like)


def _pink(length: int, rate: int, draw: np.random.Generator) -> Samples:
    return shaped(length, rate, draw, lambda hz: 1 / np.sqrt(np.maximum(hz, 40)))


def _fan(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A ventilator: rumble and the harmonics of its blades."""
    time = np.arange(length) / rate
    pitch = draw.uniform(90, 130)
    tones = sum(np.sin(2 * np.pi * (pitch * k * time + draw.random())) / k for k in range(1, 7))
    rumble = shaped(length, rate, draw, lambda hz: 1 / np.maximum(hz, 60))
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


def _brown(length: int, rate: int, draw: np.random.Generator) -> Samples:
    return shaped(length, rate, draw, lambda hz: 1 / np.maximum(hz, 20))


def _hum(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A transformer: the even harmonics of the mains, rectified."""
    time = np.arange(length) / rate
    sound = np.abs(np.sin(2 * np.pi * draw.choice([50, 60]) * time + 0.2 * np.sin(2 * np.pi * 0.3 * time)))
    return sound - sound.mean() + 0.003 * draw.standard_normal(length)


def _tone(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A triangular wave that stays on one pitch."""
    phase = draw.uniform(110, 1800) * np.arange(length) / rate % 1
    return np.abs(phase - 0.5) - 0.25


def _siren(length: int, rate: int, draw: np.random.Generator) -> Samples:
    time = np.arange(length) / rate
    swing = np.sin(2 * np.pi * draw.uniform(0.2, 3) * time)
    return np.sin(2 * np.pi * np.cumsum(draw.uniform(500, 900) * 2 ** (0.5 * swing)) / rate)


def _struck(hz: float, size: int, rate: int, draw: np.random.Generator) -> Samples:
    """One note by frequency modulation: a bell, a marimba or an electric piano."""
    time = np.arange(size) / rate
    ratio, depth = draw.choice([1.0, 2.0, 3.5, 4.0]), draw.uniform(0.5, 4)
    bright = depth * np.exp(-time * draw.uniform(2, 15)) * np.sin(2 * np.pi * hz * ratio * time)
    return np.sin(2 * np.pi * hz * time + bright) * np.exp(-time * draw.uniform(1.5, 6))


def _tune(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A pentatonic melody over a drone, by frequency modulation."""
    total = np.zeros(length)
    beat, root = draw.uniform(0.18, 0.5), draw.uniform(130, 520)
    for number, start in enumerate(range(0, length, max(1, int(beat * rate)))):
        hz = root * 2 ** (draw.choice([0, 2, 4, 7, 9, 12]) / 12)
        note = _struck(hz, min(length - start, rate), rate, draw)
        total[start : start + len(note)] += note
        if number % 4 == 0:
            low = _struck(root / 2, min(length - start, 2 * rate), rate, draw)
            total[start : start + len(low)] += 0.6 * low
    return total


def _strings(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Held chords of detuned saw teeth through a slow filter, as a string section or an organ plays them."""
    time, total = np.arange(length) / rate, np.zeros(length)
    root = draw.uniform(90, 260)
    for interval in (0, 4, 7, 12):
        for detune in draw.normal(0, 0.003, 3):
            total += (root * 2 ** (interval / 12) * (1 + detune) * time + draw.random()) % 1 - 0.5
    spectrum, hz = np.fft.rfft(total), np.fft.rfftfreq(length, 1 / rate)
    swell = np.abs(np.sin(np.pi * draw.uniform(0.1, 0.5) * time)) + 0.1
    return np.fft.irfft(spectrum / (1 + (hz / draw.uniform(500, 2500)) ** 2), length) * swell


def _plucked(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A guitar: each string's noise goes round and is smoothed at every turn (Karplus and Strong 1983)."""
    total = np.zeros(length)
    for start in range(0, length, max(1, int(draw.uniform(0.15, 0.4) * rate))):
        period = int(rate / (82 * 2 ** (draw.choice([0, 3, 5, 7, 10, 12, 15, 19]) / 12)))
        string, turns = draw.uniform(-1, 1, period), []
        for _ in range(min(max(1, rate // period), max(1, (length - start) // period))):
            turns.append(string)
            string = 0.498 * (string + np.roll(string, 1))
        note = np.concatenate(turns)[: length - start]
        total[start : start + len(note)] += note
    return total


def _whistling(length: int, rate: int, draw: np.random.Generator) -> Samples:
    time = np.arange(length) / rate
    steps = draw.choice([0, 2, 3, 5, 7, 8, 12], max(2, int(length / rate * 3) + 2))
    smooth = np.interp(time * 3 + 0.3 * np.sin(2 * np.pi * 3 * time), np.arange(len(steps)), steps)
    pitch = draw.uniform(700, 1300) * 2 ** (smooth / 12)
    pure = np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    return pure * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * time)) + 0.05 * _hiss(length, rate, draw)


def _typing(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Keys pressed in bursts at the pace of a typist, each a click, a thud and a release."""
    total = 0.001 * draw.standard_normal(length)
    at = draw.uniform(0, 0.1)
    while (start := int(at * rate)) < length:
        for delay, strength, pitch in ((0.0, 1.0, 3200.0), (0.006, 0.7, 320.0), (draw.uniform(0.05, 0.1), 0.4, 2400.0)):
            begin = start + int(delay * rate)
            size = min(rate // 40, length - begin)
            if size > 0:
                time = np.arange(size) / rate
                knock = np.cos(2 * np.pi * pitch * draw.uniform(0.8, 1.2) * time) + draw.standard_normal(size)
                total[begin : begin + size] += strength * draw.uniform(0.3, 1) * knock * np.exp(-time * 300)
        at += draw.exponential(0.12) + 0.05 + (draw.random() < 0.08) * draw.uniform(0.5, 1.5)
    return total


def _downpour(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Rain on a roof: drops of many sizes, the larger ones lower and rarer, over a roar."""
    total = 0.3 * shaped(length, rate, draw, lambda hz: np.exp(-(((hz - 2500) / 3000) ** 2)) + 0.1)
    for low, pace in ((300, 6), (900, 40), (3000, 250)):
        for begin in draw.integers(0, length, max(1, int(pace * length / rate))):
            size = min(rate // 60, length - begin)
            time = np.arange(size) / rate
            drop = np.sin(2 * np.pi * low * draw.uniform(0.7, 1.5) * time * (1 + 10 * time)) * np.exp(-time * 250)
            total[begin : begin + size] += draw.exponential(0.8) * drop
    return total


def _breathing(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """In through the nose, out through the mouth, in the rhythm of somebody at rest or out of breath."""
    time, pace = np.arange(length) / rate, draw.uniform(0.25, 0.9)
    phase = (pace * time + draw.random()) % 1
    into = np.clip(np.sin(2 * np.pi * phase), 0, 1) ** 1.5
    out = np.clip(np.sin(2 * np.pi * (phase - 0.45)), 0, 1) ** 0.8 * (phase > 0.45)
    nose = shaped(
        length, rate, draw, lambda hz: np.exp(-(((hz - 1800) / 900) ** 2)) + 0.3 * np.exp(-(((hz - 5200) / 800) ** 2))
    )
    mouth = shaped(
        length, rate, draw, lambda hz: np.exp(-(((hz - 700) / 400) ** 2)) + 0.4 * np.exp(-(((hz - 1600) / 500) ** 2))
    )
    return 0.5 * into * nose / nose.std() + out * mouth / mouth.std() + 0.002 * draw.standard_normal(length)


def _clicks(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A switch, a ball-point pen, a bad contact: bare impulses and short trains of them."""
    total = 0.0005 * draw.standard_normal(length)
    for begin in draw.integers(0, length, max(1, int(3 * length / rate))):
        for repeat in range(int(draw.integers(1, 5))):
            place = begin + repeat * int(draw.uniform(0.004, 0.03) * rate)
            if place < length - 2:
                total[place : place + 2] += draw.uniform(0.3, 1) * np.array([1.0, -0.8])
    return total


def _coffee_machine(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A pump that labours, water that spits, milk that shrieks in the steam, cups beside it."""
    time = np.arange(length) / rate
    pump = np.sign(np.sin(2 * np.pi * 50 * time)) * (1 + 0.3 * np.sin(2 * np.pi * draw.uniform(2, 5) * time))
    steam = shaped(length, rate, draw, lambda hz: np.exp(-(((hz - draw.uniform(3500, 5500)) / 1800) ** 2)))
    shriek = np.sin(
        2 * np.pi * np.cumsum(draw.uniform(1500, 2600) * (1 + 0.06 * np.sin(2 * np.pi * 0.7 * time))) / rate
    )
    on = np.clip(4 * np.sin(2 * np.pi * draw.uniform(0.1, 0.4) * time + draw.uniform(0, 6)) + 1, 0, 1)
    cups = _kitchen(length, rate, draw)
    return 0.4 * pump + on * (steam / steam.std() + 0.5 * shriek) + 0.8 * cups / max(cups.std(), 1e-9)


def _snoring(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """A flutter at 20 to 60 beats a second through a nose, once every few seconds; a saw sounds like it."""
    time = np.arange(length) / rate
    beats = np.sin(2 * np.pi * np.cumsum(draw.uniform(20, 60) * (1 + 0.1 * np.sin(2 * np.pi * time))) / rate)
    air = shaped(
        length, rate, draw, lambda hz: np.exp(-(((hz - 350) / 250) ** 2)) + 0.3 * np.exp(-(((hz - 1400) / 500) ** 2))
    )
    return air * np.exp(3 * beats) * np.clip(np.sin(2 * np.pi * draw.uniform(0.2, 0.5) * time), 0.01, 1)


def _applause(length: int, rate: int, draw: np.random.Generator) -> Samples:
    total = np.zeros(length)
    hands = [
        shaped(rate // 30, rate, draw, lambda hz, c=c: np.exp(-(((hz - c) / 700) ** 2))) for c in (900, 1400, 2200)
    ]
    for begin in draw.integers(0, length, max(1, int(draw.uniform(8, 150) * length / rate))):
        clap = hands[int(draw.integers(3))][: length - begin]
        total[begin : begin + len(clap)] += draw.uniform(0.2, 1) * clap * np.exp(-np.arange(len(clap)) / (0.004 * rate))
    return total


NOISES: Mapping[str, Callable[[int, int, np.random.Generator], Samples]] = MappingProxyType(
    {"hiss": _hiss, "pink": _pink, "fan": _fan, "babble": _babble, "kitchen": _kitchen, "cafe": _cafe}
)
"""What speech is mixed with."""
ALONE: Mapping[str, Callable[[int, int, np.random.Generator], Samples]] = MappingProxyType(
    {
        **{name: NOISES[name] for name in ("hiss", "pink", "fan", "kitchen")},
        "brown": _brown, "hum": _hum, "tone": _tone, "siren": _siren, "tune": _tune, "strings": _strings,
        "plucked": _plucked, "whistling": _whistling, "typing": _typing, "downpour": _downpour,
        "breathing": _breathing, "clicks": _clicks, "coffee machine": _coffee_machine, "snoring": _snoring,
        "applause": _applause,
    }
)  # fmt: skip
"""What is heard where nobody speaks."""


def noise(name: str, length: int, sample_rate: int, seed: int) -> Float[Tensor, " N"]:
    """So many samples of a named noise; the same seed gives the same sound."""
    made = {**ALONE, **NOISES}[name](length, sample_rate, rng.stream(seed, "noise", name))
    return torch.from_numpy((0.1 * made / max(made.std(), 1e-9)).astype(np.float32))


def mix(speech: Float[Tensor, " N"], sample_rate: int, name: str, snr_db: float, seed: int) -> Float[Tensor, " N"]:
    """Speech in noise: ``snr_db`` is that of the active speech; turned down where it would clip."""
    if not len(speech):
        return speech
    other = noise(name, len(speech), sample_rate, seed)
    gain = 10 ** ((active_level_db(speech, sample_rate) - snr_db - rms_db(other)) / 20)
    mixed = speech + gain * other
    return mixed * min(1.0, 0.99 / max(float(mixed.abs().max()), 1e-9))
