"""Processes beside the clock: what they share, how they stream, what happens when they break."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Iterator
from functools import partial
from threading import Lock

import pytest

from vivavoce.core.errors import ToolError, VivavoceError
from vivavoce.runtime import api
from vivavoce.runtime.beside import ForkedWorkers, Lane, go_on
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import fake_model, utter
from vivavoce.runtime.model import FRAME


class Heavy:
    """Something that cannot be sent, as a model would not be."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.made = 0

    def double(self, number: int) -> int:
        with self.lock:
            return 2 * number

    def count(self) -> Iterator[int]:
        while True:
            self.made += 1
            yield self.made

    def fail(self, message: str) -> int:
        raise ToolError(message)


def unsendable() -> None:
    class Odd(Exception):
        pass

    raise Odd("only known here")


@pytest.fixture
def beside() -> Iterator[tuple[ForkedWorkers, Heavy]]:
    heavy = Heavy()
    made = ForkedWorkers((heavy,), 1)
    yield made, heavy
    made.stop()


def test_a_conversation_stays_with_the_process_that_remembers_it() -> None:
    there = ForkedWorkers((), 3)
    try:
        homes = {name: next(there.iterate(os.getpid, about=name)) for name in "ab"}
        assert homes["a"] != homes["b"]
        assert there.call(os.getpid) not in homes.values()
        assert [next(there.iterate(os.getpid, about=name)) for name in "baab"] == [homes[name] for name in "baab"]
    finally:
        there.stop()


def test_shared_objects_are_named_and_not_sent(beside: tuple[ForkedWorkers, Heavy]) -> None:
    there, heavy = beside
    assert there.call(partial(heavy.double, 21)) == 42
    assert there.call(os.getpid) != os.getpid()


def test_a_stream_that_is_closed_ends_and_the_process_goes_on(beside: tuple[ForkedWorkers, Heavy]) -> None:
    there, heavy = beside
    stream = there.iterate(heavy.count)
    assert [next(stream), next(stream)] == [1, 2]
    stream.close()
    assert there.call(partial(heavy.double, 1)) == 2
    assert heavy.made == 0


def test_errors_come_back_as_what_they_were_or_as_ours(beside: tuple[ForkedWorkers, Heavy]) -> None:
    there, heavy = beside
    with pytest.raises(ToolError, match="no such tool"):
        there.call(partial(heavy.fail, "no such tool"))
    with pytest.raises(VivavoceError, match="Odd: only known here"):
        there.call(unsendable)
    assert there.call(partial(heavy.double, 2)) == 4


def test_a_process_that_dies_is_replaced(beside: tuple[ForkedWorkers, Heavy]) -> None:
    there, heavy = beside
    with pytest.raises(VivavoceError, match="ask again"):
        there.call(partial(os.kill, there.call(os.getpid), signal.SIGKILL))
    assert there.call(partial(heavy.double, 3)) == 6


async def test_a_conversation_is_heard_and_answered_from_there() -> None:
    engine = LiveEngine(fake_model(), rows=1, forked=True)
    try:
        session = await engine.open(api.SessionConfig(turns=api.TurnConfig(silence_duration_ms=200)))
        sound = utter("hello.")
        for begin in range(0, len(sound) - FRAME, FRAME):
            await session.send(api.AudioIn(sound[begin : begin + FRAME]))
        for _ in range(30):
            await session.send(api.AudioIn(sound[:FRAME] * 0))
        heard, said = "", ""
        async with asyncio.timeout(60):
            async for output in session.events():
                heard += output.delta if isinstance(output, api.UserText) else ""
                said += output.delta if isinstance(output, api.TextOut) else ""
                if isinstance(output, api.TurnEnded):
                    break
        assert heard.strip() == "hello." and said
        await session.close()
    finally:
        engine.stop()


class Long:
    """Work of many steps that says how far it is."""

    def __init__(self) -> None:
        self.began, self.ended = multiprocessing.Event(), multiprocessing.Event()

    def work(self) -> str:
        self.began.set()
        try:
            while True:
                go_on()
        finally:
            self.ended.set()


@pytest.mark.parametrize("forked", [True, False])
def test_what_only_shows_something_early_makes_way(forked: bool) -> None:
    long = Long()
    lane = Lane(long, forked)
    try:
        early = lane.submit(long.work, spare=True)
        assert long.began.wait(60) and not lane.idle
        assert lane.submit(partial(max, 1, 2)).result(60) == 2
        assert early.cancelled() and long.ended.is_set()
    finally:
        lane.stop()


@pytest.mark.parametrize("forked", [True, False])
def test_who_does_not_wait_any_more_holds_up_nobody(forked: bool) -> None:
    long = Long()
    lane = Lane(long, forked)
    try:
        dropped, waiting = lane.submit(long.work), lane.submit(partial(max, 3, 4))
        assert long.began.wait(60) and not waiting.done()
        assert dropped.cancel()
        assert waiting.result(60) == 4 and long.ended.is_set()
        with pytest.raises(VivavoceError, match="Odd"):
            lane.submit(unsendable if forked else partial(long_fails, "Odd")).result(60)
    finally:
        lane.stop()


def long_fails(message: str) -> None:
    raise VivavoceError(message)
