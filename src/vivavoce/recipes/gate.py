"""How the listener learns what is not speech: a head over its trunk that tells in which frames somebody speaks.

People (training speakers) and synthesis programs, high and low, loud and faint, in rooms and in noise, with pauses;
against everything that nobody speaks (`data.nonspeech`, and recordings of places where they are given). What is spoken
is known from the listener itself. The trunk stays as it is.

How the head's log-odds are read is found on kinds of noise that it was not taught: it learns some times over with part
of the kinds left out, and these decide where somebody speaks as often as not. ``make`` measures with other speakers,
other voices and sounds made in other ways (`evals.noise`); it takes some minutes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int8
from torch import Tensor

from vivavoce.assistant.gate import SpeechEvidence, averaged
from vivavoce.core import rng
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.models.listener import LONG_FRAMES, Listener, SpeechConfig, SpeechHead
from vivavoce.recipes.endings import logistic
from vivavoce.recipes.gate_data import GateScene, Scenery, scenes
from vivavoce.recipes.miniature import recordings
from vivavoce.train import fit, warm_cosine
from vivavoce.train.loop import Hook
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.binary import BinaryBatch, BinaryTask


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRun:
    """How many recordings with and without speech are heard, how many of each are kept for measuring, the head, and
    the character that is spoken to."""

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
    character: str = "innkeeper"


_STANDS_OUT_DB = 6.0
"""How much louder than its noise speech has to be to be understood."""

# ---- learning ----


class _Draws:
    """Batches of frames: two fifths speech, one fifth pauses around it, the rest from sounds without speech, each sound
    as often as any other; a function of the step."""

    def __init__(self, known: Sequence[GateScene], run: GateRun) -> None:
        self.run = run
        alone = [scene.features for scene in known if scene.kind != "speech"]
        self.alone, self.ends = torch.cat(alone), torch.tensor([len(one) for one in alone]).cumsum(0)
        features = torch.cat([scene.features for scene in known if scene.kind == "speech"])
        marks = torch.cat([scene.spoken for scene in known if scene.kind == "speech"])
        self.speech, self.pauses = features[marks == 1], features[marks == 0]

    def __call__(self, step: int) -> BinaryBatch:
        draw = rng.torch_stream(self.run.seed, "gate", step)
        part = self.run.size // 5

        def some(rows: Tensor, count: int) -> Tensor:
            return rows[torch.randint(len(rows), (count,), generator=draw)]

        which = torch.randint(len(self.ends), (2 * part,), generator=draw)
        begins = torch.cat((torch.zeros(1, dtype=torch.long), self.ends[:-1]))[which]
        place = begins + (torch.rand(2 * part, generator=draw) * (self.ends[which] - begins)).long()
        features = torch.cat((some(self.speech, 2 * part), some(self.pauses, part), self.alone[place])).float()
        return BinaryBatch(features, (torch.arange(len(features)) < 2 * part).float())


def taught(
    known: Sequence[GateScene], run: GateRun, dim: int, *, seen_by: tuple[Hook, ...] = (), device: str = "cpu"
) -> SpeechHead:
    """A head that has learnt from these recordings."""
    torch.manual_seed(run.seed)
    head = SpeechHead(dim, run.width)
    task = BinaryTask(head)
    fit(
        task,
        _Draws(known, run),
        torch.optim.AdamW(task.parameters(), lr=run.lr, weight_decay=0.05),
        steps=run.steps,
        hooks=seen_by,
        schedule=warm_cosine(run.steps, run.steps // 20),
        seed=run.seed,
        bf16=False,
        device=device,
    )
    return head.cpu().eval()


# ---- how it is read ----


@torch.inference_mode()
def evidence(head: SpeechHead, scene: GateScene, frames: int) -> Float[np.ndarray, " U"]:
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
    """The highest evidence in each stretch of speech and in each sound without speech, and all of it in speech;
    ``short`` and ``long`` are stretches that stand out from their noise."""

    speech: list[float]
    alone: list[float]
    inside: list[float]
    short: list[float]
    long: list[float]

    @staticmethod
    def of(pairs: Sequence[tuple[GateScene, Float[np.ndarray, " _"]]]) -> "Peaks":
        """What was found in recordings."""
        peaks = Peaks([], [], [], [], [])
        for scene, seen in pairs:
            marks = scene.spoken.numpy()
            if scene.kind != "speech":
                peaks.alone.append(float(seen.max()))
            for begin, end in stretches(marks):
                highest = float(seen[begin:end].max())
                peaks.speech.append(highest)
                peaks.inside.extend(seen[begin:end].tolist())
                if scene.snr_db is None or scene.snr_db >= _STANDS_OUT_DB:
                    (peaks.long if end - begin >= LONG_FRAMES else peaks.short).append(highest)
        return peaks


def read_as(peaks: Peaks, run: GateRun) -> SpeechConfig:
    """How log-odds are to be read, from those of recordings of kinds that the head was not taught.

    Evidence is weighed as if there were as much speech as other sound. Speech begins at one half, or where 19 in 20
    short stretches begin that stand out from their noise (some of them are no speech: the listener marked them). It is
    held above what one in fifty frames of speech falls below. A long stretch must reach what 99 in 100 long ones reach
    that stand out: noise that goes on has many frames in which to look like speech once.
    """
    seen = np.array(peaks.speech + peaks.alone)[:, None]
    truth = np.r_[np.ones(len(peaks.speech)), np.zeros(len(peaks.alone))]
    weight = np.r_[np.full(len(peaks.speech), 1 / len(peaks.speech)), np.full(len(peaks.alone), 1 / len(peaks.alone))]
    slope, bias = logistic(seen, truth, weight, 1e-3)
    begins = min([-bias / slope, *np.quantile(peaks.short, [0.05] if peaks.short else [])])
    holds = min(begins, float(np.quantile(peaks.inside, 0.02)))
    sustained = max([begins, *np.quantile(peaks.long, [0.01] if peaks.long else [])])
    return SpeechConfig(
        width=run.width,
        frames=run.frames,
        begins=round(float(begins), 3),
        holds=round(float(holds), 3),
        slope=round(slope, 3),
        sustained=round(float(sustained), 3),
    )


def measured(pairs: Sequence[tuple[GateScene, Float[np.ndarray, " _"]]], config: SpeechConfig) -> dict[str, Any]:
    """Shares of sounds taken for speech, and of which kinds; shares of stretches of speech that are lost, per noise."""
    taken: dict[str, list[bool]] = {}
    lost: dict[str, list[bool]] = {}
    for scene, seen in pairs:
        passed = SpeechEvidence(seen, config).spoken
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


def _without(known: Sequence[GateScene], fold: int, folds: int) -> tuple[list[GateScene], list[GateScene]]:
    """The recordings without one part, and that part: some kinds of noise, and every so manieth recording of speech."""
    kinds = {kind: place for place, kind in enumerate(sorted({scene.kind for scene in known} - {"speech"}))}
    mine = [
        (number if scene.kind == "speech" else kinds[scene.kind]) % folds == fold for number, scene in enumerate(known)
    ]
    return (
        [scene for scene, out in zip(known, mine, strict=True) if not out],
        [scene for scene, out in zip(known, mine, strict=True) if out],
    )


def learn(
    run: GateRun, known: Sequence[GateScene], dim: int, *, seen_by: tuple[Hook, ...] = (), device: str = "cpu"
) -> tuple[SpeechHead, SpeechConfig]:
    """A head that has learnt from all recordings, and how it is to be read; ``seen_by`` are hooks of that last run."""
    found: list[tuple[GateScene, Float[np.ndarray, " U"]]] = []
    for fold in range(run.folds):
        others, kept = _without(known, fold, run.folds)
        head = taught(others, run, dim, device=device)
        found += [(scene, evidence(head, scene, run.frames)) for scene in kept]
    return taught(known, run, dim, seen_by=seen_by, device=device), read_as(Peaks.of(found), run)


def make(
    run: GateRun,
    speech: Path,
    start: Path,
    out: Path,
    *,
    noises: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Gives the listener in ``start`` a head for speech and writes it into ``out``; gives what it makes of speakers,
    voices and sounds that were kept for testing.

    ``noises`` is a folder of recordings of places with a ``manifest.jsonl``, whose lines name ``split`` and ``kind``.
    """
    bare: Listener = load_part(start, "listener")
    sheet = load_sheet(find_sheet(run.character))

    def scenery(count: int, *, unseen: bool) -> Scenery:
        return Scenery(speech, noises, count=count, seed=run.seed, unseen=unseen, sheet=sheet)

    known = list(scenes(bare, scenery(run.speech, unseen=False), run.speech, run.noises))
    say(f"{len(known)} recordings, {sum(len(scene.spoken) for scene in known) / 1500:.0f} min, to learn from")
    seen_by = hooks(out / "gate", "gate", None)
    head, reading = learn(run, known, bare.config.trunk.dim, seen_by=seen_by, device=device)
    say(f"how it is read: {reading}")
    kept = list(scenes(bare, scenery(run.kept, unseen=True), run.kept, run.kept))
    found = measured([(scene, evidence(head, scene, run.frames)) for scene in kept], reading)
    for name, value in found.items():
        say(f"{name}: {value}")
    own: Mapping[str, Tensor] = {k: v for k, v in bare.state_dict().items() if not k.startswith("speech.")}
    state = {**own, **{f"speech.{key}": value for key, value in head.state_dict().items()}}
    card = read_card(start, "listener") | {"speech": {"metrics": found}}
    save_part(out, "listener", replace(bare.config, speech=reading), state, card, torch.int8)
    return found


def debug(folder: Path) -> dict[str, float]:
    """In seconds, on the package's own listener and recordings: the loss before and after training."""
    run = GateRun(speech=9, noises=24, kept=6, width=16, steps=80, size=500, folds=2)
    found = make(run, recordings(folder / "speech", splits=("train", "dev")), BUNDLED, folder)
    lines = [json.loads(line) for line in (folder / "gate" / LOSSES).read_text().splitlines()]
    lost = float(np.mean(list(found["lost"].values())))
    return {
        "before": lines[0]["binary"],
        "after": lines[-1]["binary"],
        "taken": found["taken for speech"],
        "lost": lost,
    }


def _run(run: GateRun, given: Given) -> None:
    assert given.speech is not None and given.start is not None
    noises = given.others.get("noise")
    make(run, given.speech, given.start, given.out, noises=noises, device=given.device, say=given.say)


RECIPE = Recipe(
    part="listener",
    settings=GateRun(),
    train=_run,
    debug=debug,
    entry="speech",
    needs={"speech": "people reading", "from": "the listener that gets the head"},
    takes={"noise": "recordings of places where nobody speaks, with a manifest.jsonl"},
)
