"""What encoders learn from: crops of recordings as a function of the step, with the clusters of their frames."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import at_level
from vivavoce.audio.mfcc import MfccConfig
from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ManifestError
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record
from vivavoce.models.encoder import Encoder
from vivavoce.nn.kmeans import FitConfig, KMeans, fit
from vivavoce.train import Run
from vivavoce.train.tasks.pretraining import WaveBatch

FrameFeatures = Callable[[Sequence[Float[Tensor, " N"]]], Sequence[Float[Tensor, "T D"]]]
"""What the frames of recordings are told apart by; some are looked at together where that is quicker."""
RATE: Final = 16000
_LEVEL_DB: Final = -23.0
_SAMPLED: Final = 200_000
"""Frames that clusters are fitted on."""
_TOGETHER: Final = 16
"""Recordings that are looked at at a time."""
_LEAST: Final = 1600
"""Samples that a recording is filled up to before it is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveCropConfig:
    """A batch is ``seconds`` of sound in crops of ``crop`` seconds; recordings shorter than ``least`` are left out.

    Crops are louder or softer by a number of ``gains_db``.
    """

    seconds: float = 64.0
    crop: float = 4.0
    least: float = 1.0
    gains_db: tuple[float, float] = (-8.0, 4.0)


def decoded(clips: Sequence[Record], folder: Path, say: Callable[[str], None]) -> Cache:
    """All recordings at 16 kHz and one level, decoded once."""

    def one(clip: Record) -> dict[str, np.ndarray]:
        wave = read_audio(clip.file, RATE, allow_silent=True)[0]
        return {"wave": to_int16(at_level(wave, RATE, _LEVEL_DB).numpy())}

    def make() -> Iterator[dict[str, np.ndarray]]:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # decoding is C code that lets other threads run
            for number, made in enumerate(pool.map(one, clips)):
                yield made
                if (number + 1) % 2000 == 0:
                    say(f"decoded {number + 1} of {len(clips)} recordings")

    return Cache.of(folder, {"sample_rate": RATE, "level_db": _LEVEL_DB}, [clip.file for clip in clips], make)


@final
class WaveCrops:
    """Batches as a function of the step; longer recordings come more often, silence fills up what is too short."""

    def __init__(
        self, config: WaveCropConfig, hop: int, sound: Cache, labels: Sequence[Cache] = (), seed: int = 1
    ) -> None:
        """``hop`` are the samples of a frame: crops begin on one, and ``labels`` (one per frame) are cut with them.

        ManifestError when no recording is long enough.
        """
        self.config, self.hop, self.seed = config, hop, seed
        self.sound, self.labels = sound, labels
        lengths = sound.lengths("wave").astype(np.float64)
        self.clips = np.flatnonzero(lengths >= config.least * RATE)
        if not len(self.clips):
            raise ManifestError(f"no recording lasts {config.least} s; give longer ones or lower data.least")
        self.chances = lengths[self.clips] / lengths[self.clips].sum()

    def __call__(self, step: int) -> WaveBatch:
        """The batch of a step."""
        draw = rng.stream(self.seed, "pretraining", step)
        size = int(self.config.crop * RATE) // self.hop * self.hop
        rows = max(1, round(self.config.seconds / self.config.crop))
        wave = torch.zeros(rows, size)
        lengths = torch.zeros(rows, dtype=torch.long)
        labels = [torch.full((rows, size // self.hop), -1, dtype=torch.long) for _ in self.labels]
        for row, clip in enumerate(self.clips[draw.choice(len(self.clips), rows, p=self.chances)].tolist()):
            data = self.sound[clip]["wave"]
            frame = int(draw.integers(0, max(0, len(data) - size) // self.hop + 1))
            piece = to_float(data[frame * self.hop : frame * self.hop + size])
            loud = 10 ** (draw.uniform(*self.config.gains_db) / 20)
            wave[row, : len(piece)] = torch.from_numpy(piece * np.float32(loud)).clamp(-1, 1)
            lengths[row] = len(piece)
            for made, cache in zip(labels, self.labels, strict=True):
                ids = cache[clip]["ids"][frame : frame + size // self.hop]
                made[row, : len(ids)] = torch.from_numpy(ids.astype(np.int64))
        return WaveBatch(wave, lengths, tuple(labels), float(lengths.sum()) / RATE)


def cepstra(config: MfccConfig, hop: int) -> FrameFeatures:
    """Cepstra with slopes at the rate of an encoder with this hop: of every few frames the last."""
    mfcc, every = config.build(), hop // config.mel.hop
    return each(lambda wave: mfcc(wave)[0, :, every - 1 :: every].T)


def each(features: Callable[[Float[Tensor, "1 N"]], Float[Tensor, "T D"]]) -> FrameFeatures:
    """Features of one recording after the other."""
    return lambda waves: [features(wave[None]) for wave in waves]


def of_layer(encoder: Encoder, layer: int, device: str) -> FrameFeatures:
    """A layer of an encoder, of some recordings at a time."""
    encoder = encoder.to(device).eval()

    def features(waves: Sequence[Float[Tensor, " _"]]) -> list[Float[Tensor, "_ D"]]:
        lengths = torch.tensor([len(wave) for wave in waves])
        heard = encoder(pad_sequence(list(waves), batch_first=True).to(device), lengths.to(device))
        counts = heard.lengths.tolist()
        return [row[:count].cpu() for row, count in zip(heard.layers[layer].float(), counts, strict=True)]

    return features


def clusters(
    features: FrameFeatures, sound: Cache, size: int, fitting: FitConfig, *, named: str, say: Callable[[str], None]
) -> KMeans:
    """Centres of a sample of the frames of all recordings."""
    chosen, frames = rng.stream(fitting.seed, "clusters"), []
    count = 0
    order = chosen.permutation(len(sound)).tolist()
    for begin in range(0, len(order), _TOGETHER):
        frames += _heard(features, sound, order[begin : begin + _TOGETHER])
        count += sum(map(len, frames[-_TOGETHER:]))
        if count >= _SAMPLED:
            break
    return fit(torch.cat(frames)[:_SAMPLED], size, fitting, features=named, say=say)


def labelled(
    features: FrameFeatures,
    centers: KMeans,
    sound: Cache,
    clips: Sequence[Record],
    folder: Path,
    say: Callable[[str], None],
) -> Cache:
    """The cluster of every frame of every recording, made once."""

    def make() -> Iterator[dict[str, np.ndarray]]:
        for begin in range(0, len(sound), _TOGETHER):
            some = range(begin, min(begin + _TOGETHER, len(sound)))
            for frames in _heard(features, sound, some):
                yield {"ids": centers(frames).numpy().astype(np.int16)}
            if begin // 2000 != some.stop // 2000:
                say(f"named the frames of {some.stop} of {len(sound)} recordings")

    about = {"clusters": centers.alphabet, "kmeans": dump(centers.config)}
    return Cache.of(folder, about, [clip.file for clip in clips], make)


@torch.no_grad()
def _heard(features: FrameFeatures, sound: Cache, clips: Sequence[int]) -> Sequence[Float[Tensor, "_ D"]]:
    waves = [torch.from_numpy(to_float(sound[clip]["wave"])) for clip in clips]
    return features([pad(wave, (0, max(0, _LEAST - len(wave)))) for wave in waves])


def used(labels: Cache, size: int) -> float:
    """How many clusters are in use: the exponential of the entropy of all labels."""
    counts = sum(np.bincount(labels[clip]["ids"], minlength=size) for clip in range(len(labels)))
    shares = torch.from_numpy(np.asarray(counts)).double()
    shares = shares / shares.sum().clamp(min=1)
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


def card(run: Run, clips: Sequence[Record]) -> dict[str, Any]:
    """What a run's part says of what it learnt from."""
    licences = sorted({(clip.source, clip.licence) for clip in clips})
    return {
        "data": [{"source": source, "licence": licence} for source, licence in licences],
        "steps": run.step,
        "audio_hours": round(run.audio_seconds / 3600, 2),
    }
