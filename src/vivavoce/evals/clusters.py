"""How much clusters of an encoder's frames say about phones, beside log-mel, cepstra and the net with random weights.

A hundred centres are found in recordings of people; what is said is measured on flite's voices, which tell when each
phone begins (phone-normalised mutual information, HuBERT, arXiv:2106.07447 §IV.D).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.mfcc import MfccConfig
from vivavoce.core import rng
from vivavoce.core.errors import ConfigError
from vivavoce.core.progress import Log
from vivavoce.data.aligned import levelled
from vivavoce.data.choosing import lasting, ranked
from vivavoce.data.manifest import recordings
from vivavoce.data.sentences import sentences
from vivavoce.evals.intervals import Estimate
from vivavoce.evals.report import Row, Table, names_of
from vivavoce.evals.token_statistics import pnmi_and_purity
from vivavoce.evals.tokens_speech import LABEL_RATE, RATE, contrasts, machines
from vivavoce.models.encoder import Encoder, load_encoder
from vivavoce.nn.kmeans import FitConfig, fit

CENTRES = 100
_DRAWS = 200
_FIT = FitConfig(starts=2, trial_steps=10, steps=100, batch=4096)
Frames = Callable[[Float[Tensor, " N"]], list[Float[Tensor, "T D"]]]
"""A recording at 16 kHz to the frames of each layer."""


def table(folders: Sequence[Path], speech: Path, minutes: float, texts: int, say: Log) -> Table:
    """One row per encoder and layer, one per control. PartError without an encoder, ConfigError without recordings."""
    encoders = {name: load_encoder(folder) for name, folder in zip(names_of(folders), folders, strict=True)}
    clips = lasting(ranked(recordings(speech, "train", lang="en", seconds=(1.0, 16.0))), 60 * minutes)
    if not clips:
        raise ConfigError(f"{speech} has no English training recordings to find clusters in")
    heard = [levelled(clip, RATE) for clip in clips]
    said = machines([*contrasts(), *sentences(texts, 7)])
    torch.manual_seed(1)
    control = next(iter(encoders.values())).config.build().eval()
    mfcc = MfccConfig().build()
    ways: dict[str, Frames] = {
        "log-mel": lambda wave: [mfcc.mel(wave[None])[0].T[1::2]],
        "cepstra with slopes": lambda wave: [mfcc(wave[None])[0].T[1::2]],
        "random weights": _layers(control),
    }
    ways |= {name: _layers(encoder) for name, encoder in encoders.items()}
    rates = dict.fromkeys(ways, float(LABEL_RATE)) | {"random weights": float(control.config.front.rate)}
    rates |= {name: float(encoder.config.front.rate) for name, encoder in encoders.items()}
    made = Table(f"Phones in {CENTRES} clusters (flite)")
    for name, way in ways.items():
        with torch.no_grad():
            seen, read = [way(wave) for wave in heard], [way(one.wave) for one in said]
        for layer in range(len(seen[0])):
            book = fit(torch.cat([frames[layer] for frames in seen]), CENTRES, _FIT)
            ids = [book(frames[layer]).numpy() for frames in read]
            shown = name if len(seen[0]) == 1 else f"{name}, layer {layer}"
            made.rows.append(Row(name=shown, value=_agreement(ids, [one.labels for one in said], rates[name]), unit=""))
            say(f"{shown}: {made.rows[-1].shown()}")
    return made


def _layers(encoder: Encoder) -> Frames:
    return lambda wave: [layer[0] for layer in encoder(wave[None]).layers]


def _agreement(ids: Sequence[np.ndarray], labels: Sequence[np.ndarray], rate: float) -> Estimate:
    """Mutual information of ids, so many a second, by the entropy of phones; recordings are drawn again."""

    def of(places: Sequence[int]) -> float:
        known = float(LABEL_RATE)
        return pnmi_and_purity([ids[place] for place in places], [labels[place] for place in places], rate, known)[0]

    drawn = rng.stream(0, "bootstrap").integers(len(ids), size=(_DRAWS, len(ids)))
    found = np.array([of(row.tolist()) for row in drawn])
    value = of(range(len(ids)))
    # fewer different recordings share more by chance: the spread counts, not where its middle is
    low, high = value + np.quantile(found - found.mean(), (0.025, 0.975))
    return Estimate(value, float(low), float(high), len(ids))
