"""A simulator of turn-taking: people who pause, interrupt, cough, hum or are only an echo, on the sample clock.

Scenes are made from recordings of people and from spoken orders. In each, somebody asks a question and we answer;
what happens around that is the scene: a pause inside the question, words in the middle of our answer, or something
that is not meant for us. The model hears and the activity detector listens as in a live session; answers are
recordings too, so that nothing has to be thought or synthesised and the simulation runs faster than real time.

The people read books, digits and names, of which the default model understands little: what it does about their
pauses shows how it judges by sound. The orders show how it judges by meaning; their pause is before the drink is named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.streaming import State
from vivavoce.core.voice import Voice
from vivavoce.evals.orders import orders
from vivavoce.runtime import api
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.model import FRAME, RATE, Activity, Context, Hearing, Model, Pcm, Say, Thought
from vivavoce.runtime.model import Spoken as Played

Kind = Literal["pause", "interruption", "backchannel", "cough", "noise", "echo", "order", "order_pause"]
HARMLESS: tuple[Kind, ...] = ("backchannel", "cough", "noise", "echo")
CHUNK = 5 * FRAME
LONGEST = 30 * RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One short conversation that will be simulated."""

    kind: Kind
    question: Pcm
    answer: Pcm
    rest: Pcm | None = None
    """The second half of a question with a pause."""
    pause: int = 0
    intrusion: Pcm | None = None
    after: int = RATE
    """How much of the answer is heard before something intrudes."""
    echo: Pcm | None = None
    """The answer as the room brings it back to the microphone."""
    hiss: float = 0.001


@dataclass(slots=True)
class Outcome:
    """What happened in a scene; times in samples, None where it did not happen."""

    kind: Kind
    cut_in: bool = False
    gap: int | None = None
    paused: int | None = None
    stopped: int | None = None
    resumed: int | None = None
    answered: bool = False


@dataclass
class _Deck(State):
    """Which answer each row plays, and how far it is."""

    at: Tensor
    fed: list[bool] = field(default_factory=list)


class _Recorder:
    """Speaks by playing the recording of the row's scene."""

    def __init__(self, answers: dict[int, Pcm]) -> None:
        self._answers = answers

    def init_state(self, rows: int) -> _Deck:
        return _Deck(torch.zeros(rows, dtype=torch.long), [False] * rows)

    def begin(self, state: _Deck, row: int, voice: Voice, seed: int) -> None:
        state.at[row], state.fed[row] = 0, False

    def feed(self, state: _Deck, row: int, text: str, last: bool) -> None:
        state.fed[row] = True

    def step(self, state: _Deck, active: Bool[Tensor, " B"]) -> list[Played | None]:
        return [self._play(state, row) if on and state.fed[row] else None for row, on in enumerate(active.tolist())]

    def _play(self, state: _Deck, row: int) -> Played:
        begin, answer = int(state.at[row]), self._answers[row]
        state.at[row] += CHUNK
        return Played(answer[begin : begin + CHUNK], (), begin + CHUNK >= len(answer))

    def stop(self, state: _Deck, row: int) -> None:
        state.fed[row] = False


class _OneAnswer:
    """A mind that always has something to say."""

    def respond(self, context: Context) -> Iterator[Thought]:
        yield Say("answer")


class _Play:
    """One scene while it is being played: gives the microphone, reads the outputs."""

    def __init__(self, scene: Scene, seat: Seat, dice: np.random.Generator) -> None:
        self.scene, self.seat, self._dice = scene, seat, dice
        self.outcome = Outcome(scene.kind)
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

    def frame(self) -> Pcm:
        """The next frame of the microphone."""
        begin, end = self.now, self.now + FRAME
        self.now = end
        mic = (self._dice.standard_normal(FRAME) * self.scene.hiss).astype(np.float32)
        _mix(mic, self._script, begin)
        if self._intrudes is not None and self.scene.intrusion is not None:
            _mix(mic, self.scene.intrusion, begin - self._intrudes)
        if self._answer_from is not None and self.scene.echo is not None and self._audible:
            _mix(mic, self.scene.echo, begin - self._answer_from)
        return np.clip(mic, -1, 1)

    @property
    def _audible(self) -> bool:
        """Whether our loudspeaker plays at this moment."""
        return self.outcome.stopped is None and not self._held

    def read(self) -> None:
        """What the engine has to say up to now."""
        scene, outcome = self.scene, self.outcome
        while self.seat.outputs:
            output = self.seat.read()
            self._held = isinstance(output, api.Paused) or (self._held and not isinstance(output, api.Resumed))
            match output:
                case api.AudioOut() if self._answer_from is None:
                    self._answer_from = self.now
                    outcome.answered = True
                    outcome.gap = self.now - self._end
                    outcome.cut_in = self.now < self._end
                    self._intrudes = self.now + scene.after
                case api.Paused() if self._intruded and outcome.paused is None:
                    outcome.paused = self.now - self._begin
                case api.Resumed() if self._intruded and outcome.stopped is None:
                    outcome.resumed = self.now - self._begin
                case api.Silenced() if self._intruded and outcome.stopped is None:
                    outcome.stopped = self.now - self._begin
                case _:
                    pass
        answered = self._answer_from is not None
        if scene.kind in ("pause", "order", "order_pause") or outcome.cut_in:
            self.over = (answered and self.now > self._end) or self.now > self._end + 10 * RATE
        else:
            length = len(scene.intrusion) if scene.intrusion is not None else 3 * RATE
            done = self._intrudes is not None and self.now > self._intrudes + length + RATE
            self.over = outcome.stopped is not None or done or self.now > LONGEST

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


# ---- making scenes ----


def level(pcm: Pcm, to: float = 0.07) -> Pcm:
    """The recording at a usual loudness."""
    return (pcm * (to / (np.sqrt(np.mean(pcm**2)) + 1e-9))).astype(np.float32)


def trimmed(pcm: Pcm) -> Pcm:
    """The recording without the silence around it, so that its onset is the onset of speech."""
    block = RATE // 100
    loud = np.sqrt((pcm[: len(pcm) // block * block].reshape(-1, block) ** 2).mean(axis=1))
    heard = np.flatnonzero(loud > 0.1 * loud.max())
    return pcm[heard[0] * block : (heard[-1] + 1) * block] if len(heard) else pcm


def cough(dice: np.random.Generator) -> Pcm:
    """Noise that bursts and decays in a quarter of a second, once or twice."""
    bursts = []
    for _ in range(int(dice.integers(1, 3))):
        length = int(dice.integers(150, 260)) * 24
        noise = np.convolve(dice.standard_normal(length), np.ones(6) / 6, "same")
        envelope = np.exp(-np.arange(length) / (length / 4)) * np.minimum(1, np.arange(length) / 200)
        bursts += [0.5 * noise * envelope, np.zeros(int(dice.integers(40, 120)) * 24)]
    return np.concatenate(bursts).astype(np.float32)


def hum(dice: np.random.Generator) -> Pcm:
    """A "mhm": two nasal hums, the second one higher."""
    parts = []
    pitch = dice.uniform(90, 220)
    for factor in (1.0, dice.uniform(1.1, 1.3)):
        length = int(dice.integers(110, 180)) * 24
        phase = 2 * np.pi * np.cumsum(np.full(length, pitch * factor)) / RATE
        tone = sum(np.sin(k * phase) * 0.6**k for k in range(1, 8))
        parts += [tone * np.hanning(length), np.zeros(24 * 30)]
    return level(np.concatenate(parts).astype(np.float32))


def pause_within(pcm: Pcm) -> int:
    """The quietest place in the middle half of a recording, where a speaker may stop to think."""
    block = RATE // 50
    frames = pcm[: len(pcm) // block * block].reshape(-1, block)
    loud = np.convolve((frames**2).mean(axis=1), np.ones(3) / 3, "same")
    low, high = len(frames) // 4, 3 * len(frames) // 4
    return (low + int(np.argmin(loud[low:high]))) * block


def room(pcm: Pcm, dice: np.random.Generator) -> Pcm:
    """The recording as it comes back from a room: 40 to 250 ms later, 6 to 24 dB softer, with reverberation."""
    length = int(dice.integers(100, 400)) * 24
    tail = dice.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length) * dice.uniform(0.02, 0.2)
    tail[0] = 1.0
    size = 1 << (len(pcm) + length).bit_length()
    back = np.fft.irfft(np.fft.rfft(pcm, size) * np.fft.rfft(tail, size), size)[: len(pcm) + length]
    delay = np.zeros(int(dice.integers(40, 250)) * 24)
    return (np.concatenate((delay, back)) * 10 ** (-dice.uniform(6, 24) / 20)).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What synthesis programs said: whole orders, orders in two halves, and signs of listening; Float[N] at 24 kHz."""

    orders: tuple[Pcm, ...] = ()
    halves: tuple[tuple[Pcm, Pcm], ...] = ()
    hums: tuple[Pcm, ...] = ()


HUMS = ("okay", "yeah", "right", "uh-huh", "i see", "yes")


def spoken(count: int, seed: int = 0) -> Spoken:
    """So many orders by voices that were kept from training; MissingExtra where the programs are not installed."""
    from vivavoce.data.synthesis import readings, speak

    dice = rng.stream(seed, "halves")
    whole, pairs = orders(2 * count, seed)[:count], orders(2 * count, seed)[count:]
    cuts: list[tuple[str, str]] = []
    for order in pairs:
        words = order.text.split()
        drink = order.text.split(f" {order.slots['coffeeDrink']}")[0].split()
        place = int(dice.integers(2, max(3, len(drink) + 1)))
        cuts.append((" ".join(words[:place]), " ".join(words[place:])))
    texts = [order.text for order in whole] + [half for cut in cuts for half in cut]
    texts += [HUMS[number % len(HUMS)] for number in range(count)]
    engines = {"espeak-ng": 0.5, "festival": 0.5}
    made = readings(texts, seed, engines=engines, unseen=True)
    for first in range(count, 3 * count, 2):
        made[first + 1] = replace(made[first], text=made[first + 1].text)
    sounds = [level(trimmed(s.wave.astype(np.float32))) for s in speak(made, sample_rate=RATE, workers=1)]
    halves = sounds[count : 3 * count]
    return Spoken(
        orders=tuple(sounds[:count]),
        halves=tuple(zip(halves[::2], halves[1::2], strict=True)),
        hums=tuple(sounds[3 * count :]),
    )


def scenes(recordings: Sequence[Pcm], each: int, seed: int = 0, said: Spoken | None = None) -> list[Scene]:
    """So many scenes of each kind, always the same ones for a seed; Float[N] recordings of 1 s and more at 24 kHz."""
    said = said or Spoken()
    dice = rng.stream(seed, "turns")
    clips = [level(trimmed(clip)[: 6 * RATE]) for clip in recordings if len(clip) >= RATE]
    found: list[Scene] = []

    def pick() -> Pcm:
        return clips[int(dice.integers(len(clips)))]

    def answer() -> Pcm:
        return np.concatenate([pick(), pick(), pick()])[: 8 * RATE]

    for number in range(each):
        whole = pick()
        cut = pause_within(whole)
        pause = int(dice.integers(500, 1000)) * 24
        # the pause is as long as it is said to be: what is silent around the cut already does not add to it
        first, second = trimmed(whole[:cut]), trimmed(whole[cut:])
        found.append(Scene(kind="pause", question=first, rest=second, pause=pause, answer=answer()))
        intrusions: tuple[tuple[Kind, Pcm | None], ...] = (
            ("interruption", pick()),
            ("backchannel", said.hums[number] if number < len(said.hums) and number % 2 else hum(dice)),
            ("cough", cough(dice)),
            ("noise", (dice.standard_normal(2 * RATE) * 0.07 * 10 ** (-dice.uniform(6, 24) / 20)).astype(np.float32)),
            ("echo", None),
        )
        for kind, intrusion in intrusions:
            ours = answer()
            found.append(
                Scene(
                    kind=kind,
                    question=pick(),
                    answer=ours,
                    intrusion=intrusion,
                    after=int(dice.integers(500, 2000)) * 24,
                    echo=room(ours, dice) if kind == "echo" else None,
                )
            )
    found += [Scene(kind="order", question=order, answer=answer()) for order in said.orders[:each]]
    for first, second in said.halves[:each]:
        pause = int(dice.integers(500, 1000)) * 24
        found.append(Scene(kind="order_pause", question=first, rest=second, pause=pause, answer=answer()))
    return found


# ---- playing them ----


def simulate(
    activity: Activity[Any],
    hearing: Hearing[Any],
    todo: Sequence[Scene],
    *,
    turns: TurnConfig | None = None,
    rows: int = 4,
    seed: int = 0,
) -> list[Outcome]:
    """Plays all scenes, several at once, and says what happened in each."""
    answers: dict[int, Pcm] = {}
    model = Model(activity=activity, hearing=hearing, thinking=_OneAnswer(), speaking=_Recorder(answers))
    engine = LiveEngine(model, rows=rows, threads=0)
    config = SessionConfig(turns=turns or TurnConfig(kind="semantic_vad"), plays_here=True)
    waiting = list(enumerate(todo))[::-1]
    plays: list[_Play] = []
    outcomes: dict[int, Outcome] = {}
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
    missed: float
    false_stops: dict[str, float]
    unanswered: float
    gap_ms: tuple[float, float]
    order_gap_ms: tuple[float, float]
    pause_ms: tuple[float, float]
    decision_ms: tuple[float, float]

    def text(self) -> str:
        """For people."""
        stops = ", ".join(f"{kind} {share:.0%}" for kind, share in self.false_stops.items())

        def times(given: tuple[float, float]) -> str:
            return f"{given[0]:.0f} ms, {given[1]:.0f} ms"

        return "\n".join(
            (
                f"scenes                                        {self.scenes}",
                f"cut-ins on pauses of people who read          {self.cut_ins:.0%}",
                f"cut-ins on pauses inside an order             {self.cut_ins_on_orders:.0%}",
                f"missed interruptions                          {self.missed:.0%}",
                f"false stops                                   {stops}",
                f"questions that were not answered              {self.unanswered:.0%}",
                f"end of reading to answer, median and p95      {times(self.gap_ms)}",
                f"end of an order to answer, median and p95     {times(self.order_gap_ms)}",
                f"onset to pause, median and p95                {times(self.pause_ms)}",
                f"onset to silence for good, median and p95     {times(self.decision_ms)}",
            )
        )


def report(outcomes: Sequence[Outcome]) -> TurnReport:
    """Sums up; an interruption is missed if we do not stop, a false stop is one that is not resumed.

    Scenes in which we cut in on the question say nothing about what comes after it.
    """

    def of(*kinds: Kind) -> list[Outcome]:
        return [o for o in outcomes if o.kind in kinds and o.answered]

    def share(wrong: Sequence[bool]) -> float:
        return float(np.mean(wrong)) if wrong else float("nan")

    def ms(samples: Sequence[int | None]) -> tuple[float, float]:
        known = [s / 24 for s in samples if s is not None] or [float("nan")]
        return float(np.quantile(known, 0.5)), float(np.quantile(known, 0.95))

    real = [o for o in of("interruption") if not o.cut_in]
    calm = {kind: [o for o in of(kind) if not o.cut_in] for kind in HARMLESS}
    return TurnReport(
        scenes=len(outcomes),
        cut_ins=share([o.cut_in for o in of("pause")]),
        cut_ins_on_orders=share([o.cut_in for o in of("order_pause")]),
        missed=share([o.stopped is None for o in real]),
        false_stops={
            kind: share([o.stopped is not None or (o.paused is not None and o.resumed is None) for o in found])
            for kind, found in calm.items()
        },
        unanswered=share([not o.answered for o in outcomes]),
        gap_ms=ms([o.gap for o in of("pause", "interruption", *HARMLESS) if not o.cut_in]),
        order_gap_ms=ms([o.gap for o in of("order", "order_pause") if not o.cut_in]),
        pause_ms=ms([o.paused for o in real]),
        decision_ms=ms([o.stopped for o in real]),
    )
