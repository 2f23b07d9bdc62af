"""How SpeechGPT is trained: ``--stage 1``, 2 and 3, each from the one before.

The corpus has the stream ``units``; the first stage takes a chat model, the third questions and answers in pairs
(``--with pairs=FILE``, JSON lines of utterances' ids). ``--with text=FILE`` has a text or a conversation (a JSON list
of messages) a line, which every stage goes on reading, so that the model does not forget: a tenth is held out. What is
learnt, and how much it counts, is in `recipes.speechgpt_data`.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.assistant.demo import LINES
from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import check_part, copy_part, load_part, load_weights, read_card, save_part
from vivavoce.core.streams import Tokens
from vivavoce.data.tokens import TokenCorpus, Utterance
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.lm import StreamLM
from vivavoce.models.trunk import grow
from vivavoce.models.units import Units
from vivavoce.nn.lora import LoraConfig
from vivavoce.recipes.miniature import chat_model, unit_corpus
from vivavoce.recipes.speechgpt_data import SpeechGPTRun, makers_of
from vivavoce.recipes.token_lm import GridRun, Measured, learn, stage_before
from vivavoce.systems.speechgpt import STAGES, SpeechGPTConfig, SpeechGPTModel
from vivavoce.train.recipe import Given, Recipe
from vivavoce.train.tasks.alphabets import AlphabetTask

MEASURE_SECONDS = 40.0


def train(
    run: SpeechGPTRun,
    corpus: Path,
    units: Path,
    out: Path,
    *,
    llm: str | Path | None = None,
    start: Path | None = None,
    pairs: Path | None = None,
    lines: Path | None = None,
    vocoder: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Measured:
    """Trains a stage and writes the parts ``speechgpt``, ``units`` (and a vocoder's) and the chat text into ``out``.

    Raises TrainingError for a stage that does not follow the one in ``start``, and where something is missing.
    """
    tokens = TokenCorpus(corpus)
    part: Units = load_part(units, "units")
    known = part.tokens
    if tokens.spec("units") != known:
        raise TrainingError(
            f"the corpus {corpus} has {tokens.spec('units')}, the part in {units} gives {known}; make the corpus again"
        )
    sounding = sounding_of(vocoder, start, known)
    model, text = _begun(run, part, llm, start)
    makers = makers_of(run, tokens, model.config, text, pairs, lines, say)
    layout = model.config.whole
    measured = learn(
        out, f"speechgpt, stage {run.stage}", model, makers.batches, makers.held_out(), run.grids, seed=run.seed,
        identity=model.config, device=device, others=makers.others(), makes=lambda model: AlphabetTask(model, layout),
        workers=run.workers, measure_seconds=MEASURE_SECONDS,
    )  # fmt: skip
    earlier = [] if start is None else [read_card(start, "speechgpt").get("held_out")]
    card = measured.card("speechgpt", run, stages=earlier)
    save_part(out, "speechgpt", model.config, model, card, torch.float16)
    text.save(out)
    copy_part(units, "units", out)
    for name in ("vocoder", "codec") if sounding is not None else ():
        copy_part(sounding, name, out)  # type: ignore[arg-type]
    return measured


def sounding_of(vocoder: Path | None, start: Path | None, units: Tokens) -> Path | None:
    """The folder of what makes units sound: a vocoder's, or that of the stage before if it has one.

    Raises TrainingError for a vocoder of other units, PartError where it or its codec is missing.
    """
    folder = vocoder or (start if start is not None and (start / "vocoder.json").exists() else None)
    if folder is not None:
        check_part(folder, "codec")
        if (known := load_weights(folder, "vocoder")[0].durations.units) != units:
            raise TrainingError(
                f"the vocoder in {folder} says {known}, the corpus has {units}; use one of its own units"
            )
    return folder


def _begun(
    run: SpeechGPTRun, units: Units, llm: str | Path | None, start: Path | None
) -> tuple[SpeechGPTModel, ChatText]:
    """The model that a stage begins from."""
    if run.stage not in STAGES:
        raise TrainingError(f"there is no stage {run.stage}; the stages are 1, 2 and 3")
    torch.manual_seed(run.seed)
    spoken = replace(units.tokens, rate=None)
    if run.stage == 1:
        if llm is None or start is not None:
            raise TrainingError("stage 1 starts from a chat model and nothing else: --with llm=smollm2-135m-instruct")
        found = load_text_model(llm, run.window)
        trunk = replace(run.fresh.of(found.lm.config.trunk), dropout=run.dropout)
        config = SpeechGPTConfig(
            text=found.text.tokens, units=spoken, trunk=trunk, stage=1, tied=found.lm.config.tied, lora=run.lora
        )
        model = config.build()
        if not run.fresh.dim:
            model.lm.load_state_dict(grow(found.lm, config.whole, config.text).state_dict())
        _place(model, units)
        return model, found.text
    if run.fresh.dim:
        raise TrainingError("a fresh trunk is for stage 1; later stages go on with the one before: leave fresh.dim out")
    known: SpeechGPTModel
    start, known = stage_before("speechgpt", start, llm, run.stage)
    if known.config.units != spoken:
        raise TrainingError(
            f"the model in {start} speaks {known.config.units}, the corpus has {spoken}; use its own units"
        )
    trunk = replace(known.config.trunk, dropout=run.dropout)
    model = replace(known.config, stage=run.stage, lora=run.lora, trunk=trunk).build()
    state = _adapted(known.lm) if run.stage == 3 else known.lm.state_dict()
    model.lm.load_state_dict({**model.lm.state_dict(), **state})
    return model, ChatText.load(start)


@torch.no_grad()
def _place(model: SpeechGPTModel, units: Units) -> None:
    """New rows begin among those of text: marks anywhere, units as far from each other as what they stand for is.

    At zero nothing would be learnt of units alone: what reads them and what writes them is the same table.
    """
    config, vocab = model.config, model.config.whole.vocabs[0]
    stands = units.quantizer.decode(torch.arange(config.units.size)[None, None])[0].T
    turned = (stands - stands.mean(0)) @ torch.randn(stands.shape[1], config.trunk.dim)
    text, own = (vocab.range(f"{one.alphabet}:{one.first_book}") for one in (config.text, config.units))
    marks = vocab.range("mark")
    for table in (model.lm.embed, *(() if model.lm.out is None else (model.lm.out,))):
        assert isinstance(table, Tensor)
        known = table[text.start : text.stop]
        table[own.start : own.stop] = known.mean(0) + turned * (known.std() / turned.std())
        table[marks.start : marks.stop] = known.mean(0) + torch.randn(len(marks), len(known[0])) * known.std()


def _adapted(lm: StreamLM) -> dict[str, Tensor]:
    """The weights of a model without small maps under the names that they have beside these."""
    return {name.replace(".qkv.", ".qkv.linear."): value for name, value in lm.state_dict().items()}


def _run(run: SpeechGPTRun, given: Given) -> None:
    others = given.others
    train(
        run, others["corpus"], others["units"], given.out, llm=others.get("llm"), start=given.start,
        pairs=others.get("pairs"), lines=others.get("text"), vocoder=others.get("vocoder"), device=given.device,
        say=given.say,
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
        "text": "text and conversations that it goes on reading, a line each",
        "vocoder": "a vocoder of these units with its codec, to be put beside the model",
    },
)
