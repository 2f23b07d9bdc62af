"""A simulator of turn-taking: plays `scenes` on the sample clock and counts who spoke when.

The model hears and the activity detector listens as in a live session; answers are recordings too, so that nothing has
to be thought or synthesised and the simulation runs faster than real time. What our loudspeaker plays at a moment comes
back through the scene's room, also when playback was paused and goes on, and fades when it stops.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.atomic import atomic_write
from vivavoce.core.streaming import State
from vivavoce.core.talk import Say, Thought
from vivavoce.core.voice import Voice
from vivavoce.evals.scenes import HARMLESS, PAUSES, REAL, Kind, Loudspeaker, Scene, click
from vivavoce.runtime import api
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.model import FRAME, RATE, Abilities, Activity, Context, Hearing, Pcm, Spoken

CHUNK = 5 * FRAME
LONGEST = 30 * RATE


@dataclass(slots=True)
class SceneOutcome:
    """What happened in a scene; times in samples, None where it did not happen."""

    kind: Kind
    cut_in: bool = False
    gap: int | None = None
    paused: int | None = None
    stopped: int | None = None
    resumed: int | None = None
    silent: int = 0
    """Samples for which playback was paused."""
    answered: bool = False
    click: bool = False
    """Whether what intrudes begins with a click, and is silent again before the voice begins."""
    turns: int = 0
    """Turns of the user that are remembered at the end."""


@dataclass
class _Deck(State):
    """Which answer each row plays, and how far it is."""

    at: Tensor
    fed: list[bool] = field(default_factory=list)


class Recorder:
    """Speaks by playing the recording of the row's scene."""

    def __init__(self, answers: dict[int, Pcm]) -> None:
        self._answers = answers

    def init_state(self, rows: int) -> _Deck:
        """Nothing is played."""
        return _Deck(torch.zeros(rows, dtype=torch.long), [False] * rows)

    def begin(self, state: _Deck, row: int, voice: Voice, seed: int) -> None:
        """The row's recording from its beginning."""
        state.at[row], state.fed[row] = 0, False

    def feed(self, state: _Deck, row: int, text: str, last: bool) -> None:
        """From now on it is played, whatever the text."""
        state.fed[row] = True

    def step(self, state: _Deck, active: Bool[Tensor, " B"]) -> list[Spoken | None]:
        """The next 200 ms of every row."""
        return [self._play(state, row) if on and state.fed[row] else None for row, on in enumerate(active.tolist())]

    def _play(self, state: _Deck, row: int) -> Spoken:
        begin, answer = int(state.at[row]), self._answers[row]
        state.at[row] += CHUNK
        return Spoken(answer[begin : begin + CHUNK], (), begin + CHUNK >= len(answer))

    def stop(self, state: _Deck, row: int) -> None:
        """Drops the rest."""
        state.fed[row] = False


class OneAnswer:
    """A mind that always has something to say."""

    def respond(self, context: Context) -> Iterator[Thought]:
        """One word."""
        yield Say("answer")


class _Play:
    """One scene while it is being played: gives the microphone, reads the outputs."""

    def __init__(self, scene: Scene, seat: Seat, dice: np.random.Generator) -> None:
        self.scene, self.seat, self._dice = scene, seat, dice
        self.outcome = SceneOutcome(scene.kind, click=scene.intrusion is not None and click(scene.intrusion))
        self.now = 0
        self.over = False
        lead = np.zeros(RATE // 4, np.float32)
        script = [lead, scene.question]
        if scene.rest is not None:
            script += [np.zeros(scene.pause, np.float32), scene.rest]
        self._script = np.concatenate(script)
        self._end = len(self._script)
        self._answer_from: int | None = None
        self._intrudes: int | None = None
        self._held = False
        self._position = self._latest = 0
        self._turn: int | None = None
        self._said: set[str] = set()
        self._speaker = Loudspeaker(scene.room) if scene.room else None

    def frame(self) -> Pcm:
        """The next frame of the microphone."""
        begin, end = self.now, self.now + FRAME
        self.now = end
        mic = (self._dice.standard_normal(FRAME) * self.scene.hiss).astype(np.float32)
        _mix(mic, self._script, begin)
        if self._intrudes is not None and self.scene.intrusion is not None:
            _mix(mic, self.scene.intrusion, begin - self._intrudes)
        played = np.zeros(FRAME, np.float32)
        if self._answer_from is not None and self.outcome.stopped is None and not self._held:
            _mix(played, self.scene.answer, self._position)
            self._position += FRAME
        if self._speaker is not None:
            mic += self._speaker.play(played)
        return np.clip(mic, -1, 1)

    def read(self) -> None:
        """What the engine has to say up to now."""
        scene, outcome = self.scene, self.outcome
        while self.seat.outputs:
            output = self.seat.read()
            self._held = isinstance(output, api.Paused) or (self._held and not isinstance(output, api.Resumed))
            match output:
                case api.AudioOut(turn) if turn != self._turn:
                    self._answered(turn)
                case api.Committed():
                    outcome.turns += 1
                case api.EntryDeleted(entry) if entry in self._said:
                    outcome.turns -= 1
                case api.EntryAdded(entry) if entry.role == "user":
                    self._said.add(entry.id)
                case api.Paused() if self._intruded and outcome.paused is None:
                    outcome.paused = self.now - self._begin
                case api.Resumed() if self._intruded and outcome.stopped is None:
                    outcome.resumed = self.now - self._begin
                case api.Silenced() if self._intruded and outcome.stopped is None:
                    outcome.stopped = self.now - self._begin
                case _:
                    pass
        outcome.silent += FRAME * (self._held and self._intruded and outcome.stopped is None)
        if scene.kind in PAUSES or outcome.cut_in:
            self.over = (self._turn is not None and self._latest > self._end) or self.now > self._end + 10 * RATE
        else:
            length = len(scene.intrusion) if scene.intrusion is not None else 3 * RATE
            done = self._intrudes is not None and self.now > self._intrudes + length + RATE
            self.over = outcome.stopped is not None or done or self.now > LONGEST

    def _answered(self, turn: int) -> None:
        """An answer begins to be played, the first one or one after a cut-in."""
        self._turn, self._latest = turn, self.now
        if self._answer_from is None:
            self._answer_from = self.now
            self._intrudes = self.now + self.scene.after
            self.outcome.answered = True
            self.outcome.gap = self.now - self._end
            self.outcome.cut_in = self.now < self._end

    @property
    def _begin(self) -> int:
        """When the intrusion began; an echo intrudes from the first sound on."""
        begin = self._answer_from if self.scene.kind == "echo" else self._intrudes
        return begin or 0

    @property
    def _intruded(self) -> bool:
        if self.scene.kind == "echo":
            return self._answer_from is not None
        return self._intrudes is not None and self.now > self._intrudes


def _mix(into: Pcm, sound: Pcm, at: int) -> None:
    """Adds the part of a sound that falls into a frame; ``at`` is the frame's place in the sound."""
    begin, end = max(0, at), min(len(sound), at + len(into))
    if begin < end:
        into[begin - at : end - at] += sound[begin:end]


# ---- playing them ----


def simulate(
    activity: Activity[Any],
    hearing: Hearing[Any],
    todo: Sequence[Scene],
    *,
    turns: TurnConfig | None = None,
    rows: int = 4,
    seed: int = 0,
) -> list[SceneOutcome]:
    """Plays all scenes, several at once, and says what happened in each."""
    answers: dict[int, Pcm] = {}
    model = Abilities(activity=activity, hearing=hearing, thinking=OneAnswer(), speaking=Recorder(answers))
    engine = LiveEngine(model, rows=rows, threads=0)
    config = SessionConfig(turns=turns or TurnConfig(kind="semantic_vad"), plays_here=True)
    waiting = list(enumerate(todo))[::-1]
    plays: list[_Play] = []
    outcomes: dict[int, SceneOutcome] = {}
    numbers: dict[int, int] = {}
    while waiting or plays:
        while waiting and len(plays) < rows:
            number, scene = waiting.pop()
            seat = engine.sit(config)
            answers[seat.index] = scene.answer
            numbers[id(seat)] = number
            plays.append(_Play(scene, seat, rng.stream(seed, "hiss", number)))
        for play in plays:
            play.seat.push(api.AudioIn(play.frame()))
        while engine.step():
            pass
        for play in plays:
            play.read()
            if play.over:
                outcomes[numbers.pop(id(play.seat))] = play.outcome
                engine.leave(play.seat)
        plays = [play for play in plays if not play.over]
        engine.step()
    return [outcomes[number] for number in sorted(outcomes)]


@dataclass(frozen=True, slots=True)
class TurnReport:
    """How well turns are taken; shares from 0 to 1, times in milliseconds, NaN where there was no such scene."""

    scenes: int
    cut_ins: float
    cut_ins_on_orders: float
    early_answers: float
    """Share of the orders that were answered although something was added after a pause."""
    split: float
    """Share of them of which the two halves were not heard as one turn."""
    missed: dict[str, float]
    false_stops: dict[str, float]
    false_pauses: dict[str, tuple[float, float]]
    """Share of the harmless scenes in which playback paused, and for how long altogether (median)."""
    unanswered: float
    gap_ms: tuple[float, float]
    order_gap_ms: tuple[float, float]
    pause_ms: dict[str, tuple[float, float]]
    decision_ms: dict[str, tuple[float, float]]
    clicks: dict[str, float]
    """Share of the interruptions that begin with a click or a breath, long before the voice."""
    voice_pause_ms: dict[str, tuple[float, float]]
    """Onset to pause of the others."""
    voice_decision_ms: dict[str, tuple[float, float]]

    def rows(self) -> list[tuple[str, str, str]]:
        """What was measured, for people: a name, the value and what it should be."""

        def shares(given: dict[str, float]) -> str:
            return ", ".join(f"{kind} {share:.0%}" for kind, share in given.items())

        def times(given: tuple[float, float]) -> str:
            return f"{given[0]:.0f} ms, {given[1]:.0f} ms"

        pauses = ", ".join(f"{kind} {share:.0%} ({ms:.0f} ms)" for kind, (share, ms) in self.false_pauses.items())
        found = [
            ("scenes", f"{self.scenes}", ""),
            ("cut-ins on pauses of people who read", f"{self.cut_ins:.0%}", "≤ 10 %"),
            ("cut-ins on pauses inside an order", f"{self.cut_ins_on_orders:.0%}", "≤ 10 %"),
            ("answers before something is added to an order", f"{self.early_answers:.0%}", ""),
            ("... whose halves were not heard as one turn", f"{self.split:.0%}", ""),
            ("missed interruptions", shares(self.missed), "≤ 5 %"),
            ("false stops", shares(self.false_stops), "≤ 10 %"),
            ("false pauses, and how long", pauses, ""),
            ("questions that were not answered", f"{self.unanswered:.0%}", ""),
            ("end of reading to answer, median and p95", times(self.gap_ms), ""),
            ("end of an order to answer, median and p95", times(self.order_gap_ms), ""),
        ]
        for kind in self.pause_ms:
            clicks = f"... without the {self.clicks[kind]:.0%} that begin with a click or a breath"
            found.append((f"onset to pause, {kind}", times(self.pause_ms[kind]), "≤ 200 ms"))
            found.append((clicks, times(self.voice_pause_ms[kind]), "≤ 200 ms"))
            found.append((f"onset to silence for good, {kind}", times(self.decision_ms[kind]), "≤ 600 ms"))
            found.append((clicks, times(self.voice_decision_ms[kind]), "≤ 600 ms"))
        return found

    def text(self) -> str:
        """The rows, one a line."""
        return "\n".join(f"{name:56}{value}" for name, value, _ in self.rows())

    def write(self, path: Path, about: dict[str, Any]) -> None:
        """Writes everything as JSON, whole or not at all; ``about`` says how it was measured."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({"about": about, "rows": self.rows(), **asdict(self)}, indent=1) + "\n")


def report(outcomes: Sequence[SceneOutcome]) -> TurnReport:
    """Sums up; an interruption is missed if we do not stop, a false stop is one that is not resumed.

    Scenes in which we cut in on the question say nothing about what comes after it.
    """

    def of(*kinds: Kind) -> list[SceneOutcome]:
        return [o for o in outcomes if o.kind in kinds and o.answered]

    def share(wrong: Sequence[bool]) -> float:
        return float(np.mean(wrong)) if wrong else float("nan")

    def ms(samples: Sequence[int | None]) -> tuple[float, float]:
        known = [s / 24 for s in samples if s is not None] or [float("nan")]
        return float(np.quantile(known, 0.5)), float(np.quantile(known, 0.95))

    def calm(*kinds: Kind) -> dict[str, list[SceneOutcome]]:
        found: dict[str, list[SceneOutcome]] = {kind: [o for o in of(kind) if not o.cut_in] for kind in kinds}
        return {kind: scenes for kind, scenes in found.items() if scenes}

    real, harmless = calm(*REAL), calm(*HARMLESS)
    return TurnReport(
        scenes=len(outcomes),
        cut_ins=share([o.cut_in for o in of("pause")]),
        cut_ins_on_orders=share([o.cut_in for o in of("order_pause")]),
        early_answers=share([o.cut_in for o in of("order_more")]),
        split=share([o.turns > 1 for o in of("order_more")]),
        missed={kind: share([o.stopped is None for o in found]) for kind, found in real.items()},
        false_stops={
            kind: share([o.stopped is not None or (o.paused is not None and o.resumed is None) for o in found])
            for kind, found in harmless.items()
        },
        false_pauses={
            kind: (share([o.paused is not None for o in found]), ms([o.silent for o in found if o.silent])[0])
            for kind, found in harmless.items()
        },
        unanswered=share([not o.answered for o in outcomes]),
        gap_ms=ms([o.gap for o in of("pause", *REAL, *HARMLESS) if not o.cut_in]),
        order_gap_ms=ms([o.gap for o in of("order", "order_pause") if not o.cut_in]),
        pause_ms={kind: ms([o.paused for o in found]) for kind, found in real.items()},
        decision_ms={kind: ms([o.stopped for o in found]) for kind, found in real.items()},
        clicks={kind: share([o.click for o in found]) for kind, found in real.items()},
        voice_pause_ms={kind: ms([o.paused for o in found if not o.click]) for kind, found in real.items()},
        voice_decision_ms={kind: ms([o.stopped for o in found if not o.click]) for kind, found in real.items()},
    )
