"""What teaches a codec's first book: features of what is said, at the codec's rate, computed once and kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

from vivavoce.audio.files import read_audio
from vivavoce.core.parts import load_part
from vivavoce.core.progress import Log
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record
from vivavoce.models.encoder import Encoder
from vivavoce.models.listener import Listener


@dataclass(frozen=True, slots=True)
class Teacher:
    """``features`` makes frames of sound at ``sample_rate``; ``digest`` names its weights."""

    what: str
    digest: str
    sample_rate: int
    rate: Fraction
    dim: int
    features: Callable[[Float[Tensor, "1 N"]], Float[Tensor, "T D"]]


def teacher_of(folder: Path) -> Teacher:
    """A HuBERT of ``train hubert`` (the mean of its layers, as SpeechTokenizer has it) or a listener's trunk.

    PartError when the folder has neither.
    """
    name = "hubert" if (folder / "hubert.json").exists() else "listener"
    part = load_part(folder, name)
    digest = json.loads((folder / f"{name}.json").read_text())["weights"]["sha256"]
    if name == "hubert":
        encoder: Encoder = part.encoder
        front, dim = encoder.config.front, encoder.config.trunk.dim

        def layers(wave: Float[Tensor, "1 N"]) -> Float[Tensor, "T D"]:
            return torch.stack([layer[0] for layer in encoder(wave).layers]).mean(0)

        return Teacher(name, digest, front.sample_rate, front.rate, dim, layers)
    listener: Listener = part
    trunk, rate = listener.config.trunk, listener.config.mel.sample_rate
    return Teacher(name, digest, rate, trunk.rate, trunk.dim, lambda wave: listener.listen(wave).features[0])


@torch.no_grad()
def taught(teacher: Teacher, rate: Fraction, clips: Sequence[Record], folder: Path, say: Log = print) -> Cache:
    """What the teacher says of each clip, ``rate`` frames a second: means of its frames, or each of them repeated."""

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number, clip in enumerate(clips):
            wave = read_audio(clip.file, teacher.sample_rate, allow_silent=True)[0]
            yield {"features": at_rate(teacher.features(wave[None]), teacher.rate, rate).half().numpy()}
            if (number + 1) % 100 == 0:
                say(f"{teacher.what} heard {number + 1} of {len(clips)} clips")

    config = {"teacher": teacher.what, "digest": teacher.digest, "rate": str(rate)}
    return Cache.of(folder / "teacher", config, [clip.file for clip in clips], make)


def at_rate(features: Float[Tensor, "T D"], rate: Fraction, wanted: Fraction) -> Float[Tensor, "S D"]:
    """Frames that come more or less often."""
    count = -(-len(features) * wanted // rate)
    return features if rate == wanted else adaptive_avg_pool1d(features.T[None], int(count))[0].T
