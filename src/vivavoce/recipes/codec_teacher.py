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
from vivavoce.core.derived import digest_of
from vivavoce.core.parts import load_part
from vivavoce.core.progress import Log
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record
from vivavoce.models.encoder import PARTS
from vivavoce.models.listener import Listener
from vivavoce.recipes.units_data import learnt_encoder


@dataclass(frozen=True, slots=True)
class Teacher:
    """``features`` makes frames of sound at ``sample_rate``; ``digest`` names its weights."""

    what: str
    digest: str
    sample_rate: int
    rate: Fraction
    dim: int
    features: Callable[[Float[Tensor, "1 N"]], Float[Tensor, "T D"]]


def teacher_of(choice: Path) -> Teacher:
    """An encoder that learnt from sound alone (the mean of its layers, as SpeechTokenizer has it): a run of ``train
    hubert``, ``wav2vec2`` or ``w2vbert``, or a published one's folder or ``hf:`` name; a Whisper by its name or
    folder (the last layer); or a listener's trunk.

    PartError for a folder with none of them.
    """
    if (choice / "model.bin").is_file() or (choice.name.startswith("whisper") and not choice.is_dir()):
        return _whisper(choice)
    own = next((name for name in (*PARTS, "listener") if (choice / f"{name}.json").exists()), None)
    if own == "listener":
        listener: Listener = load_part(choice, own)
        trunk, rate = listener.config.trunk, listener.config.mel.sample_rate
        digest = _digest(choice, own)
        return Teacher(own, digest, rate, trunk.rate, trunk.dim, lambda wave: listener.listen(wave).features[0])
    encoder = learnt_encoder(choice)
    front, dim = encoder.config.front, encoder.config.trunk.dim

    def layers(wave: Float[Tensor, "1 N"]) -> Float[Tensor, "T D"]:
        return torch.stack([layer[0] for layer in encoder(wave).layers]).mean(0)

    digest = _digest(choice, own) if own else digest_of(encoder.state_dict())
    return Teacher(own or choice.name, digest, front.sample_rate, front.rate, dim, layers)


def _whisper(choice: Path) -> Teacher:
    from vivavoce.hub.whisper_layer import whisper_layer

    front = whisper_layer(str(choice), stride=1).build()
    config = front.config
    rate = Fraction(config.sample_rate, config.hop)

    def last(wave: Float[Tensor, "1 N"]) -> Float[Tensor, "T D"]:
        return front(wave[:, None])[0].T

    return Teacher(choice.name, config.weights, config.sample_rate, rate, config.dim, last)


def _digest(folder: Path, part: str) -> str:
    return json.loads((folder / f"{part}.json").read_text())["weights"]["sha256"]


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
