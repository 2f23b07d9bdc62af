"""How units are found without labels: frames of a front that is not learnt here, and k-means of them.

Features are the listener's distributions over phones or one of its layers, a layer of an encoder that learnt from sound
alone (HuBERT, wav2vec 2.0, w2v-BERT, WavLM; trained here or published), those of Whisper's encoder, or a control
(log-mel, MFCC, a listener with random weights). Whether the units are worth anything is not decided here but by
``vivavoce eval tokens``.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vivavoce.core.parts import load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.progress import Log
from vivavoce.data.manifest import Record, recordings, write_manifest
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.nn.kmeans import FitConfig, distortion, fit
from vivavoce.recipes import units_data
from vivavoce.train.recipe import LOSSES, MEASURED, Given, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsRun:
    """Which features (`units_data.front_of`), how many centres, and how much speech they are found in.

    ``whole``: a listener's frames see all of the recording; such units cannot be streamed. Distances between
    distributions are those of the vectors themselves (``fit.scaled`` is for all other features).
    """

    features: str = "posteriors"
    layer: int = 5
    whole: bool = False
    size: int = 1024
    minutes: float = 120.0
    fit: FitConfig = FitConfig()
    seed: int = 1


def train(
    run: UnitsRun, speech: Path, out: Path, *, listener: Path | None = None, encoder: Path | None = None,
    say: Log = print,
) -> Units:  # fmt: skip
    """Writes the part ``units`` into ``out``; frames are kept in ``out/features``.

    ``listener`` is the folder of the listener whose layer is used, the bundled one if left out; ``encoder`` what
    ``features=encoder`` are a layer of.
    """
    front = units_data.front_of(
        run.features, run.layer, whole=run.whole, listener=listener, encoder=encoder, seed=run.seed
    )
    clips = units_data.sample(speech, run.minutes, run.seed)
    x = units_data.all_frames(units_data.frames(front, clips, out / "features", say))
    name = units_data.named(front, run.features, run.layer)
    book = fit(
        x, run.size, replace(run.fit, scaled=run.fit.scaled and run.features != "posteriors"), features=name, say=say
    )
    config = UnitsConfig(front=front.config, quantizer=book.config, made_by=f"k-means of {name}, {run.size} centres")
    made = config.build()
    made.front.load_state_dict(front.state_dict())
    made.quantizer.load_state_dict(book.state_dict())
    counts = torch.bincount(book(x), minlength=run.size).double()
    shares = counts[counts > 0] / counts.sum()
    found = {
        "error": distortion(book.normalize(x), book.centers),
        "perplexity": float((-(shares * shares.log()).sum()).exp()),
        "frames": len(x),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / LOSSES).write_text(json.dumps({"step": run.fit.steps, **found}) + "\n")
    (out / MEASURED).write_text(json.dumps({"step": run.fit.steps, **found}) + "\n")
    card = units_data.units_card(config, clips)
    save_part(out, "units", config, made, card, torch.int8, borrowed={"front.": units_data.LISTENER}, exact=("front.",))
    return load_part(out, "units")  # with centres of 8 bits, as everybody will have them


def debug(folder: Path) -> dict[str, float]:
    """In seconds, on orders that flite reads: the share of phones that log-mel units miss, with 2 centres and with 50.

    The number is phone impurity: what a frame's phone is not, when it is guessed from the unit.
    """
    speech = spoken(folder / "speech", 24)
    found = {}
    for name, size in (("before", 2), ("after", 50)):
        run = UnitsRun(features="log-mel", size=size, minutes=5.0, fit=FitConfig(batch=512, steps=60))
        units = train(run, speech, folder / str(size), say=lambda line: None)
        found[name] = _impurity(units, recordings(speech, "train"), folder / str(size))
    return found


def spoken(folder: Path, count: int) -> Path:
    """Orders that flite reads, as recordings with a manifest."""
    from vivavoce.audio.files import SYNTHETIC, write_audio
    from vivavoce.data.synthesis import LISTENING_RATE, readings, speak
    from vivavoce.recipes.listener_data import texts_of_orders

    records = []
    for number, one in enumerate(speak(readings(texts_of_orders(count, 0), 0, engines={"flite": 1.0}))):
        wave = torch.from_numpy(one.wave).float()
        write_audio(folder / f"{number}.wav", wave, LISTENING_RATE, comment=SYNTHETIC)
        records.append(
            Record(
                id=str(number), path=f"{number}.wav", split="train" if number % 4 else "dev", speaker=one.reading.voice,
                source="flite", licence="synthetic", seconds=len(wave) / LISTENING_RATE, sample_rate=LISTENING_RATE,
                text=one.reading.text,
            )
        )  # fmt: skip
    write_manifest(folder, records)
    return folder


def _impurity(units: Units, clips: list[Record], folder: Path) -> float:
    aligner = load_part(BUNDLED, "listener")
    kept = units_data.frames(units.front, clips, folder / "measured", lambda line: None, aligner)
    table = torch.zeros(units.config.size, aligner.config.symbols)
    for place in range(len(kept)):
        item = kept[place]
        ids = units.quantizer(torch.from_numpy(item["features"].copy()).float())
        labels = torch.from_numpy(item["labels"].copy()).long()[::2][: len(ids)]
        table.index_put_((ids[: len(labels)], labels), torch.ones(len(labels)), accumulate=True)
    return 1 - float(table.amax(1).sum() / table.sum())


def _run(run: UnitsRun, given: Given) -> None:
    assert given.speech is not None
    train(run, given.speech, given.out, listener=given.start, encoder=given.others.get("encoder"), say=given.say)


RECIPE = Recipe(
    part="units",
    settings=UnitsRun(),
    train=_run,
    debug=debug,
    on_cpu=True,
    needs={"speech": "people who speak English, with texts"},
    takes={
        "from": "a folder with the listener whose layer is used; the bundled one if left out",
        "encoder": "for features=encoder: a run of hubert, wav2vec2 or w2vbert, a published one's folder or hf: name",
    },
)
