"""Detectors of speech for every row at once: Silero's small network with state that we own, and plain loudness.

The package ``silero-vad`` carries its weights as safetensors. Its own module keeps the state of one stream inside
itself; here the same network (a test gives it the weights of theirs and compares) takes 40 ms at 24 kHz for all rows
and keeps the state in a `State`.
"""

import importlib.util
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import MissingExtra
from vivavoce.core.streaming import State, zeros

WINDOW, CONTEXT = 512, 64
TAPS = 48


@cache
def _lowpass() -> Tensor:
    """Taps that keep what 16 kHz can hold: a windowed sinc at 48 kHz."""
    n = torch.arange(-TAPS, TAPS + 1, dtype=torch.float64)
    return (2 / 3 * torch.sinc(n / 3) * 0.5 * (1 + torch.cos(math.pi * n / (TAPS + 1)))).float()


@dataclass
class ActivityState(State):
    """What a row remembers: samples for resampling, samples not seen yet, and the network's memory."""

    before: Float[Tensor, "B P"]
    buffer: Float[Tensor, "B N"]
    filled: Tensor
    context: Float[Tensor, "B W"]
    hidden: Float[Tensor, "B D"]
    cell: Float[Tensor, "B D"]
    last: Float[Tensor, " B"]


class SileroActivity(nn.Module):
    """Probability of speech per frame of 40 ms, by Silero's network."""

    def __init__(self, weights: Path | None = None) -> None:
        """Reads the packaged weights."""
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)
        self.load_state_dict(load_file(weights or packaged_weights()))
        self.eval().requires_grad_(False)

    def init_state(self, rows: int) -> ActivityState:
        """Fresh rows."""
        like = self.final_conv.bias
        assert like is not None
        return ActivityState(
            before=zeros(rows, TAPS, like=like),
            buffer=zeros(rows, 2 * WINDOW + 256, like=like),
            filled=torch.zeros(rows, dtype=torch.long),
            context=zeros(rows, CONTEXT, like=like),
            hidden=zeros(rows, 128, like=like),
            cell=zeros(rows, 128, like=like),
            last=zeros(rows, like=like),
        )

    def step(self, pcm: Float[Tensor, "B N"], state: ActivityState, active: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
        """The highest probability among the windows that this frame completes, or the last one if it completes
        none."""
        rows = active.nonzero()[:, 0]
        if not len(rows):
            return torch.zeros(len(active))
        low = self._resample(pcm[rows], rows, state)
        count = low.shape[1]
        place = state.filled[rows][:, None] + torch.arange(count)
        state.buffer[rows[:, None], place] = low
        state.filled[rows] += count
        fresh = torch.full((len(active),), -1.0)
        while len(ready := rows[state.filled[rows] >= WINDOW]):
            fresh[ready] = torch.maximum(fresh[ready], self._window(ready, state))
        state.last[rows] = torch.where(fresh[rows] >= 0, fresh[rows], state.last[rows])
        return torch.where(active, state.last, 0.0)

    def _resample(self, pcm: Tensor, rows: Tensor, state: ActivityState) -> Tensor:
        """24 to 16 kHz: two output samples for every three, by polyphase filtering with a millisecond of delay."""
        x = torch.cat([state.before[rows], pcm], dim=1)
        state.before[rows] = x[:, -TAPS:]
        up = torch.zeros(x.shape[0], 2 * x.shape[1])
        up[:, ::2] = 2 * x
        # at 48 kHz the kept history is 2 * TAPS long: the filter reaches exactly over it
        return F.conv1d(up[:, None], _lowpass()[None, None] / 2, stride=3)[:, 0, : pcm.shape[1] * 2 // 3]

    def _window(self, rows: Tensor, state: ActivityState) -> Tensor:
        window = state.buffer[rows, :WINDOW]
        rest = state.buffer[rows, WINDOW:].clone()
        state.buffer[rows, : rest.shape[1]] = rest
        state.filled[rows] -= WINDOW
        x = torch.cat([state.context[rows], window], dim=1)
        state.context[rows] = window[:, -CONTEXT:]
        x = self.stft_conv(F.pad(x[:, None], (0, 64), mode="reflect"))
        x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(x).relu()
        hidden, cell = self.lstm_cell(x.squeeze(-1), (state.hidden[rows], state.cell[rows]))
        state.hidden[rows], state.cell[rows] = hidden, cell
        return self.final_conv(hidden[..., None].relu()).sigmoid().mean(dim=(1, 2))


def packaged_weights() -> Path:
    """The weight file inside the installed package, found without importing it (importing changes torch's threads)."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("Turn detection needs the package silero-vad; install it with: pip install silero-vad")
    return Path(spec.submodule_search_locations[0]) / "data" / "silero_vad_16k.safetensors"


@dataclass
class LoudnessState(State):
    """Nothing is remembered; the leaf only says how many rows there are."""

    seats: Float[Tensor, " B"]


class Loudness:
    """Speech is whatever is louder than a level: for tests and for the scripted engine."""

    def __init__(self, level: float = 0.01) -> None:
        """The root mean square from which on it counts as speech."""
        self.level = level

    def init_state(self, rows: int) -> LoudnessState:
        """Fresh rows."""
        return LoudnessState(torch.zeros(rows))

    def step(self, pcm: Float[Tensor, "B N"], state: LoudnessState, active: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
        """1 where it is loud."""
        loud = (pcm.square().mean(dim=1).sqrt() > self.level).float()
        return torch.where(active, loud, 0.0)
