"""Who may speak: a pure state machine on sample time, without model, clock, thread or socket.

`Turns.on(event, now)` is told one thing at a time and answers with actions. ``now`` is the number of microphone
samples so far (24 kHz). Three ways to find the end of a user's turn: by sound (`server_vad`: a fixed silence), by
meaning (`semantic_vad`: the model says how likely it is that the speaker is done, and the silence we wait for
follows), or not at all (`none`: push to talk). During the silence a reply is prepared, and thrown away if speech
goes on.

While we speak, plain `server_vad` stops at the first speech, as the OpenAI protocol has it. `semantic_vad` pauses
within 200 ms and decides within 600 ms: words that mean something stop us for good; a cough, "mhm" or our own echo
do not.
"""

from dataclasses import dataclass
from typing import Literal

from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.model import FRAME

MS = 24
ONSET = 2 * FRAME
SUSPECT = 3 * FRAME
DECIDE = 560 * MS
QUIET_AGAIN = 240 * MS
SPECULATE = 200 * MS
LONGEST_WAIT_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
SHORTEST_WAIT_MS = {"low": 480, "medium": 320, "auto": 320, "high": 200}
SURELY_DONE = 0.85


# ---- what it is told ----


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the microphone: how likely it is speech, and whether it sounds like what we are playing."""

    speech: float
    echo: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """The microphone gave nothing for so many samples of real time."""

    samples: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model makes of the user's turn: is the speaker done, how many words, how many of them mean
    something."""

    done: float
    words: int
    meant: int


@dataclass(frozen=True, slots=True)
class InputTaken:
    """The input was committed or cleared by the client."""


@dataclass(frozen=True, slots=True)
class ReplyBegan:
    """We begin to answer."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplyGrew:
    """So many samples of the answer exist now."""

    turn: int
    samples: int


@dataclass(frozen=True, slots=True)
class ReplyWhole:
    """The answer is made; perhaps it is still being played."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplyStopped:
    """The answer is neither made nor played any more."""

    turn: int


@dataclass(frozen=True, slots=True)
class PlayedTo:
    """The listener's loudspeaker is at this sample of the answer."""

    turn: int
    samples: int


Event = Frame | Gap | Judged | InputTaken | ReplyBegan | ReplyGrew | ReplyWhole | ReplyStopped | PlayedTo


# ---- what it wants done ----


@dataclass(frozen=True, slots=True)
class Attend:
    """Begin to listen for words, from this sample on."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user has the floor since this sample."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user's turn ended at this sample."""

    at: int


@dataclass(frozen=True, slots=True)
class Forget:
    """What was heard since Attend was nothing."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Think of an answer already; perhaps it will be wanted."""


@dataclass(frozen=True, slots=True)
class Discard:
    """The prepared answer is not wanted."""


@dataclass(frozen=True, slots=True)
class CommitInput:
    """The user's turn is an entry now."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop playing this turn for the moment."""

    turn: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Play on."""

    turn: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop this turn; so much of it was heard."""

    turn: int
    heard: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nobody has spoken since ``start``."""

    start: int
    end: int


Overture = Attend | SpeechStarted | SpeechStopped | Forget | Prepare | Discard
Action = Overture | CommitInput | Reply | Pause | Resume | Cut | TimedOut


def wait_ms(done: float, eagerness: str) -> int:
    """How long a silence ends a turn, when the speaker is done with this probability."""
    shortest, longest = SHORTEST_WAIT_MS[eagerness], LONGEST_WAIT_MS[eagerness]
    doubt = max(0.0, 1 - done / SURELY_DONE)
    return round(shortest * (longest / shortest) ** doubt)


@dataclass(slots=True)
class _Talk:
    """A stretch of the user's voice that is being followed."""

    onset: int
    phase: Literal["maybe", "suspect", "tolerated", "floor"] = "maybe"
    voiced: int = FRAME
    run: int = FRAME
    silence: int = 0
    echoes: int = 0
    done: float = 0.0
    words: int = 0
    meant: int = 0
    prepared: bool = False
    paused: bool = False


@dataclass(slots=True)
class _Playing:
    """Our own answer, as far as it is known to be made and played."""

    turn: int
    made: int = 0
    position: int = 0
    whole: bool = False
    paused: bool = False

    @property
    def on(self) -> bool:
        """Whether there is something to interrupt."""
        return not self.whole or self.position < self.made


class Turns:
    """The turn-taking of one conversation."""

    def __init__(self, config: TurnConfig) -> None:
        """Nobody speaks yet."""
        self.config = config
        self._talk: _Talk | None = None
        self._reply: _Playing | None = None
        self._idle: int | None = None

    @property
    def playing(self) -> int | None:
        """The turn that is being made or played."""
        return self._reply.turn if self._reply and self._reply.on else None

    @property
    def position(self) -> int:
        """Samples of the present answer that were played, as far as is known."""
        return self._reply.position if self._reply else 0

    def on(self, event: Event, now: int) -> tuple[Action, ...]:
        """What has to be done now that this happened."""
        match event:
            case Frame():
                return self._frame(event, now)
            case Judged(done, words, meant) if self._talk:
                self._talk.done, self._talk.words, self._talk.meant = done, words, meant
                return tuple(self._interrupt(self._talk)) if self._must_stop() else ()
            case Gap(samples):
                self._advance(samples)
            case InputTaken():
                talk, self._talk = self._talk, None
                self._idle = None
                return tuple(self._unpause(talk)) + ((Discard(),) if talk and talk.prepared else ())
            case ReplyBegan(turn):
                self._reply, self._idle = _Playing(turn), None
            case ReplyGrew(turn, samples) if self._reply and self._reply.turn == turn:
                self._reply.made = samples
            case ReplyWhole(turn) if self._reply and self._reply.turn == turn:
                self._reply.whole = True
            case ReplyStopped(turn) if self._reply and self._reply.turn == turn:
                self._reply = None
                if self._talk:
                    self._talk.paused = False
            case PlayedTo(turn, samples) if self._reply and self._reply.turn == turn:
                self._reply.position = max(0, min(samples, self._reply.made))
        return ()

    # ---- time goes on ----

    def _frame(self, frame: Frame, now: int) -> tuple[Action, ...]:
        self._advance(FRAME)
        if self.config.kind == "none":
            return ()
        speech = frame.speech >= self.config.threshold
        still = frame.speech >= max(0.05, self.config.threshold - 0.15)
        if self._talk is None:
            if not speech:
                return self._idle_timeout(now)
            self._talk = _Talk(onset=now - FRAME, echoes=FRAME * frame.echo)
            self._idle = None
            return ()
        talk = self._talk
        if speech or (still and talk.phase == "floor" and talk.silence == 0):
            talk.voiced += FRAME
            talk.run += FRAME
            talk.silence = 0
            talk.echoes += FRAME * frame.echo
        else:
            talk.run = 0
            talk.silence += FRAME
        if talk.phase == "floor":
            return tuple(self._floor(talk, now))
        if talk.phase == "maybe":
            return tuple(self._maybe(talk, now))
        return tuple(self._overlap(talk, now))

    def _advance(self, samples: int) -> None:
        reply = self._reply
        if reply and not reply.paused:
            reply.position = min(reply.made, reply.position + samples)
        if reply and not reply.on and self._idle is None and self._talk is None:
            self._idle = 0
        elif self._idle is not None:
            self._idle += samples

    def _idle_timeout(self, now: int) -> tuple[Action, ...]:
        limit = self.config.idle_timeout_ms
        if limit is None or self._idle is None or self._idle < limit * MS:
            return ()
        start, self._idle, self._reply = now - self._idle, None, None
        return TimedOut(start, now), CommitInput(), Reply()

    # ---- the phases of a stretch of voice ----

    def _maybe(self, talk: _Talk, now: int):
        """Voice for one frame: a click, or the beginning of something."""
        overlap = self._careful
        if talk.voiced >= (SUSPECT if overlap else ONSET):
            yield Attend(self._start(talk))
            if not overlap:
                yield from self._take_floor(talk)
            elif 2 * talk.echoes > talk.voiced:
                talk.phase = "tolerated"
            else:
                talk.phase = "suspect"
                yield from self._pause(talk)
        elif talk.silence >= 2 * FRAME:
            self._talk = None

    def _overlap(self, talk: _Talk, now: int):
        """We speak and somebody else does too: is it meant for us?"""
        if not self._careful and (talk.silence < QUIET_AGAIN or talk.meant):
            # what we said is over meanwhile, so this is simply the user's turn
            yield from self._take_floor(talk)
            return
        echo = 2 * talk.echoes > talk.voiced
        if self._must_stop():
            yield from self._interrupt(talk)
        elif talk.silence >= QUIET_AGAIN:
            yield from self._unpause(talk)
            yield Forget()
            self._talk = None
        elif talk.phase == "suspect" and now - talk.onset >= DECIDE:
            if not echo and talk.words == 0 and talk.voiced * 4 >= (now - talk.onset) * 3:
                yield from self._interrupt(talk)
            else:
                talk.phase = "tolerated"
                yield from self._unpause(talk)

    def _floor(self, talk: _Talk, now: int):
        """The user has the floor: are they done?"""
        if talk.prepared and talk.run >= ONSET:
            talk.prepared = False
            yield Discard()
        if not talk.silence:
            return
        wait = self.config.silence_duration_ms
        if self.config.kind == "semantic_vad":
            wait = wait_ms(talk.done, self.config.eagerness)
        likely = self.config.kind == "server_vad" or talk.done >= 0.4
        if talk.silence >= wait * MS:
            self._talk = None
            yield SpeechStopped(now - talk.silence)
            yield CommitInput()
            if self.config.create_response:
                yield Reply()
        elif not talk.prepared and likely and talk.silence >= SPECULATE and self.config.create_response:
            talk.prepared = True
            yield Prepare()

    # ---- steps that several phases share ----

    @property
    def _careful(self) -> bool:
        """Whether speech now is an interruption that has to be judged."""
        playing = self._reply is not None and self._reply.on
        return playing and self.config.kind == "semantic_vad" and self.config.interrupt_response

    def _start(self, talk: _Talk) -> int:
        return max(0, talk.onset - self.config.prefix_padding_ms * MS)

    def _take_floor(self, talk: _Talk):
        talk.phase = "floor"
        yield SpeechStarted(self._start(talk))
        if self._reply and self._reply.on and self.config.interrupt_response:
            yield Cut(self._reply.turn, self._reply.position)
        if self.config.interrupt_response:
            self._reply = None

    def _interrupt(self, talk: _Talk):
        talk.paused = False
        yield from self._take_floor(talk)

    def _must_stop(self) -> bool:
        talk = self._talk
        if talk is None or talk.phase not in ("suspect", "tolerated") or 2 * talk.echoes > talk.voiced:
            return False
        return talk.meant >= (1 if talk.phase == "suspect" else 2)

    def _pause(self, talk: _Talk):
        if self._reply:
            self._reply.paused = talk.paused = True
            yield Pause(self._reply.turn)

    def _unpause(self, talk: _Talk | None):
        if talk and talk.paused and self._reply:
            self._reply.paused = talk.paused = False
            yield Resume(self._reply.turn)
