"""What the gate learns from: speech loud and faint, in rooms and in noise, and sounds in which nobody speaks.

What is spoken is known from the listener itself, which hears each recording once before anything is done to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float16, Int8
from torch import Tensor
from torch.nn import functional as F

from vivavoce.assistant.hearing import USUAL_DB
from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import between_levels
from vivavoce.core import rng
from vivavoce.data import manifest, nonspeech
from vivavoce.data.choosing import shuffled
from vivavoce.data.nonspeech import Samples, places
from vivavoce.data.sheet import Sheet
from vivavoce.data.synthesis import LISTENING_RATE as RATE
from vivavoce.data.synthesis import readings, speak
from vivavoce.evals.noise import ALONE, noise
from vivavoce.models.listener import Listener
from vivavoce.recipes.listener_data import texts_of_orders

SHORT = (
    "no|stop|yes|latte|mocha|small|large|medium|thanks|okay|wait|hello|hi|cancel|espresso|cappuccino|please|sugar|milk"
    "|one|two|three|what|why|never mind|a coffee|goodbye|not that|make it large|thank you"
).split("|")
_FRAME = RATE // 25
_USUAL = 0.07
"""Amplitude of speech before it is made louder or fainter."""
_EDGE = 2
"""Frames about the beginning and end of speech that teach nothing: a breath more or less is not wrong."""
_GAP = 6
"""Silences of fewer frames belong to the speech around them."""


@dataclass(frozen=True, slots=True)
class GateScene:
    """A recording as the trunk hears it; where somebody speaks (1), nobody does (0), or either may be said (-1); what
    kind of sound it is; and by how much the speech is louder than the noise, where there are both."""

    features: Float16[Tensor, "U D"]
    spoken: Int8[Tensor, " U"]
    kind: str
    snr_db: float | None = None


def spoken(listener: Listener, wave: Samples) -> Bool[np.ndarray, " U"]:
    """In which frames of a clear recording the listener finds phones; short silences count as speech."""
    with torch.inference_mode():
        heard = listener.listen(torch.from_numpy(wave)[None], chunk=0).frame[0, :, 0].exp().numpy()
    found = heard.reshape(-1, 2).min(axis=1) < 0.5
    on = np.flatnonzero(found)
    for begin, end in pairwise(on):
        found[begin:end] |= end - begin <= _GAP
    return found


# ---- what is heard ----


def people(speech: Path, split: str, seed: int) -> Iterator[Samples]:
    """Recordings of people, in a random order that begins anew when it ends."""
    known = manifest.recordings(speech, split, lang="en", seconds=(0.6, 15.999))
    known = [clip for clip in known if clip.source != "commonvoice"]
    dice = rng.stream(seed, "people", split)
    while known:
        for clip in shuffled(known, dice):
            yield read_audio(clip.file, RATE)[0].numpy()


def machines(count: int, seed: int, *, unseen: bool, sheet: Sheet | None = None) -> Iterator[Samples]:
    """Single words and orders by synthesis programs; ``unseen``: by the voices that were kept for testing."""
    dice = rng.stream(seed, "machines", unseen)
    orders = texts_of_orders(count, seed + unseen, sheet)
    texts = [SHORT[int(dice.integers(len(SHORT)))] if number % 3 else orders[number] for number in range(count)]
    engines = {"espeak-ng": 0.5, "festival": 0.5} if unseen else {"espeak-ng": 0.6, "flite": 0.4}
    for said in speak(readings(texts, seed, engines=engines, unseen=unseen), sample_rate=RATE, workers=1):
        yield said.wave.astype(np.float32)


class Scenery:
    """Draws what is to be heard: speech from near and far in noise, or noise alone."""

    def __init__(
        self, speech: Path, noises: Path | None, *, count: int, seed: int, unseen: bool, sheet: Sheet | None = None
    ) -> None:
        """Up to ``count`` recordings of speech; ``unseen``: speakers, voices and noises that were kept for testing;
        ``sheet``: the character that is spoken to."""
        self.dice = rng.stream(seed, "gate", unseen)
        self._people = people(speech, "dev" if unseen else "train", seed)
        self._machines = machines(count // 2 + 1, seed, unseen=unseen, sheet=sheet)
        self._places = places(noises, "dev" if unseen else "train", RATE)
        self._unseen = unseen

    def noise(self, length: int) -> tuple[str, Samples]:
        """So many samples in which nobody speaks, and what they are."""
        dice = self.dice
        if self._places and dice.random() < 0.2:
            name = str(dice.choice(list(self._places)))
            whole = np.resize(self._places[name], max(length, len(self._places[name])))
            begin = int(dice.integers(len(whole) - length + 1))
            return name, whole[begin : begin + length]
        kinds = list(ALONE if self._unseen else nonspeech.KINDS)
        name = kinds[int(dice.integers(len(kinds)))]
        if self._unseen:
            return name, noise(name, length, RATE, int(dice.integers(1 << 30))).numpy()
        return name, nonspeech.recording(length, RATE, dice, kind=name, level_db=-20.0)

    def alone(self) -> tuple[str, Samples]:
        """Noise from 0.2 s on at any loudness, as a microphone hears it."""
        dice = self.dice
        seconds = 0.2 + dice.exponential(2.0) if dice.random() < 0.9 else dice.uniform(5, 15)
        name, sound = self.noise(int(min(seconds, 15.0) * RATE))
        if self._unseen and dice.random() < 0.3:
            sound = nonspeech.room(sound, RATE, dice)
        return name, self._taken(sound, float(dice.uniform(-60, -3)))

    def speech(self, listener: Listener, number: int) -> tuple[Samples, Int8[np.ndarray, " U"], float | None]:
        """Somebody speaks once or twice, with pauses: the sound, where (1, 0, or -1 at the edges), and how much louder
        than the noise."""
        dice, pieces, marks = self.dice, [], []
        for _ in range(1 + (dice.random() < 0.25)):
            voice = next(self._machines, None) if number % 2 else None
            voice = next(self._people) if voice is None else voice
            if dice.random() < 0.4:
                pace = 2 ** dice.uniform(-0.45, 0.6)
                voice = np.interp(np.arange(0, len(voice) - 1, pace), np.arange(len(voice)), voice).astype(np.float32)
            voice = voice[: 8 * RATE]
            voice = voice * (_USUAL / _loudness(voice[np.abs(voice) > 0.02 * np.abs(voice).max()]))
            pause = int(dice.uniform(0, 40)) if dice.random() < 0.8 else 0
            pieces += [np.zeros(pause * _FRAME), voice, np.zeros(-len(voice) % _FRAME)]
            found = spoken(listener, voice)[: -(-len(voice) // _FRAME)]
            marks += [np.zeros(pause, np.int8), _edged(found)]
        after = int(dice.uniform(0, 60)) if dice.random() < 0.7 else 0
        sound = np.concatenate([*pieces, np.zeros(after * _FRAME)])
        where = np.concatenate([*marks, np.zeros(after, np.int8)])
        if dice.random() < 0.35:
            sound = nonspeech.room(sound, RATE, dice, (0.1, 0.7))
        snr = None
        if dice.random() < 0.75:
            snr = float(dice.uniform(-3, 30))
            other = self.noise(len(sound))[1]
            sound = sound + other * (_USUAL * 10 ** (-snr / 20) / _loudness(other))
        level = dice.uniform(-55, -3) if dice.random() < 0.4 else dice.uniform(-35, -12)
        return self._taken(sound, float(level), _USUAL), where, snr

    def _taken(self, sound: Samples, level_db: float, loudness: float | None = None) -> Samples:
        """The sound at a level, as a microphone that hisses a little takes it; what is too loud clips."""
        gain = 10 ** (level_db / 20) / (loudness or _loudness(sound))
        hiss = 10 ** self.dice.uniform(-5, -3.5) * self.dice.standard_normal(len(sound))
        return np.clip(sound * gain + hiss, -1, 1).astype(np.float32)


def _loudness(sound: Samples) -> float:
    return max(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))), 1e-9) if len(sound) else 1e-9


def _edged(found: Bool[np.ndarray, " U"]) -> Int8[np.ndarray, " U"]:
    """1 and 0 with -1 about every change."""
    marks = found.astype(np.int8)
    for place in np.flatnonzero(np.diff(marks, prepend=0, append=0)):
        marks[max(0, place - _EDGE) : place + _EDGE] = -1
    return marks


def scenes(listener: Listener, scenery: Scenery, speech: int, noises: int) -> Iterator[GateScene]:
    """So many recordings with and without speech; half of them heard as a whole and half in the chunks of a stream."""

    def heard(sound: Samples, chunk: int) -> Float16[Tensor, "U D"]:
        wave = torch.from_numpy(sound)
        padded = F.pad(wave if chunk else between_levels(wave, RATE, *USUAL_DB), (0, RATE // 4))[None]
        with torch.inference_mode():
            return listener.listen(padded, chunk=chunk).features[0].half()

    chunks = (0, listener.config.trunk.chunk)
    for number in range(noises):
        kind, sound = scenery.alone()
        features = heard(sound, chunks[number % 2])
        yield GateScene(features, torch.zeros(len(features), dtype=torch.int8), kind)
    for number in range(speech):
        sound, where, snr = scenery.speech(listener, number)
        features = heard(sound, chunks[number % 2])
        marks = torch.zeros(len(features), dtype=torch.int8)
        marks[: len(where)] = torch.from_numpy(where)[: len(features)]
        yield GateScene(features, marks, "speech", snr)
