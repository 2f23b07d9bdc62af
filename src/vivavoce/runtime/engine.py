"""Many conversations on one model: a fixed number of rows, stepped together on one clock.

One worker thread does all steps of the model; a few more think, so that nobody's hearing waits for somebody else's
reply. `LiveEngine.step` is the whole clock: it can also be called by hand, without threads (``threads=0``), which is
how simulations run faster than real time and always the same.
"""

import asyncio
import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from vivavoce.core.errors import CapacityError
from vivavoce.core.talk import Heard, Say, Thought
from vivavoce.runtime.api import AudioOut, Input, Output, SessionConfig
from vivavoce.runtime.beside import Beside
from vivavoce.runtime.conversation import Conversation, weight
from vivavoce.runtime.model import FRAME, Context, Hearing, HearingOptions, Model, Pcm, Spoken, Thinking, Waking
from vivavoce.runtime.replying import SILENT, InlineThoughts, Mouth, Reply, Thoughts, ThreadThoughts, told

MOST_WAITING_AUDIO = 10 * 24_000
"""Samples that may wait for a slow client before we stop making more."""
MOST_WAITING_EVENTS = 1000
MOST_BACKLOG = 600 * 24_000
"""Samples that a client may send ahead of us before it is refused."""
LIVE_GAP = 0.25
SPARE_SECONDS = 0.012
"""What a step may take before only replies that are about to run dry get more sound in it."""
RUNNING_DRY = 6 * FRAME
SWITCH_SECONDS = 2e-4
"""For how long a thread may hold Python while the clock waits for it. A step takes Python back hundreds of times, and
the usual 5 ms would make it late whenever somebody thinks."""
ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class Stats:
    """What the engine has done; read by metrics and benchmarks."""

    steps: deque[float] = field(default_factory=lambda: deque(maxlen=4096))
    """Seconds of the last steps that did something."""
    late: int = 0
    """Steps that took longer than a frame."""
    ready: int = 0
    """Answers to speech that had been prepared during the silence."""
    unready: int = 0
    opened: int = 0
    refused: int = 0

    def quantile(self, q: float) -> float:
        """Of the step times, in seconds."""
        return float(np.quantile(list(self.steps), q)) if self.steps else 0.0


class _Recital:
    """A mind that says one given text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def respond(self, context: Context) -> Iterator[Thought]:
        """The text."""
        yield Say(self._text)


class _Apart:
    """A mind in another process."""

    def __init__(self, thinking: Thinking, beside: Beside) -> None:
        self._thinking, self._beside = thinking, beside

    def respond(self, context: Context) -> Iterator[Thought]:
        """What the mind says there; of all sound that was heard only the last takes the way to it."""
        last = max((place for place, entry in enumerate(context.entries) if entry.role == "user"), default=-1)
        light = (e if place == last else replace(e, audio=None) for place, e in enumerate(context.entries))
        return self._beside.iterate(partial(self._thinking.respond, replace(context, entries=tuple(light))))


@torch.inference_mode()
def _words_of(hearing: Hearing[Any], sound: np.ndarray, options: HearingOptions) -> Heard:
    """The words of a recording (Int16[N]), with a state of its own."""
    state = hearing.init_state(1)
    hearing.begin(state, 0, options)
    hearing.precede(state, 0, np.pad(sound.astype(np.float32) / 32767, (0, -len(sound) % FRAME)))
    return hearing.finish(state, 0)


class _EngineMouth:
    """One speaking row."""

    def __init__(self, engine: "LiveEngine", mouth: int) -> None:
        self._engine, self.mouth = engine, mouth

    def begin(self, config: SessionConfig, seed: int) -> None:
        self._engine.model.speaking.begin(self._engine.states[2], self.mouth, config.voice, seed)

    def feed(self, text: str, last: bool) -> None:
        self._engine.model.speaking.feed(self._engine.states[2], self.mouth, text, last)

    def stop(self) -> None:
        self._engine.model.speaking.stop(self._engine.states[2], self.mouth)


class _EngineRow(_EngineMouth):
    """One row of the model's states, as lent to a conversation: ears and a mouth."""

    def __init__(self, engine: "LiveEngine", index: int) -> None:
        super().__init__(engine, index)
        self._index = index
        self._mask = torch.zeros(engine.rows, dtype=torch.bool)
        self._mask[index] = True

    @property
    def patient(self) -> bool:
        return self._engine.patient

    def hear_anew(self, options: HearingOptions) -> None:
        self._engine.states[1].reset(self._mask)
        self._engine.model.hearing.begin(self._engine.states[1], self._index, options)

    def hear_more(self, pcm: Pcm) -> None:
        engine = self._engine
        engine.model.hearing.step(_batch({self._index: pcm}, engine.rows), engine.states[1], self._mask)

    def hear_before(self, pcm: Pcm) -> None:
        self._engine.model.hearing.precede(self._engine.states[1], self._index, pcm)

    def hear_rest(self) -> Heard:
        return self._engine.model.hearing.finish(self._engine.states[1], self._index)

    def hear_whole(self) -> Future[Heard]:
        return self._engine.hear_whole(self._index)

    def hear_sooner(self) -> Future[Heard] | None:
        return self._engine.hear_sooner(self._index)

    def hear_sound(self, sound: np.ndarray, options: HearingOptions) -> Future[Heard]:
        return self._engine.hear_sound(sound, options)

    def spare_mouth(self) -> Mouth | None:
        return self._engine.spare_mouth()

    def give_back(self, mouth: Mouth) -> None:
        self._engine.give_back(mouth)

    def ponder(self, context: Context, recite: str | None) -> Thoughts:
        return self._engine.ponder(context, recite)

    def answers(self, ready: bool) -> None:
        self._engine.stats.ready += ready
        self._engine.stats.unready += not ready

    def reset(self) -> None:
        """Makes the row fresh for the next conversation."""
        self.stop()
        for state in self._engine.states[:2]:
            state.reset(self._mask)


def _batch(frames: dict[int, Pcm], rows: int) -> Tensor:
    pcm = np.zeros((rows, len(next(iter(frames.values())))), np.float32)
    for row, frame in frames.items():
        pcm[row] = frame
    return torch.from_numpy(pcm)


class Seat:
    """A conversation on a row: inputs wait here for the clock, outputs for their reader."""

    def __init__(self, row: "_EngineRow", index: int, config: SessionConfig, new_id: Callable[[str], str]) -> None:
        """Takes the row; ``notify`` is called when there is output."""
        self.row, self.index = row, index
        self.inbox: deque[Input] = deque()
        self.outputs: deque[Output] = deque()
        self.waiting_audio = 0
        self.notify: Callable[[], None] = lambda: None
        self.conversation = Conversation(config, row, self._emit, new_id)
        self.closing = False
        self.closed: Callable[[], object] = lambda: None
        self.last_frame: float | None = None
        # written by one thread each: what the client sent, what the clock took from the inbox, what waits behind it
        self.sent = self.pulled = self.waiting = 0

    def _emit(self, output: Output) -> None:
        if isinstance(output, AudioOut):
            self.waiting_audio += len(output.pcm)
        self.outputs.append(output)
        self.notify()

    def read(self) -> Output:
        """The next output."""
        output = self.outputs.popleft()
        if isinstance(output, AudioOut):
            self.waiting_audio -= len(output.pcm)
        return output

    @property
    def slow(self) -> bool:
        """Whether the reader has so much to read that nothing more should be made."""
        return self.waiting_audio > MOST_WAITING_AUDIO or len(self.outputs) > MOST_WAITING_EVENTS

    @property
    def backlog(self) -> int:
        """What waits to be heard or followed, in samples."""
        return self.sent - self.pulled + self.waiting

    def push(self, event: Input) -> None:
        """An input for the next step."""
        self.sent += weight(event)
        self.inbox.append(event)

    def pull(self) -> bool:
        """Hands what came to the conversation and lets it work; says whether anything came."""
        came = bool(self.inbox)
        if not self.slow:
            self.conversation.work()
        while self.inbox:
            event = self.inbox.popleft()
            self.pulled += weight(event)
            self.conversation.push(event)
            if not self.slow:
                self.conversation.work()
        self.waiting = self.conversation.backlog
        return came


def _safely(seat: Seat, work: Callable[[], ResultT], reply: Reply | None = None) -> ResultT | Literal[True]:
    """Lets one conversation work; what it stumbles over ends its own reply and not the clock of all."""
    try:
        return work()
    except Exception as error:
        seat.conversation.broke(told(error), reply)
        return True


class LiveSession:
    """A `Session` on a seat."""

    def __init__(self, engine: "LiveEngine", seat: Seat) -> None:
        """Listens to the seat from the running event loop."""
        self._engine, self._seat = engine, seat
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._closed = False
        seat.notify = self._notify

    def _notify(self) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(self._ready.set)

    async def send(self, event: Input) -> None:
        """Hands over an input; never waits for the model. CapacityError when too much waits already."""
        if self._closed:
            raise CapacityError("The session is closed; open another one.")
        if self._seat.backlog > MOST_BACKLOG:
            raise CapacityError(
                "More than 10 minutes of input wait to be heard; send sound no faster than it can be used."
            )
        self._seat.push(event)
        self._engine.wake()

    async def events(self) -> AsyncIterator[Output]:
        """What happens, until the session is closed."""
        while not self._closed or self._seat.outputs:
            while self._seat.outputs:
                slow = self._seat.slow
                output = self._seat.read()
                if slow and not self._seat.slow:
                    self._engine.wake()
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
        loop = self._loop
        self._seat.closed = partial(loop.call_soon_threadsafe, done.set)
        self._engine.leave(self._seat)
        await done.wait()
        self._closed = True
        self._ready.set()


class LiveEngine:
    """The `Engine`: one model, so many rows."""

    def __init__(
        self,
        model: Model,
        rows: int = 4,
        *,
        threads: int = 2,
        apart: bool = False,
        clock: Callable[[], float] | None = time.monotonic,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        """Allocates the states; with ``threads=0`` nothing runs by itself and `step` has to be called.

        ``apart``: replies are thought of and turns heard as a whole in processes of their own, forked now. ``closing``
        is called when the engine was stopped.
        """
        self._closing = closing
        self.model, self.rows, self.stats = model, rows, Stats()
        mouths = rows + max(1, rows // 2)
        self.states: tuple[Any, Any, Any] = (
            model.activity.init_state(rows),
            model.hearing.init_state(rows),
            model.speaking.init_state(mouths),
        )
        if threads and isinstance(self.states[2], Waking):
            self.states[2].wake = self.wake
        self._mouths = mouths
        self._spare = deque(range(rows, mouths))
        self._clock = clock if threads else None
        self._free = deque(range(rows))
        self._seats: dict[int, Seat] = {}
        self._coming: deque[Seat] = deque()
        self._leaving: deque[Seat] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._numbers = itertools.count(1)
        self._pool: Executor | None = None
        self._ears: Executor | None = None
        self._words: Executor | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._beside = Beside((model.hearing, model.thinking), threads + 1) if apart and threads else None
        if threads:
            sys.setswitchinterval(SWITCH_SECONDS)
            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="vivavoce-think")
            self._ears = ThreadPoolExecutor(1, thread_name_prefix="vivavoce-hear")
            self._words = ThreadPoolExecutor(1, thread_name_prefix="vivavoce-words") if self.patient else self._ears
            self._thread = threading.Thread(target=self._run, name="vivavoce-step", daemon=True)
            self._thread.start()

    # ---- sessions ----

    @property
    def taken(self) -> int:
        """Rows in use."""
        return self.rows - len(self._free)

    def backlog(self) -> int:
        """Samples that wait to be heard, of all conversations."""
        return sum(seat.backlog for seat in list(self._seats.values()))

    def state_bytes(self) -> int:
        """Bytes of state that one conversation takes."""
        return sum(state.nbytes() for state in self.states) // self.rows

    def sit(self, config: SessionConfig) -> Seat:
        """A seat without event loop; CapacityError when every row is taken."""
        with self._lock:
            if not self._free:
                self.stats.refused += 1
                raise CapacityError(f"All {self.rows} conversations are taken; try again when one has ended.")
            index = self._free.popleft()
            self.stats.opened += 1
        seat = Seat(_EngineRow(self, index), index, config, lambda kind: f"{kind}_{next(self._numbers):08x}")
        if self._clock:
            seat.last_frame = self._clock()
        self._coming.append(seat)
        self.wake()
        return seat

    async def open(self, config: SessionConfig) -> LiveSession:
        """A row for a new conversation; CapacityError when all are taken."""
        return LiveSession(self, self.sit(config))

    def leave(self, seat: Seat) -> None:
        """The seat is not wanted any more; ``seat.closed`` is called when its row is free."""
        self._leaving.append(seat)
        self.wake()

    def stop(self) -> None:
        """Ends the threads."""
        self._stopping = True
        self.wake()
        if self._thread:
            self._thread.join()
        for pool in (self._pool, self._ears, self._words):
            if pool:
                pool.shutdown(wait=False, cancel_futures=True)
        if self._beside is not None:
            self._beside.stop()
        self._closing()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def ponder(self, context: Context, recite: str | None) -> Thoughts:
        """Begins to think of a reply."""
        thinking: Thinking = self.model.thinking if recite is None else _Recital(recite)
        if self._beside is not None and recite is None and not self.model.thinks_elsewhere:
            thinking = _Apart(self.model.thinking, self._beside)
        if self._pool is None:
            return InlineThoughts(thinking, context)
        return ThreadThoughts(thinking, context, self._pool, self.wake)

    @property
    def patient(self) -> bool:
        """Whether the ends of turns wait for the words."""
        return self.model.hears_elsewhere

    def hear_whole(self, row: int) -> Future[Heard]:
        """The final words of a row's turn, if nothing more comes."""
        work = self.model.hearing.later(self.states[1], row)
        return self._found(work, self._words, here=self.model.hears_elsewhere)

    def hear_sooner(self, row: int) -> Future[Heard] | None:
        """What a row's turn is but for its words, where these take longer."""
        work = self.model.hearing.sooner(self.states[1], row)
        return None if work is None else self._found(work, self._ears)

    def hear_sound(self, sound: np.ndarray, options: HearingOptions) -> Future[Heard]:
        """The words of a recording (Int16[N]), with a state of its own; nobody's turn waits for it."""
        work = partial(_words_of, self.model.hearing, sound, options)
        return self._found(work, self._pool, here=self.model.hears_elsewhere)

    def _found(self, work: Callable[[], Heard], pool: Executor | None, here: bool = False) -> Future[Heard]:
        """What is found beside the steps, which are woken for it; at once where there are no threads.

        ``here``: on a thread even where there are processes, as the work has its own.
        """
        if pool is not None:
            beside = None if here else self._beside
            found = pool.submit(work) if beside is None else pool.submit(beside.call, work)
            found.add_done_callback(lambda _: self.wake())
            return found
        given: Future[Heard] = Future()
        try:
            given.set_result(work())
        except Exception as error:  # a broken model must not take the other conversations with it
            given.set_exception(error)
        return given

    def spare_mouth(self) -> Mouth | None:
        """A speaking row beside those of the conversations; None when all are in use."""
        return _EngineMouth(self, self._spare.popleft()) if self._spare else None

    def give_back(self, mouth: Mouth) -> None:
        """A speaking row that was spare is so again."""
        if mouth is not SILENT:
            mouth.stop()
            self._spare.append(mouth.mouth)

    # ---- the clock ----

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            started = time.perf_counter()
            if not self.step():
                self._wake.wait()
                continue
            took = time.perf_counter() - started
            self.stats.steps.append(took)
            self.stats.late += took > FRAME / 24_000

    @torch.inference_mode()
    def step(self) -> bool:
        """Everybody one frame further; says whether anything was done."""
        began = time.perf_counter()
        did = self._come_and_go()
        seats = list(self._seats.values())
        for seat in seats:
            did |= _safely(seat, seat.pull)
        did |= self._notice(seats)
        did |= self._hear(seats, began)
        for seat in seats:
            if not seat.slow:
                did |= _safely(seat, seat.conversation.think)
        return self._speak(seats, self._pressed(began)) or did

    def _come_and_go(self) -> bool:
        did = False
        while self._coming:
            seat = self._coming.popleft()
            self._seats[seat.index] = seat
            did = True
        while self._leaving:
            seat = self._leaving.popleft()
            if self._seats.pop(seat.index, None) is not None:
                seat.conversation.close()
                seat.row.reset()
                with self._lock:
                    self._free.append(seat.index)
            seat.closed()
            did = True
        return did

    def _notice(self, seats: list[Seat]) -> bool:
        """One frame of every microphone that has one."""
        frames: dict[int, Pcm] = {}
        did = False
        for seat in seats:
            if seat.slow or seat.conversation.microphone.waiting < FRAME:
                continue
            if self._clock:
                now = self._clock()
                if seat.last_frame is not None and now - seat.last_frame > LIVE_GAP:
                    seat.conversation.gap(int((now - seat.last_frame) * 24_000))
                seat.last_frame = now
            did = True
            pcm = seat.conversation.frame()
            if pcm is not None:
                frames[seat.index] = pcm
        if not frames:
            return did
        results = self._guard(
            frames, lambda pcm, active: self.model.activity.step(pcm, self.states[0], active).tolist()
        )
        for row, frame in frames.items():
            seat = self._seats[row]
            _safely(seat, partial(seat.conversation.noticed, frame, results[row] if results else 0.0))
        return True

    def _pressed(self, began: float) -> bool:
        """Whether a step that began then has taken so long that what can wait should."""
        return self._clock is not None and time.perf_counter() - began > SPARE_SECONDS

    def _hear(self, seats: list[Seat], began: float) -> bool:
        """What the microphones hold and the model has not heard yet; rows with equally much go together, those that are
        furthest behind first, and where time is short the others wait for the next step."""
        waiting: dict[int, list[Seat]] = {}
        for seat in seats:
            if length := seat.conversation.microphone.next_length:
                waiting.setdefault(length, []).append(seat)
        for place, length in enumerate(sorted(waiting, reverse=True)):
            if place and self._pressed(began):
                break
            frames = {seat.index: pcm for seat in waiting[length] if (pcm := seat.conversation.to_hear()) is not None}
            results = self._guard(frames, lambda pcm, active: self.model.hearing.step(pcm, self.states[1], active))
            for row in frames:
                heard = results[row] if results else None
                if heard is not None:
                    seat = self._seats[row]
                    _safely(seat, partial(seat.conversation.heard, heard))
        return bool(waiting)

    def _speak(self, seats: list[Seat], pressed: bool) -> bool:
        """A little more sound of every reply, or where time is short of those alone that are about to run dry."""
        wanting = [(seat, reply) for seat in seats if not seat.slow for reply in seat.conversation.speaking]
        speakers = {
            reply.mouth.mouth: (seat, reply)
            for seat, reply in wanting
            if not pressed or seat.conversation.lead(reply) < RUNNING_DRY
        }
        if not speakers:
            return bool(wanting)
        did = False
        results: list[Spoken | None]
        try:
            results = self._step_mouths(list(speakers))
        except Exception:  # what one is to say may be impossible to say; tried alone, that one is told
            results = [None] * self._mouths
            for mouth, (seat, reply) in speakers.items():
                try:
                    results[mouth] = self._step_mouths([mouth])[mouth]
                except Exception as error:
                    did = True
                    reply.mouth.stop()
                    seat.conversation.broke(told(error), reply)
        for mouth, (seat, reply) in speakers.items():
            spoken = results[mouth]
            if spoken is not None:
                did = True
                _safely(seat, partial(seat.conversation.spoke, reply, spoken), reply)
        return did

    def _step_mouths(self, mouths: list[int]) -> list[Spoken | None]:
        active = torch.zeros(self._mouths, dtype=torch.bool)
        active[mouths] = True
        return self.model.speaking.step(self.states[2], active)

    def _guard(self, frames: dict[int, Pcm], call: Callable[[Tensor, Tensor], Any]) -> Any:
        """Calls the model; when it breaks, the rows it was called for are told and made fresh, and the others go
        on."""
        active = torch.zeros(self.rows, dtype=torch.bool)
        active[list(frames)] = True
        try:
            return call(_batch(frames, self.rows), active)
        except Exception as error:
            message = told(error)
            for row in frames:
                self._seats[row].row.reset()
                self._seats[row].conversation.broke(message)
            return None
