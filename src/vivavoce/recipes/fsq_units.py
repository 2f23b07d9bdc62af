"""How supervised units are learnt: finite scalar quantisation inside a recogniser of phones, begun at the listener.

The listener's frames below the learnt block are computed once. Phones are those of the texts, each word said in the way
that is listed first, or as an aligner finds them (``aligned``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vivavoce.core import rng
from vivavoce.core.errors import VivavoceError
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import recordings
from vivavoce.evals.words import distance
from vivavoce.models.features import ListenerLayer, ListenerLayerConfig
from vivavoce.models.listener import SPLIT, Listener
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.recipes import units_data
from vivavoce.recipes.listener import collapse
from vivavoce.recipes.units import spoken
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.units import FrameBatch, RecogniserWeights, UnitsRecogniser


@dataclass(frozen=True, slots=True, kw_only=True)
class FsqUnitsRun:
    """Numbers of a run; ``layer`` of the listener is learnt anew, ``levels`` are those of the quantiser."""

    layer: int = 6
    levels: tuple[int, ...] = (5, 5, 5, 4)
    weights: RecogniserWeights = RecogniserWeights()
    aligned: bool = False
    minutes: float = 60.0
    frames: int = 2000
    steps: int = 1200
    warmup: int = 50
    lr: float = 6e-4
    ema: float = 0.995
    seed: int = 1


class Batches:
    """Batches of about so many frames, recordings of like length together; a function of the step."""

    def __init__(
        self, kept: Cache, phones: Sequence[Sequence[int]], frames: int, seed: int, hop_seconds: float
    ) -> None:
        """Recordings without phones, or with more than there are frames for, are left out."""
        self.kept, self.phones, self.seed, self.hop_seconds = kept, phones, seed, hop_seconds
        sizes = kept.lengths("features")
        usable = [i for i, said in enumerate(phones) if 0 < 1.05 * len(said) <= SPLIT * sizes[i]]
        order = sorted(usable, key=lambda i: int(sizes[i]))
        self.groups: list[list[int]] = []
        for place in order:
            if self.groups and (len(self.groups[-1]) + 1) * sizes[place] <= frames:
                self.groups[-1].append(place)
            else:
                self.groups.append([place])

    def __call__(self, step: int) -> FrameBatch:
        """The batch of a step; each comes once a pass."""
        number, place = divmod(step, len(self.groups))
        group = self.groups[int(rng.stream(self.seed, "pass", number).permutation(len(self.groups))[place])]
        rows = [torch.from_numpy(self.kept[i]["features"].astype(np.float32)) for i in group]
        said = [torch.tensor(list(self.phones[i]), dtype=torch.long) for i in group]
        lengths, counts = (torch.tensor([len(row) for row in each]) for each in (rows, said))
        frames = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        seconds = float(lengths.sum()) * self.hop_seconds
        return FrameBatch(frames, lengths, nn.utils.rnn.pad_sequence(said, batch_first=True), counts, seconds)


def phones_of(text: str) -> list[int]:
    """Of a text, each word said in the way that is listed first; none where it cannot be read."""
    try:
        return [i for word in normalise(text) for i in ids(pronunciations(word)[0])]
    except VivavoceError:
        return []


@torch.no_grad()
def phone_errors(task: UnitsRecogniser, kept: Cache, phones: Sequence[Sequence[int]]) -> dict[str, float]:
    """Greedy errors from the top, from the ids alone, and of the listener itself."""
    wrong: dict[str, int] = dict.fromkeys(("top", "local", "teacher"), 0)
    total = 0
    task.eval()
    for place, said in enumerate(phones):
        if said:
            frames = torch.from_numpy(kept[place]["features"].astype(np.float32))[None]
            batch = FrameBatch(frames, torch.tensor([frames.shape[1]]), torch.zeros(1, 1).long(), torch.ones(1).long())
            out = task.outputs(batch)
            heard = {"top": out.top, "local": out.local, "teacher": task.heard_by_teacher(batch)}
            for name, shares in heard.items():
                wrong[name] += distance(collapse(shares[0].argmax(-1)), list(said))
            total += len(said)
    task.train()
    return {f"phone_errors_{name}": count / max(total, 1) for name, count in wrong.items()}


def train(
    run: FsqUnitsRun, speech: Path, out: Path, *, start: Path | None = None, say: units_data.Say = print
) -> Units:
    """Writes the part ``units`` into ``out``; a run that was killed goes on where it was.

    ``start`` is the folder of the listener that is begun at, the bundled one if left out.
    """
    listener: Listener = load_part(start or units_data.BUNDLED, "listener")
    below = ListenerLayer.of(listener, run.layer - 1)
    clips = units_data.sample(speech, run.minutes, run.seed)
    kept = units_data.frames(below, clips, out / "features", say, listener if run.aligned else None)
    said = (
        [[int(p) for p in kept[i]["phones"]] for i in range(len(kept))]
        if run.aligned
        else [phones_of(clip.text or "") for clip in clips]
    )
    tested = [clip for clip in recordings(speech, "dev", lang="en") if clip.text and clip.seconds < 20][::9]
    dev = units_data.frames(below, tested, out / "dev", say)
    wanted = [phones_of(clip.text or "") for clip in tested]
    torch.manual_seed(run.seed)
    task = UnitsRecogniser(listener, run.layer, run.levels, run.weights)
    config = UnitsConfig(
        front=ListenerLayerConfig(listener=below.config.listener, layer=run.layer),
        quantizer=task.quantizer.config,
        made_by=f"finite scalar quantisation inside a recogniser, levels {run.levels}",
    )

    def units_of(model: nn.Module) -> Units:
        assert isinstance(model, UnitsRecogniser)
        made = config.build()
        made.front.load_state_dict(
            below.state_dict()
            | {k.replace("blocks.0", f"trunk.blocks.{run.layer - 1}"): v for k, v in model.below.state_dict().items()}
        )
        made.quantizer.load_state_dict(model.quantizer.state_dict())
        return made.eval()

    def export(now: Run) -> None:
        save_part(out, "units", config, units_of(now.model), units_data.units_card(config, clips))

    def measure(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, UnitsRecogniser)
        return phone_errors(model, dev, wanted)

    done = fit(
        task,
        Batches(kept, said, run.frames, run.seed, below.config.hop / below.config.sample_rate),
        torch.optim.AdamW(task.parameters(), run.lr, betas=(0.9, 0.98), weight_decay=0.01),
        steps=run.steps,
        schedule=warm_cosine(run.steps, run.warmup, floor=0.05),
        seed=run.seed,
        clip=2.0,
        ema=run.ema,
        hooks=hooks(
            out,
            "units",
            config,
            every=max(1, min(20, run.steps // 40)),
            measure=measure if tested else None,
            export=export,
        ),
    )
    return units_of(done.model)


def debug(folder: Path) -> dict[str, float]:
    """In seconds, on orders that flite reads, begun at the bundled listener: CTC through the quantiser before and
    after."""
    speech = spoken(folder / "speech", 16)
    run = FsqUnitsRun(minutes=5.0, frames=300, steps=40, warmup=5, lr=1e-3, ema=0.9)
    train(run, speech, folder, say=lambda line: None)
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["ctc"], "after": lines[-1]["ctc"]}


def _run(run: FsqUnitsRun, given: Given) -> None:
    assert given.speech is not None
    train(run, given.speech, given.out, start=given.start, say=given.say)


RECIPE = Recipe(
    part="units",
    settings=FsqUnitsRun(),
    train=_run,
    debug=debug,
    needs={"speech": "people who speak English, with texts"},
    takes={"from": "a folder with the listener that is begun at; the bundled one if left out"},
)
