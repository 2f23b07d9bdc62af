"""What units are found in: frames of recordings, and the phones that are spoken in them, computed once and kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.derived import digest_of
from vivavoce.core.errors import ConfigError, ManifestError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.progress import Log
from vivavoce.data.aligned import levelled, phones_of
from vivavoce.data.cache import Cache
from vivavoce.data.choosing import lasting, shuffled
from vivavoce.data.manifest import Record, recordings
from vivavoce.models.encoder import PARTS, Encoder, load_encoder
from vivavoce.models.encoder_layer import EncoderLayer
from vivavoce.models.features import ListenerLayer, SpectrumConfig
from vivavoce.models.listener import Listener
from vivavoce.models.posteriors import Posteriors
from vivavoce.models.units import UnitsConfig

FEATURES = ("posteriors", "listener", "encoder", "random", "log-mel", "mfcc")
"""What units can be made of, beside the Whispers of ``vivavoce models``."""
LISTENER = "mini/listener"
"""The bundled part whose weights such fronts have: they are not stored again."""
_LONGEST_SECONDS = 20.0


def front_of(
    name: str, layer: int, *, whole: bool = False, listener: Path | None = None, encoder: Path | None = None,
    seed: int = 1,
) -> Any:  # fmt: skip
    """The front that gives these features; ``encoder`` is a run that learnt from sound alone, or a published one.

    ConfigError for a name that is none of `FEATURES` and no Whisper, and for features of an encoder that is not given.
    """
    if (name == "encoder") != (encoder is not None):
        raise ConfigError(
            "features=encoder and --with encoder=RUN belong together: a run of hubert, wav2vec2 or w2vbert, a folder "
            "with a published one, or hf:OWNER/NAME"
        )
    match name:
        case "posteriors":
            return Posteriors.of(load_part(listener or BUNDLED, "listener"), whole)
        case "listener":
            return ListenerLayer.of(load_part(listener or BUNDLED, "listener"), layer, whole)
        case "encoder":
            assert encoder is not None
            return EncoderLayer.of(learnt_encoder(encoder), layer)
        case "random":
            known: Listener = load_part(listener or BUNDLED, "listener")
            torch.manual_seed(seed)
            return ListenerLayer.of(known.config.build(), layer, whole)
        case "log-mel":
            return SpectrumConfig().build()
        case "mfcc":
            return SpectrumConfig(cepstra=13).build()
        case _ if name.startswith("whisper"):
            from vivavoce.hub.whisper_layer import whisper_layer

            return whisper_layer(name).build()
    raise ConfigError(f"there are no features {name!r}; there are {', '.join(FEATURES)}, and Whispers by their names")


def learnt_encoder(choice: Path) -> Encoder:
    """The encoder of a run here, or somebody else's by its folder or ``hf:`` name; PartError where there is none."""
    if any((choice / f"{part}.json").is_file() for part in PARTS):
        return load_encoder(choice)
    from vivavoce.hub.encoders import open_encoder

    return open_encoder(str(choice) if str(choice).startswith("hf:") else choice)


def sample(speech: Path, minutes: float, seed: int, *, least_text: int = 1) -> list[Record]:
    """English training recordings with a text, drawn at random until they last so long; the same ones every time."""
    clips = recordings(speech, "train", lang="en", seconds=(1.0, _LONGEST_SECONDS), text=True)
    clips = [clip for clip in clips if len(clip.text or "") >= least_text]
    chosen = lasting(shuffled(clips, rng.stream(seed, "units", "sample")), 60 * minutes)
    if not chosen:
        raise ManifestError(f"{speech} has no English training recordings with a text; units need people who speak")
    return chosen


def frames(front: Any, clips: Sequence[Record], folder: Path, say: Log, aligner: Listener | None = None) -> Cache:
    """The front's vectors of each recording, half precision [T, D]; with an aligner its phones and those of every
    20 ms beside them, which are empty where text and sound do not fit."""

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number, clip in enumerate(clips):
            wave = levelled(clip, front.config.sample_rate)
            with torch.no_grad():
                item = {"features": front(wave[None, None])[0].T.half().numpy()}
            if aligner is not None:
                item |= phones_of(aligner, clip)
            yield item
            if (number + 1) % 200 == 0:
                say(f"features of {number + 1} of {len(clips)} recordings")

    config = made_by(front) | {"aligned": aligner is not None}
    return Cache.of(folder, config, [clip.file for clip in clips], make)


def made_by(front: Any) -> dict[str, Any]:
    """What frames depend on beside the recordings: the configuration of a front or an encoder, and its weights."""
    return {"front": dump(front.config), "weights": digest_of(front.state_dict())}


def all_frames(kept: Cache) -> Float[Tensor, "N D"]:
    """The vectors of all recordings, end to end."""
    return torch.from_numpy(np.concatenate([kept[i]["features"] for i in range(len(kept))]).astype(np.float32))


def named(front: Any, name: str, layer: int) -> str:
    """What the features are called for people."""
    if name == "posteriors":
        return "the listener's distributions over phones"
    return f"{name} layer {layer}" if name in ("listener", "encoder", "random") else name


def units_card(config: UnitsConfig, clips: Sequence[Record]) -> dict[str, Any]:
    """What they were found in."""
    return {
        "what": config.made_by,
        "hours": round(sum(clip.seconds for clip in clips) / 3600, 2),
        "recordings": len(clips),
    }
