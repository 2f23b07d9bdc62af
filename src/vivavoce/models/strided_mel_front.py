"""From samples to frames by a log-mel spectrogram and strided convolutions over time and frequency (w2v-BERT)."""

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.audio.mel import LogMel, LogMelConfig, LogMelState
from vivavoce.core.streaming import State, zeros

_KERNEL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StridedMelFrontConfig:
    """Log-mel frames, brought near zero mean and unit variance, and two convolutions.

    Both halve the frequencies; ``strides`` say how they thin out time. Frames see nothing that comes after them.
    """

    mel: LogMelConfig = LogMelConfig(sample_rate=16000, bins=80, hop=160, window=400, n_fft=512, fmin=60.0, fmax=7600.0)
    channels: int = 32
    dim: int = 256
    strides: tuple[int, int] = (2, 2)
    mean: float = -5.0
    deviation: float = 2.5
    causal: bool = True

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.mel.sample_rate

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.mel.hop * prod(self.strides)

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.sample_rate, self.hop)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """How many frames so many samples give; a frame that is begun is filled with silence."""
        return -(-samples // self.hop)

    def build(self) -> "StridedMelFront":
        """The module."""
        return StridedMelFront(self)


@dataclass
class StridedMelFrontState(State):
    """What the spectrogram and the convolutions still see."""

    mel: LogMelState
    first: Float[Tensor, "B 1 P M"]
    second: Float[Tensor, "B C Q N"]


@final
class StridedMelFront(nn.Module):
    """See the file's text."""

    def __init__(self, config: StridedMelFrontConfig) -> None:
        """Random convolutions."""
        super().__init__()
        self.config = config
        self.mel: LogMel = config.mel.build()
        self.first = nn.Conv2d(1, config.channels, _KERNEL, (config.strides[0], 2), padding=(0, 1))
        self.second = nn.Conv2d(config.channels, config.channels, _KERNEL, (config.strides[1], 2), padding=(0, 1))
        self.bins = (config.mel.bins + 1) // 2, ((config.mel.bins + 1) // 2 + 1) // 2
        self.out = nn.Linear(config.channels * self.bins[1], config.dim)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B T D"]:
        """Whole recordings."""
        x = self._level(F.pad(wave, (0, -wave.shape[1] % self.config.hop)))
        x = F.relu(self.first(F.pad(x, (0, 0, self._past(0), 0))))
        x = F.relu(self.second(F.pad(x, (0, 0, self._past(1), 0))))
        return self.out(x.transpose(1, 2).flatten(2))

    def init_state(self, rows: int) -> StridedMelFrontState:
        """Silence before the first sample."""
        config, like = self.config, self.out.weight
        return StridedMelFrontState(
            self.mel.init_state(rows),
            zeros(rows, 1, self._past(0), config.mel.bins, like=like),
            zeros(rows, config.channels, self._past(1), self.bins[0], like=like),
        )

    def step(
        self, x: Float[Tensor, "B N"], state: StridedMelFrontState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The next samples, whole frames of them."""
        before = state.clone() if active is not None else state
        level = (self.mel.step(x, state.mel) - self.config.mean) / self.config.deviation
        if not x.shape[1]:
            return x.new_zeros(len(x), 0, self.config.dim)
        y = level.transpose(1, 2)[:, None]
        for conv, past in ((self.first, state.first), (self.second, state.second)):
            joined = torch.cat((past, y), dim=2)
            past.copy_(joined[:, :, joined.shape[2] - past.shape[2] :])
            y = F.relu(conv(joined))
        state.keep(before, active)
        return self.out(y.transpose(1, 2).flatten(2))

    def _past(self, layer: int) -> int:
        return _KERNEL - self.config.strides[layer]

    def _level(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B 1 T M"]:
        level = (self.mel(wave) - self.config.mean) / self.config.deviation
        return level.transpose(1, 2)[:, None]
