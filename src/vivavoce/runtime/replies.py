"""The replies of one conversation: the one that it waits for, those out of band, and those that have to wait.

One reply at a time belongs to the conversation; replies out of band are made beside it. Of what was made, history keeps
what was heard.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry
from vivavoce.runtime.api import (
    Output,
    Refused,
    ReplyOptions,
    SessionConfig,
    Why,
)  # fmt: skip
from vivavoce.runtime.failures import explained, log_failure
from vivavoce.runtime.history import History
from vivavoce.runtime.live_reply import LiveReply
from vivavoce.runtime.model import Spoken
from vivavoce.runtime.model_rows import ConversationRow
from vivavoce.runtime.out_of_band import OutOfBand
from vivavoce.runtime.playback import Playback
from vivavoce.runtime.playout import Playout
from vivavoce.runtime.reply import Reply
from vivavoce.runtime.requests import Requests
from vivavoce.runtime.rows import SpeakingRow
from vivavoce.runtime.turns import Turns

MOST_OUT_OF_BAND = 8


class Replies:
    """Begins replies, lets them grow, and ends them."""

    def __init__(
        self,
        config: SessionConfig,
        row: ConversationRow,
        history: History,
        turns: Turns,
        emit: Callable[[Output], None],
        new_id: Callable[[str], str],
    ) -> None:
        """Nothing was answered yet; ``config``: the session's settings, in the voice that it has now."""
        self.config = config
        self._row, self._history, self._turns, self._emit, self._new_id = row, history, turns, emit, new_id
        self._requests, self._out_of_band = Requests(history), OutOfBand(row)
        self._current: LiveReply | None = None
        self.playout = Playout(turns.playback, history, emit, self.end)
        self._waiting: deque[tuple[ReplyOptions, SessionConfig]] = deque()
        """What waits for the reply before it, or for a speaking row, and the settings that it was asked for with."""

    # ---- what there is ----

    @property
    def all(self) -> list[LiveReply]:
        """Those that are made now or prepared."""
        return ([self._current] if self._current else []) + self._out_of_band.live

    @property
    def busy(self) -> bool:
        """Whether the reply of the conversation is being made, or prepared."""
        return self._current is not None and not self._current.reply.ended

    @property
    def playback(self) -> Playback:
        """What of them is played."""
        return self._turns.playback

    def lead(self, live: LiveReply) -> float:
        """Samples of a reply that are made and not played yet; endless where nobody listens yet and it has begun."""
        reply = live.reply
        if live is not self._current or (reply.samples and not reply.released):
            return float("inf")
        return float(reply.samples - self.playback.position_of(reply.turn))

    # ---- beginning ----

    def respond(self, options: ReplyOptions) -> None:
        """Answers because the client asks for it. ProtocolError where that cannot be."""
        if self.config.only_listen:
            raise ProtocolError("A transcription session does not answer; open one of type 'realtime' for that.")
        for entry in options.input or ():
            if isinstance(entry, str):
                self._history.find(entry)
        if not options.out_of_band:
            self.drop_prepared()
            if self.busy:
                raise ProtocolError(
                    "The conversation has an active response already; wait for response.done or cancel it.",
                    "conversation_already_has_active_response",
                )
            return self.start(options)
        if len(self._waiting) + len(self._out_of_band.live) >= MOST_OUT_OF_BAND:
            raise ProtocolError(f"{MOST_OUT_OF_BAND} responses are being made already.", "too_many_responses")
        if self._waiting or not self._begins(options, self.config):
            self._waiting.append((options, self.config))
        return None

    def respond_in_vain(self, options: ReplyOptions) -> None:
        """Begins and ends at once a reply that the client cancelled while it waited; the client is told of both."""
        before = self._current
        try:
            self.respond(options)
        finally:
            if self._current is not before:
                self.end("client_cancelled", 0)
                self.next()

    def respond_to_speech(self) -> None:
        """Answers what was said just now, with what was prepared for it if it fits."""
        ready = self._current
        if ready and not ready.reply.released:
            if self._requests.still_fits(ready.reply.request, self.config):
                self._row.answers(True)
                ready.release()
                self._begun(ready.reply)
                return self._after(ready)
            self.drop_prepared()
        self._row.answers(False)
        if not self.busy:
            self.start(ReplyOptions())
        elif len(self._waiting) < MOST_OUT_OF_BAND:
            self._waiting.append((ReplyOptions(), self.config))
        return None

    def prepare(self, likely: Entry) -> None:
        """Thinks of an answer to what is likely to have been said."""
        if not self.busy:
            self._current = self._make(ReplyOptions(), self.config, self._row, likely)

    def drop_prepared(self) -> None:
        """Drops the prepared answer, of which nobody has heard anything."""
        if self._current and not self._current.reply.released:
            self._current.drop()
            self._current = None

    def start(self, options: ReplyOptions, config: SessionConfig | None = None) -> None:
        """Begins the reply of the conversation, with the settings that it was asked for with."""
        self._current = self._make(options, config or self.config, self._row, None)
        self._begun(self._current.reply)

    def _begun(self, reply: Reply) -> None:
        self._turns.answer_began(reply.turn)
        self.playout.begin(reply)

    def _make(
        self, options: ReplyOptions, session: SessionConfig, speaker: SpeakingRow | None, likely: Entry | None
    ) -> LiveReply:
        request = self._requests.new(options, session, likely)
        thoughts = self._row.ponder(request.context, options.recite)
        publish = self._emit if options.out_of_band else self._remember
        return LiveReply(Reply(request, self._new_id, prepared=likely is not None), thoughts, speaker, publish)

    def read_ahead(self) -> None:
        """Lets the mind read what the reply to a next turn begins with: what it is told, and what was said so far."""
        if not self.config.only_listen:
            self._row.read(self._requests.ahead(self.config))

    def _remember(self, output: Output) -> None:
        """What a reply makes becomes part of the conversation."""
        self._emit(self._history.keep(output))

    def next(self) -> bool:
        """Begins the replies that waited, as far as there is room; says whether there was some for any.

        Tried at every step too: a speaking row may have been given back by another conversation.
        """
        begun = False
        for waiting in list(self._waiting):
            if self._begins(*waiting):
                self._waiting.remove(waiting)
                begun = True
        return begun

    def _begins(self, options: ReplyOptions, config: SessionConfig) -> bool:
        """Begins a reply unless it has to wait: for the reply before it, or for a speaking row of its own."""
        if not options.out_of_band:
            if self.busy:
                return False
            self.start(options, config)
            return True
        speaks = options.over(config).audio_out
        return self._out_of_band.begin(speaks, lambda speaker: self._make(options, config, speaker, None))

    # ---- growing ----

    def think(self) -> bool:
        """Takes what the mind has come up with; says whether there was anything."""
        fresh = self.next()
        for live in self.all:
            if not live.reply.ended:
                try:
                    fresh |= live.think()
                except Exception as error:  # ends this answer; those beside it go on
                    self.broke(error, live)
                    fresh = True
                else:
                    self._after(live)
        return fresh

    def spoke(self, live: LiveReply, spoken: Spoken) -> None:
        """Takes sound of a reply that became ready."""
        if live.reply.ended:
            return
        live.spoke(spoken)
        if live is self._current and live.reply.released:
            self.playback.grew(live.reply.turn, live.reply.samples)
        live.think()
        self._after(live)

    def _after(self, live: LiveReply) -> None:
        reply = live.reply
        if reply.request.options.out_of_band:
            if reply.ended:
                self._out_of_band.over(live)
                self.next()
            return
        if reply.restyled and reply.released:
            self.config, reply.restyled = replace(self.config, voice=reply.restyled), None
        if reply.ended and reply.released:
            self.playback.made_whole(reply.turn)
            self._current = None
            self.next()

    # ---- ending ----

    def stop(self, turn: int | None, asked: bool) -> bool:
        """Ends a reply, or that of the conversation; says whether there was one, or ``asked``: one that waited.

        Where we own the playback, what is made already is played until that is stopped too.
        """
        self.drop_prepared()
        if (live := self._out_of_band.of_turn(turn)) is not None:
            live.end("client_cancelled")
            self._after(live)
            return True
        if self.busy and self._current and turn in (None, self._current.reply.turn):
            self.end("client_cancelled", plays_on=self.config.plays_here)
            self.next()
            return True
        return asked

    def end(self, why: Why, heard: int | None = None, plays_on: bool = False) -> None:
        """Ends the reply of the conversation; ``plays_on``: what was made of it is still played."""
        self.drop_prepared()
        live = self._current
        if live is None or live.reply.ended:
            return
        turn = live.reply.turn
        live.end(why, self.playback.position_of(turn) if heard is None else heard)
        if plays_on:
            self.playback.made_whole(turn)
        else:
            self.playback.stopped(turn)
        self._current = None

    def broke(self, error: BaseException, live: LiveReply | None = None) -> None:
        """The model failed on this conversation, or on this reply: that is over, the conversation is not."""
        log_failure(error)
        message = explained(error)
        if live is not None and live.reply.request.options.out_of_band:
            live.end("failed", error=message)
            self._after(live)
        elif self._current:
            self._current.reply.error = message
            self.end("failed")
            self.next()
        self._emit(Refused("server_error", message))

    def close(self) -> None:
        """Stops all replies; no more outputs are given."""
        if self._current:
            self._current.drop()
        self._current = None
        self._out_of_band.close()

    # ---- what of them was heard ----

    def cut(self, turn: int, heard: int) -> None:
        """The user has interrupted this turn after so many samples; it is shortened, and what waits behind it goes."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0].out_of_band)
        self.playout.silence(turn, heard, "turn_detected", self.config.plays_here)
        self.next()

    def hush(self) -> None:
        """Nothing more is played."""
        self.playout.hush(self.config.plays_here)
        self.next()

    def truncate(self, entry: str, samples: int) -> None:
        """The client has stopped playing this entry, after so many samples. ProtocolError where that cannot be."""
        self.playout.truncate(entry, samples, self.config.plays_here)
        self.next()
