"""How the vocoder of units is trained: units without repeats to durations and a codec's tokens.

The corpus has the streams ``units`` and ``codes``. All readers are learnt first, each with a vector of their own, then
one voice by itself (``--from``, ``--set only=``): sequences of units that anybody wrote are then spoken by it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.token_corpora import corpus as make_corpus
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import Stream
from vivavoce.data.choosing import NAMELESS
from vivavoce.data.tokens import Batches, TokenCorpus
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.unit_vocoder import HistoryConfig, UnitVocoder, UnitVocoderConfig
from vivavoce.models.units import merged
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import unit_corpus
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.loop import moved
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.vocoder import HeldBatch, VocoderBatch, VocoderTask

_DEV_BATCHES = 4
TRUNK = TransformerConfig(dim=320, layers=5, heads=5, kv_heads=5, hidden=832, window=3000, causal=False, dropout=0.1)
HISTORY = TransformerConfig(dim=320, layers=2, heads=5, kv_heads=5, hidden=832, window=3000, dropout=0.1)
HELD = TransformerConfig(dim=192, layers=3, heads=4, kv_heads=4, hidden=512, window=3000, causal=False, dropout=0.1)
DEPTH = TransformerConfig(
    dim=192, layers=3, heads=4, kv_heads=4, hidden=512, window=16, rotary=False, dropout=0.1
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVocoderRun:
    """Numbers of a run, on the first ``books`` of a codec.

    Who speaks for ``least_minutes`` has a vector of their own. With ``only``, recordings of these speakers alone are
    learnt from: what was learnt of everybody becomes one voice.
    """

    trunk: TransformerConfig = TRUNK
    history: HistoryConfig | None = HistoryConfig(trunk=HISTORY)
    held: TransformerConfig = HELD
    depth: TransformerConfig = DEPTH
    books: int = 8
    least_minutes: float = 4.0
    only: tuple[str, ...] = ()
    steps: int = 20000
    seconds: float = 120.0
    lr: float = 5e-4
    warmup: int = 500
    ema: float = 0.999
    seed: int = 1


def held_batch(units: list[Stream[Any]], seconds: float = 0.0) -> HeldBatch:
    """Streams of units, one row each, as units without repeats and their frames."""
    pairs = [merged(one) for one in units]
    lengths = torch.cat([pair.units.lengths for pair in pairs])
    ids, frames = (
        pad_sequence([row.data[0, 0] for row in column], batch_first=True) for column in zip(*pairs, strict=True)
    )
    return HeldBatch(ids, frames + 1, lengths, seconds)


def speakers_of(tokens: TokenCorpus, minutes: float) -> tuple[str, ...]:
    """Who is known by name and speaks so long in what is learnt from."""
    heard: defaultdict[str, float] = defaultdict(float)
    for index in tokens.of("train"):
        heard[tokens.utterances[index].speaker] += tokens.utterances[index].seconds
    return tuple(
        sorted(name for name, seconds in heard.items() if seconds >= 60 * minutes and not name.endswith(NAMELESS))
    )


def train(
    run: UnitVocoderRun, corpus: Path, codec: Path, out: Path, *, start: Path | None = None, device: str = "cpu"
) -> dict[str, float]:
    """Trains and writes the parts ``vocoder`` and ``codec`` into ``out``; gives what was learnt at the end.

    A run that begins ``from`` another has that one's speakers.
    """
    tokens = TokenCorpus(corpus)
    units, codes = tokens.spec("units"), tokens.spec("codes")
    if (known := load_part(codec, "codec").tokens) != codes or run.books > codes.books:
        raise SpecError(f"the corpus {corpus} has {codes}, the codec in {codec} gives {known}; make the corpus again")
    begun: UnitVocoder | None = None if start is None else load_part(start, "vocoder")
    speakers = speakers_of(tokens, run.least_minutes) if begun is None else begun.config.speakers
    config = UnitVocoderConfig(
        durations=DurationsConfig(units=units, trunk=run.held, voices=len(speakers)), codes=codes.first(run.books),
        trunk=run.trunk, depth=run.depth, history=run.history, speakers=speakers,
        usual=run.only[0] if len(run.only) == 1 and run.only[0] in speakers else "",
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    if begun is not None:
        begin_from(model, begun)
    chosen = [n for n in tokens.of("train") if not run.only or tokens.utterances[n].speaker in run.only]
    if not chosen:
        raise SpecError(f"the corpus {corpus} has no recordings of {', '.join(run.only)} to learn from")
    examples = _Examples(tokens, model, run.books)
    task = VocoderTask(model)
    dev = Batches(tokens, tokens.of("dev"), examples, seconds=run.seconds, seed=0) if tokens.of("dev") else None
    held = [] if dev is None else [dev(number) for number in range(min(_DEV_BATCHES, dev.per_pass))]

    def export(now: Run) -> None:
        assert isinstance(now.model, VocoderTask)
        card = {"recipe": "vivavoce.recipes.unit_vocoder", "settings": dump(run), "steps": now.step}
        save_part(out, "vocoder", config, now.model.model, card, torch.float16)
        copy_part(codec, "codec", out)

    done = fit(
        task, Batches(tokens, chosen, examples, seconds=run.seconds, seed=run.seed),
        torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01), steps=run.steps,
        hooks=hooks(
            out, "unit vocoder", config, export=export, measure_seconds=60.0,
            measure=(lambda now: measure(now, held, device)) if held else None,
        ),
        schedule=warm_cosine(run.steps, run.warmup), seed=run.seed, ema=run.ema, device=device,
    )  # fmt: skip
    return done.losses


@final
class _Examples:
    """Batches of utterances by their numbers; each is read and merged once."""

    def __init__(self, tokens: TokenCorpus, model: UnitVocoder, books: int) -> None:
        self.tokens, self.model, self.books = tokens, model, books
        numbers = {speaker: 1 + place for place, speaker in enumerate(model.config.speakers)}
        self.voices = [numbers.get(one.speaker, 0) for one in tokens.utterances]
        self.one = cache(self._one)

    def _one(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Units without repeats, their frames, units on the codec's clock, and its codes, frame by frame."""
        item = self.tokens.items(index)
        ids, codes = item["units"], item["codes"][: self.books]
        pair = merged(Stream(self.tokens.spec("units"), ids[None], torch.tensor([ids.shape[1]])))
        placed = self.model.placed(ids, codes.shape[1])[0]
        return pair.units.data[0, 0], pair.durations.data[0, 0] + 1, placed, codes.T.contiguous()

    def __call__(self, indices: list[int], _: np.random.Generator) -> VocoderBatch:
        ids, frames, placed, codes = zip(*map(self.one, indices), strict=True)
        seconds = sum(self.tokens.utterances[index].seconds for index in indices)
        counts, lengths = (torch.tensor([len(one) for one in many]) for many in (ids, codes))
        padded = [pad_sequence(list(many), batch_first=True) for many in (ids, frames, placed, codes)]
        voices = torch.tensor([self.voices[index] for index in indices])
        held = HeldBatch(padded[0], padded[1], counts, seconds, voices)
        return VocoderBatch(held, padded[2], padded[3].transpose(1, 2), lengths, seconds)


def measure(task: nn.Module, batches: Sequence[VocoderBatch], device: str) -> dict[str, float]:
    """Terms on recordings that were not learnt from, by the frames and books that are guessed."""
    assert isinstance(task, VocoderTask)
    found: defaultdict[str, float] = defaultdict(float)
    for batch in batches:
        on = moved(batch, torch.device(device))
        for name, term in task.losses("model", on, task.outputs(on)).items():
            found[f"dev_{name}"] += float(term.value) / len(batches)
    return dict(found)


# ---- the whole recipe, small ----

SMALL = UnitVocoderRun(
    trunk=TransformerConfig(dim=96, layers=2, heads=4, kv_heads=4, hidden=192, window=400, causal=False),
    held=TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=400, causal=False),
    depth=TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=4, rotary=False),
    history=HistoryConfig(
        trunk=TransformerConfig(dim=96, layers=1, heads=4, kv_heads=4, hidden=192, window=400), width=32
    ),
    books=2, least_minutes=0.05, steps=100, lr=5e-3, warmup=5, seconds=30.0, ema=0.0,
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """Some seconds on a CPU: two recordings are learnt by heart; the loss of tokens before and after."""
    corpus, _ = unit_corpus(folder, LINES[2:4], size=32)
    make_corpus(folder / "speech", [str(BUNDLED)], corpus)
    before = train(replace(SMALL, steps=1), corpus, BUNDLED, folder / "once")
    found = train(SMALL, corpus, BUNDLED, folder / "run")
    return {"before": before["codes"], "after": found["codes"], **found}


def _run(run: UnitVocoderRun, given: Given) -> None:
    train(run, given.others["corpus"], given.others["codec"], given.out, start=given.start, device=given.device)


RECIPE = Recipe(
    part="vocoder",
    settings=UnitVocoderRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a token corpus with units and codes", "codec": "the codec that it was made with"},
    takes={"from": "a vocoder to go on from"},
)
