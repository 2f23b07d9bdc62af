"""What the codec learns from: crops of recordings, how far up each can be trusted, what a listener makes of them."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.audio.resample import resample
from vivavoce.audio.stft import mel_of_hz
from vivavoce.core import rng
from vivavoce.core.errors import ManifestError
from vivavoce.core.progress import Log
from vivavoce.data.cache import Cache
from vivavoce.data.choosing import of_each
from vivavoce.data.manifest import WIDE_HZ, Record, recordings
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import MelFrontConfig
from vivavoce.train.tasks.codec import Labels, SoundBatch

_NARROW_MEL_HZ = 7700.0
_ALL_BINS = 1 << 30
LEAST_RATE = 16000
"""Recordings of lower rates teach a codec nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropConfig:
    """How batches are drawn; ``share`` is the part of the crops that each source gives, else all by their length."""

    share: tuple[tuple[str, float], ...] = ()
    batch: int = 10
    frames: int = 32  # token frames per crop
    played_otherwise: float = 0.5  # share of crops that are played faster or slower
    speeds: tuple[float, float] = (0.82, 1.2)
    gains_db: tuple[float, float] = (-14.0, 4.0)
    narrowed: float = 0.4  # share of wide-band crops that the encoder gets as narrow-band
    drawn: int = 0  # crops of a speaker's spectra beside them, where there are any


def waves(clips: Sequence[Record], rate: int, folder: Path, say: Log = print, workers: int = 1) -> Cache:
    """All clips decoded once, 16-bit at one rate."""

    def one(clip: Record) -> dict[str, np.ndarray]:
        wave = read_audio(clip.file, rate, allow_silent=True)[0]
        return {"wave": to_int16(wave.numpy())}

    def make() -> Iterator[dict[str, np.ndarray]]:
        with ThreadPoolExecutor(workers) as pool:  # decoding is C code that lets other threads run
            for number, decoded in enumerate(pool.map(one, clips)):
                yield decoded
                if (number + 1) % 500 == 0:
                    say(f"decoded {number + 1} of {len(clips)} clips")

    return Cache.of(folder / "waves", {"sample_rate": rate}, [clip.file for clip in clips], make)


@dataclass(frozen=True, slots=True)
class DrawnSpectra:
    """Sentences that a speaker drew, end to end: spectra, and the tokens that the codec's encoder gives for them."""

    mel: Float[Tensor, "S M"]
    codes: Int[Tensor, "T K"]
    begins: Int[Tensor, " I"]  # on the token clock

    def save(self, path: Path) -> None:
        """Writes one file."""
        save_file({"mel": self.mel, "codes": self.codes, "begins": self.begins}, path)


def load_drawn(path: Path) -> DrawnSpectra:
    """Reads what `DrawnSpectra.save` wrote; ManifestError when it is not such a file."""
    try:
        return DrawnSpectra(**load_file(path))
    except (SafetensorError, TypeError, OSError) as error:
        raise ManifestError(f"{path} is not a file of drawn spectra ({error}); make it again") from error


@runtime_checkable
class Framed(Protocol):
    """What crops are cut for: a rate, and samples per frame."""

    @property
    def sample_rate(self) -> int:
        """Of the sound."""
        ...

    @property
    def hop(self) -> int:
        """Samples per frame."""
        ...


@final
class Crops:
    """Batches as a function of the step: sources by their share, then clips by length."""

    def __init__(
        self,
        config: CropConfig,
        codec: Framed,
        clips: Sequence[Record],
        sound: Cache,
        teacher: Cache | None = None,
        seed: int = 1,
        drawn: DrawnSpectra | None = None,
        labels: Callable[[Sequence[tuple[int, int]]], Labels] | None = None,
    ) -> None:
        """``sound`` and ``teacher`` are caches of just these clips.

        ``labels`` says what is known of crops, given the clip and the first frame of each.
        """
        if not clips:
            raise ManifestError("the manifest has no recordings to train on; look at their splits and sample rates")
        self.config, self.codec, self.clips, self.seed = config, codec, clips, seed
        self.drawn = drawn if config.drawn else None
        self.sound, self.teacher, self.labels = sound, teacher, labels
        self.width = teacher[0]["features"].shape[1] if teacher is not None and len(teacher) else 0
        lengths = sound.lengths("wave").astype(np.float64)
        given = config.share or (("", 1.0),)
        self.members = {
            name: np.array([i for i, clip in enumerate(clips) if name in ("", clip.source)]) for name, _ in given
        }
        self.shares = {name: share for name, share in given if len(self.members[name])}
        if not self.shares:
            raise ManifestError(f"the manifest has none of the sources {list(self.members)}; name its own in `share`")
        self.chances = {name: lengths[self.members[name]] / lengths[self.members[name]].sum() for name in self.shares}

    def __call__(self, step: int) -> SoundBatch:
        """The batch of a step."""
        config, rate = self.config, self.codec.sample_rate
        draw = rng.stream(self.seed, "codec", step)
        size, names = config.frames * self.codec.hop, list(self.shares)
        shares = np.array(list(self.shares.values())) / sum(self.shares.values())
        wave = torch.zeros(config.batch, size)
        bins, highest, places = [], [], []
        features = torch.zeros(config.batch, self.width, config.frames)
        known = torch.zeros(config.batch, config.frames, dtype=torch.bool)
        for row in range(config.batch):
            name = names[draw.choice(len(names), p=shares)]
            clip = int(self.members[name][draw.choice(len(self.members[name]), p=self.chances[name])])
            otherwise = draw.random() < config.played_otherwise
            speed = float(draw.uniform(*config.speeds)) if otherwise else 1.0
            frame, piece = self._crop(clip, size, speed, draw)
            places.append((clip, frame))
            wave[row, : len(piece)] = piece * 10 ** (draw.uniform(*config.gains_db) / 20)
            top = min(self.clips[clip].trusted_hz * speed, rate / 2)
            narrowed = top > WIDE_HZ and draw.random() < config.narrowed
            bins.append(_narrow_bins(self.codec) if narrowed else _ALL_BINS)
            highest.append(top)
            if self.teacher is not None and not otherwise:
                vectors = torch.from_numpy(
                    self.teacher[clip]["features"][frame : frame + config.frames].astype(np.float32)
                )
                features[row, :, : len(vectors)] = vectors.T
                known[row, : len(vectors)] = True
        taught = (None, None) if self.teacher is None else (features, known)
        seconds = config.batch * size / rate
        beside = (None, None) if self.drawn is None else self._drawn(self.drawn, draw)
        labels = None if self.labels is None else self.labels(places)
        return SoundBatch(
            wave.clamp(-1, 1), torch.tensor(bins), torch.tensor(highest), seconds, *taught, *beside, labels
        )

    def _drawn(
        self, drawn: DrawnSpectra, draw: np.random.Generator
    ) -> tuple[Int[Tensor, "R K T"], Float[Tensor, "R M S"]]:
        """Crops of drawn sentences that are long enough."""
        size = self.config.frames
        stride = len(drawn.mel) // len(drawn.codes)
        begins = drawn.begins[:-1][drawn.begins.diff() >= size]
        lengths = drawn.begins.diff()[drawn.begins.diff() >= size]
        codes, mels = [], []
        for _ in range(self.config.drawn):
            one = int(draw.integers(len(begins)))
            at = int(begins[one]) + int(draw.integers(int(lengths[one]) - size + 1))
            codes.append(drawn.codes[at : at + size].T)
            mels.append(drawn.mel[at * stride : (at + size) * stride].T.float())
        return torch.stack(codes), torch.stack(mels)

    def _crop(self, clip: int, size: int, speed: float, draw: np.random.Generator) -> tuple[int, Float[Tensor, " N"]]:
        """Begins on the token clock, so that a teacher's frames fit."""
        hop, rate = self.codec.hop, self.codec.sample_rate
        data = self.sound[clip]["wave"]
        wanted = int(size * speed) + 64
        frame = int(draw.integers(0, max(0, len(data) - wanted) // hop + 1))
        piece = torch.from_numpy(to_float(data[frame * hop : frame * hop + wanted]))
        if speed != 1.0:
            piece = resample(piece, rate, round(rate / speed), quality="MQ")
        return frame, piece[:size]


def _narrow_bins(codec: Framed) -> int:
    """Mel bins that a 16 kHz recording fills; all of them where the front takes no mel frames."""
    if not isinstance(codec, CodecConfig) or not isinstance(codec.front, MelFrontConfig):
        return _ALL_BINS
    mel = codec.front.mel
    low, edge, high = mel_of_hz(torch.tensor([mel.fmin, _NARROW_MEL_HZ, mel.fmax])).tolist()
    return int(mel.bins * (edge - low) / (high - low))


@dataclass(frozen=True, slots=True)
class MeasuringClip:
    """A clip to measure with, at the codec's rate."""

    wave: Float[Tensor, " N"]


def measuring_clips(speech: Path, rate: int, each_seconds: float = 5.0, most: int = 12) -> list[MeasuringClip]:
    """Lossless dev clips, spread over the speakers, cut to a few seconds."""
    clips = recordings(speech, "dev", least_rate=LEAST_RATE, seconds=(2.5, math.inf), lossless=True)
    chosen = of_each(clips, 1)
    picked = chosen[:: max(1, len(chosen) // most)][:most]
    return [MeasuringClip(read_audio(clip.file, rate)[0][: int(each_seconds * rate)]) for clip in picked]
