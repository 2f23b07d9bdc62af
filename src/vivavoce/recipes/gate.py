"""How the listener learns what is not speech: a head over its trunk that tells in which frames somebody speaks.

People (training speakers) and synthesis programs, high and low, loud and faint, in rooms and in noise, with pauses;
against everything that nobody speaks (`data.nonspeech`, and recordings of places where they are given). What is spoken
is known from the listener itself, which hears each recording once before anything is done to it. The trunk stays as it
is.

How the head's log-odds are read is found on kinds of noise that it was not taught: it learns some times over with part
of the kinds left out, and these decide where somebody speaks as often as not. ``make`` measures with other speakers,
other voices and sounds made in other ways (`evals.noise`); it takes some minutes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int8
from torch import Tensor
from torch.nn import functional as F

from vivavoce.assistant.gate import Voice, averaged
from vivavoce.assistant.hearing import USUAL_DB
from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import between_levels
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.data import nonspeech
from vivavoce.data.manifest import read_manifest
from vivavoce.data.nonspeech import Samples, places
from vivavoce.data.synthesis import LISTENING_RATE as RATE
from vivavoce.data.synthesis import readings, speak
from vivavoce.evals.noise import ALONE, noise
from vivavoce.models.listener import LONG_FRAMES, Listener, SpeechConfig, SpeechHead
from vivavoce.recipes.endings import logistic
from vivavoce.recipes.listener_data import texts_of_orders
from vivavoce.train import Losses, Task, Term, fit, warm_cosine

SHORT = (
    "no|stop|yes|latte|mocha|small|large|medium|thanks|okay|wait|hello|hi|cancel|espresso|cappuccino|please|sugar|milk"
    "|one|two|three|what|why|never mind|a coffee|goodbye|not that|make it large|thank you"
).split("|")
_FRAME = RATE // 25
_USUAL = 0.07
"""Amplitude of speech before it is made louder or fainter."""
_EDGE = 2
"""Frames about the beginning and end of speech that teach nothing: a breath more or less is not wrong."""
_GAP = 6
"""Silences of fewer frames belong to the speech around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRun:
    """How many recordings with and without speech are heard, how many of each are kept for measuring, and the head."""

    speech: int = 600
    noises: int = 700
    kept: int = 200
    width: int = 64
    frames: int = 5
    steps: int = 400
    size: int = 4096
    lr: float = 2e-3
    folds: int = 3
    seed: int = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """A recording as the trunk hears it; where somebody speaks (1), nobody does (0), or either may be said (-1); what
    kind of sound it is; and by how much the speech is louder than the noise, where there are both."""

    features: Float16[Tensor, "U D"]
    spoken: Int8[Tensor, " U"]
    kind: str
    snr_db: float | None = None


def spoken(listener: Listener, wave: Samples) -> Bool[np.ndarray, " U"]:
    """In which frames of a clear recording the listener finds phones; short silences count as speech."""
    with torch.inference_mode():
        heard = listener.listen(torch.from_numpy(wave)[None], chunk=0).frame[0, :, 0].exp().numpy()
    found = heard.reshape(-1, 2).min(axis=1) < 0.5
    on = np.flatnonzero(found)
    for begin, end in pairwise(on):
        found[begin:end] |= end - begin <= _GAP
    return found


# ---- what is heard ----


def people(speech: Path, split: str, seed: int) -> Iterator[Samples]:
    """Recordings of people, in a random order that begins anew when it ends."""
    known = [r for r in read_manifest(speech / "manifest.jsonl") if r.split == split and r.lang == "en"]
    known = [r for r in known if 0.6 < r.seconds < 16 and r.source != "commonvoice"]
    dice = rng.stream(seed, "people", split)
    while known:
        for index in dice.permutation(len(known)).tolist():
            wave, rate = read_audio(known[index].file)
            yield resample(wave[None], rate, RATE)[0].numpy()


def machines(count: int, seed: int, *, unseen: bool) -> Iterator[Samples]:
    """Single words and orders by synthesis programs; ``unseen``: by the voices that were kept for testing."""
    dice = rng.stream(seed, "machines", unseen)
    orders = texts_of_orders(count, seed + unseen)
    texts = [SHORT[int(dice.integers(len(SHORT)))] if number % 2 else orders[number] for number in range(count)]
    engines = {"espeak-ng": 0.5, "festival": 0.5} if unseen else {"espeak-ng": 0.6, "flite": 0.4}
    for said in speak(readings(texts, seed, engines=engines, unseen=unseen), sample_rate=RATE, workers=1):
        yield said.wave.astype(np.float32)


class Scenery:
    """Draws what is to be heard: speech from near and far in noise, or noise alone."""

    def __init__(self, run: GateRun, speech: Path, noises: Path | None, *, unseen: bool) -> None:
        """``unseen``: speakers, voices and noises that were kept for testing."""
        self.dice = rng.stream(run.seed, "gate", unseen)
        count = run.kept if unseen else run.speech
        self._people = people(speech, "dev" if unseen else "train", run.seed)
        self._machines = machines(count // 2 + 1, run.seed, unseen=unseen)
        self._places = places(noises, "dev" if unseen else "train", RATE)
        self._unseen = unseen

    def noise(self, length: int) -> tuple[str, Samples]:
        """So many samples in which nobody speaks, and what they are."""
        dice = self.dice
        if self._places and dice.random() < 0.2:
            name = str(dice.choice(list(self._places)))
            whole = np.resize(self._places[name], max(length, len(self._places[name])))
            begin = int(dice.integers(len(whole) - length + 1))
            return name, whole[begin : begin + length]
        kinds = list(ALONE if self._unseen else nonspeech.KINDS)
        name = kinds[int(dice.integers(len(kinds)))]
        if self._unseen:
            return name, noise(name, length, RATE, int(dice.integers(1 << 30))).numpy()
        return name, nonspeech.recording(length, RATE, dice, kind=name, level_db=-20.0)

    def alone(self) -> tuple[str, Samples]:
        """Noise from 0.2 s on at any loudness, as a microphone hears it."""
        dice = self.dice
        seconds = 0.2 + dice.exponential(2.0) if dice.random() < 0.9 else dice.uniform(5, 15)
        name, sound = self.noise(int(min(seconds, 15.0) * RATE))
        if self._unseen and dice.random() < 0.3:
            sound = nonspeech.room(sound, RATE, dice)
        return name, self._taken(sound, float(dice.uniform(-60, -3)))

    def speech(self, listener: Listener, number: int) -> tuple[Samples, Int8[np.ndarray, " U"], float | None]:
        """Somebody speaks once or twice, with pauses: the sound, where (1, 0, or -1 at the edges), and how much louder
        than the noise."""
        dice, pieces, marks = self.dice, [], []
        for _ in range(1 + (dice.random() < 0.25)):
            voice = next(self._machines, None) if number % 3 == 0 else None
            voice = next(self._people) if voice is None else voice
            if dice.random() < 0.4:
                pace = 2 ** dice.uniform(-0.45, 0.6)
                voice = np.interp(np.arange(0, len(voice) - 1, pace), np.arange(len(voice)), voice).astype(np.float32)
            voice = voice[: 8 * RATE]
            voice = voice * (_USUAL / _loudness(voice[np.abs(voice) > 0.02 * np.abs(voice).max()]))
            pause = int(dice.uniform(0, 40)) if dice.random() < 0.8 else 0
            pieces += [np.zeros(pause * _FRAME), voice, np.zeros(-len(voice) % _FRAME)]
            found = spoken(listener, voice)[: -(-len(voice) // _FRAME)]
            marks += [np.zeros(pause, np.int8), _edged(found)]
        after = int(dice.uniform(0, 60)) if dice.random() < 0.7 else 0
        sound = np.concatenate([*pieces, np.zeros(after * _FRAME)])
        where = np.concatenate([*marks, np.zeros(after, np.int8)])
        if dice.random() < 0.35:
            sound = nonspeech.room(sound, RATE, dice, (0.1, 0.7))
        snr = None
        if dice.random() < 0.75:
            snr = float(dice.uniform(-3, 30))
            other = self.noise(len(sound))[1]
            sound = sound + other * (_USUAL * 10 ** (-snr / 20) / _loudness(other))
        level = dice.uniform(-55, -3) if dice.random() < 0.4 else dice.uniform(-35, -12)
        return self._taken(sound, float(level), _USUAL), where, snr

    def _taken(self, sound: Samples, level_db: float, loudness: float | None = None) -> Samples:
        """The sound at a level, as a microphone that hisses a little takes it; what is too loud clips."""
        gain = 10 ** (level_db / 20) / (loudness or _loudness(sound))
        hiss = 10 ** self.dice.uniform(-5, -3.5) * self.dice.standard_normal(len(sound))
        return np.clip(sound * gain + hiss, -1, 1).astype(np.float32)


def _loudness(sound: Samples) -> float:
    return max(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))), 1e-9) if len(sound) else 1e-9


def _edged(found: Bool[np.ndarray, " U"]) -> Int8[np.ndarray, " U"]:
    """1 and 0 with -1 about every change."""
    marks = found.astype(np.int8)
    for place in np.flatnonzero(np.diff(marks, prepend=0, append=0)):
        marks[max(0, place - _EDGE) : place + _EDGE] = -1
    return marks


def scenes(run: GateRun, listener: Listener, scenery: Scenery, speech: int, noises: int) -> Iterator[Scene]:
    """So many recordings with and without speech; half of them heard as a whole and half in the chunks of a stream."""

    def heard(sound: Samples, chunk: int) -> Float16[Tensor, "U D"]:
        wave = torch.from_numpy(sound)
        padded = F.pad(wave if chunk else between_levels(wave, RATE, *USUAL_DB), (0, RATE // 4))[None]
        with torch.inference_mode():
            return listener.listen(padded, chunk=chunk).features[0].half()

    chunks = (0, listener.config.trunk.chunk)
    for number in range(noises):
        kind, sound = scenery.alone()
        features = heard(sound, chunks[number % 2])
        yield Scene(features, torch.zeros(len(features), dtype=torch.int8), kind)
    for number in range(speech):
        sound, where, snr = scenery.speech(listener, number)
        features = heard(sound, chunks[number % 2])
        marks = torch.zeros(len(features), dtype=torch.int8)
        marks[: len(where)] = torch.from_numpy(where)[: len(features)]
        yield Scene(features, marks, "speech", snr)


# ---- learning ----


class GateTask(Task[dict[str, Tensor], Tensor]):
    """Logistic regression through one hidden layer, frame by frame."""

    def __init__(self, head: SpeechHead) -> None:
        """Trains this head."""
        super().__init__()
        self.head = head

    def outputs(self, batch: dict[str, Tensor]) -> Tensor:
        """Log-odds."""
        return self.head(batch["features"])

    def losses(self, phase: str, batch: dict[str, Tensor], out: Tensor) -> Losses:
        """Cross-entropy."""
        return {"speech": Term(F.binary_cross_entropy_with_logits(out.float(), batch["spoken"]))}


class _Draws:
    """Batches of frames: two fifths speech, one fifth pauses around it, the rest from sounds without speech, each sound
    as often as any other; a function of the step."""

    def __init__(self, known: Sequence[Scene], run: GateRun) -> None:
        self.run = run
        alone = [scene.features for scene in known if scene.kind != "speech"]
        self.alone, self.ends = torch.cat(alone), torch.tensor([len(one) for one in alone]).cumsum(0)
        features = torch.cat([scene.features for scene in known if scene.kind == "speech"])
        marks = torch.cat([scene.spoken for scene in known if scene.kind == "speech"])
        self.speech, self.pauses = features[marks == 1], features[marks == 0]

    def __call__(self, step: int) -> dict[str, Tensor]:
        draw = rng.torch_stream(self.run.seed, "gate", step)
        part = self.run.size // 5

        def some(rows: Tensor, count: int) -> Tensor:
            return rows[torch.randint(len(rows), (count,), generator=draw)]

        which = torch.randint(len(self.ends), (2 * part,), generator=draw)
        begins = torch.cat((torch.zeros(1, dtype=torch.long), self.ends[:-1]))[which]
        place = begins + (torch.rand(2 * part, generator=draw) * (self.ends[which] - begins)).long()
        features = torch.cat((some(self.speech, 2 * part), some(self.pauses, part), self.alone[place])).float()
        return {"features": features, "spoken": (torch.arange(len(features)) < 2 * part).float()}


def taught(known: Sequence[Scene], run: GateRun, dim: int) -> SpeechHead:
    """A head that has learnt from these recordings."""
    torch.manual_seed(run.seed)
    task = GateTask(SpeechHead(dim, run.width))
    optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, weight_decay=0.05)
    schedule = warm_cosine(run.steps, run.steps // 20)
    fit(task, _Draws(known, run), optimizer, steps=run.steps, schedule=schedule, seed=run.seed, bf16=False)
    return task.head.eval()


# ---- how it is read ----


@torch.inference_mode()
def evidence(head: SpeechHead, scene: Scene, frames: int) -> Float[np.ndarray, " U"]:
    """The head's log-odds of a recording, averaged as the gate averages them."""
    return averaged(head(scene.features.float()).numpy(), frames)


def stretches(marks: Int8[np.ndarray, " U"]) -> list[tuple[int, int]]:
    """From where to where somebody speaks, edges left out; pauses of half a second and more part them."""
    on = np.flatnonzero(marks == 1)
    if not len(on):
        return []
    cuts = np.flatnonzero(np.diff(on) > 12)
    return list(zip(on[np.r_[0, cuts + 1]].tolist(), (on[np.r_[cuts, len(on) - 1]] + 1).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Peaks:
    """The highest evidence in each stretch of speech (in long ones apart, too) and in each sound without speech, and
    all of it in speech."""

    speech: list[float]
    alone: list[float]
    inside: list[float]
    long: list[float]

    @staticmethod
    def of(pairs: Sequence[tuple[Scene, Float[np.ndarray, " _"]]]) -> "Peaks":
        """What was found in recordings."""
        speech, alone, inside, long = [], [], [], []
        for scene, seen in pairs:
            marks = scene.spoken.numpy()
            if scene.kind != "speech":
                alone.append(float(seen.max()))
            for begin, end in stretches(marks):
                speech.append(float(seen[begin:end].max()))
                inside += seen[begin:end].tolist()
                if end - begin >= LONG_FRAMES:
                    long.append(speech[-1])
        return Peaks(speech, alone, inside, long)


def read_as(peaks: Peaks, run: GateRun) -> SpeechConfig:
    """How log-odds are to be read, from those of recordings of kinds that the head was not taught.

    Speech begins where a stretch of sound is as likely speech as not, if there were as much of either; it is held above
    what one in fifty frames of speech falls below. A long stretch must reach what 99 in 100 of them reach.
    """
    seen = np.array(peaks.speech + peaks.alone)[:, None]
    truth = np.r_[np.ones(len(peaks.speech)), np.zeros(len(peaks.alone))]
    weight = np.r_[np.full(len(peaks.speech), 1 / len(peaks.speech)), np.full(len(peaks.alone), 1 / len(peaks.alone))]
    slope, bias = logistic(seen, truth, weight, 1e-3)
    begins = -bias / slope
    holds = min(begins, float(np.quantile(peaks.inside, 0.02)))
    sustained = max(begins, float(np.quantile(peaks.long, 0.01))) if peaks.long else begins
    return SpeechConfig(
        width=run.width,
        frames=run.frames,
        begins=round(begins, 3),
        holds=round(holds, 3),
        slope=round(slope, 3),
        sustained=round(sustained, 3),
    )


def measured(pairs: Sequence[tuple[Scene, Float[np.ndarray, " _"]]], config: SpeechConfig) -> dict[str, Any]:
    """Shares of sounds taken for speech, and of which kinds; shares of stretches of speech that are lost, per noise."""
    taken: dict[str, list[bool]] = {}
    lost: dict[str, list[bool]] = {}
    for scene, seen in pairs:
        passed = Voice(seen, config).spoken
        if scene.kind != "speech":
            taken.setdefault(scene.kind, []).append(bool(passed.any()))
            continue
        snr = scene.snr_db
        noise = "no noise" if snr is None else "above 12 dB" if snr > 12 else "3 to 12 dB" if snr > 3 else "-3 to 3 dB"
        for begin, end in stretches(scene.spoken.numpy()):
            lost.setdefault(noise, []).append(not passed[begin:end].any())
    return {
        "sounds": sum(map(len, taken.values())),
        "taken for speech": _share(chain(*taken.values())),
        "of which": {kind: _share(found) for kind, found in sorted(taken.items()) if any(found)},
        "stretches of speech": sum(map(len, lost.values())),
        "lost": {noise: _share(found) for noise, found in sorted(lost.items())},
    }


def _share(found: "Sequence[bool] | chain[bool]") -> float:
    return round(float(np.mean(list(found))), 4)


def _without(known: Sequence[Scene], fold: int, folds: int) -> tuple[list[Scene], list[Scene]]:
    """The recordings without one part, and that part: some kinds of noise, and every so manieth recording of speech."""
    kinds = {kind: place for place, kind in enumerate(sorted({scene.kind for scene in known} - {"speech"}))}
    mine = [
        (number if scene.kind == "speech" else kinds[scene.kind]) % folds == fold for number, scene in enumerate(known)
    ]
    return (
        [scene for scene, out in zip(known, mine, strict=True) if not out],
        [scene for scene, out in zip(known, mine, strict=True) if out],
    )


def learn(run: GateRun, known: Sequence[Scene], dim: int) -> tuple[SpeechHead, SpeechConfig]:
    """A head that has learnt from all recordings, and how it is to be read."""
    found: list[tuple[Scene, Float[np.ndarray, " U"]]] = []
    for fold in range(run.folds):
        others, kept = _without(known, fold, run.folds)
        head = taught(others, run, dim)
        found += [(scene, evidence(head, scene, run.frames)) for scene in kept]
    return taught(known, run, dim), read_as(Peaks.of(found), run)


def make(
    run: GateRun,
    speech: Path,
    start: Path,
    out: Path,
    *,
    noises: Path | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Gives the listener in ``start`` a head for speech and writes it into ``out``; gives what it makes of speakers,
    voices and sounds that were kept for testing.

    ``noises`` is a folder of recordings of places with a ``manifest.jsonl``, whose lines name ``split`` and ``kind``.
    """
    bare: Listener = load_part(start, "listener")
    known = list(scenes(run, bare, Scenery(run, speech, noises, unseen=False), run.speech, run.noises))
    say(f"{len(known)} recordings, {sum(len(scene.spoken) for scene in known) / 1500:.0f} min, to learn from")
    head, reading = learn(run, known, bare.config.trunk.dim)
    say(f"how it is read: {reading}")
    kept = list(scenes(run, bare, Scenery(run, speech, noises, unseen=True), run.kept, run.kept))
    found = measured([(scene, evidence(head, scene, run.frames)) for scene in kept], reading)
    for name, value in found.items():
        say(f"{name}: {value}")
    own: Mapping[str, Tensor] = {k: v for k, v in bare.state_dict().items() if not k.startswith("speech.")}
    state = {**own, **{f"speech.{key}": value for key, value in head.state_dict().items()}}
    card = {"speech": {"recipe": "recipes/gate.py, GateRun()", "seed": run.seed, "on what was kept": found}}
    config = replace(bare.config, speech=reading)
    save_part(out, "listener", config, state, read_card(start, "listener") | card, torch.int8)
    return found
