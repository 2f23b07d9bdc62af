"""Who may speak: a pure state machine on sample time, without model, clock, thread or socket.

`Turns.on(event, now)` is told one thing at a time and answers with actions. ``now`` is the number of microphone
samples so far (24 kHz). Three ways to find the end of a user's turn: by sound (`server_vad`: a fixed silence), by
meaning (`semantic_vad`: the model says how likely it is that the speaker is done, and the silence we wait for
follows), or not at all (`none`: push to talk). Early in the silence the turn is heard once more as a whole and a reply
is prepared; both are thrown away if speech goes on.

While we speak, plain `server_vad` stops at the first speech, as the OpenAI protocol has it. `semantic_vad` pauses
within 200 ms, because that is cheap to undo, and decides within 600 ms: whoever goes on speaking stops us for good;
whoever has fallen silent does unless it was no more than a sign of listening. A cough, "mhm" or our own echo do not.
Whoever speaks on when we had hardly begun to answer had not finished: the answer is withdrawn.

Silence is what the activity detector calls so, and also what is far quieter than the voice before it: the detector
needs a tenth of a second to notice that somebody fell silent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.model import FRAME

MS = 24
ONSET = 2 * FRAME
FAINT = 0.2
"""Share of the threshold from which on a frame may be the beginning of speech while we speak; the next one has to reach
all of it, or be loud."""
JUDGE = 400 * MS
"""Age of a suspected interruption at which its words are asked for, so that they are there when it is decided."""
DECIDE = 480 * MS
"""Age at which it is decided; the detector notices speech up to 80 ms after it began."""
DECIDE_AT_LAST = 520 * MS
"""Age at which it is decided although somebody has only just fallen silent or begun again. Whoever still speaks wants
the floor."""
LONG_VOICE = 400 * MS
"""Whoever still speaks when it is decided has spoken so long; a "mhm" is over."""
SETTLED = 2 * FRAME
"""A gap inside a word is shorter; it delays the decision."""
LONGEST_HUM = 1000 * MS
"""Whoever speaks longer than this wants the floor, whatever it sounds like."""
LONGEST_BURST = 600 * MS
"""Whoever spoke briefly and goes on to this wants the floor, unless it sounds like a sign of listening."""
ANOTHER = 120 * MS
"""So does whoever speaks for so long after a pause that is longer than any in a word."""
RISEN_DB, RISING = 12.0, 240 * MS
"""A sound so far above the quietest lately began where it rose, and not where it was first taken for speech, as long as
that was no longer ago. The detector takes its time over an F or an S."""
ASIDE, SURELY_ASIDE = 0.5, 0.75
"""Somebody who has fallen silent is let be from the first probability on that it was no more than a sign of listening;
somebody who still speaks only from the second on, as few signs are that long."""
SPOKEN = 0.5
"""Probability of speech below which nobody spoke, whatever the activity detector took for a voice."""
QUIET_AGAIN = 240 * MS
SPECULATE = 120 * MS
PREPARE = 400 * MS
FADED_DB = 26.0
"""So much quieter than the loudest frame of a stretch of voice is not voice."""
HARDLY_BEGUN = 800 * MS
"""Whoever speaks on before so much of an answer was played had not finished the question."""
MOST_PLAYING = 8
"""So many answers may wait to be played; who has more and tells us nothing of it plays them elsewhere."""
OURS = 0.5
"""Probability from which on a frame, or the voice lately, counts as our own echo."""
LONGEST_WAIT_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
SHORTEST_WAIT_MS = {"low": 480, "medium": 320, "auto": 320, "high": 200}
SURELY_DONE = 0.85


# ---- what it is told ----


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the microphone: how likely it is speech, how likely that is only what we are playing, how loud."""

    speech: float
    echo: float = 0.0
    level_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """The microphone gave nothing for so many samples of real time."""

    samples: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model makes of the user's turn: is the speaker done, how many words mean something, how likely is it
    no more than a sign of listening, how likely is it that anybody speaks at all.

    ``whole``: it was asked for by Judge, and is as good as it gets; ``early``: but for the words, which come later.
    """

    done: float
    meant: int
    aside: float = 0.5
    whole: bool = False
    speech: float = 1.0
    early: bool = False


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
class Judge:
    """Hear the turn as a whole and say what you make of it; what was heard counts until Discard."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Think of an answer to what was heard; perhaps it will be wanted."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Speech goes on: what was heard as a whole is out of date, and a prepared answer is not wanted."""


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
class Withdraw:
    """Drop this turn, of which hardly anything was heard: what it answers goes on, and is one turn with the rest."""

    turn: int
    heard: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nobody has spoken since ``start``."""

    start: int
    end: int


Overture = Attend | SpeechStarted | SpeechStopped | Forget | Judge | Prepare | Discard
Action = Overture | CommitInput | Reply | Pause | Resume | Cut | Withdraw | TimedOut


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
    again: bool = False
    """Whether it has come back after a pause."""
    loudest_db: float = -200.0
    echo: float = 0.0
    """How much of the voice lately was our own, 0 to 1."""
    clear: int = 0
    """Voice since the last frame that was our own."""
    done: float = 0.0
    meant: int = 0
    aside: float = 0.5
    noise: bool = False
    """Whether nobody spoke when it was last heard as a whole, nor, as far as is known, since then."""
    asked: bool = False
    """Whether Judge was said since the voice was last heard."""
    whole: bool = False
    """Whether the words are those that Judge asked for."""
    prepared: bool = False
    paused: bool = False
    echoed: bool = False
    """Whether it is tolerated because it is our own echo."""
    mixed: bool = False
    """Whether some of it was our echo, so that the words may be ours."""

    @property
    def speaks_on(self) -> bool:
        """Whether somebody still speaks who has done so for long, or who has begun again."""
        return self.silence == 0 and (self.voiced >= LONG_VOICE or self.again)

    @property
    def ours(self) -> bool:
        """Whether it is our own echo."""
        return self.echo > OURS


@dataclass(slots=True)
class _Playing:
    """Our own answer, as far as it is known to be made and played."""

    turn: int
    to_speech: bool = False
    """Whether it answers what was just said."""
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

    def __init__(self, config: TurnConfig, *, patient: bool = False) -> None:
        """Nobody speaks yet. ``patient``: a turn ends only once its words are there, as they take a while."""
        self.config, self._patient = config, patient
        self._talk: _Talk | None = None
        self._replies: list[_Playing] = []
        self._idle: int | None = None
        self._asked = False
        self._quiet_db = 0.0
        self._loud = 0

    @property
    def _now(self) -> _Playing | None:
        """The answer that is made or played; answers are played one after the other."""
        return next((reply for reply in self._replies if reply.on), None)

    @property
    def playing(self) -> int | None:
        """The turn that is being made or played."""
        return self._now.turn if self._now else None

    @property
    def to_be_played(self) -> tuple[tuple[int, int], ...]:
        """The turns that are made or played now or later, with what was played of them."""
        return tuple((reply.turn, reply.position) for reply in self._replies if reply.on)

    @property
    def position(self) -> int:
        """Samples of the present answer that were played, as far as is known."""
        return self._now.position if self._now else 0

    def position_of(self, turn: int) -> int:
        """Samples of an answer that were played, as far as is known."""
        return next((reply.position for reply in self._replies if reply.turn == turn), 0)

    @property
    def sounding(self) -> bool:
        """Whether some of the answer is being played at this moment, as far as is known."""
        return self._now is not None and not self._now.paused and self._now.position < self._now.made

    def _reply(self, turn: int) -> _Playing | None:
        return next((reply for reply in self._replies if reply.turn == turn), None)

    def on(self, event: Event, now: int) -> tuple[Action, ...]:
        """What has to be done now that this happened."""
        match event:
            case Frame():
                return self._frame(event, now)
            case Judged() if self._talk:
                return tuple(self._judged(self._talk, event))
            case Gap(samples):
                self._advance(samples)
            case InputTaken():
                talk, self._talk = self._talk, None
                self._idle = None
                return tuple(self._unpause(talk)) + ((Discard(),) if talk and talk.asked else ())
            case ReplyBegan(turn):
                played = [reply for reply in self._replies if reply.on]
                self._replies = [*played[1 - MOST_PLAYING :], _Playing(turn, self._asked)]
                self._asked, self._idle = False, None
            case ReplyGrew(turn, samples) if reply := self._reply(turn):
                reply.made = samples
            case ReplyWhole(turn) if reply := self._reply(turn):
                reply.whole = True
            case ReplyStopped(turn) if reply := self._reply(turn):
                self._replies.remove(reply)
                if self._talk and reply.paused:
                    self._talk.paused = False
            case PlayedTo(turn, samples) if reply := self._reply(turn):
                # whatever came before it was played
                self._replies = self._replies[self._replies.index(reply) :]
                reply.position = max(0, min(samples, reply.made))
        return ()

    # ---- time goes on ----

    def _frame(self, frame: Frame, now: int) -> tuple[Action, ...]:
        self._advance(FRAME)
        if self.config.kind == "none":
            return ()
        self._quiet_db = min(frame.level_db, self._quiet_db + 0.2)
        self._loud = self._loud + FRAME if frame.level_db > self._quiet_db + RISEN_DB else 0
        speech = frame.speech >= self.config.threshold
        faint = self._careful and frame.speech >= FAINT * self.config.threshold
        if self._talk is None:
            if not speech and not faint:
                return self._idle_timeout(now)
            self._talk = _Talk(
                onset=now - max(FRAME, self._loud if self._careful and self._loud <= RISING else 0),
                echo=frame.echo,
                clear=0 if frame.echo > OURS else FRAME,
                loudest_db=frame.level_db,
            )
            self._idle = None
            return ()
        talk = self._talk
        still = frame.speech >= max(0.05, self.config.threshold - 0.15)
        speech = speech or (still and talk.phase == "floor" and talk.silence == 0)
        speech = speech or (faint and talk.phase == "maybe" and self._loud > 0)
        if speech and frame.level_db > talk.loudest_db - FADED_DB:
            talk.voiced += FRAME
            talk.run += FRAME
            talk.again |= talk.silence >= SETTLED
            talk.silence = 0
            talk.loudest_db = max(talk.loudest_db, frame.level_db)
            talk.echo += 0.4 * (frame.echo - talk.echo)
            talk.clear = 0 if frame.echo > OURS else talk.clear + FRAME
        else:
            talk.run = 0
            talk.silence += FRAME
        stale = self._out_of_date(talk) if talk.run >= ONSET and talk.phase != "suspect" else ()
        return (*stale, *self._follow(talk, now))

    def _follow(self, talk: _Talk, now: int) -> Iterator[Action]:
        if talk.phase == "floor":
            return self._floor(talk, now)
        if talk.phase == "maybe":
            return self._maybe(talk)
        return self._overlap(talk, now)

    def _advance(self, samples: int) -> None:
        left = samples
        while left and (reply := self._now) and not reply.paused:
            before = reply.position
            reply.position = min(reply.made, before + left)
            left = left - (reply.position - before) if reply.whole else 0
        if self._replies and not self._now and self._idle is None and self._talk is None:
            self._idle = 0
        elif self._idle is not None:
            self._idle += samples

    def _idle_timeout(self, now: int) -> tuple[Action, ...]:
        limit = self.config.idle_timeout_ms
        if limit is None or self._idle is None or self._idle < limit * MS:
            return ()
        start, self._idle = now - self._idle, None
        self._replies.clear()
        return TimedOut(start, now), CommitInput(), Reply()

    # ---- the phases of a stretch of voice ----

    def _maybe(self, talk: _Talk) -> Iterator[Action]:
        """Voice for one frame: a click, or the beginning of something."""
        if talk.voiced >= ONSET:
            yield Attend(self._start(talk))
            if not self._careful:
                yield from self._take_floor(talk)
            elif talk.clear < ONSET:
                talk.phase, talk.echoed, talk.mixed = "tolerated", True, True
            else:
                talk.phase = "suspect"
                yield from self._pause(talk)
        elif talk.silence >= 2 * FRAME:
            self._talk = None

    def _overlap(self, talk: _Talk, now: int) -> Iterator[Action]:
        """We speak and somebody else does too: is it meant for us?"""
        if not self._careful and not talk.ours and not talk.noise and (talk.silence < QUIET_AGAIN or talk.meant):
            # what we said is over meanwhile, so this is simply the user's turn
            yield from self._take_floor(talk)
        elif talk.silence >= QUIET_AGAIN:
            yield from self._unpause(talk)
            yield Forget()
            self._talk = None
        elif talk.phase == "suspect":
            yield from self._suspect(talk, now - talk.onset)
        elif talk.ours:
            talk.echoed = talk.mixed = True
        elif talk.echoed:
            if talk.clear >= ONSET:
                yield from self._suspect_again(talk, now)
        elif not talk.noise and (
            talk.clear >= (LONGEST_HUM if talk.aside >= SURELY_ASIDE else LONGEST_BURST)
            or (talk.again and talk.run >= ANOTHER and talk.clear >= LONG_VOICE)
        ):
            yield from self._take_floor(talk)
        elif not talk.asked and talk.silence >= SPECULATE:
            talk.asked = True
            yield Judge()

    def _suspect(self, talk: _Talk, age: int) -> Iterator[Action]:
        """We have paused; somebody speaks, or has just fallen silent."""
        speaks_on = talk.speaks_on and talk.aside < SURELY_ASIDE
        if age >= DECIDE_AT_LAST or (age >= DECIDE and (speaks_on or talk.silence >= SETTLED)):
            yield from self._decide(talk)
        elif not talk.asked and (age >= JUDGE or talk.silence >= SPECULATE):
            talk.asked = True
            yield Judge()

    def _suspect_again(self, talk: _Talk, now: int) -> Iterator[Action]:
        """It was our echo, and now somebody speaks over it."""
        talk.phase, talk.echoed, talk.mixed = "suspect", False, False
        talk.onset, talk.voiced = now - talk.clear, talk.clear
        talk.meant, talk.aside, talk.again, talk.noise = 0, 0.5, False, False
        # little before that: it would be our own words
        yield Attend(max(0, talk.onset - ONSET))
        yield from self._pause(talk)

    def _decide(self, talk: _Talk) -> Iterator[Action]:
        """Time is up: stop, or go on."""
        if not talk.ours and not talk.noise and (talk.speaks_on or talk.aside < ASIDE):
            yield from self._take_floor(talk)
        else:
            talk.phase, talk.echoed = "tolerated", talk.ours
            talk.mixed |= talk.ours
            yield from self._out_of_date(talk)
            yield from self._unpause(talk)

    def _judged(self, talk: _Talk, judged: Judged) -> Iterator[Action]:
        if talk.whole and (judged.early or not judged.whole):
            return
        talk.done, talk.meant, talk.aside = judged.done, judged.meant, judged.aside
        talk.noise = judged.speech < SPOKEN and (judged.whole or talk.noise)
        tolerated = talk.phase == "tolerated" and not talk.mixed
        if tolerated and talk.meant > 1 and talk.aside < ASIDE and (judged.whole or talk.run):
            yield from self._take_floor(talk)
        if not judged.whole or not talk.asked:
            return
        talk.whole = not judged.early
        if talk.phase == "floor":
            yield from self._prepare(talk)
        elif talk.phase == "suspect" and talk.silence >= SPECULATE:
            yield from self._decide(talk)

    def _floor(self, talk: _Talk, now: int) -> Iterator[Action]:
        """The user has the floor: are they done?"""
        if not talk.silence:
            return
        if talk.silence >= self._wait(talk) and (talk.whole or not self._patient):
            self._talk = None
            yield SpeechStopped(now - talk.silence)
            yield CommitInput()
            if self.config.create_response and not talk.noise:
                self._asked = True
                yield Reply()
        elif talk.asked:
            yield from self._prepare(talk)
        elif talk.silence >= min(SPECULATE, self._wait(talk)):
            talk.asked = True
            yield Judge()

    # ---- steps that several phases share ----

    @property
    def _careful(self) -> bool:
        """Whether speech now is an interruption that has to be judged."""
        return self._now is not None and self.config.kind == "semantic_vad" and self.config.interrupt_response

    def _wait(self, talk: _Talk) -> int:
        """The silence that ends the turn, in samples."""
        if self.config.kind == "semantic_vad":
            # whoever made a noise has nothing to add to it
            return wait_ms(1.0 if talk.noise else talk.done, self.config.eagerness) * MS
        return self.config.silence_duration_ms * MS

    def _prepare(self, talk: _Talk) -> Iterator[Action]:
        """An answer takes a while to think of: begins shortly before it is likely to be wanted."""
        wanted = talk.whole and not talk.noise and not talk.prepared and self.config.create_response
        if wanted and talk.silence >= self._wait(talk) - PREPARE:
            talk.prepared = True
            yield Prepare()

    def _out_of_date(self, talk: _Talk) -> Iterator[Action]:
        if talk.asked:
            talk.asked = talk.whole = talk.prepared = False
            # who has the floor and goes on may say something now
            talk.noise &= talk.phase != "floor"
            yield Discard()

    def _start(self, talk: _Talk) -> int:
        return max(0, talk.onset - self.config.prefix_padding_ms * MS)

    def _take_floor(self, talk: _Talk) -> Iterator[Action]:
        talk.phase, talk.paused = "floor", False
        yield from self._out_of_date(talk)
        yield SpeechStarted(self._start(talk))
        if self.config.interrupt_response:
            cut = [reply for reply in self._replies if reply.on]
            self._replies = []
            for reply in cut:
                spoke_on = self.config.kind == "semantic_vad" and reply.to_speech and len(cut) == 1
                drop = Withdraw if spoke_on and reply.position <= HARDLY_BEGUN else Cut
                yield drop(reply.turn, reply.position)

    def _pause(self, talk: _Talk) -> Iterator[Action]:
        if reply := self._now:
            reply.paused = talk.paused = True
            yield Pause(reply.turn)

    def _unpause(self, talk: _Talk | None) -> Iterator[Action]:
        reply = next((reply for reply in self._replies if reply.paused), None)
        if talk and talk.paused and reply:
            reply.paused = talk.paused = False
            yield Resume(reply.turn)
