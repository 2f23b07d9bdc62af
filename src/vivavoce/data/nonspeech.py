"""Sounds that nobody speaks, made from a seed by signal processing: what the listener learns to hear nothing in.

Hiss, hum, tones, music, breath, keys, rain, dishes, machines and their like, one or two at a time, at any loudness,
with and without a room, steady or coming and going. Sounds to measure with are made by `evals.noise` in other ways.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
from jaxtyping import Float

from vivavoce.audio.files import read_audio

Samples = Float[np.ndarray, " N"]
Maker = Callable[[int, int, np.random.Generator], Samples]
"""So many samples at a rate, by these dice; at any loudness."""


# ---- what sounds are made of ----


def shaped(length: int, rate: int, dice: np.random.Generator, curve: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """Gaussian noise with a spectrum: ``curve`` gives the magnitude at a frequency in Hz."""
    spectrum = np.fft.rfft(dice.standard_normal(length))
    return np.fft.irfft(spectrum * curve(np.fft.rfftfreq(length, 1 / rate)), length)


def humps(hz: np.ndarray, dice: np.random.Generator, count: int, low: float = 150.0, high: float = 7000.0) -> Samples:
    """A magnitude curve with so many resonances at random places."""
    curve = np.zeros(len(hz))
    for _ in range(count):
        place = low * (high / low) ** dice.random()
        curve += dice.uniform(0.2, 1) / (1 + ((hz - place) / (place * dice.uniform(0.03, 0.4))) ** 2)
    return curve


def wander(length: int, rate: int, dice: np.random.Generator, per_second: float) -> Samples:
    """A curve about 0 that turns so many times a second, spread about 1."""
    knots = dice.standard_normal(max(2, int(length / rate * per_second) + 2))
    return np.interp(np.linspace(0, len(knots) - 1, length), np.arange(len(knots)), knots)


def tone(hz: np.ndarray, rate: int, partials: np.ndarray) -> Samples:
    """Harmonics with these amplitudes over a pitch that may move (Hz per sample); none above half the rate."""
    phase = 2 * np.pi * np.cumsum(hz) / rate
    top = float(hz.max())
    return np.sum([a * np.sin(k * phase) for k, a in enumerate(partials, 1) if k * top < 0.45 * rate], axis=0) + 0 * hz


def timbre(dice: np.random.Generator) -> Samples:
    """Amplitudes of up to sixteen harmonics: from a flute to a reed."""
    count = int(dice.integers(1, 17))
    return np.arange(1, count + 1) ** -dice.uniform(0.3, 2.5) * dice.uniform(0.2, 1, count)


def at_times(length: int, rate: int, dice: np.random.Generator, pace: float, make: Callable[[], Samples]) -> Samples:
    """Short sounds at random moments, ``pace`` a second on average, at random loudness; at least one."""
    total = np.zeros(length)
    for _ in range(max(1, dice.poisson(pace * length / rate))):
        sound = make()[:length]
        begin = int(dice.integers(0, length - len(sound) + 1))
        total[begin : begin + len(sound)] += sound * 10 ** dice.uniform(-1, 0)
    return total


def room(sound: Samples, rate: int, dice: np.random.Generator, seconds: tuple[float, float] = (0.1, 0.9)) -> Samples:
    """The sound in a room: a decaying tail of noise behind it."""
    fades = dice.uniform(*seconds)
    time = np.arange(int(fades * rate)) / rate
    tail = dice.standard_normal(len(time)) * 10 ** (-3 * time / fades) * 10 ** dice.uniform(-2.2, -1.2)
    tail[0] = 1.0
    size = len(sound) + len(tail)
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]


def _decaying(length: int, rate: int, seconds: float) -> Samples:
    return 10 ** (-3 * np.arange(length) / rate / seconds)


# ---- kinds ----


def hiss(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Steady noise of any colour."""
    slope, low, count = dice.uniform(-2.2, 0.8), dice.uniform(20, 200), int(dice.integers(0, 4))

    def curve(hz: np.ndarray) -> np.ndarray:
        return np.maximum(hz, low) ** slope * (1 + dice.uniform(0, 20) * humps(hz, dice, count))

    return shaped(length, rate, dice, curve)


def surges(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Noise that swells at the pace of syllables, waves or gusts."""
    swell = 10 ** (dice.uniform(0.3, 1.2) * wander(length, rate, dice, 10 ** dice.uniform(-0.5, 1.1)))
    return hiss(length, rate, dice) * swell


def moving(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Noise whose colour moves, piece by piece, as a throat's does without a voice."""
    piece = int(dice.uniform(0.05, 0.4) * rate)
    total, window = np.zeros(length + 2 * piece), np.hanning(2 * piece)
    for begin in range(0, length, piece):
        part = shaped(2 * piece, rate, dice, lambda hz: humps(hz, dice, 3, 250.0, 5000.0) + 0.02)
        total[begin : begin + 2 * piece] += window * part / (part.std() + 1e-9) * 10 ** dice.uniform(-0.7, 0)
    return total[:length]


def mains(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Hum of the mains and its harmonics, with some hiss."""
    pitch = dice.choice([50.0, 60.0, 100.0, 120.0]) * dice.uniform(0.99, 1.01)
    partials = np.arange(1, 31) ** -dice.uniform(0.2, 2) * dice.uniform(0, 1, 30)
    sound = tone(np.full(length, pitch), rate, partials)
    return sound / (sound.std() + 1e-9) + 10 ** dice.uniform(-3, -0.5) * dice.standard_normal(length)


def engine(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A motor, grinder, mixer or vacuum cleaner: a buzz whose pitch wanders or runs up, in noise."""
    run = np.interp(np.arange(length) / rate, np.sort(dice.uniform(0, length / rate, 4)), dice.uniform(0.6, 1.2, 4))
    pitch = 25 * 2 ** dice.uniform(0, 4.5) * run * (1 + dice.uniform(0, 0.03) * wander(length, rate, dice, 4.0))
    buzz = tone(pitch, rate, np.arange(1, 41) ** -dice.uniform(0.2, 1.5) * dice.uniform(0.1, 1, 40))
    noise = hiss(length, rate, dice)
    beat = 1 + dice.uniform(0, 0.9) * np.sin(2 * np.pi * dice.uniform(1, 30) * np.arange(length) / rate)
    return (buzz / (buzz.std() + 1e-9) + 10 ** dice.uniform(-1.3, 0.7) * noise / (noise.std() + 1e-9)) * beat


def beeps(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Tones that go on and off: alarms, ringing, dialling, a till."""
    total, at = np.zeros(length), 0
    pair = bool(dice.integers(2))
    palette = dice.uniform(200, 4000, int(dice.integers(1, 5)))
    on, off = dice.uniform(0.04, 0.6), dice.uniform(0.02, 1.0)
    partials = timbre(dice) if dice.random() < 0.4 else np.ones(1)
    while at < length:
        size = min(length - at, max(1, int(on * rate * dice.choice([1.0, 1.0, 2.0]))))
        for hz in dice.choice(palette, 1 + pair):
            total[at : at + size] += tone(np.full(size, hz), rate, partials)
        ends = np.minimum(np.arange(size), np.arange(size)[::-1]) / (0.004 * rate)
        total[at : at + size] *= np.minimum(1, ends)
        at += size + int(off * rate)
    return total


def sweep(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A steady or sliding tone: a test tone, a siren, a theremin."""
    bend = dice.choice([0.0, 0.05, 0.4, 1.0]) * wander(length, rate, dice, 10 ** dice.uniform(-0.5, 0.8))
    partials = timbre(dice) if dice.random() < 0.5 else np.ones(1)
    return tone(np.clip(80 * 2 ** (dice.uniform(0, 6) + bend), 30, rate / 2.3), rate, partials)


def whistle(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Somebody whistles: one gliding partial with breath, note after note."""
    pitch = 600 * 2 ** np.cumsum(dice.choice([-2, -1, 0, 1, 2], 64) / 12 * dice.uniform(1, 3))
    notes = np.interp(np.arange(length) / rate, np.cumsum(dice.uniform(0.12, 0.5, 64)), np.clip(pitch, 500, 3200))
    shake = 1 + 0.02 * dice.random() * np.sin(2 * np.pi * dice.uniform(4, 7) * np.arange(length) / rate)
    loud = np.clip(0.6 + 0.6 * wander(length, rate, dice, 4.0), 0, 1.5)
    air = shaped(length, rate, dice, lambda hz: 1 / (1 + ((hz - 1500) / 1500) ** 2))
    return loud * (
        tone(notes * shake, rate, np.array([1.0, 0.05])) + dice.uniform(0.01, 0.2) * air / (air.std() + 1e-9)
    )


def music(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A melody or chords in some timbre, struck, plucked or blown; often with drums."""
    total, at = np.zeros(length), 0
    root, scale = 55 * 2 ** dice.uniform(0, 3.3), np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    if dice.random() < 0.4:
        scale = np.array([0, 2, 3, 5, 7, 8, 10, 12, 14, 15])
    beat, partials, voices = dice.uniform(0.1, 0.6), timbre(dice), int(dice.integers(1, 5))
    stretch = dice.uniform(0, 0.03) if dice.random() < 0.2 else 0.0
    fades, attack, shake = dice.uniform(0.1, 3), dice.uniform(0.002, 0.08), dice.uniform(0, 0.012)
    while at < length:
        held = beat * dice.choice([0.5, 1, 1, 2, 4])
        size = min(length - at, max(64, int((held + 0.3 * fades) * rate)))
        time = np.arange(size) / rate
        envelope = np.minimum(1, time / attack) * 10 ** (-2 * time / fades)
        envelope *= np.minimum(1, np.arange(size)[::-1] / (0.02 * rate))
        for degree in dice.choice(scale, voices):
            hz = root * 2 ** (degree / 12) * (1 + shake * np.sin(2 * np.pi * 5.5 * time))
            total[at : at + size] += envelope * tone(hz, rate, partials) * dice.uniform(0.5, 1)
            if stretch:
                total[at : at + size] += envelope * tone(hz * (2.76 + stretch), rate, np.ones(1)) * 0.4
        at += max(64, int(held * rate))
    if dice.random() < 0.4:
        other = drums(length, rate, dice)
        total = total / (total.std() + 1e-9) + dice.uniform(0.2, 1.5) * other / (other.std() + 1e-9)
    return total


def drums(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A beat: kicks, snares and cymbals."""
    total, step = np.zeros(length), max(1, int(dice.uniform(0.09, 0.35) * rate))
    colours = [hiss(rate // 2, rate, dice) for _ in range(2)]
    pattern = dice.integers(0, 4, 8)
    for number, begin in enumerate(range(0, length, step)):
        kind = pattern[number % 8]
        size = min(length - begin, rate // 3)
        if kind == 1:
            fall = 40 + 120 * np.exp(-np.arange(size) / (0.03 * rate))
            total[begin : begin + size] += tone(fall, rate, np.ones(1)) * _decaying(size, rate, 0.3)
        elif kind > 1:
            sound = colours[kind - 2][:size]
            total[begin : begin + size] += 0.5 * sound / (sound.std() + 1e-9) * _decaying(size, rate, 0.15 * kind - 0.2)
    return total


def breath(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Somebody breathes, pants, sighs or sniffs near the microphone."""

    def one() -> Samples:
        size = min(length, max(256, int(dice.uniform(0.15, 1.6) * rate)))
        rise = dice.uniform(0.1, 0.9)
        place = np.linspace(0, 1, size)
        envelope = np.minimum(place / rise, (1 - place) / (1 - rise)) ** dice.uniform(0.6, 2)
        return envelope * shaped(size, rate, dice, lambda hz: humps(hz, dice, 4, 300.0, 6000.0) + 0.03)

    return at_times(length, rate, dice, dice.uniform(0.4, 1.6), one)


def wind(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Wind or breath on the microphone's membrane: rumble in bursts, sometimes clipped."""
    low = shaped(length, rate, dice, lambda hz: 1 / (1 + (hz / dice.uniform(60, 400)) ** 2))
    gusts = low / (low.std() + 1e-9) * np.clip(wander(length, rate, dice, dice.uniform(0.5, 6)), 0.05, None)
    return np.clip(gusts, -1.2, 1.2) if dice.random() < 0.4 else gusts


def taps(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Keys, mouse buttons, knocks and steps: short bursts with resonances, often two close together."""
    low, high = sorted(dice.uniform(150, 7000, 2))
    fades, gap = 10 ** dice.uniform(-2, -0.7), dice.uniform(0.03, 0.12)
    twice = dice.random() < 0.6

    def one() -> Samples:
        size = min(length, max(64, int(2 * fades * rate)))
        burst = shaped(size, rate, dice, lambda hz: humps(hz, dice, 3, low, high + 100)) * _decaying(size, rate, fades)
        if not twice:
            return burst
        after = np.zeros(int(gap * rate))
        return np.concatenate((burst, after, dice.uniform(0.2, 0.9) * burst))

    return at_times(length, rate, dice, 10 ** dice.uniform(-0.3, 1.2), one)


def rain(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Drops, a tap, a fire or frying: many tiny bursts over a hiss."""
    pace = 10 ** dice.uniform(0.7, 3)
    hits = (dice.random(length) < pace / rate) * dice.exponential(1, length)
    size = max(8, int(10 ** dice.uniform(-3, -1.6) * rate))
    drop = shaped(size, rate, dice, lambda hz: humps(hz, dice, 2, 400.0, 7500.0)) * _decaying(size, rate, size / rate)
    total = np.fft.irfft(np.fft.rfft(hits, length + size) * np.fft.rfft(drop, length + size), length + size)[:length]
    under = hiss(length, rate, dice)
    return total / (total.std() + 1e-9) + 10 ** dice.uniform(-2, 0.3) * under / (under.std() + 1e-9)


def dishes(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Cups, cutlery, keys, coins and bells: what rings when it is struck."""
    modes = dice.uniform(600, 7000, (4, 5))

    def one() -> Samples:
        size = min(length, max(256, int(dice.uniform(0.05, 0.9) * rate)))
        time = np.arange(size) / rate
        own = modes[int(dice.integers(4))] * dice.uniform(0.95, 1.05)
        rings = [np.sin(2 * np.pi * hz * time) * _decaying(size, rate, dice.uniform(0.05, 1)) for hz in own]
        return np.sum(rings, axis=0) + dice.standard_normal(size) * _decaying(size, rate, 0.01)

    return at_times(length, rate, dice, 10 ** dice.uniform(-0.5, 1), one)


def scrape(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A chair, a door or a saw: something sticks and slips with a rough pitch."""

    def one() -> Samples:
        size = min(length, max(512, int(dice.uniform(0.1, 1.2) * rate)))
        pitch = 60 * 2 ** (dice.uniform(0, 3.5) + 0.3 * wander(size, rate, dice, 5.0))
        phase = np.cumsum(pitch * (1 + 0.2 * dice.standard_normal(size))) / rate % 1
        spectrum = np.fft.rfft((phase - 0.5) * np.hanning(size))
        return np.fft.irfft(spectrum * (humps(np.fft.rfftfreq(size, 1 / rate), dice, 4) + 0.05), size)

    return at_times(length, rate, dice, dice.uniform(0.3, 2), one)


def steam(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A valve, a spray, a hairdryer: bright noise that opens and shuts."""
    sound = shaped(length, rate, dice, lambda hz: (hz / 1000) ** dice.uniform(0.3, 2) * np.exp(-hz / 6000) + 0.01)
    gate = np.clip(3 * wander(length, rate, dice, dice.uniform(0.5, 4)) + 1, 0, 1)
    return sound * gate


def birds(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """Chirps of birds and crickets."""

    def one() -> Samples:
        size = min(length, max(256, int(dice.uniform(0.03, 0.35) * rate)))
        bend = dice.uniform(0, 0.6) * wander(size, rate, dice, dice.uniform(5, 40))
        flutter = 1 + dice.random() * np.sign(np.sin(2 * np.pi * dice.uniform(10, 60) * np.arange(size) / rate))
        hz = np.clip(dice.uniform(1200, 6000) * 2**bend, 300, rate / 2.3)
        return tone(hz, rate, np.array([1.0, 0.1])) * np.hanning(size) * flutter

    return at_times(length, rate, dice, dice.uniform(0.5, 6), one)


def faults(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """What bad lines do: silence, an offset, crackle, single impulses, a sound that stutters."""
    kind = int(dice.integers(5))
    if kind == 0:
        return np.zeros(length)
    if kind == 1:
        return np.full(length, dice.uniform(-1, 1))
    if kind == 2:
        return np.sign(dice.standard_normal(length)) * (dice.random(length) < 10 ** dice.uniform(-4, -1.5))
    if kind == 3:
        return np.repeat(hiss(length // 8 + 1, rate, dice), 8)[:length]
    piece = hiss(max(16, int(dice.uniform(0.02, 0.3) * rate)), rate, dice)
    return np.resize(piece, length)


KINDS: Mapping[str, Maker] = MappingProxyType(
    {
        made.__name__: made
        for made in (
            hiss, surges, moving, mains, engine, beeps, sweep, whistle, music, drums, breath, wind, taps, rain, dishes,
            scrape, steam, birds, faults,
        )
    }
)  # fmt: skip


# ---- whole recordings ----


def comes_and_goes(length: int, rate: int, dice: np.random.Generator) -> Samples:
    """A gain that is steady, fades, jumps, or is switched on and off."""
    kind = dice.random()
    if kind < 0.5:
        return np.ones(length)
    knots = np.sort(dice.uniform(0, length, int(dice.integers(2, 8))))
    gains = 10 ** dice.uniform(-1.5, 0, len(knots))
    if kind < 0.7:
        return np.interp(np.arange(length), knots, gains)
    if kind < 0.85:
        gains[dice.random(len(knots)) < 0.4] = 0.0
    return gains[np.searchsorted(knots[1:], np.arange(length))]


def recording(
    length: int, rate: int, dice: np.random.Generator, *, level_db: float | None = None, kind: str | None = None
) -> Samples:
    """One or two kinds of sound as a microphone hears them, between -1 and 1; ``level_db`` (RMS; by default from -60 to
    -3 dB) may clip, as it does in life."""
    names = list(KINDS)
    sound = np.zeros(length)
    for number in range(1 if kind or dice.random() < 0.7 else 2):
        name = kind or names[int(dice.integers(len(names)))]
        made = KINDS[name](length, rate, dice) * comes_and_goes(length, rate, dice)
        sound = sound + made / (made.std() + 1e-9) * 10 ** (-dice.uniform(0, 1) * number)
    if dice.random() < 0.35:
        sound = room(sound, rate, dice)
    wanted = dice.uniform(-60, -3) if level_db is None else level_db
    sound = sound * 10 ** (wanted / 20) / max(float(np.sqrt(np.mean(sound**2))), 1e-9)
    return np.clip(sound + 10 ** dice.uniform(-5, -3.5) * dice.standard_normal(length), -1, 1).astype(np.float32)


# ---- recordings of places ----


def places(folder: Path | None, split: str, rate: int, *, voices: bool = False) -> dict[str, Samples]:
    """Recordings of places and things by name; nothing without a folder; with ``voices`` also crowds.

    Its ``manifest.jsonl`` names ``id``, ``path``, ``kind`` ("noise" counts), ``split`` and ``label``.
    """
    found: dict[str, Samples] = {}
    for line in [] if folder is None else (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["kind"] == "noise" and record["split"] == split and (voices or "voices" not in record["label"]):
            found[record["id"]] = read_audio(cast(Path, folder) / record["path"], rate)[0].numpy()
    return found
