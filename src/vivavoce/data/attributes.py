"""What can be measured of how something is said, and the bins that words are put on (arXiv:2402.01912 §2.2).

Pitch, its movement, pace and noise of a recording, by signal processing alone. Bins are shares of the recordings that a
model learns from: "low" is what is low among them, of a woman among women, and among all where it is not said who
speaks. Departs from the paper: levels are of utterances and not of speakers, bins hold equally many and are not equally
wide, echoes are not measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.pitch import track_pitch
from vivavoce.audio.stft import frames
from vivavoce.core.errors import SpecError

Kind = Literal["pitch", "rate", "liveliness", "noise"]
LEVELS: Final[dict[Kind, int]] = {"pitch": 5, "rate": 5, "liveliness": 3, "noise": 3}
"""From the least on; the first level of noise is the noisiest recording."""
_LEAST_SPREAD: Final[dict[Kind, float]] = {"pitch": 0.15, "rate": 0.15, "liveliness": 0.05, "noise": 6.0}
"""Where nine in ten recordings lie closer together than this (octaves, dB), nothing is said about them."""
_AUDIBLE_DB: Final = 40.0
_MOST_DB: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Measured of one utterance. ``pitch_hz`` is 0 where nothing is voiced, ``sex`` F, M or unknown."""

    pitch_hz: float
    liveliness: float
    """Standard deviation of the pitch in octaves."""
    rate: float
    """Phones a second, from the first sound to the last."""
    noise_db: float
    """How far the quietest twentieth of it lies below the loud parts; 60 at most."""
    sex: str = ""

    def value(self, kind: Kind) -> float | None:
        """On the scale of its bins: octaves for pitch and rate; None where it was not found."""
        match kind:
            case "pitch":
                return float(np.log2(self.pitch_hz)) if self.pitch_hz > 0 else None
            case "rate":
                return float(np.log2(self.rate)) if self.rate > 0 else None
            case "liveliness":
                return self.liveliness if self.pitch_hz > 0 else None
            case "noise":
                return self.noise_db


def measure(wave: Float[Tensor, " N"], sample_rate: int, phones: int, sex: str = "") -> Attributes:
    """The attributes of an utterance with so many phones, pauses not counted."""
    pitch = track_pitch(wave, sample_rate)
    size = sample_rate // 100
    if wave.numel() < size:
        return Attributes(pitch_hz=0.0, liveliness=0.0, rate=0.0, noise_db=0.0, sex=sex)
    power = frames(wave[None], size, size)[0].double().square().mean(1)
    level = 10 * power.clamp(min=1e-12).log10()
    heard = (level > level.max() - _AUDIBLE_DB).nonzero()[:, 0]
    seconds = float(heard[-1] - heard[0] + 1) / 100
    below = float(torch.quantile(level, 0.9) - torch.quantile(level, 0.05))
    return Attributes(
        pitch_hz=pitch.median(),
        liveliness=pitch.spread(),
        rate=phones / seconds if float(level.max()) > -100 else 0.0,
        noise_db=min(below, _MOST_DB),
        sex=sex,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The edges between the levels of one attribute; without any, nothing is said about it."""

    kind: Kind
    sex: str = ""
    """Of whom; everybody where it is empty."""
    edges: tuple[float, ...] = ()

    def level(self, value: float | None) -> int | None:
        """Where a value lies, from 0 on."""
        return None if value is None or not self.edges else int(np.searchsorted(self.edges, value, side="right"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """What words mean in the recordings that were measured."""

    scales: tuple[Scale, ...]

    @staticmethod
    def of(measured: Sequence[Attributes]) -> "Bins":
        """Bins that hold equally many; SpecError when nothing was measured."""
        if not measured:
            raise SpecError("bins need recordings whose attributes were measured; there were none")
        scales = [_scale(kind, "", measured) for kind in LEVELS]
        for sex in ("F", "M"):
            of_sex = [one for one in measured if one.sex == sex]
            scales.append(_scale("pitch", sex, of_sex if len(of_sex) >= LEVELS["pitch"] else measured))
        return Bins(scales=tuple(scales))

    def level(self, kind: Kind, one: Attributes, sex: str = "") -> int | None:
        """The level of an attribute, among those of a sex where it is the pitch; None where nothing is said of it."""
        return self.scale(kind, sex).level(one.value(kind))

    def scale(self, kind: Kind, sex: str = "") -> Scale:
        """The edges of an attribute."""
        wanted = sex if kind == "pitch" else ""
        return next(scale for scale in self.scales if (scale.kind, scale.sex) == (kind, wanted))


def _scale(kind: Kind, sex: str, measured: Sequence[Attributes]) -> Scale:
    values = [value for one in measured if (value := one.value(kind)) is not None]
    if not values or np.quantile(values, 0.95) - np.quantile(values, 0.05) < _LEAST_SPREAD[kind]:
        return Scale(kind=kind, sex=sex)
    parts = np.arange(1, LEVELS[kind]) / LEVELS[kind]
    return Scale(kind=kind, sex=sex, edges=tuple(round(float(edge), 4) for edge in np.quantile(values, parts)))
