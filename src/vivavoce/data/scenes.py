"""Sounds of places with words for them, made from a seed: what a model learns from that makes sounds out of words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.files import SYNTHETIC_SOUND, read_audio, write_audio
from vivavoce.core import rng
from vivavoce.core.errors import TrainingError
from vivavoce.data import nonspeech
from vivavoce.data.manifest import Record, write_manifest
from vivavoce.text.tokenizers import PhoneTokenizer

SCENES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rain": ("rain", "rain on a roof", "drops falling", "it rains", "a shower of rain", "the crackle of drops"),
        "wind": ("wind", "wind in gusts", "a stormy wind", "wind blows hard", "a low rumble of wind", "windy weather"),
        "engine": ("an engine", "a motor runs", "a machine hums", "the buzz of a motor", "a running engine"),
        "birds": ("birds", "birds sing", "chirping birds", "a bird calls", "birds in the morning", "birdsong"),
        "dishes": ("dishes", "clinking dishes", "cups and cutlery", "a kitchen with dishes", "glasses ring", "cutlery"),
        "music": ("music", "a melody plays", "somebody plays music", "a tune", "music in the room"),
    }
)  # fmt: skip
"""Kinds of `data.nonspeech`, and what each may be called."""


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Sounds, what they are called, and which scene each is, by number."""

    wave: Float[Tensor, "B N"]
    texts: tuple[str, ...]
    scenes: tuple[str, ...]
    seconds: float = 0.0


def scene(name: str, samples: int, rate: int, dice: np.random.Generator) -> Float[Tensor, " N"]:
    """A sound of this name, at the level of quiet speech."""
    return torch.from_numpy(nonspeech.recording(samples, rate, dice, level_db=dice.uniform(-28, -20), kind=name))


def write(folder: Path, *, count: int, seconds: float, rate: int, seed: int) -> Path:
    """Writes so many sounds with their words, one in ten for dev, and gives the manifest's path."""
    records = []
    for number in range(count):
        dice = rng.stream(seed, "written", number)
        name = list(SCENES)[number % len(SCENES)]
        wave = scene(name, int(seconds * rate), rate, dice)
        file = f"{number:05}-{name}.flac"
        write_audio(folder / file, wave, rate, comment=SYNTHETIC_SOUND)
        records.append(
            Record(
                id=f"{number:05}", path=file, split="dev" if number // len(SCENES) % 10 == 9 else "train",
                speaker="vivavoce:nobody", seconds=len(wave) / rate, sample_rate=rate, licence="free of rights",
                source="vivavoce", text=SCENES[name][int(dice.integers(len(SCENES[name])))],
            )
        )  # fmt: skip
    return write_manifest(folder, records)


class Scenes:
    """Batches of sounds that are made, and of pieces of recordings whose text says what they are.

    Half of a batch are recordings where there are some. With ``mixed`` > 0 this share of the sounds has another one in
    it, both at levels that are drawn (AudioLDM, arXiv:2301.12503 §4.4). With ``distinct`` > 0 only so many sounds are
    made, once, which costs memory and saves most of the time; they are those of ``same`` where that is given.
    """

    def __init__(
        self, rows: int, samples: int, rate: int, seed: int, *, clips: Sequence[Record] = (), mixed: float = 0.0,
        distinct: int = 0, same: "Scenes | None" = None,
    ) -> None:  # fmt: skip
        self.rows, self.samples, self.rate, self.seed, self.mixed = rows, samples, rate, seed, mixed
        self.clips, self.distinct = list(clips), distinct
        self._source = same or self
        self._kept: dict[int, Float[Tensor, " N"]] = {}

    def __call__(self, step: int) -> SceneBatch:
        """The batch of a step."""
        made = [self._one(rng.stream(self.seed, "scenes", step, row), row) for row in range(self.rows)]
        waves, texts, names = zip(*made, strict=True)
        return SceneBatch(torch.stack(waves), texts, names, self.rows * self.samples / self.rate)

    def _one(self, dice: np.random.Generator, row: int) -> tuple[Float[Tensor, " N"], str, str]:
        wave, text, name = self._sound(dice, row)
        if dice.random() < self.mixed:
            other, more, _ = self._sound(dice, row + 1)
            wave = (wave + 10 ** dice.uniform(-0.5, 0.5) * other).clamp(-1, 1)
            text, name = f"{text} and {more}", f"{text} and {more}"
        return wave, text, name

    def _sound(self, dice: np.random.Generator, row: int) -> tuple[Float[Tensor, " N"], str, str]:
        if self.clips and row % 2:
            clip = self.clips[int(dice.integers(len(self.clips)))]
            return self._piece(clip.file, dice), str(clip.text), str(clip.text)
        number = int(dice.integers(self.distinct or 1 << 40))
        name = list(SCENES)[number % len(SCENES)]
        return self._source.made(name, number), SCENES[name][int(dice.integers(len(SCENES[name])))], name

    def made(self, name: str, number: int) -> Float[Tensor, " N"]:
        """The sound of a number."""
        if number in self._kept:
            return self._kept[number]
        wave = scene(name, self.samples, self.rate, rng.stream(self.seed, "made", number))
        if self.distinct:
            self._kept[number] = wave
        return wave

    def _piece(self, file: Path, dice: np.random.Generator) -> Float[Tensor, " N"]:
        wave = read_audio(file, self.rate, allow_silent=True)[0]
        begin = int(dice.integers(max(1, len(wave) - self.samples + 1)))
        piece = wave[begin : begin + self.samples]
        return torch.nn.functional.pad(piece, (0, self.samples - len(piece)))


@dataclass(frozen=True, slots=True)
class SpokenBatch:
    """Speech, some of it in noise, filled up with silence; its phones, and how much of each row is speech."""

    wave: Float[Tensor, "B N"]
    phones: Int[Tensor, "B P"]
    lengths: Int[Tensor, " B"]
    spoken: Float[Tensor, " B"]
    """The share of a row."""
    seconds: float = 0.0


class SpokenScenes:
    """Batches of recordings with texts, whole, a share of them in a sound of a scene at 4 to 20 dB."""

    def __init__(
        self, clips: Sequence[Record], rows: int, samples: int, rate: int, seed: int, *, noised: float = 0.5
    ) -> None:
        """TrainingError when no clip with a text is short enough."""
        self.clips = [clip for clip in clips if clip.text and clip.seconds * rate <= samples]
        if not self.clips:
            raise TrainingError(
                f"no recording has a text and lasts at most {samples / rate:.1f} s; cut recordings into sentences"
            )
        self.rows, self.samples, self.rate, self.seed, self.noised = rows, samples, rate, seed, noised
        self.tokenizer = PhoneTokenizer()

    def __call__(self, step: int) -> SpokenBatch:
        """The batch of a step."""
        made = [self._one(rng.stream(self.seed, "spoken", step, row)) for row in range(self.rows)]
        waves, texts, shares = zip(*made, strict=True)
        phones = self.tokenizer.encode(texts)
        spoken = torch.tensor(shares)
        seconds = float(spoken.sum()) * self.samples / self.rate
        return SpokenBatch(torch.stack(waves), phones.data[:, 0], phones.lengths, spoken, seconds)

    def _one(self, dice: np.random.Generator) -> tuple[Float[Tensor, " N"], str, float]:
        clip = self.clips[int(dice.integers(len(self.clips)))]
        wave = read_audio(clip.file, self.rate, allow_silent=True)[0][: self.samples]
        share = len(wave) / self.samples
        power = float(wave.square().mean())
        wave = torch.nn.functional.pad(wave, (0, self.samples - len(wave)))
        if dice.random() < self.noised:
            noise = scene(list(SCENES)[int(dice.integers(len(SCENES)))], self.samples, self.rate, dice)
            ratio = power / max(float(noise.square().mean()), 1e-12) * 10 ** (-dice.uniform(4, 20) / 10)
            wave = (wave + ratio**0.5 * noise).clamp(-1, 1)
        return wave, str(clip.text), share
