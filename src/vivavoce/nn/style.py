"""Who speaks: what is taken from a clip of somebody so that they can be imitated.

Part of it is measured (the mean spectrum and how far it varies, pitch and its liveliness), part is learnt (a vector).
The measured part is put back into the speech exactly, so that even a voice unlike any in training keeps its colour.
"""

from dataclasses import dataclass, fields, replace
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_SPEECH_RANGE = 4.0  # log units below the loudest frames that still count as speech
_LEAST_SPREAD = 0.3
_PIECE = 150
_OCTAVE, _FARTHEST = 0.3, 0.8  # what an octave counts beside a cosine; more octaves say nothing more


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """A voice: a learnt vector, mean and deviation per mel bin, pitch in octaves above 1 Hz and its deviation."""

    vector: Float[Tensor, "*B D"]
    mean: Float[Tensor, "*B M"]
    spread: Float[Tensor, "*B M"]
    pitch: Float[Tensor, "*B"]
    liveliness: Float[Tensor, "*B"]

    def at(self, index: int) -> "VoicePrint":
        """One of several."""
        return VoicePrint(*(getattr(self, field.name)[index] for field in fields(self)))

    def towards(self, other: "VoicePrint", share: float) -> "VoicePrint":
        """A voice between this one (share 0) and the other (share 1)."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return VoicePrint(*(a + share * (b - a) for a, b in pairs))

    def shifted(self, octaves: float) -> "VoicePrint":
        """The same voice, higher or lower."""
        return replace(self, pitch=self.pitch + octaves)


def stack_prints(prints: list[VoicePrint]) -> VoicePrint:
    """Several voices as one with a leading axis."""
    return VoicePrint(*(torch.stack([getattr(p, f.name) for p in prints]) for f in fields(VoicePrint)))


def speech_frames(mel: Float[Tensor, "T M"], bins: int = 76) -> Bool[Tensor, " T"]:
    """Which frames are speech rather than pause: those not too far below the loudest."""
    level = mel[:, :bins].mean(dim=1)
    return level > level.quantile(0.95) - _SPEECH_RANGE


def spectrum_stats(
    mel: Float[Tensor, "T M"], top_bin: int, typical: tuple[Float[Tensor, " M"], Float[Tensor, " M"]]
) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
    """Mean and deviation of each bin over speech.

    Bins from ``top_bin`` on, which a recording of lower rate lacks, are filled from a typical wide-band voice, moved to
    meet the last bins that are there.
    """
    speech = mel[speech_frames(mel)]
    mean, spread = speech.mean(dim=0), speech.std(dim=0, unbiased=False).clamp(min=_LEAST_SPREAD)
    if top_bin < mel.shape[1]:
        edge = slice(max(0, top_bin - 8), top_bin)
        offset = (mean[edge] - typical[0][edge]).mean()
        mean = torch.cat((mean[:top_bin], typical[0][top_bin:] + offset))
        spread = torch.cat((spread[:top_bin], typical[1][top_bin:]))
    return mean, spread


def top_bin_of(mel: Float[Tensor, "T M"]) -> int:
    """How many bins of a recording carry sound: where the loud frames fall into an empty band for good."""
    loud = mel.quantile(0.9, dim=0)
    alive = (loud > loud.max() - 9.0) & (loud > -9.5)
    return int(alive.nonzero().max()) + 1 if bool(alive.any()) else mel.shape[1]


def change_of_voice(reference: "ReferenceEncoder", speech: Float[Tensor, "T M"], hz: Float[Tensor, " T"]) -> float:
    """How much less alike the voices before and after some moment are than each of them is in itself, at the most.

    Alike are vectors of pieces of 150 frames, by their cosines; half of each piece is shared with the next. To that
    come three tenths of the octaves between the two median pitches. 0 for speech of fewer than five pieces.
    """
    begins = range(0, len(speech) - _PIECE + 1, _PIECE // 2)
    if len(begins) < 5:
        return 0.0
    vectors = torch.cat([reference(speech[None, at : at + _PIECE]) for at in begins])
    alike = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2)
    octaves = torch.stack([_median_octaves(hz[at : at + _PIECE]) for at in begins])
    found = 0.0
    for cut in range(2, len(vectors) - 1):
        within = min(_mean_of_pairs(alike[:cut, :cut]), _mean_of_pairs(alike[cut:, cut:]))
        apart = (octaves[:cut].nanmedian() - octaves[cut:].nanmedian()).abs().clamp(max=_FARTHEST).nan_to_num(0.0)
        found = max(found, within - float(alike[:cut, cut:].mean()) + _OCTAVE * float(apart))
    return found


def _median_octaves(hz: Float[Tensor, " T"]) -> Float[Tensor, ""]:
    """Above 1 Hz; not a number where there is hardly a pitch."""
    voiced = hz[hz > 0]
    return voiced.log2().median() if len(voiced) > 10 else hz.new_tensor(float("nan"))


def _mean_of_pairs(alike: Float[Tensor, "N N"]) -> float:
    """Of different ones."""
    count = len(alike)
    return float(alike.sum() - alike.diagonal().sum()) / (count * (count - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEncoderConfig:
    """Sees the lower ``bins`` of the mel only, so that the rate of a recording does not matter."""

    bins: int = 76
    width: int = 192
    vector: int = 128

    def build(self) -> "ReferenceEncoder":
        """The module."""
        return ReferenceEncoder(self)


@final
class ReferenceEncoder(nn.Module):
    """A clip's mel to a vector: three convolutions, then mean and deviation over time."""

    def __init__(self, config: ReferenceEncoderConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        self.convs = nn.ModuleList(
            (
                nn.Conv1d(config.bins, config.width, 5, stride=2, padding=2),
                nn.Conv1d(config.width, config.width, 3, stride=2, padding=1),
                nn.Conv1d(config.width, config.width, 3, padding=1),
            )
        )
        self.out = nn.Linear(2 * config.width, config.vector)

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B D"]:
        """Vector of length about 1 per dimension; clips of one batch have equal length."""
        x = (mel[:, :, : self.config.bins].transpose(1, 2) + 5.0) / 2.0
        for conv in self.convs:
            x = torch.nn.functional.leaky_relu(conv(x), 0.1)
        pooled = torch.cat((x.mean(dim=2), x.std(dim=2, unbiased=False)), dim=1)
        y = self.out(pooled)
        return torch.nn.functional.normalize(y.float(), dim=1) * self.config.vector**0.5
