"""A long short-term memory over time, added to its input (SEANet's bottleneck in EnCodec, arXiv:2210.13438 §3.1)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.nn.conv import settle


@dataclass
class LstmState(State):
    """Of every layer: what it gave last, and its memory."""

    hidden: Float[Tensor, "B L D"]
    memory: Float[Tensor, "B L D"]


@final
class ResidualLstm(nn.Module):
    """So many layers as wide as the input."""

    def __init__(self, dim: int, layers: int) -> None:
        """Weights as in ``torch.nn.LSTM``."""
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, layers, batch_first=True)

    @property
    def timing(self) -> Timing:
        """A tick for a tick."""
        return Timing(rate=Fraction(1))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """All ticks at once."""
        return self.lstm(x.transpose(1, 2))[0].transpose(1, 2) + x

    def init_state(self, rows: int) -> LstmState:
        """Nothing remembered."""
        layers, dim, like = self.lstm.num_layers, self.lstm.hidden_size, next(self.parameters())
        return LstmState(zeros(rows, layers, dim, like=like), zeros(rows, layers, dim, like=like))

    def step(
        self, x: Float[Tensor, "B D T"], state: LstmState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """The next ticks."""
        if not x.shape[2]:
            return x
        before = state.hidden.transpose(0, 1).contiguous(), state.memory.transpose(0, 1).contiguous()
        made, (hidden, memory) = self.lstm(x.transpose(1, 2), before)
        settle(state.hidden, hidden.transpose(0, 1), active)
        settle(state.memory, memory.transpose(0, 1), active)
        return made.transpose(1, 2) + x


@final
class ResidualBilstm(nn.Module):
    """Forwards and backwards side by side, twice as wide as the input; for whole recordings only."""

    def __init__(self, dim: int, layers: int) -> None:
        """Weights as in ``torch.nn.LSTM``."""
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, layers, batch_first=True, bidirectional=True)

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B E T"]:
        """All ticks."""
        return self.lstm(x.transpose(1, 2))[0].transpose(1, 2) + torch.cat((x, x), dim=1)


@final
class PaddedBilstm(nn.Module):
    """Forwards and backwards over rows of different lengths, half of the output's width each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """One layer; weights as in ``torch.nn.LSTM``."""
        super().__init__()
        self.lstm = nn.LSTM(inputs, outputs // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Float[Tensor, "B T D"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T E"]:
        """Padding is 0 in what comes out, and nothing depends on it."""
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
