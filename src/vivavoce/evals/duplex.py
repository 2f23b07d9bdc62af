"""Who speaks when, judged by the two channels of sound alone, so that any model can be measured beside any other.

The axes are those of Full-Duplex-Bench (arXiv:2503.04721): pauses that are no ends, turns that are taken smoothly,
signs of listening, interruptions. Everything that can be measured is a stream: a frame of the microphone goes in, a
frame of what it says comes out. A model that takes turns answers with recordings, and so does a silence timer; a model
that hears and speaks at once says what it will, and its pauses count as silence. Beside each of them stands a timer
with the same latency in the median.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vivavoce.core import rng
from vivavoce.evals.intervals import median, share
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.scenes import Kind, Loudspeaker, Scene
from vivavoce.evals.silence_timer import SilenceTimer, calibrated
from vivavoce.evals.turns import OneAnswer, Recorder
from vivavoce.runtime import api
from vivavoce.runtime.duplex import DuplexEngine
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.frames import AnswerFrames
from vivavoce.runtime.model import FRAME, RATE, Abilities, Activity, Duplex, Hearing, Pcm

KINDS: tuple[Kind, ...] = ("pause", "order_pause", "order", "backchannel", "interruption")
_INTRUSIONS: tuple[Kind, ...] = ("backchannel", "interruption")
_LEAD, _WAIT, _AFTER = RATE // 4, 5 * RATE, 3 * RATE
"""Samples before somebody speaks; in which an answer is waited for; that are played after an intrusion."""
_LOUD, _QUIET = 10 ** (-45 / 20), 8
"""Root mean square from which on a frame says something, and so many frames of silence that end it."""
_SHORT = RATE
"""What is said while the user speaks, and is no longer than this, is a sign of listening; more takes the floor."""
_FLUENT = RATE // 5
_FIRST_TRY = 600.0


@dataclass(slots=True)
class Outcome:
    """What was said in a scene; times in samples, None where it did not happen."""

    kind: Kind
    took_over: bool = False
    """It spoke before the user had finished: anything in a pause, or more than a sign of listening."""
    listening: int = 0
    """Signs of listening while the user spoke for ``spoken`` samples."""
    spoken: int = 0
    gap: int | None = None
    """From the user's end to the answer, where it did not take over."""
    intruded: bool = False
    """The user made a sound while it spoke."""
    stopped: int | None = None
    """From that sound's onset to silence."""
    again: int | None = None
    """From that sound's end to the next answer, where it had stopped."""


class Stage:
    """One scene while it is played: gives the microphone's frames, takes what is said."""

    def __init__(self, scene: Scene, dice: np.random.Generator) -> None:
        """Before the first frame."""
        self.scene, self._dice = scene, dice
        parts = [np.zeros(_LEAD, np.float32), scene.question]
        self._pause = range(0)
        if scene.rest is not None:
            self._pause = range(sum(map(len, parts)), sum(map(len, parts)) + scene.pause)
            parts += [np.zeros(scene.pause, np.float32), scene.rest]
        self._script = np.concatenate(parts)
        self._end, self.now = len(self._script), 0
        self._said: list[Pcm] = []
        self._intrudes: int | None = None
        self._room = Loudspeaker(scene.room) if scene.room else None

    def frame(self) -> Pcm:
        """The next frame of the microphone."""
        mic = (self._dice.standard_normal(FRAME) * self.scene.hiss).astype(np.float32)
        _mix(mic, self._script, self.now)
        if self._intrudes is not None and self.scene.intrusion is not None:
            _mix(mic, self.scene.intrusion, self.now - self._intrudes)
        if self._room is not None:
            mic += self._room.play(self._said[-1] if self._said else np.zeros(FRAME, np.float32))
        self.now += FRAME
        return np.clip(mic, -1, 1)

    def said(self, pcm: Pcm) -> None:
        """What was said meanwhile, whole frames."""
        self._said += list(pcm.reshape(-1, FRAME))
        begins = self._intrudes is None and self.scene.kind in _INTRUSIONS and self._said
        if begins and len(self._said) * FRAME > self._end and _loud(self._said[-1:])[0]:
            self._intrudes = len(self._said) * FRAME + self.scene.after

    @property
    def over(self) -> bool:
        """Whether all was seen."""
        if self._intrudes is not None and self.scene.intrusion is not None:
            return self.now > self._intrudes + len(self.scene.intrusion) + _AFTER
        spoke = self.scene.kind not in _INTRUSIONS and bool(_loud(self._said[self._end // FRAME + 1 :]).any())
        return spoke or self.now > self._end + _WAIT

    def outcome(self) -> Outcome:
        """What happened, from the two channels."""
        found, end = Outcome(self.scene.kind, spoken=self._end - _LEAD), self._end // FRAME
        stretches = _stretches(_loud(self._said))
        early = [one for one in stretches if one[0] < end]
        found.listening = sum(
            (last - first) * FRAME <= _SHORT and last <= end and first * FRAME not in self._pause
            for first, last in early
        )
        found.took_over = len(early) > found.listening
        later = [first for first, _ in stretches if first >= end]
        if later and not found.took_over:
            found.gap = max(0, later[0] * FRAME - self._end)
        if self._intrudes is None or self.scene.intrusion is None:
            return found
        onset, done = self._intrudes // FRAME, (self._intrudes + len(self.scene.intrusion)) // FRAME
        speaking = next((one for one in stretches if one[0] <= onset < one[1]), None)
        found.intruded = speaking is not None
        if speaking is not None and speaking[1] < min(done + RATE // FRAME, len(self._said)):
            found.stopped = (speaking[1] - onset) * FRAME
            again = next((first for first, _ in stretches if first >= max(done, speaking[1])), None)
            found.again = None if again is None else (again - done) * FRAME
        return found


def _mix(into: Pcm, sound: Pcm, at: int) -> None:
    begin, end = max(0, at), min(len(sound), at + len(into))
    if begin < end:
        into[begin - at : end - at] += sound[begin:end]


def _loud(frames: Sequence[Pcm]) -> np.ndarray:
    """Of every frame, whether something is said in it."""
    return np.array([float(np.sqrt(np.mean(frame**2))) > _LOUD for frame in frames], dtype=bool)


def _stretches(loud: np.ndarray) -> list[tuple[int, int]]:
    """Frames [begin, end) of what is said between silences that are long enough."""
    found: list[tuple[int, int]] = []
    for frame in np.flatnonzero(loud).tolist():
        if found and frame - found[-1][1] < _QUIET:
            found[-1] = found[-1][0], frame + 1
        else:
            found.append((frame, frame + 1))
    return found


def fluent(pcm: Pcm) -> Pcm:
    """A recording without pauses of more than 0.2 s, so that silence means that it was stopped."""
    blocks = pcm[: len(pcm) // 480 * 480].reshape(-1, 480)
    quiet, kept = 0, []
    loud = np.sqrt((blocks**2).mean(1))
    for block, level in zip(blocks, loud, strict=True):
        quiet = 0 if level > 0.05 * loud.max() else quiet + 480
        if quiet <= _FLUENT:
            kept.append(block)
    return np.concatenate(kept) if kept else pcm


# ---- playing them ----


def by_turns(
    activity: Activity[Any], hearing: Hearing[Any], todo: Sequence[Scene], rows: int, seed: int
) -> list[Outcome]:
    """The turn machine, with turns by meaning."""
    answers: dict[int, Pcm] = {}
    model = Abilities(activity=activity, hearing=hearing, thinking=OneAnswer(), speaking=Recorder(answers))
    engine = LiveEngine(model, rows=rows, threads=0)
    turns = api.TurnConfig(kind="semantic_vad")
    config = api.SessionConfig(turns=turns, plays_here=True, frames=True)
    return _played(engine, config, answers, todo, rows, seed, turn_taking=True)


def at_once(model: Duplex[Any], answers: dict[int, Pcm], todo: Sequence[Scene], rows: int, seed: int) -> list[Outcome]:
    """A model that hears and speaks at once; ``answers`` are handed to one that says recordings."""
    engine = DuplexEngine(model, rows=rows, threads=0)
    return _played(engine, api.SessionConfig(frames=True), answers, todo, rows, seed)


def _played(
    engine: LiveEngine | DuplexEngine,
    config: api.SessionConfig,
    answers: dict[int, Pcm],
    todo: Sequence[Scene],
    rows: int,
    seed: int,
    *,
    turn_taking: bool = False,
) -> list[Outcome]:
    waiting, outcomes = list(enumerate(todo))[::-1], dict[int, Outcome]()
    stages: list[tuple[int, Stage, Any, AnswerFrames | None]] = []
    while waiting or stages:
        while waiting and len(stages) < rows:
            number, scene = waiting.pop()
            seat = engine.sit(config)
            answers[seat.index] = fluent(scene.answer)
            frames = AnswerFrames(seat.push) if turn_taking else None
            stages.append((number, Stage(scene, rng.stream(seed, "hiss", number)), seat, frames))
        for _, stage, seat, _ in stages:
            seat.push(api.AudioIn(stage.frame()))
        while engine.step():
            pass
        for number, stage, seat, frames in stages:
            while seat.outputs:
                output = seat.read()
                output = frames.follow(output) if frames is not None else output
                if isinstance(output, api.Framed) and output.pcm is not None:
                    stage.said(output.pcm)
            if stage.over:
                outcomes[number] = stage.outcome()
                engine.leave(seat)
        stages = [one for one in stages if not one[1].over]
        engine.step()
    return [outcomes[number] for number in sorted(outcomes)]


# ---- a report ----


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplexSuite:
    """``model`` is a duplex model, if one is to be measured, and its name."""

    rows: int = 4
    seed: int = 0
    model: Duplex[Any] | None = None
    name: str = ""


def run(
    suite: DuplexSuite,
    activity: Activity[Any],
    hearing: Hearing[Any],
    todo: Sequence[Scene],
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """The turn machine and the duplex model on the same scenes, each beside a silence timer that is as quick as it is.

    Where a model never answers there is nothing to be as quick as, and it has no timer of its own.
    """
    todo = [scene for scene in todo if scene.kind in KINDS]
    say(f"{len(todo)} scenes: the turn machine")
    found = {"the turn machine": by_turns(activity, hearing, todo, suite.rows, suite.seed)}
    answers: dict[int, Pcm] = {}

    def timed(milliseconds: float) -> list[Outcome]:
        return at_once(SilenceTimer(activity, answers, milliseconds), answers, todo, suite.rows, suite.seed)

    say("a silence timer, to see how late it is")
    first = _gaps(timed(_FIRST_TRY))

    def as_late_as(outcomes: Sequence[Outcome]) -> float | None:
        wanted = median(_gaps(outcomes)).value
        return None if np.isnan(wanted) else calibrated(first, wanted, _FIRST_TRY)

    tried = as_late_as(found["the turn machine"]) or _FIRST_TRY
    say(f"the same after {tried:.0f} ms of silence")
    found[f"a silence timer of {tried:.0f} ms"] = timed(tried)
    own = None
    if suite.model is not None:
        say(f"the duplex model {suite.name}")
        found[suite.name] = at_once(suite.model, answers, todo, suite.rows, suite.seed)
        if (own := as_late_as(found[suite.name])) is not None:
            say(f"a silence timer of {own:.0f} ms, as late as it is")
            found[f"a silence timer of {own:.0f} ms, as late as {suite.name}"] = timed(own)
    kinds = {kind: sum(scene.kind == kind for scene in todo) for kind in KINDS}
    about = {"scenes": kinds, "seed": suite.seed, "silence_ms": tried, "duplex": suite.name, "duplex_silence_ms": own}
    return Report("duplex", about, [Table(name, rows_of(outcomes)) for name, outcomes in found.items()])


def _gaps(outcomes: Sequence[Outcome]) -> list[float]:
    return [one.gap / 24 for one in outcomes if one.gap is not None]


def rows_of(outcomes: Sequence[Outcome]) -> list[Row]:
    """What was measured, axis by axis."""

    def ms(times: Sequence[int | None]) -> Any:
        return median([time / 24 for time in times if time is not None])

    def of(*kinds: Kind) -> list[Outcome]:
        return [one for one in outcomes if one.kind in kinds]

    interrupted = [one for one in of("interruption") if one.intruded]
    hummed = [one for one in of("backchannel") if one.intruded]
    minutes = sum(one.spoken for one in outcomes) / RATE / 60
    signs = sum(one.listening for one in outcomes) / minutes if minutes else 0.0
    taken = [one for one in outcomes if not one.took_over]
    return [
        Row(name="pauses of people who read: took over", value=share([one.took_over for one in of("pause")])),
        Row(name="pauses inside an order: took over", value=share([one.took_over for one in of("order_pause")])),
        Row(name="turns taken within 5 s", value=share([one.gap is not None for one in taken])),
        Row(name="end of the user to the answer, median", value=ms([one.gap for one in outcomes]), unit="ms"),
        Row(
            name="signs of listening while we speak: stopped", value=share([one.stopped is not None for one in hummed])
        ),
        Row(
            name="scenes with a sign of listening of its own while the user speaks",
            value=share([one.listening > 0 for one in outcomes]),
            remark=f"{signs:.2f} a minute",
        ),
        Row(name="interruptions: stopped", value=share([one.stopped is not None for one in interrupted])),
        Row(name="onset of an interruption to silence, median", value=ms([o.stopped for o in interrupted]), unit="ms"),
        Row(
            name="interruptions: answered afterwards",
            value=share([one.again is not None for one in interrupted if one.stopped is not None]),
        ),
        Row(name="end of an interruption to the answer, median", value=ms([o.again for o in interrupted]), unit="ms"),
    ]
