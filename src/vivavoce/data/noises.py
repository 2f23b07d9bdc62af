"""Sounds in which nobody speaks, made from a seed: what a listener has to hear nothing in.

Each kind draws its own colour, pace and pitch, so that no two sounds are alike. `scene` lays one to three kinds over
each other, lets them come and go, and gives them a level between barely audible and loud.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float

Samples = Float[np.ndarray, " N"]


def _coloured(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """White, pink, brown and anything between; now and then only a band of it."""
    hz = np.maximum(np.fft.rfftfreq(length, 1 / rate), 30.0)
    shape = hz ** -draw.uniform(0.0, 1.3)
    if draw.random() < 0.3:
        centre, width = np.exp(draw.uniform(np.log(120), np.log(6000))), draw.uniform(0.2, 1.2)
        shape = shape * np.exp(-((np.log(hz / centre) / width) ** 2))
    return np.fft.irfft(np.fft.rfft(draw.standard_normal(length)) * shape, length)


def _swell(length: int, rate: int, draw: np.random.Generator, pace: float) -> Samples:
    """A slow positive envelope with about ``pace`` turns a second."""
    points = max(int(length / rate * pace) + 2, 3)
    return np.exp(np.interp(np.linspace(0, points - 1, length), np.arange(points), draw.normal(0, 0.7, points)))


def _wind(length: int, rate: int, draw: np.random.Generator) -> Samples:
    return _coloured(length, rate, draw) * _swell(length, rate, draw, draw.uniform(0.3, 2.0))


def _hum(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Mains, fans and engines: steady harmonics, some wavering, over a little noise."""
    pitch = float(draw.choice([50.0, 60.0, 100.0, 120.0, draw.uniform(30, 400)]))
    drift = 1 + draw.uniform(0, 0.03) * np.cumsum(draw.standard_normal(length)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * np.clip(drift, 0.8, 1.25)) / rate
    made = np.zeros(length)
    for k in range(1, int(min(rate / 2 / pitch, 30))):
        made += draw.uniform(0, 1) * k ** -draw.uniform(0.3, 1.5) * np.sin(k * phase + draw.uniform(0, 6))
    noise = _coloured(length, rate, draw)
    return made + draw.uniform(0, 0.5) * made.std() * noise / max(noise.std(), 1e-9)


def _notes(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Beeps, ringing, chords and tunes: tones with envelopes, one to four at a time."""
    made = np.zeros(length)
    voices, base = int(draw.integers(1, 5)), draw.uniform(110, 700)
    least, most = draw.uniform(0.05, 0.3), draw.uniform(0.3, 1.5)
    bright, decay = draw.uniform(0.8, 3.0), draw.uniform(0.5, 12)
    steps = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19, 24])
    for _ in range(voices):
        at = 0
        while at < length:
            size = int(min(draw.uniform(least, most) * rate, length - at))
            if size > 32 and draw.random() < 0.85:
                time = np.arange(size) / rate
                pitch = (
                    base * 2 ** (draw.choice(steps) / 12) * (1 + 0.004 * np.sin(2 * np.pi * 5 * time) * draw.random())
                )
                phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, size)) / rate
                tone = sum(np.sin(k * phase) / k**bright for k in range(1, 8))
                edge = np.minimum(1, np.minimum(time, time[::-1]) * draw.uniform(20, 400))
                made[at : at + size] += np.asarray(tone) * edge * np.exp(-time * decay * draw.uniform(0.2, 1))
            at += max(size, 33)
    return made


def _sweeps(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Sirens, whistles and birds: tones that glide."""
    made = np.zeros(length)
    if draw.random() < 0.4:
        time = np.arange(length) / rate
        glide = draw.uniform(500, 1500) * 2 ** (
            draw.uniform(0.1, 0.7) * np.sin(2 * np.pi * draw.uniform(0.2, 4) * time)
        )
        return np.sin(2 * np.pi * np.cumsum(glide) / rate)
    for _ in range(1 + int(draw.uniform(1, 6) * length / rate)):
        size = min(int(draw.uniform(0.04, 0.4) * rate), length)
        at = int(draw.integers(0, length - size + 1))
        pitch = np.geomspace(draw.uniform(900, 6000), draw.uniform(900, 6000), size)
        made[at : at + size] += np.hanning(size) * np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    return made


def _bursts(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Keys, clicks, knocks, steps, cups and cutlery: short ringing blows, alone or in rows."""
    made = np.zeros(length)
    pace, dull = draw.uniform(0.5, 9), draw.random()
    low, high = (80, 900) if dull < 0.3 else (900, 7000)
    fall, rings = draw.uniform(15, 300), int(draw.integers(1, 6))
    at = draw.uniform(0, 1 / pace)
    while at < length / rate:
        begin = int(at * rate)
        size = min(int(min(6 / fall, 0.5) * rate) + 8, length - begin)
        time = np.arange(size) / rate
        ring = draw.uniform(0, 1) * draw.standard_normal(size)
        for _ in range(rings):
            ring = ring + np.sin(2 * np.pi * draw.uniform(low, high) * time + draw.uniform(0, 6))
        made[begin : begin + size] += np.exp(draw.normal(0, 0.6)) * ring * np.exp(-time * fall)
        at += draw.exponential(1 / pace) if dull < 0.7 else draw.normal(1 / pace, 0.1 / pace)
        at = max(at, begin / rate + 0.004)
    return made


def _drops(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Rain, frying, fire and applause: many small blows over hiss."""
    chance = np.exp(draw.uniform(np.log(20), np.log(3000))) / rate
    blows = (draw.random(length) < chance) * draw.exponential(1.0, length)
    ring = draw.standard_normal(64) * np.exp(-np.arange(64) / draw.uniform(3, 25))
    hiss = _coloured(length, rate, draw)
    made = np.convolve(blows, ring)[:length]
    return made / max(made.std(), 1e-9) + draw.uniform(0, 1) * hiss / max(hiss.std(), 1e-9)


def _breath(length: int, rate: int, draw: np.random.Generator) -> Samples:
    """Breathing, sighs, sniffs and blowing: bands of noise that rise and fall."""
    hz = np.fft.rfftfreq(length, 1 / rate)
    shape = sum(
        draw.uniform(0.2, 1) * np.exp(-(((hz - draw.uniform(300, 6000)) / draw.uniform(200, 1500)) ** 2))
        for _ in range(3)
    )
    noise = np.fft.irfft(np.fft.rfft(draw.standard_normal(length)) * (np.asarray(shape) + 0.02), length)
    made, at = np.zeros(length), int(draw.uniform(0, 0.5) * rate)
    while at < length:
        size = min(int(draw.uniform(0.15, 1.8) * rate), length - at)
        made[at : at + size] = noise[at : at + size] * np.sin(np.linspace(0, np.pi, size)) ** draw.uniform(0.5, 2)
        at += size + int(draw.uniform(0.1, 1.2) * rate)
    return made


KINDS: Final[tuple[Callable[[int, int, np.random.Generator], Samples], ...]] = (
    _coloured, _coloured, _wind, _hum, _notes, _sweeps, _bursts, _bursts, _drops, _breath,
)  # fmt: skip


def scene(seconds: float, rate: int, draw: np.random.Generator) -> Samples:
    """One to three kinds of noise, peak at most 1; a few scenes are silence or next to it."""
    length = max(int(seconds * rate), 256)
    if draw.random() < 0.05:
        return draw.choice([0.0, 1e-4, 1e-3]) * draw.standard_normal(length)
    made = np.zeros(length)
    for _ in range(int(draw.choice([1, 1, 2, 3]))):
        one = KINDS[int(draw.integers(len(KINDS)))](length, rate, draw)
        if draw.random() < 0.3:  # comes, goes or both
            begin, end = np.sort(draw.integers(0, length, 2))
            place = np.arange(length)
            one = one * np.clip(np.minimum(place - begin, end - place) / (0.05 * rate), 0, 1)
        made += 10 ** (draw.uniform(-20, 0) / 20) * one / max(one.std(), 1e-9)
    made *= 10 ** (draw.uniform(-55, -8) / 20) / max(made.std(), 1e-9)
    return np.clip(made, -1, 1)
