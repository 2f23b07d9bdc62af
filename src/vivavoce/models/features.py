"""Features that units are made of: a layer of the listener, and the controls that any unit has to beat.

They are fronts as codecs have them (`models.front`): Float[B, 1, N] to Float[B, D, T], one vector per ``hop`` samples,
computed from nothing that comes later than the chunk they stand in. They are not learnt with what quantises them.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.audio.mel import FLOOR, LogMelConfig, LogMelState
from vivavoce.audio.mfcc import cosines, slope_within
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing
from vivavoce.models.listener import MEL, Listener, ListenerConfig, ListenerState, ListenerTrunk

_HALF_RATE = 4
"""Mel frames to a frame of the trunk."""
_SILENT = math.log(FLOOR)
"""What a fresh state, which is all zeros, stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerFramesConfig:
    """What comes of a listener's trunk, frame by frame.

    ``whole``: every frame sees all of the sound, which is clearer and cannot be streamed.
    """

    listener: ListenerConfig = ListenerConfig()
    whole: bool = False

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.listener.mel.sample_rate

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.listener.mel.hop * _HALF_RATE


class ListenerFrames(ListenerTrunk):
    """A listener's trunk as a front; what becomes of its frames is up to `vectors`."""

    def __init__(self, config: ListenerFramesConfig, layers: int) -> None:
        """Random weights for so many layers, which are a control."""
        heard = config.listener
        super().__init__(heard.mel, replace(heard.trunk, layers=layers), heard.mean, heard.deviation)
        self._whole, self._hop = config.whole, config.hop

    def vectors(self, frames: Float[Tensor, "B T H"]) -> Float[Tensor, "B D T"]:
        """What the front gives for frames of the trunk."""
        return frames.transpose(1, 2)

    @property
    def timing(self) -> Timing:
        """A chunk of the trunk; ConfigError for features that wait for the end."""
        if self._whole:
            raise ConfigError("these features see all of the sound and cannot be streamed; use those with whole=False")
        return super().timing

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """All frames at once; a last frame that is not whole gets silence."""
        sound = F.pad(wave[:, 0], (0, -wave.shape[2] % self._hop))
        return self.vectors(self.frames(self.mel(sound), None, 0 if self._whole else None)[0])

    def step(
        self, wave: Float[Tensor, "B 1 N"], state: ListenerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """Whole chunks (`timing`); the very last may be shorter, of whole frames."""
        _ = self.timing
        return self.vectors(self.step_frames(wave[:, 0], state, active))


FramesT = TypeVar("FramesT", bound=ListenerFrames)


def filled(made: FramesT, listener: Listener) -> FramesT:
    """The front with a listener's weights, in evaluation mode."""
    weights = listener.state_dict()
    made.load_state_dict({key: weights[key] for key in made.state_dict()})
    return made.eval()


def kept_of(listener: Listener) -> ListenerConfig:
    """The configuration of a listener whose heads for asides and speech are left out."""
    return replace(listener.config, aside=0, speech=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLayerConfig(ListenerFramesConfig):
    """The frames after block ``layer`` of a listener, 25 a second."""

    layer: int = 6

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.listener.trunk.dim

    def build(self) -> "ListenerLayer":
        """The module; ConfigError for a layer that the listener does not have."""
        if not 1 <= self.layer <= self.listener.trunk.layers:
            raise ConfigError(f"the listener has the layers 1 to {self.listener.trunk.layers}, asked was {self.layer}")
        return ListenerLayer(self)


@final
class ListenerLayer(ListenerFrames):
    """A listener up to a layer; nothing above it is kept."""

    def __init__(self, config: ListenerLayerConfig) -> None:
        """Random weights, which are a control; `of` takes a listener's."""
        super().__init__(config, config.layer)
        self.config = config

    @staticmethod
    def of(listener: Listener, layer: int, whole: bool = False) -> "ListenerLayer":
        """The layer of a listener, with its weights."""
        config = ListenerLayerConfig(listener=kept_of(listener), layer=layer, whole=whole)
        return filled(config.build(), listener)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumConfig:
    """``stride`` log-mel frames end to end; with ``cepstra`` as so many cosines each with their slopes (MFCC)."""

    mel: LogMelConfig = MEL
    stride: int = 4
    cepstra: int = 0
    span: int = 2
    """Frames on either side that a slope is fitted to."""

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.mel.sample_rate

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.mel.hop * self.stride

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return (3 * self.cepstra or self.mel.bins) * self.stride

    def build(self) -> "Spectrum":
        """The module."""
        if self.stride < 1 or not 0 <= self.cepstra <= self.mel.bins:
            raise ConfigError(f"wanted a stride of at least 1 and no more cepstra than mel bins, got {self}")
        return Spectrum(self)


@dataclass
class SpectrumState(State):
    """Samples and still cepstra that are still seen."""

    mel: LogMelState
    past: Float[Tensor, "B M P"]


@final
class Spectrum(nn.Module):
    """Log-mel or cepstra: what every front that learns has to be better than."""

    cosines: Tensor

    def __init__(self, config: SpectrumConfig) -> None:
        """Nothing is learnt."""
        super().__init__()
        self.config = config
        self.mel = config.mel.build()
        self.register_buffer("cosines", cosines(config.cepstra, config.mel.bins), persistent=False)

    @property
    def timing(self) -> Timing:
        """A vector per hop."""
        return Timing(rate=Fraction(self.config.sample_rate), hop=self.config.hop)

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """All frames at once; a last one that is not whole gets silence."""
        sound = F.pad(wave, (0, -wave.shape[2] % self.config.hop))
        return self.step(sound, self.init_state(len(wave)))

    def init_state(self, rows: int) -> SpectrumState:
        """Silence before the first sample."""
        kept = 4 * self.config.span if self.config.cepstra else 0
        return SpectrumState(
            self.mel.init_state(rows), torch.zeros(rows, self.config.mel.bins, kept, device=self.mel.window.device)
        )

    def step(
        self, wave: Float[Tensor, "B 1 N"], state: SpectrumState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The vectors of these samples, whole ones (SpecError)."""
        if wave.shape[2] % self.config.hop:
            raise SpecError(f"got {wave.shape[2]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        mel = self.mel.step(wave[:, 0], state.mel, active)
        if self.config.cepstra:
            before = state.clone() if active is not None else state
            joined = torch.cat((state.past, mel - _SILENT), dim=2)
            state.past.copy_(joined[:, :, joined.shape[2] - state.past.shape[2] :])
            state.keep(before, active)
            mel = self._cepstra(joined)
        return mel.unflatten(2, (-1, self.config.stride)).transpose(2, 3).flatten(1, 2)

    def _cepstra(self, mel: Float[Tensor, "B M S"]) -> Float[Tensor, "B C T"]:
        """Cosines, their slopes and the slopes of these: slopes look back, so that nothing waits."""
        still = self.cosines @ mel
        slope = slope_within(still, self.config.span)
        bend = slope_within(slope, self.config.span)
        length = bend.shape[2]
        return torch.cat([x[:, :, x.shape[2] - length :] for x in (still, slope, bend)], dim=1)
