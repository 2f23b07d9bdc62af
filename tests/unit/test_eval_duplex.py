"""Who speaks when, from two channels of sound: with models whose behaviour is known."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core.talk import Frame
from vivavoce.evals.duplex import DuplexSuite, Outcome, at_once, fluent, rows_of, run
from vivavoce.evals.scenes import Kind, Scene
from vivavoce.evals.silence_timer import SilenceTimer, TimerState, calibrated
from vivavoce.runtime.activity import Loudness
from vivavoce.runtime.fake import ToneHearing, utter
from vivavoce.runtime.model import FRAME, RATE, Pcm

QUESTION, HUM = utter("a large latte."), utter("mm")
ANSWER = 0.1 * np.ones(6 * RATE, np.float32)


def scene(kind: Kind, intrusion: Pcm | None = None, rest: Pcm | None = None, pause_ms: int = 0) -> Scene:
    return Scene(
        kind=kind, question=QUESTION, answer=ANSWER, rest=rest, pause=pause_ms * 24, intrusion=intrusion, hiss=0.0
    )


SCENES = [
    scene("pause", rest=utter("with milk."), pause_ms=600),
    scene("order"),
    scene("backchannel", HUM),
    scene("interruption", utter("stop it please.")),
]


def timer(milliseconds: float, todo: Sequence[Scene] = SCENES) -> dict[Kind, Outcome]:
    answers: dict[int, Pcm] = {}
    model = SilenceTimer(Loudness(0.02), answers, milliseconds)
    return {one.kind: one for one in at_once(model, answers, todo, rows=2, seed=0)}


def test_a_silence_timer_is_quick_and_wrong_or_slow_and_right() -> None:
    quick, slow = timer(400.0), timer(1000.0)
    assert quick["pause"].took_over and not slow["pause"].took_over
    gap = {name: found["order"].gap for name, found in (("quick", quick), ("slow", slow))}
    assert gap["quick"] is not None and gap["slow"] is not None
    assert gap["slow"] - gap["quick"] == 600 * 24  # as much later as it waits longer
    for found in (quick, slow):
        assert found["interruption"].stopped is not None and found["interruption"].again is not None
        assert found["backchannel"].stopped is not None  # any sound stops it
    assert calibrated([gap["quick"] / 24], gap["slow"] / 24, 400.0) == 1000


class Nodding(SilenceTimer):
    """Says 0.2 s of something while the user speaks, and never anything else."""

    def step(self, heard: Float[Tensor, "B N"], state: TimerState, active: Tensor | None = None) -> list[Frame]:
        found = []
        for row in range(len(heard)):
            state.at[row] += 1
            found.append(Frame(torch.full((FRAME,), 0.1 if 15 <= state.at[row] < 20 else 0.0)))
        return found


def test_a_sign_of_listening_takes_no_floor_and_who_says_nothing_takes_no_turn() -> None:
    found = at_once(Nodding(Loudness(), {}, 0.0), {}, SCENES, rows=2, seed=0)
    assert [one.listening for one in found] == [1] * 4 and not any(one.took_over for one in found)
    assert [one.gap for one in found] == [None] * 4 and not any(one.intruded for one in found)
    rows = {row.name: row for row in rows_of(found)}
    assert rows["turns taken within 5 s"].shown().startswith("0.0 %")
    assert rows["interruptions: stopped"].shown() == "not measured"


def test_the_turn_machine_stands_beside_a_timer_that_is_as_late() -> None:
    suite = DuplexSuite(rows=2, model=Nodding(Loudness(), {}, 0.0), name="nodding")
    report = run(suite, Loudness(0.02), ToneHearing(), SCENES[1:])
    names = [table.title for table in report.tables]
    assert names[0] == "the turn machine" and names[1].startswith("a silence timer of") and names[2] == "nodding"
    late = [next(row.value for row in table.rows if "end of the user" in row.name) for table in report.tables]
    assert late[0] is not None and late[1] is not None
    assert abs(late[0].value - late[1].value) <= 40
    stopped = [
        next(row.shown() for row in table.rows if row.name.startswith("interruptions: s")) for table in report.tables
    ]
    assert stopped[0].startswith("100.0 %") and stopped[1].startswith("100.0 %")


def test_a_model_stands_beside_a_timer_that_is_as_late_as_itself() -> None:
    answers: dict[int, Pcm] = dict.fromkeys(range(2), ANSWER)
    suite = DuplexSuite(rows=2, model=SilenceTimer(Loudness(0.02), answers, 1520.0), name="patient")
    report = run(suite, Loudness(0.02), ToneHearing(), SCENES[1:2])
    assert [table.title for table in report.tables][2:] == [
        "patient", "a silence timer of 1520 ms, as late as patient",
    ]  # fmt: skip
    late = [next(row.value for row in table.rows if "end of the user" in row.name) for table in report.tables]
    assert late[1] is not None and late[2] is not None and late[3] is not None
    assert late[2].value == late[3].value > late[1].value + 500
    assert report.about["duplex_silence_ms"] == 1520


def test_recorded_answers_have_no_long_pauses() -> None:
    voice = 0.1 * np.ones(RATE, np.float32)
    made = fluent(np.concatenate([voice, np.zeros(2 * RATE, np.float32), voice]))
    assert len(made) == 2 * RATE + RATE // 5
