"""Ears whose words take longer than the silence: the end of a turn waits for them, the clock does not."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np

from vivavoce.core.talk import Heard, Say, Thought, Word
from vivavoce.runtime import api
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import ToneHearing, fake_model, utter
from vivavoce.runtime.model import RATE, Context


class Held(ToneHearing):
    """Ears whose words come when they are told to."""

    def __init__(self) -> None:
        self.asked: list[Future[Heard]] = []
        self.alone = ToneHearing()

    def begun(self, state: Any, row: int) -> Future[Heard]:
        self.asked.append(Future())
        return self.asked[-1]


def begun(kind: str = "server_vad") -> tuple[LiveEngine, Any, Held]:
    held = Held()
    engine = LiveEngine(replace(fake_model(), hearing=held), rows=1, threads=0)
    return engine, engine.sit(SessionConfig(turns=TurnConfig(kind=kind))), held


def settle(engine: LiveEngine, seat: Any) -> list[Any]:
    while engine.step():
        pass
    found = []
    while seat.outputs:
        found.append(seat.read())
    return found


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def test_a_turn_ends_when_its_words_are_there():
    engine, seat, held = begun()
    seat.push(api.AudioIn(np.concatenate([silence(0.3), utter("hello there."), silence(3)])))
    outputs = settle(engine, seat)
    assert seat.conversation.user.microphone.waiting < 960, "the clock waited"
    assert not any(isinstance(o, api.Committed) for o in outputs)
    held.asked[-1].set_result(Heard((Word("hi", 0, 2400),), 0.9))
    outputs = settle(engine, seat)  # the microphone need not give more for it
    assert [o.text for o in outputs if isinstance(o, api.UserText) and o.final] == ["hi"]


def test_who_speaks_on_meanwhile_is_heard_anew():
    engine, seat, held = begun()
    for text in ("hello", "there."):
        seat.push(api.AudioIn(np.concatenate([silence(0.3), utter(text), silence(0.6)])))
        settle(engine, seat)
    assert len(held.asked) == 2 and held.asked[0].cancelled()
    held.asked[1].set_result(Heard((Word("both", 0, 2400),), 0.9))
    seat.push(api.AudioIn(silence(0.2)))
    assert [o.text for o in settle(engine, seat) if isinstance(o, api.UserText) and o.final] == ["both"]


def test_ears_that_break_end_the_turn_and_say_so():
    engine, seat, held = begun()
    seat.push(api.AudioIn(np.concatenate([silence(0.3), utter("hello."), silence(1)])))
    settle(engine, seat)
    held.asked[-1].set_exception(RuntimeError("out of order"))
    outputs = settle(engine, seat)
    seat.push(api.AudioIn(silence(0.2)))
    outputs += settle(engine, seat)
    assert [o.code for o in outputs if isinstance(o, api.Refused)] == ["server_error"]
    assert any(isinstance(o, api.Committed) for o in outputs)
    assert not any(isinstance(o, api.TurnStarted) for o in outputs)


def test_a_commit_by_hand_waits_and_so_does_what_comes_after_it():
    engine, seat, held = begun("none")
    seat.push(api.AudioIn(utter("hello.")))
    seat.push(api.Commit())
    seat.push(api.Respond())
    outputs = settle(engine, seat)
    assert not any(isinstance(o, api.Committed | api.TurnStarted) for o in outputs)
    held.asked[-1].set_result(Heard((Word("hello", 0, 2400),), 0.9))
    kinds = [type(o) for o in settle(engine, seat)]
    assert kinds.index(api.Committed) < kinds.index(api.TurnStarted)


class Reader:
    """A mind that notes what it reads ahead and when it answers."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.may, self.reads = Event(), Event()

    def read(self, context: Context) -> Iterator[None]:
        self.reads.set()
        assert self.may.wait(60)
        yield
        self.did.append(f"read {context.instructions} {len(context.entries)}")

    def respond(self, context: Context) -> Iterator[Thought]:
        self.did.append(f"answered {len(context.entries)}")
        yield Say("yes.")


async def test_a_reply_begins_once_what_it_begins_with_was_read() -> None:
    mind = Reader()
    engine = LiveEngine(replace(fake_model(), thinking=mind), rows=1)
    try:
        session = await engine.open(SessionConfig(instructions="first"))
        assert await asyncio.to_thread(mind.reads.wait, 60)
        await session.send(api.Configure(SessionConfig(instructions="second", reply_to_text=True)))
        await session.send(api.TextIn("hello"))
        async with asyncio.timeout(60):
            async for output in session.events():
                if isinstance(output, api.TurnStarted):
                    assert not mind.did
                    mind.may.set()
                if isinstance(output, api.TurnEnded):
                    break
        assert mind.did == ["read second 0", "answered 1"], "what was replaced is not read on"
        await session.close()
    finally:
        engine.stop()
