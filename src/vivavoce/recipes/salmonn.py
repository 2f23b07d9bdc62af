"""How SALMONN is trained: ``--stage 1``, 2 and 3, each from the one before; both encoders and the chat model rest.

Stage 1 learns to write down what is said; stage 2 many tasks under many instructions (who speaks, how fast, how high:
`recipes.salmonn_tasks`); stage 3 a few long answers with the small maps turned down. With ``--with sounds=DIR``
(recordings whose text names a sound, of ``vivavoce data sounds``) stages 1 and 2 also learn which sound it is. Beside
the manifests' own facts, ``--with answers=FILE`` has JSON lines ``{"id": RECORDING, "question": …, "answer": …}`` for
stages 2 and 3.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.assistant.demo import LINES
from vivavoce.core import rng
from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.core.streams import Latents
from vivavoce.data.cache import Joined
from vivavoce.data.manifest import Record, recordings
from vivavoce.data.phrasings import phrased
from vivavoce.evals.word_errors import distance, plain
from vivavoce.generate.joint import JointConfig
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.salmonn import grown_from, load_model, save_salmonn
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.bridge import Bridge, BridgeConfig, spelled_rows, window_of
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.lora import LoraConfig, scale_lora
from vivavoce.nn.qformer import WindowQFormerConfig, qformer_trunk
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.heard_data import HELD, ByLength, heard_frames, hearing, padded, said, shown_of, written
from vivavoce.recipes.salmonn_tasks import Asked, answers_of, asked_of, in_turns, pitches_of, sounds_of
from vivavoce.recipes.token_lm import Measured, stage_before
from vivavoce.systems.salmonn import LORA, HeardBatch, Hears, SalmonnConfig, SalmonnModel, pieces_of, words
from vivavoce.train import fit, warm_cosine
from vivavoce.train.loop import moved
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.heard import HeardTask

_ROWS = 16
_MOST = 80
"""Words of a transcript that is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SalmonnRun:
    """Numbers of a run; ``batch`` seconds of sound a step. The bridge learns at ``bridge`` times the rate of the small
    maps (0: it rests), and goes on spelling by the weight ``spell`` where it does.

    ``recordings`` (0: all) of at most ``longest`` seconds are learnt from, after ``skip`` others: a bridge knows those
    that it learnt to spell with better than any that it will hear. ``question`` is asked always where there is
    one, instead of one out of a pool of wordings; ``system_message`` as in `SalmonnConfig`.
    ``turned_down`` is the scale of the small maps in stage 3, where they would only repeat the tasks that they know.
    ``held`` are measured on at most.

    With a bridge that spells, it and the language model write down jointly what is said (``joint``): the model as it
    hears, or, as it was published, after so many ``shown`` lines of training texts. No ``steps``: nothing is learnt.
    """

    stage: int = 1
    steps: int = 10000
    batch: float = 60.0
    lr: float = 3e-5
    bridge: float = 1.0
    warmup: int = 3000
    spell: float = 0.3
    skip: int = 0
    recordings: int = 0
    longest: float = 16.5
    seconds: float = 30.0
    window_seconds: float = 0.333
    window: int = 2048
    dim: int = 768
    layers: int = 2
    heads: int = 12
    lora: LoraConfig = LORA
    question: str = ""
    system_message: str = ""
    turned_down: float = 2.0
    held: int = 64
    joint: JointConfig = JointConfig()
    shown: int = 0
    seed: int = 1
    earlier_names: ClassVar[tuple[tuple[str, str], ...]] = (("told", "system_message"),)


def train(
    run: SalmonnRun, speech: Path, first: Path, second: Path | None, out: Path, *, llm: str | Path | None = None,
    start: Path | None = None, bridge: Path | None = None, answers: Path | None = None, sounds: Path | None = None,
    cache: Path | None = None, device: str = "cpu", say: Callable[[str], None] = print,
) -> Measured:  # fmt: skip
    """Trains a stage and writes the part ``salmonn`` and the chat text into ``out``, both encoders in folders below.

    ``first`` and ``second`` are encoders as `heard_data.hearing` takes them. ``bridge`` is a folder with
    one that spells (`recipes.bridge`). Raises TrainingError for a stage that does not follow the one in ``start``, and
    where something is missing.
    """
    encoders = [hearing(one) for one in (first, second) if one is not None]
    train_on = _recordings(run, speech, "train")
    shown = shown_of(train_on, run.shown)
    model, text = _begun(run, encoders, llm, start, bridge, shown)
    scale_lora(model, run.turned_down if run.stage == 3 else run.lora.alpha / run.lora.rank)
    config, spelling = model.config, model.bridge.spelling
    train_on = train_on[run.skip :][: (run.recordings or None) if run.steps else HELD]
    split = {"train": train_on, "dev": _recordings(run, speech, "dev")}
    if sounds is not None and (run.stage == 3 or (run.stage == 1 and spelling is not None)):
        raise TrainingError(
            "sounds are for stages 1 and 2, and a bridge that spells hears none in stage 1; leave them out"
        )
    named = {name: sounds_of(sounds, name, run.seconds)[: None if name == "train" else HELD] for name in split}
    known = {name: [*records, *named[name]] for name, records in split.items()}
    told = [] if answers is None else answers_of(answers, {r.id: r for records in known.values() for r in records})
    heights: dict[str, float] = {}
    if run.stage == 2:
        for records in split.values():
            heights |= pitches_of(records, cache or out / "frames", say)
    items, held = (
        asked_of(
            split[name], run.stage, [one for one in told if one.record.split == name], pitches=heights,
            sounds=named[name],
        )
        for name in ("train", "dev")
    )  # fmt: skip
    if not items:
        raise TrainingError(f"stage {run.stage} has nothing to learn from; give texts, or --with answers=FILE")
    if not held:
        say(f"{speech} has nothing of the split dev for this stage; training recordings are measured instead")
    held = in_turns(held or items)[: run.held]
    filled = run.seconds if config.filled else 0.0
    data = HeardData.of(encoders, known.values(), cache or out / "frames", filled, say)
    seconds = np.array([item.record.seconds for item in items])
    by_length = ByLength(seconds, min(run.batch, float(seconds.sum())), run.seed)

    def batch(chosen: Sequence[Asked], draw: np.random.Generator | None) -> HeardBatch:
        rows = []
        for item in chosen:
            own = config.question if run.stage == 1 and item.task == "recognise" else ""
            question = item.question or own or phrased(item.task, "…", draw)
            answer = [*text.plain(item.answer), *sorted(text.ends)[-1:]]
            rows.append(words(pieces_of(text, question, system_message=config.system_message), answer))
        ids, at, weights = zip(*rows, strict=True)
        pieces, counts = None, None
        if spelling is not None and run.stage == 1:
            pieces, counts = spelled_rows(
                [text.spelled(f" {written(item.record)}", spelling.config.pieces) for item in chosen]
            )
        frames, lengths = data.frames([item.record for item in chosen])
        return HeardBatch(
            frames[0], frames[1] if len(frames) > 1 else None, pad_sequence(list(ids), batch_first=True),
            torch.tensor(at), pad_sequence(list(weights), batch_first=True), None if config.filled else lengths,
            pieces, counts, sum(item.record.seconds for item in chosen),
        )  # fmt: skip

    def batches(step: int) -> HeardBatch:
        return batch([items[n] for n in by_length(step)], rng.stream(run.seed, "salmonn", step))

    task = HeardTask(model, run.spell)

    @torch.no_grad()
    def measure(task: nn.Module) -> dict[str, float]:
        assert isinstance(task, HeardTask)
        task.eval()
        sums, wrong, total = {"tokens": 0.0, "right": 0.0}, [], []
        for begin in range(0, len(held), _ROWS):
            some = held[begin : begin + _ROWS]
            one = moved(batch(some, None), next(task.parameters()).device)
            out = task.outputs(one)
            found = task.losses("model", one, out)
            sums = {name: value + float(found[name].value) * len(some) / len(held) for name, value in sums.items()}
            if run.stage == 1:
                question = config.question or phrased("recognise", "…", None)
                pieces = pieces_of(text, question, system_message=config.system_message)
                for item, ids in zip(some, task.model.write(out.heard, pieces, text.ends, _MOST), strict=True):
                    if item.task != "recognise":
                        continue
                    wanted = plain(item.answer)
                    wrong.append(distance(wanted, plain(text.read(ids))))
                    total.append(len(wanted))
        return sums | ({"word_errors": sum(wrong) / max(sum(total), 1)} if run.stage == 1 else {})

    before = measure(task)
    say("before: " + ", ".join(f"{name} {value:.3f}" for name, value in before.items()))
    model.bridge.requires_grad_(run.bridge > 0)
    bridged = [w for w in model.bridge.parameters() if w.requires_grad]
    small = [w for w in model.lm.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(
        [*([{"params": bridged, "lr": run.lr * run.bridge}] if bridged else []), {"params": small}],
        lr=run.lr,
        weight_decay=0.05,
    )
    if run.steps:
        fit(
            task, batches, optimizer, steps=run.steps,
            hooks=hooks(
                out, f"salmonn, stage {run.stage}", [run, config], measure=measure, measure_seconds=1200.0,
                every=max(1, min(20, run.steps // 100)),
            ),
            schedule=warm_cosine(run.steps, run.warmup), seed=run.seed, device=device,
        )  # fmt: skip
    model.cpu()
    measured = Measured(before, measure(task) if run.steps else before)
    earlier = [] if start is None else [read_card(start, "salmonn").get("held_out")]
    save_salmonn(out, model, text, measured.card("salmonn", run, stages=earlier))
    for name, encoder in zip(("first", "second"), encoders, strict=False):
        save_part(out / name, "encoder", encoder.config, encoder)
    return measured


@dataclass(frozen=True)
class HeardData:
    """Frames of recordings by every encoder, and where each recording is among them."""

    kept: tuple[Joined, ...]
    places: dict[str, int]

    @staticmethod
    def of(
        encoders: Sequence[Hears], splits: Iterable[Sequence[Record]], folder: Path, filled: float,
        say: Callable[[str], None],
    ) -> "HeardData":  # fmt: skip
        """Computes what is not in ``folder`` yet."""
        splits = list(splits)
        kept = (Joined([heard_frames(one, records, folder, say, filled) for records in splits]) for one in encoders)
        ids = (record.id for records in splits for record in records)
        return HeardData(tuple(kept), {id: place for place, id in enumerate(ids)})

    def frames(self, records: Sequence[Record]) -> tuple[list[Tensor], Tensor]:
        """Those of some recordings, and how many of the first encoder each has."""
        found = [padded(one, [self.places[record.id] for record in records]) for one in self.kept]
        return [frames for frames, _ in found], found[0][1]


def _recordings(run: SalmonnRun, speech: Path, split: str) -> list[Record]:
    """In stage 1 those with a text, later all; few of those that are measured on."""
    if run.stage == 1:
        found = said(speech, split, run.longest if split == "train" else run.seconds, run.seed)
    else:
        found = [record for record in recordings(speech, split) if record.seconds <= run.seconds]
    return found if split == "train" else found[:HELD]


def _begun(
    run: SalmonnRun, encoders: Sequence[Hears], llm: str | Path | None, start: Path | None, bridge: Path | None,
    shown: tuple[str, ...] = (),
) -> tuple[SalmonnModel, ChatText]:  # fmt: skip
    if run.stage not in (1, 2, 3):
        raise TrainingError(f"there is no stage {run.stage}; the stages are 1, 2 and 3")
    torch.manual_seed(run.seed)
    specs = [encoder.spec() for encoder in encoders]
    if run.stage == 1 and start is None:
        if llm is None:
            raise TrainingError("stage 1 starts from a chat model: --with llm=smollm2-135m-instruct")
        found = load_text_model(llm, run.window)
        known: Bridge | None = None if bridge is None else load_part(bridge, "bridge")
        config = SalmonnConfig(
            bridge=_windowed(run, specs, found.lm.config.trunk.dim) if known is None else known.config,
            text=found.text.tokens, trunk=found.lm.config.trunk, tied=found.lm.config.tied, lora=run.lora,
            seconds=run.seconds, filled=known is None, system_message=run.system_message or None, question=run.question,
            llm=grown_from(llm), joint=run.joint if known is not None and known.spelling is not None else None,
            shown=shown if known is not None and known.spelling is not None else (),
        )  # fmt: skip
        _same_encoders(config.bridge, specs, "the bridge")
        model = config.build()
        model.read(found.lm)
        if known is not None:
            model.bridge.load_state_dict(known.state_dict())
        return model, found.text
    if run.stage == 1:
        assert start is not None
        before, text = load_model(start)
        if llm is not None or before.config.stage != 1:
            raise TrainingError("stage 1 starts from a chat model alone, or goes on from a model of stage 1 (--from)")
    else:
        if bridge is not None:
            raise TrainingError(f"stage {run.stage} goes on with the bridge of the stage before; leave it out")
        read: list[ChatText] = []

        def load(folder: Path, _: str) -> SalmonnModel:
            found, its = load_model(folder)
            read.append(its)
            return found

        start, before = stage_before("salmonn", start, llm, run.stage, load)
        text = read[0]
    model = replace(before.config, stage=run.stage).build()
    model.load_state_dict(before.state_dict())
    if bridge is not None:
        begin_from(model.bridge, load_part(bridge, "bridge"))
    _same_encoders(model.config.bridge, specs, f"the model in {start}")
    return model, text


def _windowed(run: SalmonnRun, specs: Sequence[Latents], width: int) -> BridgeConfig:
    """SALMONN's own bridge."""
    frame = sum(spec.dim for spec in specs)
    assert specs[0].rate is not None
    windows = WindowQFormerConfig(
        trunk=qformer_trunk(run.dim, run.layers, run.heads, 4 * run.dim, frame),
        window=window_of(run.window_seconds, float(specs[0].rate)),
    )
    return BridgeConfig(first=specs[0], second=specs[1] if len(specs) > 1 else None, width=width, windows=windows)


def _same_encoders(config: BridgeConfig, specs: Sequence[Latents], what: str) -> None:
    wanted = [spec for spec in (config.first, config.second) if spec is not None]
    if wanted != list(specs):
        raise TrainingError(f"{what} hears {wanted}, got {list(specs)}; use its own encoders")


# ---- the whole recipe, small ----

SAID = (LINES[0], LINES[3])
SMALL = SalmonnRun(
    steps=60, batch=60.0, lr=5e-3, warmup=5, seconds=3.0, window=400, dim=64, heads=4,
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
    run = replace(SMALL, stage=3, steps=25)
    third = train(run, speech, *both, folder / "3", start=folder / "2", answers=folder / "answers.jsonl")
    found = {"before": third.before["tokens"], "after": third.after["tokens"]}
    for name, one in (("first", first), ("second", second)):
        found |= {f"{name} before": one.before["tokens"], f"{name} after": one.after["tokens"]}
    return found


def _run(run: SalmonnRun, given: Given) -> None:
    others = given.others
    assert given.speech is not None
    train(
        run, given.speech, others["first"], others.get("second"), given.out, llm=others.get("llm"), start=given.start,
        bridge=others.get("bridge"), answers=others.get("answers"), sounds=others.get("sounds"),
        cache=others.get("cache"), device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="salmonn",
    settings=SalmonnRun(),
    train=_run,
    debug=debug,
    needs={
        "speech": "recordings with texts",
        "first": "the encoder of speech: a Whisper's name, a run of hubert (or its like), a published one, units",
    },
    takes={
        "llm": "stage 1: the chat model that it starts from, by name or folder",
        "from": "stages 2 and 3: the model of the stage before; stage 1: one of it to go on from",
        "second": "the encoder of other sounds, of the same kinds (a run of hubert on sounds); without, there is one",
        "bridge": "stage 1: a folder with a bridge that spells (vivavoce train bridge)",
        "cache": "a folder for the encoders' frames, which several runs can share",
        "answers": "stages 2 and 3: questions about recordings and their answers, JSON lines",
        "sounds": "stages 1 and 2: recordings whose text names a sound (vivavoce data sounds)",
    },
)
