"""How supervised units are learnt: finite scalar quantisation inside a recogniser of phones, above a listener's trunk.

The trunk's frames are computed once. Phones, and where they are, are found by an aligner in the texts; the listener's
own distributions teach beside them. A minute of one core learns from an hour of speech heard once.
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
from vivavoce.core.places import BUNDLED
from vivavoce.core.progress import Log
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import recordings
from vivavoce.evals.word_errors import distance
from vivavoce.models.features import ListenerLayer
from vivavoce.models.listener import SPLIT, Listener
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.quantize import perplexity
from vivavoce.recipes import units_data
from vivavoce.recipes.listener import collapse
from vivavoce.recipes.units import spoken
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.units import UNKNOWN, RecogniserBatch, RecogniserWeights, UnitsRecogniser


@dataclass(frozen=True, slots=True, kw_only=True)
class FsqUnitsRun:
    """Numbers of a run; ``levels`` and ``hidden`` are those of the quantiser.

    ``whole``: the trunk sees all of a recording, which is clearer and cannot be streamed.
    """

    levels: tuple[int, ...] = (8, 5, 5, 5)
    hidden: int = 256
    whole: bool = False
    weights: RecogniserWeights = RecogniserWeights()
    minutes: float = 120.0
    frames: int = 3000
    steps: int = 1500
    warmup: int = 50
    lr: float = 2e-3
    ema: float = 0.99
    seed: int = 1


class RecogniserBatches:
    """Batches of about so many frames, recordings of like length together; a function of the step."""

    def __init__(self, kept: Cache, frames: int, seed: int, hop_seconds: float) -> None:
        """Recordings whose phones were not found, or with more of them than there are frames for, are left out."""
        self.kept, self.seed, self.hop_seconds = kept, seed, hop_seconds
        sizes, counts = kept.lengths("features"), kept.lengths("phones")
        usable = [i for i in range(len(kept)) if 0 < 1.05 * counts[i] <= SPLIT * sizes[i]]
        order = sorted(usable, key=lambda i: int(sizes[i]))
        self.groups: list[list[int]] = []
        for place in order:
            if self.groups and (len(self.groups[-1]) + 1) * sizes[place] <= frames:
                self.groups[-1].append(place)
            else:
                self.groups.append([place])

    def __call__(self, step: int) -> RecogniserBatch:
        """The batch of a step; each comes once a pass."""
        number, place = divmod(step, len(self.groups))
        group = self.groups[int(rng.stream(self.seed, "pass", number).permutation(len(self.groups))[place])]
        items = [self.kept[i] for i in group]
        rows = [torch.from_numpy(item["features"].astype(np.float32)) for item in items]
        said = [torch.from_numpy(item["phones"].astype(np.int64)) for item in items]
        lengths, counts = (torch.tensor([len(row) for row in each]) for each in (rows, said))
        frames = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        labels = torch.full((len(rows), SPLIT * frames.shape[1]), UNKNOWN)
        for row, item in enumerate(items):
            known = torch.from_numpy(item["labels"].astype(np.int64))[: SPLIT * len(rows[row])]
            labels[row, : len(known)] = known
        seconds = float(lengths.sum()) * self.hop_seconds
        return RecogniserBatch(
            frames, lengths, nn.utils.rnn.pad_sequence(said, batch_first=True), counts, labels, seconds
        )


def phones_of(text: str) -> list[int]:
    """Of a text, each word said in the way that is listed first; none where it cannot be read."""
    try:
        return [i for word in normalise(text) for i in ids(pronunciations(word)[0])]
    except VivavoceError:
        return []


@torch.no_grad()
def measure(task: UnitsRecogniser, kept: Cache, phones: Sequence[Sequence[int]]) -> dict[str, float]:
    """Greedy errors from the ids alone and of the listener itself, and how the ids are used."""
    wrong: dict[str, int] = dict.fromkeys(("ids", "listener"), 0)
    total, codes = 0, []
    task.eval()
    for place, said in enumerate(phones):
        if said:
            frames = torch.from_numpy(kept[place]["features"].astype(np.float32))[None]
            none = torch.zeros(1, 1).long()
            batch = RecogniserBatch(frames, torch.tensor([frames.shape[1]]), none, none[0], none)
            out = task.outputs(batch)
            for name, shares in (("ids", out.ctc), ("listener", task.heard_by_teacher(batch)[0])):
                wrong[name] += distance(collapse(shares[0].argmax(-1)), list(said))
            total += len(said)
            codes.append(out.quantized.codes[0])
    task.train()
    used = torch.cat(codes, dim=1) if codes else torch.zeros(1, 2).long()
    found = {f"phone_errors_{name}": count / max(total, 1) for name, count in wrong.items()}
    return found | {
        "perplexity": float(perplexity(used[None], task.quantizer.config.size)[0]),
        "repeats": float((used[0].diff() == 0).float().mean()),
    }


def train(run: FsqUnitsRun, speech: Path, out: Path, *, start: Path | None = None, say: Log = print) -> Units:
    """Writes the part ``units`` into ``out``; a run that was killed goes on where it was.

    ``start`` is the folder of the listener above whose trunk is learnt, the bundled one if left out.
    """
    listener: Listener = load_part(start or BUNDLED, "listener")
    front = ListenerLayer.of(listener, listener.config.trunk.layers, run.whole)
    clips = units_data.sample(speech, run.minutes, run.seed)
    kept = units_data.frames(front, clips, out / "features", say, listener)
    tested = recordings(speech, "dev", lang="en", seconds=(0.0, 20.0), text=True)[::9]
    dev = units_data.frames(front, tested, out / "dev", say)
    wanted = [phones_of(clip.text or "") for clip in tested]
    torch.manual_seed(run.seed)
    book = FiniteScalarConfig(dim=front.config.dim, levels=run.levels, hidden=run.hidden)
    task = UnitsRecogniser(listener, book, run.weights)
    config = UnitsConfig(
        front=front.config,
        quantizer=book,
        made_by=f"finite scalar quantisation inside a recogniser, levels {run.levels}",
    )

    def units_of(model: nn.Module) -> Units:
        assert isinstance(model, UnitsRecogniser)
        made = config.build()
        made.front.load_state_dict(front.state_dict())
        made.quantizer.load_state_dict(model.quantizer.state_dict())
        return made.eval()

    def export(now: Run) -> None:
        card = units_data.units_card(config, clips)
        save_part(out, "units", config, units_of(now.model), card, borrowed={"front.": units_data.LISTENER})

    def measured(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, UnitsRecogniser)
        return measure(model, dev, wanted)

    done = fit(
        task,
        RecogniserBatches(kept, run.frames, run.seed, front.config.hop / front.config.sample_rate),
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
            measure=measured if tested else None,
            export=export,
        ),
    )
    return units_of(done.model)


def debug(folder: Path) -> dict[str, float]:
    """In seconds, on orders that flite reads, above the bundled listener: CTC through the ids, before and after."""
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
    on_cpu=True,
    needs={"speech": "people who speak English, with texts"},
    takes={"from": "a folder with the listener whose trunk is used; the bundled one if left out"},
)
