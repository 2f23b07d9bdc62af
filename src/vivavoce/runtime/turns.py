"""Who may speak: a pure state machine on sample time, without model, clock, thread or socket.

`Turns.on(event, now)` is told one thing at a time and answers with actions. ``now`` is the number of microphone
samples so far (24 kHz). Three ways to find the end of a user's turn: by sound (`server_vad`: a fixed silence), by
meaning (`semantic_vad`: the model says how likely it is that the speaker is done, and the silence we wait for
follows), or not at all (`none`: push to talk). Early in the silence the turn is heard once more as a whole and a reply
is prepared; both are thrown away if speech goes on.

While we speak, plain `server_vad` stops at the first speech, as the OpenAI protocol has it. `semantic_vad` pauses
within 200 ms, because that is cheap to undo, and decides within 600 ms: whoever still speaks then has interrupted us,
and so has whoever has fallen silent, unless it was a cough, a sign of listening ("mhm") or our own echo. Whoever speaks
on when our answer has hardly begun had not finished speaking: the answer is withdrawn.

Silence is what the activity detector calls so, and also what is far quieter than the voice before it: the detector
needs a tenth of a second to notice that somebody fell silent.
"""

from collections.abc import Iterator

from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.endings import silence_that_ends
from vivavoce.runtime.interruptions import FAINT, JUDGE, Rise, due, has_content, outgrown, wants_floor
from vivavoce.runtime.model import FRAME
from vivavoce.runtime.playback import Playback
from vivavoce.runtime.stretch import MS, Floor, Maybe, MeasuredVoice, Stretch, Suspect, Tolerated
from vivavoce.runtime.turn_events import (
    Action,
    Attend,
    BeginReply,
    CommitInput,
    Cut,
    Discard,
    Event,
    Forget,
    Gap,
    InputTaken,
    Judge,
    Judged,
    MicFrame,
    Pause,
    Prepare,
    Resume,
    SpeechStarted,
    SpeechStopped,
    TimedOut,
    Withdraw,
)  # fmt: skip

ONSET = 2 * FRAME
QUIET_AGAIN = 240 * MS
SPECULATE = 120 * MS
PREPARE = 400 * MS
HARDLY_BEGUN = 800 * MS
"""Whoever speaks on before so much of an answer was played had not finished the question."""


class Turns:
    """The turn-taking of one conversation."""

    def __init__(self, config: TurnConfig, *, patient: bool = False) -> None:
        """Nobody speaks yet. ``patient``: a turn ends only once its words are there, as they take a while."""
        self.config, self._patient = config, patient
        self.playback = Playback()
        self._stretch: Stretch | None = None
        self._idle: int | None = None
        self._asked = False
        self._rise = Rise()

    def on(self, event: Event, now: int) -> tuple[Action, ...]:
        """What has to be done now that this happened."""
        match event:
            case MicFrame():
                return self._frame(event, now)
            case Judged() if self._stretch:
                return tuple(self._judged(self._stretch, event, now))
            case Gap(samples):
                self._advance(samples)
            case InputTaken():
                stretch, self._stretch, self._idle = self._stretch, None, None
                discard = (Discard(),) if stretch and stretch.judgement.asked else ()
                return (*self._resume(), *discard)
            case _:
                pass
        return ()

    def answer_began(self, turn: int) -> None:
        """We begin to answer."""
        self.playback.began(turn, self._asked)
        self._asked, self._idle = False, None

    # ---- time goes on ----

    def _frame(self, frame: MicFrame, now: int) -> tuple[Action, ...]:
        self._advance(FRAME)
        if self.config.kind == "none":
            return ()
        self._rise.take(frame.level_db)
        speech = frame.speech >= self.config.threshold
        faint = self._careful and frame.speech >= FAINT * self.config.threshold
        if self._stretch is None:
            if not speech and not faint:
                return self._idle_timeout(now)
            risen = self._rise.fresh if self._careful else 0
            self._stretch, self._idle = Stretch(MeasuredVoice.begun(now - max(FRAME, risen), frame)), None
            return ()
        stretch, voice = self._stretch, self._stretch.voice
        still = frame.speech >= max(0.05, self.config.threshold - 0.15)
        speech = speech or (still and isinstance(stretch.phase, Floor) and voice.silence == 0)
        speech = speech or (faint and isinstance(stretch.phase, Maybe) and self._rise.loud > 0)
        voice.more(frame, speech)
        stale = voice.run >= ONSET and not isinstance(stretch.phase, Suspect)
        return (*(self._out_of_date(stretch) if stale else ()), *self._follow(stretch, now))

    def _follow(self, stretch: Stretch, now: int) -> Iterator[Action]:
        match stretch.phase:
            case Floor():
                return self._floor(stretch, stretch.phase, now)
            case Maybe():
                return self._maybe(stretch)
            case _:
                return self._overlap(stretch, now)

    def _advance(self, samples: int) -> None:
        self.playback.advance(samples)
        if self.playback.over and self._idle is None and self._stretch is None:
            self._idle = 0
        elif self._idle is not None:
            self._idle += samples

    def _idle_timeout(self, now: int) -> tuple[Action, ...]:
        limit = self.config.idle_timeout_ms
        if limit is None or self._idle is None or self._idle < limit * MS:
            return ()
        start, self._idle = now - self._idle, None
        self.playback.clear()
        return TimedOut(start, now), CommitInput(), BeginReply()

    # ---- the phases of a stretch of voice ----

    def _maybe(self, stretch: Stretch) -> Iterator[Action]:
        """Voice for one frame: a click, or the beginning of something."""
        voice = stretch.voice
        if voice.voiced >= ONSET:
            yield Attend(self._start(voice))
            if not self._careful:
                yield from self._take_floor(stretch)
            elif voice.clear < ONSET:
                stretch.phase = Tolerated(echo=True)
            else:
                yield from self._pause(stretch)
        elif voice.silence >= 2 * FRAME:
            self._stretch = None

    def _overlap(self, stretch: Stretch, now: int) -> Iterator[Action]:
        """We speak and somebody else does too: is it meant for us?"""
        voice, judgement = stretch.voice, stretch.judgement
        if (
            not self._careful
            and not voice.ours
            and not judgement.noise
            and (voice.silence < QUIET_AGAIN or judgement.content)
        ):
            # what we said is over meanwhile, so this is simply the user's turn
            yield from self._take_floor(stretch)
        elif voice.silence >= QUIET_AGAIN:
            yield from self._resume()
            yield Forget()
            self._stretch = None
        elif isinstance(stretch.phase, Tolerated):
            yield from self._tolerated(stretch, stretch.phase, now)
        else:
            yield from self._suspect(stretch, now - voice.onset)

    def _suspect(self, stretch: Stretch, age: int) -> Iterator[Action]:
        """We have paused; somebody speaks, or has just fallen silent."""
        voice, judgement = stretch.voice, stretch.judgement
        if due(voice, judgement, age):
            yield from self._decide(stretch)
        elif not judgement.asked and (age >= JUDGE or voice.silence >= SPECULATE):
            judgement.asked = True
            yield Judge()

    def _tolerated(self, stretch: Stretch, phase: Tolerated, now: int) -> Iterator[Action]:
        """We speak on over it, until it turns out to be more."""
        voice, judgement = stretch.voice, stretch.judgement
        if voice.ours:
            phase.echo = True
        elif phase.echo:
            if voice.clear >= ONSET:
                yield from self._suspect_again(stretch, now)
        elif outgrown(voice, judgement):
            yield from self._take_floor(stretch)
        elif not judgement.asked and voice.silence >= SPECULATE:
            judgement.asked = True
            yield Judge()

    def _suspect_again(self, stretch: Stretch, now: int) -> Iterator[Action]:
        """It was our echo, and now somebody speaks over it."""
        voice = stretch.voice
        voice.onset, voice.voiced, voice.again = now - voice.clear, voice.clear, False
        stretch.judgement.begin_again()
        # little before that: it would be our own words
        yield Attend(max(0, voice.onset - ONSET))
        yield from self._pause(stretch)

    def _decide(self, stretch: Stretch) -> Iterator[Action]:
        """Time is up: stop, or go on."""
        voice, judgement = stretch.voice, stretch.judgement
        if wants_floor(voice, judgement):
            yield from self._take_floor(stretch)
        else:
            stretch.phase = Tolerated(echo=voice.ours)
            yield from self._out_of_date(stretch)
            yield from self._resume()

    def _judged(self, stretch: Stretch, judged: Judged, now: int) -> Iterator[Action]:
        voice, judgement = stretch.voice, stretch.judgement
        if judgement.whole and (judged.early or not judged.whole):
            return
        judgement.judged(judged)
        tolerated = isinstance(stretch.phase, Tolerated) and not stretch.phase.echo
        if tolerated and has_content(judgement) and (judged.whole or voice.run):
            yield from self._take_floor(stretch)
        if not judged.whole or not judgement.asked:
            return
        judgement.whole = not judged.early
        if isinstance(stretch.phase, Floor):
            # the silence may be over already, and the microphone may give nothing more
            ended = tuple(self._end(stretch, now)) if self._patient else ()
            yield from ended or self._prepare(stretch, stretch.phase)
        elif isinstance(stretch.phase, Suspect) and voice.silence >= SPECULATE:
            yield from self._decide(stretch)

    def _floor(self, stretch: Stretch, phase: Floor, now: int) -> Iterator[Action]:
        """The user has the floor: are they done?"""
        silence, judgement = stretch.voice.silence, stretch.judgement
        if not silence:
            return
        if ended := tuple(self._end(stretch, now)):
            yield from ended
        elif judgement.asked:
            yield from self._prepare(stretch, phase)
        elif silence >= min(SPECULATE, silence_that_ends(self.config, judgement)):
            judgement.asked = True
            yield Judge()

    def _end(self, stretch: Stretch, now: int) -> Iterator[Action]:
        """The turn is over if the silence has lasted, and the words are there if they are waited for."""
        silence, judgement = stretch.voice.silence, stretch.judgement
        if silence >= silence_that_ends(self.config, judgement) and (judgement.whole or not self._patient):
            self._stretch = None
            yield SpeechStopped(now - silence)
            yield CommitInput()
            if self.config.create_response and not judgement.noise:
                self._asked = True
                yield BeginReply()

    # ---- steps that several phases share ----

    @property
    def _careful(self) -> bool:
        """Whether speech now is an interruption that has to be judged."""
        return self.playback.now is not None and self.config.kind == "semantic_vad" and self.config.interrupt_response

    def _prepare(self, stretch: Stretch, phase: Floor) -> Iterator[Action]:
        """An answer takes a while to think of: begins shortly before it is likely to be wanted."""
        judgement = stretch.judgement
        wanted = judgement.whole and not judgement.noise and not phase.prepared and self.config.create_response
        if wanted and stretch.voice.silence >= silence_that_ends(self.config, judgement) - PREPARE:
            phase.prepared = True
            yield Prepare()

    def _out_of_date(self, stretch: Stretch) -> Iterator[Action]:
        judgement = stretch.judgement
        if judgement.asked:
            judgement.asked = judgement.whole = False
            if isinstance(stretch.phase, Floor):  # who has it and goes on may say something now
                stretch.phase.prepared = judgement.noise = False
            yield Discard()

    def _start(self, voice: MeasuredVoice) -> int:
        return max(0, voice.onset - self.config.prefix_padding_ms * MS)

    def _take_floor(self, stretch: Stretch) -> Iterator[Action]:
        stretch.phase = Floor()
        yield from self._out_of_date(stretch)
        yield SpeechStarted(self._start(stretch.voice))
        if not self.config.interrupt_response:
            yield from self._resume()
            return
        cut = self.playback.clear()
        for answer in cut:
            spoke_on = self.config.kind == "semantic_vad" and answer.to_speech and len(cut) == 1
            drop = Withdraw if spoke_on and answer.position <= HARDLY_BEGUN else Cut
            yield drop(answer.turn, answer.position)

    def _pause(self, stretch: Stretch) -> Iterator[Action]:
        stretch.phase = Suspect()
        if (turn := self.playback.pause()) is not None:
            yield Pause(turn)

    def _resume(self) -> Iterator[Action]:
        if (turn := self.playback.resume()) is not None:
            yield Resume(turn)
