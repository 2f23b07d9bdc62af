"""How SALMONN is trained: ``--set stage=1``, 2 and 3, each from the one before; both encoders and the chat model rest.

Stage 1 learns to write down what is said; stage 2 many tasks under many instructions (who speaks, how fast); stage 3 a
few long answers with the small maps turned down. Beside the manifest's own facts, ``--with answers=FILE`` has JSON
lines ``{"id": RECORDING, "question": …, "answer": …}`` for stages 2 and 3.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from vivavoce.assistant.demo import LINES
from vivavoce.audio.files import read_audio
from vivavoce.core import rng
from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import copy_part, load_part, read_card, save_part
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.data.manifest import Record, recordings
from vivavoce.data.phrasings import phrased
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.lora import LoraConfig, scale_lora
from vivavoce.nn.qformer import qformer_trunk
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.token_lm import GridRun, Measured, stage_before
from vivavoce.systems.salmonn import LORA, HeardBatch, Hears, SalmonnConfig, SalmonnModel, encode, words
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import Given, Recipe, hooks
from vivavoce.train.tasks.heard import HeardTask

_SLOW, _FAST = 2.0, 3.2
"""Words a second."""
_HELD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SalmonnRun:
    """Numbers of a run. ``turned_down`` is the scale of the small maps in stage 3, where they would only repeat the
    tasks that they know."""

    stage: int = 1
    grids: GridRun = field(default_factory=lambda: GridRun(steps=10000, batch=8, lr=3e-5, warmup=3000))
    seconds: float = 30.0
    window: int = 2048
    dim: int = 768
    layers: int = 2
    heads: int = 12
    lora: LoraConfig = LORA
    turned_down: float = 2.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A recording, the task that is asked of it (or a question of its own), and the answer."""

    record: Record
    task: str
    answer: str
    question: str = ""


def asked_of(records: Sequence[Record], stage: int, answers: Sequence[Asked] = ()) -> list[Asked]:
    """What a stage learns of recordings."""
    if stage == 3:
        return list(answers)
    found = [Asked(record, "recognise", record.text) for record in records if record.text]
    if stage == 2:
        found += [Asked(r, "who", {"m": "A man.", "f": "A woman."}[r.sex]) for r in records if r.sex in ("m", "f")]
        for record in records:
            if record.text:
                pace = len(record.text.split()) / record.seconds
                found.append(
                    Asked(record, "pace", "Slowly." if pace < _SLOW else "Fast." if pace > _FAST else "Normally.")
                )
        found += answers
    return found


def train(
    run: SalmonnRun, speech: Path, first: Path, second: Path, out: Path, *, llm: str | Path | None = None,
    start: Path | None = None, answers: Path | None = None, device: str = "cpu", say: Callable[[str], None] = print,
) -> Measured:  # fmt: skip
    """Trains a stage and writes the part ``salmonn`` and the chat text into ``out``, both encoders in folders below.

    ``first`` and ``second`` are folders with the part ``encoder``. Raises TrainingError for a stage that does not
    follow the one in ``start``, and where something is missing.
    """
    encoders: tuple[Hears, Hears] = (load_part(first, "encoder"), load_part(second, "encoder"))
    model, text = _begun(run, encoders, llm, start)
    scale_lora(model, run.turned_down if run.stage == 3 else run.lora.alpha / run.lora.rank)
    split = {name: recordings(speech, name) for name in ("train", "dev")}
    longest = [r for records in split.values() for r in records if r.seconds > run.seconds]
    if longest:
        say(f"{len(longest)} recordings last longer than {run.seconds:g} s and are left out")
    every = {r.id: r for records in split.values() for r in records if r.seconds <= run.seconds}
    own = [] if answers is None else _answers(answers, every)
    items, held = (
        asked_of([r for r in split[name] if r.id in every], run.stage, [one for one in own if one.record.split == name])
        for name in ("train", "dev")
    )
    if not items:
        raise TrainingError(f"stage {run.stage} has nothing to learn from; give texts, or --with answers=FILE")
    if not held:
        say(f"{speech} has nothing of the split dev for this stage; training recordings are measured instead")
    held = (held or items)[:_HELD]
    config = model.config

    def batch(chosen: Sequence[Asked], draw: np.random.Generator | None) -> HeardBatch:
        frames = [[encode(one, _wave(item, one), run.seconds)[0] for item in chosen] for one in encoders]
        rows = []
        for item in chosen:
            question = item.question or phrased(item.task, "…", draw)
            asked = (question if "…" in question else f"…\n{question}").replace("…", text.hole)
            pieces = text.around([{"role": "user", "content": asked}])
            rows.append(words(pieces, [*text.plain(item.answer), *sorted(text.ends)[-1:]], config.heard))
        ids, places, weights = (pad_sequence(list(column), batch_first=True) for column in zip(*rows, strict=True))
        seconds = sum(item.record.seconds for item in chosen)
        return HeardBatch(torch.stack(frames[0]), torch.stack(frames[1]), ids, places, weights, seconds)

    def batches(step: int) -> HeardBatch:
        draw = rng.stream(run.seed, "salmonn", step)
        chosen = draw.choice(len(items), min(run.grids.batch, len(items)), replace=False)
        return batch([items[int(n)] for n in chosen], draw)

    task = HeardTask(model)

    @torch.no_grad()
    def measure(task: HeardTask) -> dict[str, float]:
        task.eval()
        sums = {"tokens": 0.0, "right": 0.0}
        for item in held:
            one = batch([item], None)
            found = task.losses("model", one, task.outputs(one))
            sums = {name: value + float(found[name].value) / len(held) for name, value in sums.items()}
        return sums

    before = measure(task)
    optimizer = torch.optim.AdamW([w for w in task.parameters() if w.requires_grad], lr=run.grids.lr, weight_decay=0.05)
    fit(
        task, batches, optimizer, steps=run.grids.steps, hooks=hooks(out, f"salmonn, stage {run.stage}", config),
        schedule=warm_cosine(run.grids.steps, run.grids.warmup), seed=run.seed, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.cpu()
    measured = Measured(before, measure(task))
    earlier = [] if start is None else [read_card(start, "salmonn").get("held_out")]
    save_part(out, "salmonn", config, model, measured.card("salmonn", run, stages=earlier), torch.float16)
    text.save(out)
    copy_part(first, "encoder", out / "first")
    copy_part(second, "encoder", out / "second")
    return measured


def _wave(item: Asked, encoder: Hears) -> Stream[Wave]:
    rate = encoder.wave.sample_rate
    return sound(read_audio(item.record.file, rate)[0], rate)


def _begun(
    run: SalmonnRun, encoders: tuple[Hears, Hears], llm: str | Path | None, start: Path | None
) -> tuple[SalmonnModel, ChatText]:
    if run.stage not in (1, 2, 3):
        raise TrainingError(f"there is no stage {run.stage}; the stages are 1, 2 and 3")
    torch.manual_seed(run.seed)
    if run.stage == 1:
        if llm is None or start is not None:
            raise TrainingError("stage 1 starts from a chat model and nothing else: --with llm=smollm2-135m-instruct")
        found = load_text_model(llm, run.window)
        first, second = (encoder.spec() for encoder in encoders)
        config = SalmonnConfig(
            first=first, second=second, text=found.text.tokens, trunk=found.lm.config.trunk, tied=found.lm.config.tied,
            qformer=qformer_trunk(run.dim, run.layers, run.heads, 4 * run.dim, first.dim + second.dim), lora=run.lora,
            seconds=run.seconds,
        )  # fmt: skip
        model = config.build()
        own, size = model.lm.state_dict(), found.text.tokens.size
        known = {name.replace(".qkv.", ".qkv.linear."): value for name, value in found.lm.state_dict().items()}
        known |= {name: known[name][:size] for name in ("embed", "out") if name in known}
        model.lm.load_state_dict({**own, **known})
        return model, found.text
    before: SalmonnModel
    start, before = stage_before("salmonn", start, llm, run.stage)
    for wanted, encoder in zip((before.config.first, before.config.second), encoders, strict=True):
        if encoder.spec() != wanted:
            raise TrainingError(f"the model in {start} hears {wanted}, got {encoder.spec()}; use its own encoders")
    model = replace(before.config, stage=run.stage).build()
    model.load_state_dict(before.state_dict())
    return model, ChatText.load(start)


def _answers(path: Path, known: dict[str, Record]) -> list[Asked]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [Asked(known[one["id"]], "", str(one["answer"]), str(one["question"])) for one in lines]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f'{path} has no answers about these recordings ({error}); write lines of {{"id": RECORDING, "question": …, '
            '"answer": …}'
        ) from error


# ---- the whole recipe, small ----

SAID = (LINES[0], LINES[3])
SMALL = SalmonnRun(
    grids=GridRun(steps=60, batch=2, lr=5e-3, warmup=5), seconds=3.0, window=400, dim=64, heads=4,
    lora=LoraConfig(rank=8, alpha=32.0, dropout=0.0),
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """Half a minute on a CPU: all three stages on two recordings; the last one's loss before and after."""
    speech = miniature.recordings(folder / "speech", SAID)
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        trunk = TransformerConfig(dim=48, layers=1, heads=4, kv_heads=4, hidden=96, window=600, causal=False)
        encoder = EncoderConfig(front=WaveFrontConfig(dim=48, kernels=(40, 8), strides=(40, 8)), trunk=trunk)
        save_part(folder / name, "encoder", encoder, encoder.build())
    llm = miniature.chat_model(folder / "llm", dim=96, window=400, spread=0.3)
    both = folder / "first", folder / "second"
    first = train(SMALL, speech, *both, folder / "1", llm=llm)
    second = train(replace(SMALL, stage=2), speech, *both, folder / "2", start=folder / "1")
    lines = [{"id": f"{name} 0", "question": "What would you answer?", "answer": "I hear you."} for name, _ in SAID]
    (folder / "answers.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    run = replace(SMALL, stage=3, grids=replace(SMALL.grids, steps=25))
    third = train(run, speech, *both, folder / "3", start=folder / "2", answers=folder / "answers.jsonl")
    found = {"before": third.before["tokens"], "after": third.after["tokens"]}
    for name, one in (("first", first), ("second", second)):
        found |= {f"{name} before": one.before["tokens"], f"{name} after": one.after["tokens"]}
    return found


def _run(run: SalmonnRun, given: Given) -> None:
    others = given.others
    assert given.speech is not None
    train(
        run, given.speech, others["first"], others["second"], given.out, llm=others.get("llm"), start=given.start,
        answers=others.get("answers"), device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="salmonn",
    settings=SalmonnRun(),
    train=_run,
    debug=debug,
    needs={
        "speech": "recordings with texts",
        "first": "a folder with the encoder of speech",
        "second": "a folder with the encoder of other sounds",
    },
    takes={
        "llm": "stage 1: the chat model that it starts from, by name or folder",
        "from": "stages 2 and 3: the model of the stage before",
        "answers": "stages 2 and 3: questions about recordings and their answers, JSON lines",
    },
)
