"""What every judgement of turns has to beat: silence of some length ends a turn, any sound takes the floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vivavoce.core.streaming import State, Timing
from vivavoce.core.talk import Frame
from vivavoce.runtime.model import FRAME, RATE, Activity

_SPEECH = 0.5
"""Probability from which on somebody speaks."""


@dataclass
class TimerState(State):
    """The detector's state, and of every row: samples of silence since somebody spoke (-1: nobody has since we did),
    frames of speech in a row, and the place in the answer that is played (-1: none is)."""

    activity: Any
    silent: list[int]
    speech: list[int]
    at: list[int]


class SilenceTimer:
    """A `runtime.model.Duplex` that answers with recordings."""

    timing = Timing(rate=Fraction(RATE), hop=FRAME)

    def __init__(self, activity: Activity[Any], answers: dict[int, Any], milliseconds: float) -> None:
        """``answers`` by row, Float[N], may change between conversations; it answers after so much silence."""
        self._activity, self._answers, self._wait = activity, answers, milliseconds * RATE / 1000

    def init_state(self, rows: int) -> TimerState:
        """Nobody has spoken."""
        return TimerState(self._activity.init_state(rows), [-1] * rows, [0] * rows, [-1] * rows)

    def begin(self, state: TimerState, row: int, seed: int) -> None:
        """A new conversation."""
        state.activity.reset(torch.arange(len(state.at)) == row)
        state.silent[row], state.speech[row], state.at[row] = -1, 0, -1

    @torch.inference_mode()
    def step(
        self, heard: Float[Tensor, "B N"], state: TimerState, active: Bool[Tensor, " B"] | None = None
    ) -> list[Frame]:
        """A frame of the microphone in, one of the answer or of silence out."""
        on = torch.ones(len(heard), dtype=torch.bool) if active is None else active
        speaks = self._activity.step(heard, state.activity, on) >= _SPEECH
        return [
            Frame(self._row(state, row, bool(speaks[row])) if on[row] else torch.zeros(0)) for row in range(len(heard))
        ]

    def _row(self, state: TimerState, row: int, speaks: bool) -> Tensor:
        state.speech[row] = state.speech[row] + 1 if speaks else 0
        if state.speech[row] > 1:  # one frame alone is a click
            state.silent[row], state.at[row] = 0, -1
        elif state.silent[row] >= 0:
            state.silent[row] += FRAME
        if state.silent[row] >= self._wait and state.at[row] < 0:
            state.silent[row], state.at[row] = -1, 0
        sound, at = torch.zeros(FRAME), state.at[row]
        if at >= 0:
            piece = torch.as_tensor(self._answers[row][at : at + FRAME])
            sound[: len(piece)] = piece
            state.at[row] = at + FRAME if at + FRAME < len(self._answers[row]) else -1
        return sound


def calibrated(measured: Sequence[float], wanted: float, milliseconds: float) -> float:
    """The silence after which a timer answers as late as ``wanted`` in the median, from what was ``measured`` with
    ``milliseconds`` of silence; both latencies in milliseconds."""
    middle = float(torch.tensor(list(measured)).median()) if measured else wanted
    return max(40.0, milliseconds + wanted - middle)
