"""What cannot be said silences nobody else."""

from dataclasses import replace

import numpy as np
import torch

from vivavoce.core.errors import TextError
from vivavoce.runtime import api
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.fake import Beeping, BeepState, decode, fake_model
from vivavoce.runtime.model import Spoken


class Fussy(Beeping):
    """Breaks, for all rows at once, when a row is to say "#"."""

    def step(self, state: BeepState, active: torch.Tensor) -> list[Spoken | None]:
        if any(on and "#" in todo for on, todo in zip(active.tolist(), state.todo, strict=True)):
            raise TextError("'#' cannot be said; write it out")
        return super().step(state, active)


def outputs(seat: Seat) -> list[api.Output]:
    found = []
    while seat.outputs:
        found.append(seat.read())
    return found


def test_a_text_that_cannot_be_said_ends_its_own_reply_only():
    engine = LiveEngine(replace(fake_model(), speaking=Fussy()), rows=3, threads=0)
    config = api.SessionConfig(turns=api.TurnConfig(kind="none"))
    seats = [engine.sit(config) for _ in range(3)]
    for seat, text in zip(seats, ("good evening.", "#", "well met."), strict=True):
        seat.push(api.Respond(api.ReplyOptions(recite=text)))
    heard: list[list[api.Output]] = [[], [], []]
    while engine.step():
        for number, seat in enumerate(seats):
            heard[number] += outputs(seat)
    for number, seat in enumerate(seats):
        heard[number] += outputs(seat)
    ends = [next(o for o in found if isinstance(o, api.TurnEnded)) for found in heard]
    assert [end.why for end in ends] == ["completed", "failed", "completed"]
    assert ends[1].error == "'#' cannot be said; write it out"
    for found, text in ((heard[0], "good evening."), (heard[2], "well met.")):
        sound = np.concatenate([o.pcm for o in found if isinstance(o, api.AudioOut)])
        assert decode(sound) == text
