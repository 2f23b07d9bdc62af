"""The listener: sound to phones, while it is being spoken.

Log-mel at 16 kHz, two strided convolutions down to 25 frames/s, a chunk-causal Conformer, and two heads that each give
two distributions per frame (one per 20 ms): a CTC head (blank and phones) and a frame head (silence and phones, the
classical hybrid model), learnt together. The frame head gives alignments that do not shrink to peaks. One set of
weights works with any chunk; the last words of a turn are judged once more with the whole turn in view.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.audio.mel import LogMel, LogMelConfig, LogMelState
from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.core.streams import Wave
from vivavoce.nn.conformer import ConformerConfig, ConformerState
from vivavoce.nn.few import Linear

MEL = LogMelConfig(sample_rate=16000, bins=80, hop=160, window=400, n_fft=512, fmin=60.0, fmax=7600.0)
_KERNEL, _STRIDE = 5, 2
SPLIT = 2
"""Distributions per frame of the trunk."""


LONG_FRAMES = 20
"""0.8 s: more than a single short word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechConfig:
    """The head that says where somebody speaks: its width, and how its log-odds are read.

    They are averaged over ``frames`` frames. Somebody speaks where the average reaches ``begins``, and around that as
    long as it stays above ``holds``. A stretch of ``LONG_FRAMES`` or more must reach ``sustained``: in so long a time
    speech is certain somewhere, what only resembles it is not (None: ``begins``). The probability that anybody speaks
    in a stretch is 1/2 where the highest average is what it must reach and rises with ``slope`` per unit.
    `recipes.gate` finds all these numbers.
    """

    width: int = 64
    frames: int = 5
    begins: float = 0.0
    holds: float = -2.0
    slope: float = 1.0
    sustained: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """Sizes of the listener; ``symbols`` counts the phones with silence (or blank) at 0.

    ``aside`` is the width of the head that tells signs of listening from what is meant for us; 0: there is none.
    ``speech`` is the head that tells speech from all other sound; None: there is none.
    """

    mel: LogMelConfig = MEL
    trunk: ConformerConfig = ConformerConfig()
    symbols: int = 40
    mean: float = -5.0
    deviation: float = 2.5
    aside: int = 0
    speech: SpeechConfig | None = None

    def build(self) -> "Listener":
        """The module."""
        return Listener(self)

    @property
    def wave(self) -> Wave:
        """What it hears."""
        return Wave(sample_rate=self.mel.sample_rate)

    @property
    def rate(self) -> Fraction:
        """Distributions per second."""
        return self.trunk.rate * SPLIT


class ListenerOutputs(NamedTuple):
    """Log-probabilities on the 20 ms clock; the trunk's frames, and the log-odds that somebody speaks, on the 40 ms
    clock."""

    ctc: Float[Tensor, "B T V"]
    frame: Float[Tensor, "B T V"]
    features: Float[Tensor, "B U D"]
    early: Float[Tensor, "B T V"] | None = None
    speech: Float[Tensor, "B U"] | None = None


@dataclass
class ListenerState(State):
    """Samples, mel frames and half-rate frames that are still seen, and the trunk's state."""

    mel: LogMelState
    first: Float[Tensor, "B M K"]
    second: Float[Tensor, "B D K"]
    trunk: ConformerState


class AsideHead(nn.Sequential):
    """Log-odds that a short sound is not meant for us, from the mean and the extremes of the trunk's features."""

    def __init__(self, dim: int, width: int) -> None:
        """Random weights."""
        super().__init__(
            nn.LayerNorm(3 * dim), nn.Linear(3 * dim, width), nn.Tanh(), nn.Dropout(0.2), nn.Linear(width, 1)
        )

    def forward(self, input: Float[Tensor, "B D3"]) -> Float[Tensor, " B"]:
        """Takes what `pool` gives."""
        return super().forward(input)[:, 0]


class SpeechHead(nn.Sequential):
    """Log-odds that somebody speaks in a frame of the trunk, whose frames know what is around them."""

    def __init__(self, dim: int, width: int) -> None:
        """Random weights."""
        super().__init__(nn.LayerNorm(dim), nn.Linear(dim, width), nn.GELU(), nn.Dropout(0.1), nn.Linear(width, 1))

    def forward(self, input: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
        """Frame by frame."""
        return super().forward(input)[..., 0]


def pool(features: Float[Tensor, "B U D"]) -> Float[Tensor, "B D3"]:
    """Mean, maximum and minimum over time."""
    return torch.cat((features.mean(1), features.amax(1), features.amin(1)), dim=1)


class ListenerTrunk(nn.Module):
    """Log-mel to the trunk's frames, 25 a second: what the heads of a `Listener` hear, and what units are made of."""

    def __init__(self, mel: LogMelConfig, trunk: ConformerConfig, mean: float, deviation: float) -> None:
        """``mean`` and ``deviation`` are those of log-mel values."""
        super().__init__()
        dim = trunk.dim
        self._mean, self._deviation = mean, deviation
        self.mel: LogMel = mel.build()
        self.down_1 = nn.Conv1d(mel.bins, dim, _KERNEL, _STRIDE)
        self.down_2 = nn.Conv1d(dim, dim, _KERNEL, _STRIDE)
        self.norm = nn.LayerNorm(dim)
        self.trunk = trunk.build()

    @property
    def timing(self) -> Timing:
        """A chunk of the trunk, in samples."""
        mel = self.mel.config
        return Timing(rate=Fraction(mel.sample_rate), hop=self.trunk.config.chunk * _STRIDE * _STRIDE * mel.hop)

    def _level(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B M T"]:
        return (mel - self._mean) / self._deviation

    def frames(
        self,
        mel: Float[Tensor, "B M T"],
        lengths: Int[Tensor, " B"] | None = None,
        chunk: int | None = None,
        tap: int | None = None,
    ) -> tuple[Float[Tensor, "B U D"], Float[Tensor, "B U D"]]:
        """Frames of log-mel frames (100/s) of whole utterances, whose ``lengths`` count mel frames; `Conformer.forward`
        says what ``chunk`` and ``tap`` are and what the second value is."""
        x = self._enter(mel)
        return self.trunk(x, None if lengths is None else -(-lengths // 4), chunk, tap=tap)

    def layers(self, mel: Float[Tensor, "B M T"]) -> tuple[Float[Tensor, "B U D"], ...]:
        """What goes into the trunk's first block and what comes out of each, where frames see all of the sound."""
        return tuple(self.trunk.each(self._enter(mel), None, 0))

    def _enter(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B U D"]:
        whole = -(-mel.shape[2] // 4) * 4 - mel.shape[2]
        x = F.pad(self._level(mel), (_KERNEL - _STRIDE, whole))
        x = F.gelu(self.down_1(x))
        x = F.gelu(self.down_2(F.pad(x, (_KERNEL - _STRIDE, 0))))
        return self.norm(x.transpose(1, 2))

    def init_state(self, rows: int) -> ListenerState:
        """Silence before the first sample."""
        like = self.down_1.weight
        past = _KERNEL - _STRIDE
        return ListenerState(
            self.mel.init_state(rows),
            zeros(rows, self.mel.config.bins, past, like=like),
            zeros(rows, self.trunk.config.dim, past, like=like),
            self.trunk.init_state(rows),
        )

    def step_frames(
        self, x: Float[Tensor, "B N"], state: ListenerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B U D"]:
        """Frames of the next samples; N must be a multiple of 640 (one frame) and is best a whole chunk (2560)."""
        before = state.clone() if active is not None else state
        mel = torch.cat((state.first, self._level(self.mel.step(x, state.mel))), dim=2)
        state.first.copy_(mel[:, :, mel.shape[2] - state.first.shape[2] :])
        half = torch.cat((state.second, F.gelu(self.down_1(mel))), dim=2)
        state.second.copy_(half[:, :, half.shape[2] - state.second.shape[2] :])
        frames = self.norm(F.gelu(self.down_2(half)).transpose(1, 2))
        frames = self.trunk.step(frames, state.trunk)
        state.keep(before, active)
        return frames


@final
class Listener(ListenerTrunk):
    """See the file's text."""

    def __init__(self, config: ListenerConfig) -> None:
        """Front end, trunk and heads."""
        super().__init__(config.mel, config.trunk, config.mean, config.deviation)
        self.config = config
        dim = config.trunk.dim
        self.ctc = Linear(dim, SPLIT * config.symbols)
        self.frame = Linear(dim, SPLIT * config.symbols)
        self.early = Linear(dim, SPLIT * config.symbols)
        self.aside = AsideHead(dim, config.aside) if config.aside else None
        self.speech = SpeechHead(dim, config.speech.width) if config.speech else None

    def _head(self, head: nn.Linear, x: Float[Tensor, "B U D"]) -> Float[Tensor, "B T V"]:
        scores = head(x).unflatten(-1, (SPLIT, -1)).flatten(1, 2)
        return scores.float().log_softmax(-1)

    def forward(
        self, mel: Float[Tensor, "B M T"], lengths: Int[Tensor, " B"] | None = None, chunk: int | None = None
    ) -> ListenerOutputs:
        """Log-mel frames (100/s) of whole utterances; see `Conformer.forward` for ``chunk``. Lengths count mel
        frames."""
        x, early = self.frames(mel, lengths, chunk, tap=self.config.trunk.layers // 2 - 1)
        given = self._head(self.early, early) if self.training else None
        return self._heard(x)._replace(early=given)

    def _heard(self, x: Float[Tensor, "B U D"]) -> ListenerOutputs:
        """What the heads make of the trunk's frames."""
        speech = None if self.speech is None else self.speech(x).float()
        return ListenerOutputs(self._head(self.ctc, x), self._head(self.frame, x), x, None, speech)

    def listen(self, wave: Float[Tensor, "B N"], chunk: int | None = 0) -> ListenerOutputs:
        """Waveforms at 16 kHz, whole; by default every frame sees the whole utterance."""
        return self(self.mel(F.pad(wave, (0, -wave.shape[1] % (4 * self.config.mel.hop)))), None, chunk)

    def step(
        self, x: Float[Tensor, "B N"], state: ListenerState, active: Bool[Tensor, " B"] | None = None
    ) -> ListenerOutputs:
        """The next samples; N must be a multiple of 640 (one trunk frame) and is best a whole chunk (2560)."""
        return self._heard(self.step_frames(x, state, active))
