"""How Parler-TTS is trained: on a token corpus, with descriptions composed of what was measured of its recordings.

The corpus has the streams ``phones`` and ``codes`` of the recordings in ``speech``
(``vivavoce tokens corpus SPEECH --part phones --part CODEC``). A description is drawn anew each time an utterance comes
up, so that no wording is learnt by heart.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.token_corpora import corpus as make_corpus
from vivavoce.audio.files import SYNTHETIC, read_audio, write_audio
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.attributes import Attributes, Bins
from vivavoce.data.descriptions import described
from vivavoce.data.manifest import read_manifest, write_manifest
from vivavoce.data.tokens import Batches, TokenCorpus
from vivavoce.hub.t5 import T5TextConfig
from vivavoce.models.text_encoder import TextEncoderConfig, TextEncoding
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import recordings
from vivavoce.recipes.parler_data import measured, read_attributes, write_attributes
from vivavoce.recipes.token_lm import some
from vivavoce.systems.parler import ParlerConfig, ParlerModel
from vivavoce.text.bpe import learn
from vivavoce.train import Best, fit, warm_cosine
from vivavoce.train.loop import moved
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.described import DescribedBatch, DescribedTask
from vivavoce.train.tasks.grid import collate

TRUNK = TransformerConfig(
    dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=1500, dropout=0.1, memory=192
)  # fmt: skip
WORDS = TransformerConfig(dim=192, layers=3, heads=4, kv_heads=4, hidden=512, window=128, dropout=0.1, causal=False)
MEASURE_SECONDS = 90.0
"""How often dev is measured."""
_WORDINGS = 4000
"""Descriptions that pieces of words are learnt from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParlerRun:
    """Numbers of a run, on the first ``books`` of a codec; ``pieces`` are those of words."""

    trunk: TransformerConfig = TRUNK
    words: TransformerConfig = WORDS
    pieces: int = 512
    books: int = 8
    book_weights: tuple[float, ...] = ()
    """What each book counts; 1 where nothing is said."""
    steps: int = 20000
    lr: float = 5e-4
    warmup: int = 500
    seconds: float = 120.0
    buckets: int = 8
    """Batches are of recordings of like length, in so many groups."""
    ema: float = 0.999
    seed: int = 1


def train(
    run: ParlerRun, speech: Path | None, corpus: Path, codec: Path, out: Path, *, attributes: Path | None = None,
    t5: Path | None = None, start: Path | None = None, device: str = "cpu",
) -> dict[str, float]:  # fmt: skip
    """Trains and writes the parts ``parler`` and ``codec`` into ``out``; gives what was learnt at the end.

    What is measured of the recordings in ``speech`` is written there too (``attributes.jsonl``), and ``attributes`` is
    such a file of an earlier run, in place of the recordings. Where the corpus has dev, the weights that did best on it
    are kept. ``t5`` is a folder with a T5 that reads the descriptions,
    ``start`` one with a Parler-TTS to go on from. Raises SpecError when the corpus was not made of these recordings by
    this codec, and TrainingError when there are neither recordings nor attributes.
    """
    tokens = TokenCorpus(corpus)
    phones, codes = tokens.spec("phones"), tokens.spec("codes")
    if (known := load_part(codec, "codec").tokens) != codes or run.books > codes.books:
        raise SpecError(f"the corpus {corpus} has {codes}, the codec in {codec} gives {known}; make the corpus again")
    found = _attributes(tokens, speech, attributes, out)
    train_on = tokens.of("train")
    bins = Bins.of([found[index] for index in train_on])
    layout_codes = codes.first(run.books)
    words = _words(run, bins, [found[index] for index in train_on], t5)
    trunk = replace(run.trunk, memory=words.dim)
    config = ParlerConfig(phones=phones, codes=layout_codes, trunk=trunk, words=words, bins=bins)
    torch.manual_seed(run.seed)
    model: ParlerModel = config.build()
    if start is not None:
        earlier: ParlerModel = load_part(start, "parler")
        if (earlier.config.phones, earlier.config.codes, earlier.config.words) != (phones, layout_codes, words):
            raise SpecError(f"the part in {start} reads {earlier.config.codes} and other words; train it anew")
        begin_from(model, earlier)
    layout = config.layout

    @cache
    def grid(index: int) -> Grid:
        items = tokens.items(index)
        return layout.pack({"phones": items["phones"], "codes": items["codes"][: run.books]})

    def batch(indices: Sequence[int], draw: np.random.Generator) -> DescribedBatch:
        grids = [grid(index) for index in indices]
        said = [described(found[index], bins, draw) for index in indices]
        seconds = sum(tokens.utterances[index].seconds for index in indices)
        return DescribedBatch(collate(grids, run.book_weights), model.words.pieces(said), seconds)

    dev = some(tokens.of("dev"))
    held = batch(dev, rng.stream(run.seed, "held")) if dev else None

    def held_out(task: nn.Module) -> dict[str, float]:
        asked, task = moved(held, torch.device(device)), cast(DescribedTask, task)
        return {name: float(term.value) for name, term in task.losses("model", asked, task.outputs(asked)).items()}

    task, best = DescribedTask(model), Best()
    done = fit(
        task, Batches(tokens, train_on, batch, seconds=run.seconds, seed=run.seed, buckets=run.buckets),
        torch.optim.AdamW(task.parameters_of("model"), lr=run.lr, betas=(0.9, 0.99), weight_decay=0.01),
        steps=run.steps,
        hooks=hooks(out, "parler", config, measure=held_out if dev else None, measure_seconds=MEASURE_SECONDS),
        schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed, ema=run.ema, best=best, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.load_state_dict(best.of(done.model))
    model.cpu()
    card = {
        "recipe": "vivavoce.recipes.parler",
        "settings": dump(run),
        "recordings": len(train_on),
        "held_out": best.measured,
    }
    save_part(out, "parler", config, model, card, torch.float16)
    copy_part(codec, "codec", out)
    return done.losses


def _attributes(tokens: TokenCorpus, speech: Path | None, attributes: Path | None, out: Path) -> list[Attributes]:
    """Of every utterance of a corpus, measured or known."""
    ids = [one.id for one in tokens.utterances]
    if attributes is not None:
        return read_attributes(attributes, ids)
    if speech is None:
        raise TrainingError("this recipe needs --speech, or --with attributes=FILE of a run that had the recordings")
    records = {record.id: record for record in read_manifest(speech / "manifest.jsonl")}
    if missing := [id for id in ids if id not in records]:
        raise SpecError(f"the corpus {tokens.folder} has {missing[0]!r}, {speech} has not; make it of these recordings")
    found = measured([records[id] for id in ids], out / "attributes")
    write_attributes(out / "attributes.jsonl", ids, found)
    return found


def _words(run: ParlerRun, bins: Bins, found: Sequence[Attributes], t5: Path | None) -> TextEncoding:
    """What reads descriptions: a T5, or a small encoder whose pieces are those of such descriptions."""
    if t5 is not None:
        return T5TextConfig.of(t5)
    draw = rng.stream(run.seed, "wordings")
    texts = [" " + described(found[int(draw.integers(len(found)))], bins, draw).lower() for _ in range(_WORDINGS)]
    return TextEncoderConfig(bpe=learn(texts, run.pieces), trunk=run.words)


# ---- the whole recipe, small ----

SAID = LINES[0]
"""A recording, and what is said in it."""
SPEEDS = (0.75, 1.25)
"""It is played so fast, which changes pitch and pace together; what is said is the same, so words alone tell which."""
COPIES = 2
SMALL = ParlerRun(
    trunk=TransformerConfig(dim=64, layers=2, heads=4, kv_heads=4, hidden=128, window=200, memory=48),
    words=TransformerConfig(dim=48, layers=1, heads=4, kv_heads=4, hidden=96, window=64, causal=False),
    pieces=300, books=2, steps=180, lr=4e-3, warmup=10, seconds=24.0, buckets=1, ema=0.0,
)  # fmt: skip


def played(folder: Path) -> Path:
    """`SAID` at `SPEEDS`, each listed several times, with a manifest; gives the folder."""
    [record] = read_manifest(recordings(folder, [SAID]) / "manifest.jsonl")
    wave, rate = read_audio(record.file)
    records = []
    for speed in SPEEDS:
        made = resample(wave[None], round(rate * speed), rate)[0]
        write_audio(folder / f"{speed}.flac", made, rate, comment=SYNTHETIC)
        about = replace(record, path=f"{speed}.flac", seconds=len(made) / rate, sample_rate=rate, sex="F")
        records += [replace(about, id=f"{speed} {copy}") for copy in range(COPIES)]
    write_manifest(folder, records)
    return folder


def debug(folder: Path) -> dict[str, float]:
    """Some seconds on a CPU: one sentence at three speeds is learnt by heart; the loss of tokens before and after."""
    speech = played(folder / "speech")
    make_corpus(speech, ["phones", str(BUNDLED)], folder / "corpus")
    found = train(SMALL, speech, folder / "corpus", BUNDLED, folder / "run")
    before = json.loads((folder / "run" / LOSSES).read_text().splitlines()[0])["tokens"]
    return {"before": before, "after": found["tokens"], **found}


def _run(run: ParlerRun, given: Given) -> None:
    others = given.others
    train(
        run, given.speech, others["corpus"], others["codec"], given.out, attributes=others.get("attributes"),
        t5=others.get("t5"), start=given.start, device=given.device,
    )  # fmt: skip


RECIPE = Recipe(
    part="parler",
    settings=ParlerRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a token corpus with phones and codes", "codec": "the codec that it was made with"},
    takes={
        "speech": "the recordings of the corpus, whose attributes are measured",
        "attributes": "what an earlier run measured of them (attributes.jsonl), in their place",
        "from": "a Parler-TTS to go on from",
        "t5": "a folder with a T5 that reads the descriptions",
    },
)
