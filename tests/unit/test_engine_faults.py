"""What cannot be said silences nobody else."""

import threading
from dataclasses import replace

import numpy as np
import torch

from vivavoce.core.errors import TextError, VoiceError
from vivavoce.core.talk import Entry
from vivavoce.core.voice import Voice
from vivavoce.runtime import api
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.fake import Beeping, BeepState, ToneHearing, decode, fake_model, utter
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


class Mute(Beeping):
    """Is given voices and texts that it breaks on while it is being fed, not while it speaks."""

    def begin(self, state, row, voice, seed):
        if "nobody" in voice.description:
            raise VoiceError("nobody sounds like that")
        super().begin(state, row, voice, seed)

    def feed(self, state, row, text, last):
        if "#" in text:
            raise RuntimeError("not foreseen")
        super().feed(state, row, text, last)


def test_what_nobody_foresaw_ends_one_reply_and_not_the_clock():
    engine = LiveEngine(replace(fake_model(), speaking=Mute()), rows=3, threads=0)
    nobody = api.SessionConfig(turns=api.TurnConfig(kind="none"), voice=Voice.described("nobody"))
    seats = [engine.sit(nobody), *(engine.sit(replace(nobody, voice=Voice())) for _ in range(2))]
    for seat, text in zip(seats, ("hello.", "# and", "well met."), strict=True):
        seat.push(api.Respond(api.ReplyOptions(recite=text)))
    while engine.step():
        pass
    heard = [outputs(seat) for seat in seats]
    ends = [[o for o in found if isinstance(o, api.TurnEnded)] for found in heard]
    assert [[end.why for end in found] for found in ends] == [["failed"], ["failed"], ["completed"]]
    assert ends[0][0].error == "nobody sounds like that" and "RuntimeError" in ends[1][0].error
    seats[1].push(api.Respond(api.ReplyOptions(recite="better.")))
    while engine.step():
        pass
    assert any(isinstance(o, api.TurnEnded) and o.why == "completed" for o in outputs(seats[1]))


def test_half_a_character_is_counted_and_breaks_nothing():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(api.SessionConfig(turns=api.TurnConfig(kind="none"), audio_out=False))
    seat.push(api.Add(Entry(id="odd", text="\ud800")))
    seat.push(api.Respond())
    while engine.step():
        pass
    assert any(isinstance(o, api.TurnEnded) and o.why == "completed" for o in outputs(seat))


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


class Pensive(ToneHearing):
    """Takes its time over recordings, not over rows."""

    def __init__(self):
        self.may = threading.Event()

    def finish(self, state, row):
        if state.seats.shape[0] == 1:
            assert self.may.wait(60)
        return super().finish(state, row)


def wait_for(seat: Seat, kind: type) -> api.Output:
    came = threading.Event()
    seat.notify = came.set
    while True:
        while seat.outputs:
            output = seat.read()
            if isinstance(output, kind):
                return output
        assert came.wait(60)
        came.clear()


def test_nobody_waits_for_somebody_elses_recording():
    hearing = Pensive()
    engine = LiveEngine(replace(fake_model(), hearing=hearing), rows=2)
    try:
        config = api.SessionConfig(turns=api.TurnConfig(kind="none"), audio_out=False)
        first, second = engine.sit(config), engine.sit(config)
        sound = (utter("by letter.") * 32767).astype(np.int16)
        first.push(api.Add(Entry(id="a", spoken=True, audio=sound, samples=len(sound))))
        first.push(api.Respond())
        second.push(api.Respond(api.ReplyOptions(recite="good evening.")))
        engine.wake()
        assert wait_for(second, api.TurnEnded).why == "completed"
        assert not any(isinstance(output, api.EntryAdded) for output in first.outputs)
        hearing.may.set()
        assert wait_for(first, api.TextOut).delta == "you said: "
        assert wait_for(first, api.TextOut).delta == "by letter."
    finally:
        hearing.may.set()
        engine.stop()
