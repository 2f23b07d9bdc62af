"""How a codec with units as its first book is trained: begun at a codec that is already good, then all of it learns.

What the units are made of, and which id a frame gets, stays as it is.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vivavoce.audio.pcm import to_float
from vivavoce.core.parts import load_part
from vivavoce.data.manifest import Record, recordings
from vivavoce.recipes import codec as codec_recipe
from vivavoce.recipes import fsq_units, units_data
from vivavoce.recipes.codec import SMALL, Stage, decoded, learn
from vivavoce.recipes.codec_data import LEAST_RATE, Crops
from vivavoce.recipes.fsq_units import FsqUnitsRun
from vivavoce.recipes.units import spoken
from vivavoce.systems.unit_codec import begun
from vivavoce.train import Run
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from
from vivavoce.train.tasks.codec import CodecSpectral, CodecWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCodecRun(Stage):
    """Numbers of a run, whose codec is made of the two parts that it begins at.

    The books are begun with ``begin_seconds`` of the ``minutes`` of speech that are learnt from.
    """

    weights: CodecWeights = CodecWeights()
    books: int = 8
    code_dim: int = 96
    minutes: float = 120.0
    begin_seconds: float = 1200.0
    steps: int = 2000
    warmup: int = 50
    lr: float = 3e-4
    ema: float = 0.99


def train(
    run: UnitCodecRun, speech: Path, folder: Path, *, start: Path, units: Path, cache: Path | None = None,
    device: str = "cpu",
) -> Run:  # fmt: skip
    """Writes the part ``codec`` into ``folder``; ``start`` is a folder with a codec, ``units`` one with units."""
    known = load_part(start, "codec")
    clips = _clips(speech, run.minutes, run.seed)
    sound = decoded(clips, known.config.sample_rate, cache or folder)
    waves, seconds = [], 0.0
    for place, clip in enumerate(clips):
        if seconds < run.begin_seconds:
            waves.append(torch.from_numpy(to_float(sound[place]["wave"])))
            seconds += clip.seconds
    torch.manual_seed(run.seed)
    first = begun(known, load_part(units, "units"), waves, books=run.books, code_dim=run.code_dim)
    task = CodecSpectral(first.config, run.weights, bypass_steps=0)
    begin_from(task.codec, first)
    optimizer = torch.optim.AdamW(task.parameters_of("model"), run.lr, betas=(0.9, 0.99), weight_decay=0.01)
    return learn(
        task,
        {"model": optimizer},
        run,
        Crops(run.crops, first.config, clips, sound, None, run.seed),
        speech,
        folder,
        device,
        borrowed={"front.units.": units_data.LISTENER, "quantizer.units.": "speech/units/quantizer."},
        exact=("front.units.", "quantizer.units."),
    )


def _clips(speech: Path, minutes: float, seed: int) -> list[Record]:
    """So many minutes of recordings with texts, where there are any, else of all that are wide enough."""
    chosen = [clip for clip in units_data.sample(speech, minutes, seed) if clip.sample_rate >= LEAST_RATE]
    return chosen or recordings(speech, "train", least_rate=LEAST_RATE)


def debug(folder: Path) -> dict[str, float]:
    """In under a minute, on orders that flite reads, begun at a codec and units of seconds: the mel distance."""
    speech = spoken(folder / "speech", 16)
    few = FsqUnitsRun(levels=(5, 5), minutes=5.0, frames=300, steps=10, warmup=2, lr=1e-3, ema=0.9)
    fsq_units.train(few, speech, folder / "units", say=lambda line: None)
    codec_recipe.debug(folder / "codec")
    run = UnitCodecRun(
        books=3, code_dim=16, minutes=2.0, steps=30, warmup=2, lr=2e-3, ema=0.9,
        crops=replace(SMALL.crops, share=(("flite", 1.0),)),
    )  # fmt: skip
    done = train(run, speech, folder, start=folder / "codec", units=folder / "units")
    curve = [json.loads(line)["mel"] for line in (folder / LOSSES).read_text().splitlines()]
    return {"before": curve[0], "after": done.losses["mel"]}


def _run(run: UnitCodecRun, given: Given) -> None:
    assert given.speech is not None and given.start is not None
    train(run, given.speech, given.out, start=given.start, units=given.others["units"], device=given.device)


RECIPE = Recipe(
    part="codec",
    settings=UnitCodecRun(),
    train=_run,
    debug=debug,
    needs={
        "speech": "people who speak English, with texts",
        "from": "a folder with the codec that is begun at",
        "units": "a folder with the units that become the first book",
    },
)
