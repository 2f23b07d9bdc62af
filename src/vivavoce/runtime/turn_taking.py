"""What `Turns` decides, carried out: on what the user says, on our replies, and on what is remembered of both."""

from collections.abc import Callable
from dataclasses import replace

from vivavoce.runtime import api
from vivavoce.runtime import turn_events as t
from vivavoce.runtime.history import History
from vivavoce.runtime.replies import Replies
from vivavoce.runtime.turns import Turns
from vivavoce.runtime.user import UserTurn, judged


class TurnTaking:
    """Tells `Turns` what happens and does what it wants done."""

    def __init__(
        self,
        turns: Turns,
        user: UserTurn,
        replies: Replies,
        history: History,
        emit: Callable[[api.Output], None],
        *,
        patient: bool,
    ) -> None:
        """Nobody speaks yet; ``patient`` as for `Turns`."""
        self._patient = patient
        self._turns, self._user, self._replies, self._history, self._emit = turns, user, replies, history, emit
        self.withdrawn: set[str] = set()
        """Entries that were taken back as the user spoke on; clients may not know it yet."""

    def on(self, event: t.Event) -> None:
        """Something happened."""
        actions = self._turns.on(event, self._user.microphone.now)
        for action in actions:
            self._act(action)
        if any(isinstance(action, t.SpeechStarted) for action in actions):
            self._replies.read_ahead()

    def heard_whole(self) -> bool:
        """Takes what is made of the whole turn once it is there, and then its words; says whether they came."""
        sooner = self._user.whole.sooner()
        if sooner is not None:
            self.on(replace(judged(sooner, whole=True), early=True))
        try:
            heard = self._user.whole.words()
        except Exception as error:  # the model's, from another thread
            if self._patient:  # or the turn would wait for its words for ever
                self.on(t.Judged(1.0, 0, whole=True, speech=0.0))
            self._replies.broke(error)
            return True
        if heard is not None:
            self.on(judged(heard, whole=True))
        return sooner is not None or heard is not None

    def _act(self, action: t.Action) -> None:
        user, replies = self._user, self._replies
        match action:
            case t.Attend(at):
                user.attend(at)
            case t.SpeechStarted(at):
                user.begin(at)
            case t.SpeechStopped(at):
                self._emit(api.UserSpeech(False, at, user.entry or ""))
            case t.Forget():
                user.forget_sound()
            case t.Judge():
                user.whole.hear()
            case t.Prepare():
                if not replies.config.only_listen and not replies.busy:
                    replies.prepare(user.likely())
            case t.Discard():
                user.whole.drop()
                replies.drop_prepared()
            case t.CommitInput():
                user.commit()
            case t.BeginReply():
                if not replies.config.only_listen:
                    replies.respond_to_speech()
            case t.Pause(turn):
                self._emit(api.Paused(turn))
            case t.Resume(turn):
                self._emit(api.Resumed(turn))
            case t.Cut(turn, heard):
                replies.cut(turn, heard)
            case t.Withdraw(turn, heard):
                self._withdraw(turn, heard)
            case t.TimedOut(start, end):
                self._emit(api.IdleTimeout(start, end, user.begin_empty()))

    def _withdraw(self, turn: int, heard: int) -> None:
        """The user speaks on: forgets the answer, and what it answered becomes the beginning of what is said now.

        A function that was called cannot be taken back; what is said then is said after it.
        """
        user, history = self._user, self._history
        reply, first = self._replies.playout.of_turn(turn), user.last
        self._replies.cut(turn, heard)
        if reply is None or first is None or not history.knows(first) or user.entry is None:
            return
        if any(entry.kind == "call" for entry in reply.entries):
            return
        said = history.find(first)
        for known in (*(entry.id for entry in reply.entries), first):
            if history.knows(known):
                history.delete(known)
                self.withdrawn.add(known)
                self._emit(api.EntryDeleted(known))
        user.begin_with(said)
