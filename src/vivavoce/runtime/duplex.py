"""Conversations with a model that hears and speaks at the same time, and decides itself when.

Such a model is stepped whenever a frame of somebody's microphone is there; whatever it gives is heard at once. What
clients see are the same outputs as in a conversation by turns: a stretch in which the model says something is a reply,
which ends after a pause, and history keeps of it what was played.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vivavoce.core.errors import ProtocolError, SpecError
from vivavoce.core.talk import Frame, Say, Word
from vivavoce.runtime import api
from vivavoce.runtime.clock import Clock
from vivavoce.runtime.failures import explained, log_failure
from vivavoce.runtime.history import History
from vivavoce.runtime.inbox import Cancelled, Inbox, refusal
from vivavoce.runtime.listening import Microphone
from vivavoce.runtime.model import RATE, Context, Duplex, Pcm, Spoken
from vivavoce.runtime.model_rows import batch
from vivavoce.runtime.playback import Playback
from vivavoce.runtime.playout import Playout
from vivavoce.runtime.reply import Reply, Request
from vivavoce.runtime.seats import LiveSession, Seat, Seats
from vivavoce.runtime.stats import Stats

LOUD_DB = -45.0
"""What is louder than this, root mean square of a frame, is something that the model says."""
PAUSE = 800 * 24
"""After so much silence a reply is over."""


class DuplexConversation:
    """What one row of a duplex model says and hears, as outputs and inputs of a session."""

    def __init__(
        self, config: api.SessionConfig, emit: Callable[[api.Output], None], new_id: Callable[[str], str]
    ) -> None:
        """Nothing was said yet."""
        self.config, self._emit, self._new_id = config, emit, new_id
        self.inbox, self.history, self.microphone = Inbox(), History(), Microphone()
        self.playback = Playback()
        self._playout = Playout(self.playback, self.history, emit, self._end)
        self._numbers = itertools.count(1)
        self._reply: Reply | None = None
        self._quiet = 0
        self._muted = False
        """Whether the rest of what the model says is not wanted."""
        self._word: Word | None = None
        """The last word, which may go on."""
        self._length = 0
        self.fresh = True
        """Whether the model has yet to begin this conversation."""

    # ---- inputs ----

    def pull(self, slow: Callable[[], bool]) -> bool:
        """Follows what came, up to the next sound that has to be heard first; says whether anything came."""
        came = bool(self.inbox)
        while self.inbox:
            if (urgent := self.inbox.arrive()) is not None:
                self._do(urgent)
        return came

    def take(self, samples: int) -> Pcm | None:
        """The next sound that the model has to hear, so many samples; follows the inputs before it."""
        while self.microphone.waiting < samples:
            if (event := self.inbox.next()) is None:
                return None
            if not isinstance(event, Cancelled):
                self._do(event)
        pcm = self.microphone.take(samples)
        self.microphone.forget()
        return pcm

    def _do(self, event: api.Input) -> None:
        try:
            self._follow(event)
        except ProtocolError as error:
            self._emit(refusal(event, error))

    def _follow(self, event: api.Input) -> None:
        match event:
            case api.AudioIn(pcm):
                self.microphone.push(pcm)
            case api.Configure(config):
                self.config = config
                self._emit(api.Configured(config))
            case api.Clear():
                self.microphone.drop_pushed()
                self._emit(api.Cleared())
            case api.Stop(turn):
                if self._reply is None or turn not in (None, self._reply.turn):
                    message = "Cancellation failed: no active response found."
                    raise ProtocolError(message, "response_cancel_not_active")
                self._end("client_cancelled", self.playback.position_of(self._reply.turn))
            case api.Played(turn, samples):
                self._playout.played_to(turn, samples)
            case api.Hush() if self.config.frames:
                self._muted = True
            case api.Hush():
                self._playout.hush(self.config.plays_here)
            case api.Truncate(entry, samples):
                self._playout.truncate(entry, samples, self.config.plays_here)
            case api.Delete(entry):
                self.history.delete(entry)
                self._emit(api.EntryDeleted(entry))
            case api.Retrieve(entry):
                self._emit(api.EntryShown(self.history.find(entry)))
            case _:
                raise ProtocolError(
                    f"This model hears and speaks at the same time and takes sound alone, no {type(event).__name__}.",
                    "unsupported_by_model",
                )

    # ---- what the model says ----

    def said(self, frame: Frame, samples: int) -> None:
        """What the model gave for a frame of so many samples of the microphone."""
        self.playback.advance(samples)
        pcm = frame.pcm.numpy().astype(np.float32)
        says = bool(frame.text.strip()) or bool(frame.calls) or _level_db(pcm) > LOUD_DB
        self._quiet = 0 if says else self._quiet + samples
        if self.config.frames:
            self._frame(frame, pcm, samples)
            return
        if self._quiet >= PAUSE:
            self._muted = False
            self._finish()
        elif says and self._reply is None and not self._muted:
            self._begin()
        if self._reply is not None:
            self._more(self._reply, frame, pcm)

    def _frame(self, frame: Frame, pcm: Pcm, samples: int) -> None:
        """Tells of a frame as it is; silence where the model's sound is not there yet, or not wanted."""
        self._muted = self._muted and self._quiet < PAUSE
        sound = np.zeros(samples, np.float32)
        if not self._muted:
            sound[samples - len(pcm) :] = pcm
        text, calls = ("", ()) if self._muted else (frame.text, frame.calls)
        self._emit(api.Framed(self.microphone.now, sound, text, calls))

    def _begin(self) -> None:
        config, turn = self.config, next(self._numbers)
        context = Context(entries=self.history.entries, instructions=config.instructions, voice=config.voice)
        reply = self._reply = Reply(Request(turn=turn, config=config, context=context), self._new_id)
        reply.open_message()
        self._length, self._word = 0, None
        self.playback.began(turn, to_speech=False)
        self._playout.begin(reply)

    def _more(self, reply: Reply, frame: Frame, pcm: Pcm) -> None:
        for call in frame.calls:
            reply.think(call)
        reply.think(Say(frame.text))
        if reply.speaks:
            reply.spoke(Spoken(pcm, self._words(frame.text, reply.samples)))
            self.playback.grew(reply.turn, reply.samples)
        reply.settle()
        self._publish(reply)
        if reply.ended:  # it was too long
            self.playback.made_whole(reply.turn)
            self._reply, self._muted = None, True

    def _words(self, text: str, at: int) -> tuple[Word, ...]:
        """The word that is over now, if one is; what is added begins another one or goes on with the last."""
        if not text:
            return ()
        last, begin = self._word, self._length
        self._length += len(text)
        if last is None or last.span is None or text[0].isspace():
            begin += len(text) - len(text.lstrip())
            self._word = Word(text.strip(), at, at, span=(begin, self._length))
            return () if last is None else (replace(last, end=at),)
        self._word = replace(last, text=last.text + text, span=(last.span[0], self._length))
        return ()

    def _finish(self) -> None:
        """The model is silent: the reply is over."""
        if (reply := self._reply) is None:
            return
        if self._word is not None:
            reply.spoke(Spoken(np.zeros(0, np.float32), (replace(self._word, end=reply.samples),)))
        reply.end("completed")
        self._publish(reply)
        self.playback.made_whole(reply.turn)
        self._reply = None

    def _end(self, why: api.Why, heard: int) -> None:
        """What the model is saying is not wanted, until it falls silent."""
        if (reply := self._reply) is None:
            return
        reply.end(why, heard)
        self._publish(reply)
        self.playback.stopped(reply.turn)
        self._reply, self._muted = None, True

    def _publish(self, reply: Reply) -> None:
        reply.orders()  # the model speaks by itself
        for output in reply.outputs():
            self._emit(self.history.keep(output))

    def broke(self, error: BaseException, samples: int) -> None:
        """The model failed on this row in a frame of so many samples; it begins afresh."""
        log_failure(error)
        if self._reply is not None:
            self._reply.error = explained(error)
            self._end("failed", self.playback.position_of(self._reply.turn))
        self._muted, self.fresh = False, True
        self._emit(api.Refused("server_error", explained(error)))
        if self.config.frames:
            self._emit(api.Framed(self.microphone.now, np.zeros(samples, np.float32)))

    def close(self) -> None:
        """Stops replies and hearing; no more outputs are given."""
        self._reply = None


class DuplexEngine:
    """The `Engine` of a duplex model: so many rows, stepped together on one clock."""

    def __init__(self, model: Duplex[Any], rows: int = 4, *, threads: int = 1) -> None:
        """Allocates the state; with ``threads=0`` nothing runs by itself and `step` has to be called.

        SpecError when the model's sound is not that of a session.
        """
        if model.timing.rate != RATE:
            raise SpecError(f"the model hears {model.timing.rate} samples a second, a live conversation has {RATE}")
        self.model, self.rows, self.stats = model, rows, Stats()
        self.frame = model.timing.hop
        self._state = model.init_state(rows)
        self._clock = Clock(self.step, self.stats, self.frame / RATE)
        self._seats: Seats[DuplexConversation] = Seats(rows, self.stats, self._clock.wake)
        self._names = itertools.count(1)
        if threads:
            self._clock.start()

    def sit(self, config: api.SessionConfig) -> Seat[DuplexConversation]:
        """A seat without event loop; CapacityError when every row is taken."""

        def begin(row: int, emit: Callable[[api.Output], None]) -> DuplexConversation:
            return DuplexConversation(config, emit, lambda kind: f"{kind}_{next(self._names):08x}")

        return self._seats.sit(begin, None)

    async def open(self, config: api.SessionConfig) -> LiveSession:
        """A row for a new conversation; CapacityError when all are taken."""
        return LiveSession(self._seats, self.sit(config))

    @property
    def taken(self) -> int:
        """Rows in use."""
        return len(self._seats)

    def leave(self, seat: Seat[DuplexConversation]) -> None:
        """Gives a seat back from any thread; the clock frees its row and then calls ``seat.closed``."""
        self._seats.leave(seat)

    def stop(self) -> None:
        """Ends the thread."""
        self._clock.stop()
        self._seats.end()

    @torch.inference_mode()
    def step(self) -> bool:
        """Everybody whose microphone has a frame, one frame further; says whether anything was done."""
        did = self._seats.come_and_go(lambda _: None)
        frames: dict[int, Pcm] = {}
        for seat in self._seats.taken.values():
            did |= seat.pull()
            if not seat.slow and (pcm := seat.conversation.take(self.frame)) is not None:
                frames[seat.index] = pcm
        if not frames:
            return did
        conversations = {row: self._seats.taken[row].conversation for row in frames}
        try:
            said = self._said(frames, conversations)
        except Exception as error:  # a broken model must not end the clock
            for conversation in conversations.values():
                conversation.broke(error, self.frame)
            return True
        for row, conversation in conversations.items():
            conversation.said(said[row], self.frame)
        return True

    def _said(self, frames: dict[int, Pcm], conversations: dict[int, DuplexConversation]) -> list[Frame]:
        for row, conversation in conversations.items():
            if conversation.fresh:
                self.model.begin(self._state, row, conversation.config.seed)
                conversation.fresh = False
        active = torch.zeros(self.rows, dtype=torch.bool)
        active[list(frames)] = True
        return self.model.step(batch(frames, self.rows), self._state, active)


def _level_db(pcm: Pcm) -> float:
    return 10 * math.log10(float(np.dot(pcm, pcm)) / len(pcm) + 1e-10) if len(pcm) else -100.0
