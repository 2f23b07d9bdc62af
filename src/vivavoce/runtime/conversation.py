"""One conversation, without thread or socket: inputs and steps of the model go in, outputs come out.

The engine calls it in this order, again and again: `pull` (inputs up to the next sound), `frame` and `noticed` (one
frame of the microphone, what the activity detector says of it), `heard` (the words), `think`, and `Replies.spoke` for
each reply that is `speaking`. It only decides who does what: inputs wait in an `Inbox`, `UserTurn` is what the user
says, `Turns` who may speak (carried out by `TurnTaking`), `Replies` what we say, and `History` what was said.
"""

from collections.abc import Callable
from dataclasses import replace

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry, Heard
from vivavoce.runtime import api
from vivavoce.runtime import turn_events as t
from vivavoce.runtime.history import History
from vivavoce.runtime.inbox import Cancelled, Inbox, Unheard, refusal, with_words
from vivavoce.runtime.listening import Microphone
from vivavoce.runtime.live_reply import LiveReply
from vivavoce.runtime.model import FRAME, Pcm
from vivavoce.runtime.model_rows import ConversationRow
from vivavoce.runtime.replies import Replies
from vivavoce.runtime.turn_taking import TurnTaking
from vivavoce.runtime.turns import Turns
from vivavoce.runtime.user import UserTurn

MOST_ENTRIES = 4000
MOST_CHARACTERS = 4_000_000
"""What a client may add to a conversation; turns of the conversation itself are not counted against anybody."""


class LiveConversation:
    """The state of one conversation and everything that changes it."""

    def __init__(
        self,
        config: api.SessionConfig,
        row: ConversationRow,
        emit: Callable[[api.Output], None],
        new_id: Callable[[str], str],
    ):
        """Nothing was said yet; ``new_id`` makes unique names such as ``item_1``."""
        self._row, self._emit, self._new_id = row, emit, new_id
        self._set_voice = config.voice
        self.inbox, self.history = Inbox(), History()
        self.turns = Turns(config.turns, patient=row.patient)
        self.user = UserTurn(config.hearing, row, self.history, emit, new_id)
        self.replies = Replies(config, row, self.history, self.turns, emit, new_id)
        self._taking = TurnTaking(self.turns, self.user, self.replies, self.history, emit, patient=row.patient)
        self.replies.read_ahead()

    @property
    def config(self) -> api.SessionConfig:
        """The session's settings, in the voice that it has now."""
        return self.replies.config

    @property
    def microphone(self) -> Microphone:
        """The user's."""
        return self.user.microphone

    # ---- inputs ----

    def pull(self, slow: Callable[[], bool]) -> bool:
        """Looks at what came and does what can be done, while the client is not too ``slow`` to read; says whether
        anything came."""
        came = bool(self.inbox)
        if not slow():
            self._work()
        while self.inbox:
            urgent = self.inbox.arrive()
            if urgent is not None:
                self._do(urgent)
            if not slow():
                self._work()
        return came

    def _work(self) -> None:
        """Follows the inputs up to the next sound that has to be heard first."""
        while self.microphone.waiting < FRAME and (event := self.inbox.next()) is not None:
            self._do(event)

    def _do(self, event: api.Input | Cancelled) -> None:
        try:
            self._follow(event)
        except ProtocolError as error:
            self._emit(refusal(event, error))

    def _follow(self, event: api.Input | Cancelled) -> None:
        match event:
            case api.AudioIn(pcm):
                if len(pcm):
                    self.user.push(pcm, self.config.turns.kind == "none")
            case api.Configure(config):
                self._configure(config)
            case api.Stop(turn):
                waited = turn is None and self.inbox.cancel_replies(self.replies.respond_in_vain)
                if not self.replies.stop(turn, waited):
                    raise ProtocolError("Cancellation failed: no active response found.", "response_cancel_not_active")
            case api.Played(turn, samples):
                self.replies.playout.played_to(turn, samples)
            case api.Hush():
                self.replies.hush()
            case api.Clear():
                self.user.forget()
                self._taking.on(t.InputTaken())
                self._emit(api.Cleared())
            case api.Commit():
                self._commit(event)
            case api.Add(entry, after):
                self._once_heard((entry,), lambda heard: self._add(heard[0], after, entry), event)
            case api.TextIn(text):
                self._add(Entry(id=self._new_id("item"), text=text))
                self._answer_if_asked()
            case api.ToolResult(call, output):
                self._add(Entry(id=self._new_id("item"), kind="result", call=call, output=output))
                self._answer_if_asked()
            case api.Delete(entry):
                self.history.delete(entry)
                self._emit(api.EntryDeleted(entry))
            case api.Truncate(entry, samples) if entry in self._taking.withdrawn:
                # the client could not know that there is nothing left to shorten
                self._emit(api.EntryTruncated(entry, samples))
            case api.Truncate(entry, samples):
                self.replies.truncate(entry, samples)
            case api.Retrieve(entry):
                self._emit(api.EntryShown(self.history.find(entry)))
            case Cancelled(options):
                self.replies.respond_in_vain(options)
            case api.Respond(options) if options.input:
                self._once_heard(
                    options.input, lambda heard: self.replies.respond(replace(options, input=heard)), event
                )
            case api.Respond(options):
                self.replies.respond(options)

    def _configure(self, config: api.SessionConfig) -> None:
        """New settings; a voice that was changed by what somebody said stays unless another one is set."""
        if config.voice == self._set_voice:
            config = replace(config, voice=self.config.voice)
        else:
            self._set_voice = config.voice
        old, self.replies.config = self.config, config
        self.turns.config, self.user.options = config.turns, config.hearing
        if replace(old, turns=config.turns, tag=config.tag) != config:
            self.replies.drop_prepared()
            self.replies.read_ahead()
        if "none" in (old.turns.kind, config.turns.kind) and old.turns.kind != config.turns.kind:
            self._taking.on(t.InputTaken())
            self.user.switched(config.turns.kind == "none")
        self._emit(api.Configured(config))

    def _once_heard(
        self, entries: tuple[Entry | str, ...], then: Callable[[tuple[Entry | str, ...]], None], event: api.Input
    ) -> None:
        """Goes on with the entries once those that came as sound alone have words."""
        heard = {
            place: self._row.hear_sound(entry.audio, self.config.hearing)
            for place, entry in enumerate(entries)
            if isinstance(entry, Entry) and entry.role == "user" and entry.audio is not None and not entry.said
        }
        if heard:
            self.inbox.hold(Unheard(tuple(heard.values()), lambda: then(with_words(entries, heard)), event))
        else:
            then(entries)

    def _add(self, entry: Entry | str, after: str | None = None, came: Entry | None = None) -> None:
        assert isinstance(entry, Entry)
        if len(self.history) >= MOST_ENTRIES or self.history.characters + entry.characters > MOST_CHARACTERS:
            raise ProtocolError(
                f"A conversation takes {MOST_ENTRIES} items and {MOST_CHARACTERS} characters; delete some first."
            )
        previous = self.history.add(entry, after)
        self._emit(api.EntryAdded(entry, previous))
        self._emit(api.EntryDone(entry, previous))
        if entry is not came and entry.spoken:
            self._emit(api.UserText(entry.id, entry.said, True, entry.said, entry.words, entry.samples))
        self.replies.drop_prepared()

    def _commit(self, event: api.Input) -> None:
        """All that was sent is a turn, once its words are there."""
        whole = self.user.hear_all()

        def commit() -> None:
            self.user.commit(whole.result())
            self._taking.on(t.InputTaken())

        if whole.done() or not self._row.patient:
            commit()
        else:
            self.inbox.hold(Unheard((whole,), commit, event))

    def _answer_if_asked(self) -> None:
        if self.config.reply_to_text:
            self.replies.end("client_cancelled")
            self.replies.start(api.ReplyOptions())

    # ---- the microphone ----

    def frame(self) -> Pcm | None:
        """The next frame for the activity detector, if there is one; with turn detection off, sound needs none."""
        if self.config.turns.kind == "none":
            if skipped := self.user.skip():
                self._taking.on(t.Gap(skipped))
            return None
        mic = self.microphone
        return mic.take(FRAME) if mic.waiting >= FRAME else None

    def noticed(self, pcm: Pcm, speech: float) -> None:
        """Takes the activity detector's probability of speech (0 to 1) for the frame that `frame` gave."""
        turns = self.config.turns
        self._taking.on(self.user.measured(pcm, speech, turns, self.replies.playout.playing))
        self.user.forget_old(turns.prefix_padding_ms)
        if self.config.frames:
            self._emit(api.Framed(self.microphone.now))

    def gap(self, samples: int) -> None:
        """The microphone gave nothing for so many samples; time goes on without sound."""
        self._taking.on(t.Gap(samples))

    def heard(self, heard: Heard) -> None:
        """Takes what the model has made of the user's turn so far."""
        self._taking.on(self.user.heard(heard))

    def _heard_recordings(self) -> bool:
        """Goes on where the recordings of an input were heard meanwhile; says whether they were."""
        unheard = self.inbox.heard()
        if unheard is None:
            return False
        try:
            unheard.then()
        except ProtocolError as error:
            self._emit(refusal(unheard.event, error))
        return True

    # ---- replies ----

    @property
    def speaking(self) -> list[LiveReply]:
        """The replies that the model should make sound for now."""
        return [live for live in self.replies.all if live.reply.wants_to_speak]

    def think(self) -> bool:
        """Takes what the mind has come up with and what was heard as a whole; says whether there was anything."""
        return self._taking.heard_whole() | self._heard_recordings() | self.replies.think()

    def broke(self, error: BaseException, live: LiveReply | None = None) -> None:
        """The model failed on this row, or on this reply: that is over, the conversation is not."""
        self.replies.broke(error, live)

    def close(self) -> None:
        """Stops replies and hearing; no more outputs are given."""
        self.replies.close()
