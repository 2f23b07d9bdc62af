"""The state machine of turns, explored to a depth: every order of what a room, a model and a client can do to it."""

from collections.abc import Iterator
from itertools import product

import pytest

from vivavoce.runtime import turn_events as t
from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.model import FRAME
from vivavoce.runtime.turns import Turns

VOICE, HUSH, ECHO = t.MicFrame(0.9, 0.0, -20.0), t.MicFrame(0.0, 0.0, -70.0), t.MicFrame(0.9, 0.9, -30.0)
DEEDS: dict[str, tuple[t.Event, ...]] = {
    "a voice": (VOICE,) * 16,
    "a breath": (VOICE, VOICE, HUSH),
    "silence": (HUSH,) * 12,
    "our echo": (ECHO,) * 6,
    "done": (t.Judged(0.95, 3, 0.0, whole=True),),
    "a hum": (t.Judged(0.5, 0, 0.9, whole=True),),
    "nobody": (t.Judged(1.0, 0, 0.5, whole=True, speech=0.0),),
    "taken": (t.InputTaken(),),
    "we answer": (),
}


def happens(deeds: tuple[str, ...], kind: str, patient: bool) -> Iterator[t.Action | t.InputTaken | str]:
    """What is done, one after the other; where the client takes the input away, and after each deed its name."""
    machine, now, turn = Turns(TurnConfig(kind=kind), patient=patient), 0, 0  # type: ignore[arg-type]
    for deed in deeds:
        if deed == "we answer":
            turn += 1
            machine.answer_began(turn)
            machine.playback.grew(turn, 30 * FRAME)
            machine.playback.made_whole(turn)
        for event in DEEDS[deed]:
            now += FRAME * isinstance(event, t.MicFrame)
            if isinstance(event, t.InputTaken):
                yield event
            yield from machine.on(event, now)
        yield deed


FEWER = [deed for deed in DEEDS if deed not in ("our echo", "taken")]


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize(
    ("kind", "deeds", "depth"), [("semantic_vad", [*DEEDS], 3), ("semantic_vad", FEWER, 4), ("server_vad", FEWER, 3)]
)
def test_whatever_happens_turns_are_taken_in_order(kind: str, deeds: list[str], depth: int, patient: bool) -> None:
    for done in product(deeds, repeat=depth):
        floor, judged, paused, dropped, before = False, False, 0, set[int](), None
        for action in happens(done, kind, patient):
            match action:
                case "a voice":
                    assert not (judged and floor), f"{done}: what was heard before counts still"
                case str():
                    continue
                case t.InputTaken():
                    floor = judged = False
                case t.SpeechStarted():
                    assert not floor, done
                    floor = True
                case t.SpeechStopped():
                    assert floor, done
                    floor = False
                case t.CommitInput():
                    assert isinstance(before, t.SpeechStopped), done
                    judged = False
                case t.BeginReply():
                    assert isinstance(before, t.CommitInput), done
                case t.Judge():
                    assert not judged, done
                    judged = True
                case t.Discard() | t.Forget():
                    judged = False
                case t.Prepare():
                    assert judged and floor, done
                case t.Pause(turn):
                    assert not paused and turn not in dropped, done
                    paused = turn
                case t.Resume(turn):
                    assert paused == turn, done
                    paused = 0
                case t.Cut(turn, heard) | t.Withdraw(turn, heard):
                    assert floor and turn not in dropped and 0 <= heard <= 30 * FRAME, done
                    dropped.add(turn)
                    paused = 0 if paused == turn else paused
                case _:
                    pass
            before = action
