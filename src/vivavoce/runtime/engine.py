"""Many conversations on one model: a fixed number of rows, stepped together on one clock.

One worker thread does all steps of the model; a few more think, so that nobody's hearing waits for somebody else's
reply. `LiveEngine.step` is the whole clock: it can also be called by hand, without threads (``threads=0``), which is
how simulations run faster than real time and always the same.
"""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from vivavoce.core.memory import trim
from vivavoce.core.talk import Heard
from vivavoce.runtime.api import Output, SessionConfig
from vivavoce.runtime.clock import Clock
from vivavoce.runtime.conversation import LiveConversation
from vivavoce.runtime.live_reply import LiveReply
from vivavoce.runtime.model import FRAME, Abilities, HearingOptions, Pcm, Spoken
from vivavoce.runtime.model_rows import ConversationRow, ModelRows
from vivavoce.runtime.seats import LiveSession, Seats
from vivavoce.runtime.seats import Seat as AnySeat
from vivavoce.runtime.stats import Stats

LIVE_GAP = 0.25
SPARE_SECONDS = 0.012
"""A step that has taken longer makes sound only for replies whose sound is about to run out."""
RUNNING_DRY = 6 * FRAME
ResultT = TypeVar("ResultT")
Seat = AnySeat[LiveConversation]
"""A seat of a conversation by turns."""


def _safely(seat: Seat, work: Callable[[], ResultT], live: LiveReply | None = None) -> ResultT | Literal[True]:
    """Lets one conversation work; what it stumbles over ends its own reply and not the clock of all."""
    try:
        return work()
    except Exception as error:
        seat.conversation.broke(error, live)
        return True


class LiveEngine:
    """The `Engine` of a model that takes turns: so many rows, stepped together on one clock."""

    def __init__(
        self,
        model: Abilities,
        rows: int = 4,
        *,
        threads: int = 2,
        forked: bool = False,
        clock: Callable[[], float] | None = time.monotonic,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        """Allocates the states; with ``threads=0`` nothing runs by itself and `step` has to be called.

        ``forked``: replies are thought of and turns heard as a whole in processes of their own, forked now. ``closing``
        is called when the engine was stopped.
        """
        self.model, self.rows, self.stats, self._closing = model, rows, Stats(), closing
        self._time = clock if threads else None
        self._clock = Clock(self.step, self.stats, FRAME / 24_000)
        self._states = ModelRows(model, rows, self.stats, self._clock.wake, threads=threads, forked=forked)
        self._lent = [ConversationRow(self._states, number) for number in range(rows)]
        self._seats: Seats[LiveConversation] = Seats(rows, self.stats, self._clock.wake)
        self._numbers = itertools.count(1)
        if threads:
            self._clock.start()

    # ---- sessions ----

    @property
    def taken(self) -> int:
        """Rows in use."""
        return len(self._seats)

    def backlog(self) -> int:
        """Samples that wait to be heard, of all conversations."""
        return self._seats.backlog()

    def hear_sound(self, sound: np.ndarray, options: HearingOptions) -> Future[Heard]:
        """The words of a recording (Int16[N]); nobody's turn waits for it, and no row is taken."""
        return self._states.hear_sound(sound, options)

    def state_bytes(self) -> int:
        """Bytes of state that one conversation takes."""
        return self._states.nbytes() // self.rows

    def sit(self, config: SessionConfig) -> Seat:
        """A seat without event loop; CapacityError when every row is taken."""

        def begin(row: int, emit: Callable[[Output], None]) -> LiveConversation:
            return LiveConversation(config, self._lent[row], emit, lambda kind: f"{kind}_{next(self._numbers):08x}")

        return self._seats.sit(begin, self._time() if self._time else None)

    async def open(self, config: SessionConfig) -> LiveSession:
        """A row for a new conversation; CapacityError when all are taken."""
        return LiveSession(self._seats, self.sit(config))

    def leave(self, seat: Seat) -> None:
        """Gives a seat back from any thread; the clock frees its row and then calls ``seat.closed``."""
        self._seats.leave(seat)

    def wake(self) -> None:
        """Says to the clock that there is something to do; from any thread."""
        self._clock.wake()

    def stop(self) -> None:
        """Ends the threads."""
        self._clock.stop()
        self._seats.end()
        self._states.stop()
        self._closing()

    # ---- a step ----

    @torch.inference_mode()
    def step(self) -> bool:
        """Everybody one frame further; says whether anything was done."""
        began, talked = time.perf_counter(), bool(self._seats.taken)
        did = self._seats.come_and_go(lambda seat: self._lent[seat.index].reset())
        seats = list(self._seats.taken.values())
        if talked and not seats:
            trim()  # nobody waits now for what was free to be touched again
        for seat in seats:
            did |= _safely(seat, seat.pull)
        did |= self._notice(seats)
        did |= self._hear(seats, began)
        for seat in seats:
            if not seat.slow:
                did |= _safely(seat, seat.conversation.think)
        return self._speak(seats, self._pressed(began)) or did

    def _notice(self, seats: list[Seat]) -> bool:
        """One frame of every microphone that has one."""
        frames: dict[int, Pcm] = {}
        did = False
        for seat in seats:
            if seat.slow or seat.conversation.microphone.waiting < FRAME:
                continue
            if self._time:
                now = self._time()
                if seat.last_frame is not None and now - seat.last_frame > LIVE_GAP:
                    seat.conversation.gap(int((now - seat.last_frame) * 24_000))
                seat.last_frame = now
            did = True
            pcm = seat.conversation.frame()
            if pcm is not None:
                frames[seat.index] = pcm
        if not frames:
            return did
        results = self._guard(frames, self._states.notice)
        for row, frame in frames.items():
            seat = self._seats.taken[row]
            _safely(seat, partial(seat.conversation.noticed, frame, results[row] if results else 0.0))
        return True

    def _pressed(self, began: float) -> bool:
        """Whether a step that began then has taken so long that what can wait should."""
        return self._time is not None and time.perf_counter() - began > SPARE_SECONDS

    def _hear(self, seats: list[Seat], began: float) -> bool:
        """Lets the model hear what has come in: rows with equally many samples in one batch, those furthest behind
        first; where time is short, the other batches wait for the next step."""
        waiting: dict[int, list[Seat]] = {}
        for seat in seats:
            if length := seat.conversation.microphone.next_length:
                waiting.setdefault(length, []).append(seat)
        for place, length in enumerate(sorted(waiting, reverse=True)):
            if place and self._pressed(began):
                break
            ears = ((seat.index, seat.conversation.microphone.unheard()) for seat in waiting[length])
            frames = {row: pcm for row, pcm in ears if pcm is not None}
            results: list[Heard | None] | None = self._guard(frames, self._states.hear)
            for row in frames:
                heard = results[row] if results else None
                if heard is not None:
                    seat = self._seats.taken[row]
                    _safely(seat, partial(seat.conversation.heard, heard))
        return bool(waiting)

    def _speak(self, seats: list[Seat], pressed: bool) -> bool:
        """A little more sound for every reply; where time is short, only for those whose sound is about to run out."""
        wanting = [(seat, live) for seat in seats if not seat.slow for live in seat.conversation.speaking]
        speakers = {
            live.speaker.number: (seat, live)
            for seat, live in wanting
            if live.speaker and (not pressed or seat.conversation.replies.lead(live) < RUNNING_DRY)
        }
        if not speakers:
            return bool(wanting)
        did = False
        results: list[Spoken | None]
        try:
            results = self._states.speak(list(speakers))
        except Exception:  # what one is to say may be impossible to say; tried alone, that one is told
            results = [None] * self._states.speakers
            for number, (seat, live) in speakers.items():
                try:
                    results[number] = self._states.speak([number])[number]
                except Exception as error:
                    did = True
                    if live.speaker:
                        live.speaker.stop()
                    seat.conversation.broke(error, live)
        for number, (seat, live) in speakers.items():
            spoken = results[number]
            if spoken is not None:
                did = True
                _safely(seat, partial(seat.conversation.replies.spoke, live, spoken), live)
        return did

    def _guard(
        self, frames: dict[int, Pcm], call: Callable[[dict[int, Pcm], Tensor], list[ResultT]]
    ) -> list[ResultT] | None:
        """Calls the model; when it fails, the conversations it was called for are told, their rows begin afresh, and
        the others go on."""
        active = torch.zeros(self.rows, dtype=torch.bool)
        active[list(frames)] = True
        try:
            return call(frames, active)
        except Exception as error:
            for row in frames:
                self._lent[row].reset()
                self._seats.taken[row].conversation.broke(error)
            return None
