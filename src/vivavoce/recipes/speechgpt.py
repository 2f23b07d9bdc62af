"""How SpeechGPT is trained: ``--set stage=1``, 2 and 3, each from the one before.

The corpus has the stream ``units``; the first stage takes a chat model, the third questions and answers in pairs
(``--with pairs=FILE``, JSON lines of utterances' ids).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.assistant.demo import LINES
from vivavoce.core import rng
from vivavoce.core.errors import TrainingError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import copy_part, load_part, read_card, save_part
from vivavoce.core.streams import Tokens, whole
from vivavoce.data.phrasings import phrased
from vivavoce.data.tokens import TokenCorpus, Utterance
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.lm import StreamLM
from vivavoce.models.trunk import grow
from vivavoce.models.units import merged
from vivavoce.nn.lora import LoraConfig
from vivavoce.recipes.miniature import chat_model, unit_corpus
from vivavoce.recipes.token_lm import GridRun, Measured, held_out, learn, pairs_of, stage_before
from vivavoce.systems.speechgpt import CHAINS, FORMS, STAGES, Form, SpeechGPTConfig, SpeechGPTModel
from vivavoce.train.recipe import Given, Recipe
from vivavoce.train.tasks.grid import GridBatch, collate


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechGPTRun:
    """``block`` is the longest piece of units alone, ``window`` how much is kept of the trunk's context."""

    stage: int = 1
    grids: GridRun = GridRun()
    block: int = 1024
    window: int = 2048
    lora: LoraConfig = LoraConfig()
    seed: int = 1


def train(
    run: SpeechGPTRun,
    corpus: Path,
    units: Path,
    out: Path,
    *,
    llm: str | Path | None = None,
    start: Path | None = None,
    pairs: Path | None = None,
    vocoder: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Measured:
    """Trains a stage and writes the parts ``speechgpt``, ``units`` (and a vocoder's) and the chat text into ``out``.

    Raises TrainingError for a stage that does not follow the one in ``start``, and where something is missing.
    """
    tokens = TokenCorpus(corpus)
    known: Tokens = load_part(units, "units").tokens
    if tokens.spec("units") != known:
        raise TrainingError(
            f"the corpus {corpus} has {tokens.spec('units')}, the part in {units} gives {known}; make the corpus again"
        )
    model, text = _begun(run, replace(known, rate=None), llm, start)
    makers = _makers(run, tokens, model.config, text, pairs, say)
    held = [grid for index in makers.held for grid in makers.grids(index, None)]

    def batches(step: int) -> GridBatch:
        draw = rng.stream(run.seed, "speechgpt", step)
        count, size = len(makers.train), run.grids.batch
        chosen = draw.choice(count, size, replace=count < size)
        made = [makers.grids(makers.train[int(n)], draw) for n in chosen]
        return collate([grids[int(draw.integers(len(grids)))] for grids in made])

    title = f"speechgpt, stage {run.stage}"
    measured = learn(out, title, model, batches, held, run.grids, seed=run.seed, identity=model.config, device=device)
    earlier = [] if start is None else [read_card(start, "speechgpt").get("held_out")]
    card = measured.card("speechgpt", run, stages=earlier)
    save_part(out, "speechgpt", model.config, model, card, torch.float16)
    text.save(out)
    copy_part(units, "units", out)
    sounding = vocoder or (start if start is not None and (start / "vocoder.json").exists() else None)
    for part in ("vocoder", "codec") if sounding is not None else ():
        copy_part(sounding, part, out)  # type: ignore[arg-type]
    return measured


def _begun(
    run: SpeechGPTRun, units: Tokens, llm: str | Path | None, start: Path | None
) -> tuple[SpeechGPTModel, ChatText]:
    """The model that a stage begins from."""
    if run.stage not in STAGES:
        raise TrainingError(f"there is no stage {run.stage}; the stages are 1, 2 and 3")
    torch.manual_seed(run.seed)
    if run.stage == 1:
        if llm is None or start is not None:
            raise TrainingError("stage 1 starts from a chat model and nothing else: --with llm=smollm2-135m-instruct")
        found = load_text_model(llm, run.window)
        trunk = found.lm.config.trunk
        config = SpeechGPTConfig(
            text=found.text.tokens, units=units, trunk=trunk, stage=1, tied=found.lm.config.tied, lora=run.lora
        )
        model = config.build()
        model.lm.load_state_dict(grow(found.lm, config.whole, config.text).state_dict())
        return model, found.text
    known: SpeechGPTModel
    start, known = stage_before("speechgpt", start, llm, run.stage)
    if known.config.units != units:
        raise TrainingError(
            f"the model in {start} speaks {known.config.units}, the corpus has {units}; use its own units"
        )
    model = replace(known.config, stage=run.stage, lora=run.lora).build()
    state = _adapted(known.lm) if run.stage == 3 else known.lm.state_dict()
    model.lm.load_state_dict({**model.lm.state_dict(), **state})
    return model, ChatText.load(start)


def _adapted(lm: StreamLM) -> dict[str, Tensor]:
    """The weights of a model without small maps under the names that they have beside these."""
    return {name.replace(".qkv.", ".qkv.linear."): value for name, value in lm.state_dict().items()}


@dataclass(frozen=True, slots=True)
class _Makers:
    """What is learnt from in a stage: utterances or pairs, as grids."""

    run: SpeechGPTRun
    tokens: TokenCorpus
    config: SpeechGPTConfig
    text: ChatText
    train: list[tuple[int, ...]]
    held: list[tuple[int, ...]]

    def grids(self, chosen: tuple[int, ...], draw: np.random.Generator | None) -> list[Grid]:
        """All that one of them can be: a piece of units, a pair both ways, a chain in its four formats."""
        if self.run.stage == 1:
            units = self.units(chosen[0])
            room = max(units.shape[1] - self.run.block, 0)
            begin = 0 if draw is None else int(draw.integers(room + 1))
            return [self.config.layout("units").pack({"ua": units[:, begin : begin + self.run.block]})]
        forms: tuple[Form, ...] = STAGES[2] if self.run.stage == 2 else CHAINS
        return [self.grid(form, chosen, draw) for form in forms]

    def grid(self, form: Form, chosen: tuple[int, ...], draw: np.random.Generator | None) -> Grid:
        """One form of a question (or an utterance) and its answer, in a wording."""
        first, last = chosen[0], chosen[-1]
        asked, answered = (self.tokens.utterances[index].text or "" for index in (first, last))
        spoken = "asked" in FORMS[form]
        content = phrased(form, self.text.hole if spoken else asked, draw)
        pieces = [torch.tensor([ids]) for ids in self.text.around([{"role": "user", "content": content}])]
        items = {"told": pieces[0], "tq": self.said(asked), "ta": self.said(answered)}
        items |= {"ua": self.units(last)} | ({"asked": self.units(first), "then": pieces[1]} if spoken else {})
        return self.config.layout(form, learn_all=self.run.stage == 2).pack({name: items[name] for name in FORMS[form]})

    def said(self, text: str) -> Tensor:
        return torch.tensor([self.text.plain(text)], dtype=torch.long)

    def units(self, index: int) -> Tensor:
        spec = self.tokens.spec("units")
        return merged(whole(spec, self.tokens.items(index)["units"][None])).units.data[0]


def _makers(
    run: SpeechGPTRun,
    tokens: TokenCorpus,
    config: SpeechGPTConfig,
    text: ChatText,
    pairs: Path | None,
    say: Callable[[str], None],
) -> _Makers:
    train, held = tokens.of("train"), held_out(tokens, say)
    if run.stage < 3:
        if pairs is not None:
            raise TrainingError("pairs of questions and answers are for stage 3; leave --with pairs out")
        kept = [
            [index for index in chosen if run.stage == 1 or tokens.utterances[index].text] for chosen in (train, held)
        ]
        if not kept[0]:
            raise TrainingError(f"no training utterance of {tokens.folder} has a text; stage 2 needs texts")
        return _Makers(run, tokens, config, text, [(n,) for n in kept[0]], [(n,) for n in kept[1]])
    if pairs is None:
        raise TrainingError("stage 3 needs questions and answers: --with pairs=FILE")
    chosen = pairs_of(pairs, tokens)
    dev = set(tokens.of("dev"))
    learnt = [pair for pair in chosen if not dev & set(pair)]
    return _Makers(run, tokens, config, text, learnt, [pair for pair in chosen if dev & set(pair)] or learnt)


def _run(run: SpeechGPTRun, given: Given) -> None:
    others = given.others
    train(
        run, others["corpus"], others["units"], given.out, llm=others.get("llm"), start=given.start,
        pairs=others.get("pairs"), vocoder=others.get("vocoder"), device=given.device, say=given.say,
    )  # fmt: skip


# ---- the whole recipe, small ----

SAID = (LINES[0], *LINES[2:4])
"""Recordings that the miniature learns by heart; each is answered by the next."""
SMALL = SpeechGPTRun(
    grids=GridRun(steps=40, batch=4, lr=4e-3, warmup=5), window=1000, lora=LoraConfig(rank=16, alpha=64.0, dropout=0.0)
)


def debug(folder: Path) -> dict[str, float]:
    """Half a minute on a CPU: all three stages on three recordings; the chain's loss before and after."""
    corpus, units = unit_corpus(folder, SAID)
    llm = chat_model(folder / "llm", dim=96, window=1000)
    utterances: tuple[Utterance, ...] = TokenCorpus(corpus).utterances
    lines = [{"question": a.id, "answer": b.id} for a, b in pairwise(utterances)]
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    first = train(SMALL, corpus, units, folder / "1", llm=llm)
    run = replace(SMALL, stage=2, grids=replace(SMALL.grids, steps=110))
    second = train(run, corpus, units, folder / "2", start=folder / "1")
    run = replace(SMALL, stage=3, grids=replace(SMALL.grids, steps=130, lr=1e-2))
    third = train(run, corpus, units, folder / "3", start=folder / "2", pairs=folder / "pairs.jsonl")
    found = {"before": third.before["tokens"], "after": third.after["tokens"], "right": third.after["right"]}
    for name, one in (("first", first), ("second", second)):
        found |= {f"{name} before": one.before["tokens"], f"{name} after": one.after["tokens"]}
    return found


RECIPE = Recipe(
    part="speechgpt",
    settings=SpeechGPTRun(),
    train=_run,
    debug=debug,
    needs={"corpus": "a token corpus with units", "units": "the part that made them"},
    takes={
        "llm": "stage 1: the chat model that it starts from, by name or folder",
        "from": "stages 2 and 3: the model of the stage before",
        "pairs": "stage 3: questions and answers, JSON lines of ids",
        "vocoder": "a vocoder of these units with its codec, to be put beside the model",
    },
)
