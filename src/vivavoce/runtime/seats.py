"""Who holds a conversation: a fixed number of seats, inputs that wait there for the clock, outputs for their reader."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from vivavoce.core.errors import CapacityError
from vivavoce.runtime.api import AudioOut, Framed, Input, Output
from vivavoce.runtime.inbox import Inbox
from vivavoce.runtime.listening import Microphone
from vivavoce.runtime.stats import Stats

MOST_WAITING_AUDIO = 10 * 24_000
"""Samples that may wait for a slow client before we stop making more."""
MOST_WAITING_EVENTS = 1000
MOST_BACKLOG = 600 * 24_000
"""Samples that a client may send ahead of us before it is refused."""


class Talk(Protocol):
    """Whatever kind of conversation sits on a seat."""

    @property
    def inbox(self) -> Inbox:
        """Where inputs are put."""
        ...

    @property
    def microphone(self) -> Microphone:
        """Where their sound goes."""
        ...

    def pull(self, slow: Callable[[], bool]) -> bool:
        """Looks at what came."""
        ...

    def close(self) -> None:
        """Stops replies and hearing; no more outputs are given."""
        ...


TalkT = TypeVar("TalkT", bound=Talk)


class Outbox:
    """Outputs that wait for their reader, on another thread."""

    def __init__(self) -> None:
        """Nothing to read."""
        self.outputs: deque[Output] = deque()
        self.waiting_audio = 0
        self.notify: Callable[[], None] = lambda: None
        """Called when there is output."""

    def emit(self, output: Output) -> None:
        """Something happened."""
        self.waiting_audio += _samples(output)
        self.outputs.append(output)
        self.notify()

    def read(self) -> Output:
        """The next output."""
        output = self.outputs.popleft()
        self.waiting_audio -= _samples(output)
        return output

    @property
    def slow(self) -> bool:
        """Whether the reader has so much to read that nothing more should be made."""
        return self.waiting_audio > MOST_WAITING_AUDIO or len(self.outputs) > MOST_WAITING_EVENTS


def _samples(output: Output) -> int:
    """How much sound an output carries."""
    return len(output.pcm) if isinstance(output, AudioOut | Framed) and output.pcm is not None else 0


class Seat(Outbox, Generic[TalkT]):
    """A conversation on a row."""

    def __init__(self, index: int, begin: Callable[[Callable[[Output], None]], TalkT]) -> None:
        """Takes the row of this number; ``begin`` makes the conversation, given where outputs go."""
        super().__init__()
        self.index, self.conversation = index, begin(self.emit)
        self.closed: Callable[[], object] = lambda: None
        self.last_frame: float | None = None

    @property
    def backlog(self) -> int:
        """What waits, in samples: inputs that have to be followed, as `inbox.weight` has it, and sound to be heard."""
        return self.conversation.inbox.backlog + self.conversation.microphone.waiting

    def push(self, event: Input) -> None:
        """An input for the next step."""
        self.conversation.inbox.put(event)

    def pull(self) -> bool:
        """Hands what came to the conversation and lets it work; says whether anything came."""
        return self.conversation.pull(lambda: self.slow)


class Seats(Generic[TalkT]):
    """So many seats; conversations come and go between the steps of the clock."""

    def __init__(self, count: int, stats: Stats, wake: Callable[[], None]) -> None:
        """All free."""
        self.count, self._stats, self.wake = count, stats, wake
        self.taken: dict[int, Seat[TalkT]] = {}
        self._free = deque(range(count))
        self._coming: deque[Seat[TalkT]] = deque()
        self._leaving: deque[Seat[TalkT]] = deque()
        self._lock = threading.Lock()
        self._ended = False

    def __len__(self) -> int:
        """How many are not free."""
        return self.count - len(self._free)

    def sit(self, begin: Callable[[int, Callable[[Output], None]], TalkT], now: float | None) -> Seat[TalkT]:
        """A seat for the conversation that is begun on that row; CapacityError when all are taken or the clock has
        stopped."""
        with self._lock:
            if self._ended:
                raise CapacityError("The engine has been stopped; make another one.")
            if not self._free:
                self._stats.refused += 1
                raise CapacityError(f"All {self.count} conversations are taken; try again when one has ended.")
            index = self._free.popleft()
            self._stats.opened += 1
        seat = Seat(index, partial(begin, index))
        seat.last_frame = now
        self._coming.append(seat)
        self.wake()
        return seat

    def leave(self, seat: Seat[TalkT]) -> None:
        """Gives a seat back from any thread; the clock frees its row and then calls ``seat.closed``."""
        with self._lock:
            ended = self._ended
            if not ended:
                self._leaving.append(seat)
        if ended:
            seat.closed()
        self.wake()

    def end(self) -> None:
        """The clock has stopped: nobody who leaves, now or later, has to wait for it."""
        with self._lock:
            self._ended = True
            leaving = list(self._leaving)
            self._leaving.clear()
        for seat in leaving:
            seat.closed()

    def come_and_go(self, gone: Callable[[Seat[TalkT]], None]) -> bool:
        """Seats those who came and frees the rows of those who leave, after ``gone``; says whether there were any."""
        did = bool(self._coming or self._leaving)
        while self._coming:
            seat = self._coming.popleft()
            self.taken[seat.index] = seat
        while self._leaving:
            seat = self._leaving.popleft()
            if self.taken.pop(seat.index, None) is not None:
                seat.conversation.close()
                gone(seat)
                with self._lock:
                    self._free.append(seat.index)
            seat.closed()
        return did

    def backlog(self) -> int:
        """Samples that wait to be heard, of all conversations."""
        return sum(seat.backlog for seat in list(self.taken.values()))


class LiveSession:
    """A `Session` on a seat."""

    def __init__(self, seats: Seats[Any], seat: Seat[Any]) -> None:
        """Listens to the seat from the running event loop."""
        self._seats, self._seat = seats, seat
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._closed = False
        seat.notify = self._notify

    def _notify(self) -> None:
        if not self._closed:
            self._soon(self._ready.set)

    def _soon(self, call: Callable[[], object]) -> None:
        """Calls it on the event loop, from any thread; where that has been closed, nobody waits any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    @property
    def backlog(self) -> int:
        """What waits to be heard or followed, in samples."""
        return self._seat.backlog

    async def send(self, event: Input) -> None:
        """Hands over an input; never waits for the model. CapacityError when too much waits already."""
        self.push(event)

    def push(self, event: Input) -> None:
        """As `send`, from the event loop without waiting for anything."""
        if self._closed:
            raise CapacityError("The session is closed; open another one.")
        if self._seat.backlog > MOST_BACKLOG:
            raise CapacityError(
                "More than 10 minutes of input wait to be heard; send sound no faster than it can be used."
            )
        self._seat.push(event)
        self._seats.wake()

    async def events(self) -> AsyncIterator[Output]:
        """What happens, until the session is closed."""
        while not self._closed or self._seat.outputs:
            while self._seat.outputs:
                slow = self._seat.slow
                output = self._seat.read()
                if slow and not self._seat.slow:
                    self._seats.wake()
                yield output
            if self._closed:
                return
            await self._ready.wait()
            self._ready.clear()

    async def close(self) -> None:
        """Gives the row back; returns when it is free."""
        if self._closed:
            return
        done = asyncio.Event()
        self._seat.closed = partial(self._soon, done.set)
        self._seats.leave(self._seat)
        await done.wait()
        self._closed = True
        self._ready.set()
