"""How the listener is trained, sound to phones: people reading and machines speaking, augmented at every pass.

The groups of utterances (real corpora, synthetic engines) are mixed by shares of audio time. Losses: CTC at the top and
half-way up (arXiv:2102.03216), and framewise cross-entropy where an engine told its timings or an earlier listener
aligned the recording.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.audio.augment import AugmentConfig
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.mixture import Mixture
from vivavoce.data.packed import Packed, load_packed, pack
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.data.synthesis import readings
from vivavoce.evals.word_errors import distance
from vivavoce.models.listener import Listener, ListenerConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.recipes.flywheel import turn
from vivavoce.recipes.listener_data import prepare, synthetic, texts_of_orders
from vivavoce.train import Run, clock_cosine, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.listener import ListenerTask

_HEADS = ("aside.", "speech.")
"""Taught afterwards, by recipes of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRun:
    """Numbers of a training run; shares are parts of the audio time that groups take.

    With ``seconds`` the run ends by the clock, learning rate and all, and ``steps`` is only its limit.
    Augmentation begins at the strength ``soft`` and is whole after ``harden`` steps: what is learnt first is what the
    phones are. ``character`` is a name or the path of a sheet: orders are as its customers say them.
    """

    model: ListenerConfig = ListenerConfig()
    augment: AugmentConfig = AugmentConfig(
        room=0.4,
        noise=0.6,
        snr_db=(0.0, 30.0),
        babble=0.5,
        babble_db=(2.0, 30.0),
        rumble=0.4,
        recorded=0.5,
        narrow=0.15,
        mask_bins=16,
        mask_frames=20,
        mask_period=70,
    )
    shares: tuple[tuple[str, float], ...] = (
        ("commonvoice", 0.17),
        ("librispeech", 0.14),
        ("librispeech-mp3", 0.10),
        ("speechocean762", 0.05),
        ("an4", 0.05),
        ("kathleen", 0.03),
        ("ljspeech", 0.03),
        ("own", 0.24),
        ("orders", 0.05),
        ("anything", 0.04),
        ("short", 0.03),
        ("noise", 0.07),
    )
    frames: int = 9600
    steps: int = 12000
    seconds: float = 0.0
    warmup: int = 400
    lr: float = 1.5e-3
    decay: float = 0.02
    ema: float = 0.999
    early: float = 0.3
    framewise: float = 0.4
    soft: float = 0.2
    harden: int = 3000
    seed: int = 1
    character: str = "innkeeper"


def collapse(best: Tensor) -> list[int]:
    """Greedy CTC: repeats merged, blanks dropped."""
    merged = torch.unique_consecutive(best).tolist()
    return [symbol for symbol in merged if symbol]


@torch.no_grad()
def phone_errors(listener: Listener, packed: Packed, limit: int = 150) -> float:
    """Greedy CTC phone error rate, whole utterances in view."""
    device = listener.ctc.weight.device
    wrong = total = 0
    spread = torch.linspace(0, len(packed) - 1, min(limit, len(packed))).long().unique().tolist()
    for index in spread:
        one = packed[index]
        if one.phones:
            heard = listener(one.mel[None].to(device), None, 0)
            wrong += distance(collapse(heard.ctc[0].argmax(-1)), list(one.phones))
            total += len(one.phones)
    return wrong / max(total, 1)


def train(run: ListenerRun, data: Path, out: Path, *, start: Path | None = None, device: str = "cpu") -> Run:
    """Trains on ``data/train-*.safetensors``, measures phone errors on ``data/dev-*.safetensors``; resumes in ``out``.

    With every checkpoint the averaged weights are written there as the part ``listener``. ``start`` is a folder with a
    listener whose weights are gone on from.
    """
    packs = {path.stem.removeprefix("train-"): load_packed(path) for path in sorted(data.glob("train-*.safetensors"))}
    dev = {path.stem.removeprefix("dev-"): load_packed(path) for path in sorted(data.glob("dev-*.safetensors"))}
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run.seed)
    task = ListenerTask(run.model, early=run.early, framewise=run.framewise)
    if start is not None:
        begin_from(task.listener, load_part(start, "listener"), _HEADS)
    matrices = [p for p in task.parameters() if p.ndim > 1]
    others = [p for p in task.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": run.decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=run.lr, betas=(0.9, 0.98), fused=True)

    def measure(model: torch.nn.Module) -> dict[str, float]:
        listener: Listener = model.listener  # type: ignore[assignment]  # the averaged copy of this task
        return {f"phone_errors_{name}": phone_errors(listener, packed) for name, packed in dev.items()}

    def export(now: Run) -> None:
        listener: Listener = now.model.listener  # type: ignore[assignment]
        save_part(out, "listener", run.model, listener, {}, torch.int8)

    return fit(
        task,
        Mixture(
            packs,
            dict(run.shares),
            run.augment,
            frames=run.frames,
            soft=run.soft,
            harden=run.harden,
            seed=run.seed,
            device=device,
        ),
        optimizer,
        steps=run.steps,
        hooks=hooks(out, "listener", run.model, measure=measure, export=export),
        schedule=clock_cosine(run.seconds, run.warmup) if run.seconds else warm_cosine(run.steps, run.warmup),
        seed=run.seed,
        clip=2.0,
        ema=run.ema,
        device=device,
        seconds=run.seconds,
    )


def debug(folder: Path) -> dict[str, float]:
    """The whole recipe in under a minute, on orders that flite reads: the framewise loss before and after training."""
    spoken = pack(synthetic(readings(texts_of_orders(24, 0), 0, engines={"flite": 1.0})))
    for split in ("train", "dev"):
        spoken.save(folder / "data" / f"{split}-orders.safetensors")
    model = ListenerConfig(trunk=ConformerConfig(dim=64, layers=2, heads=2, dropout=0.0))
    quiet = AugmentConfig(warp=0.0, tempo=0.0, room=0.0, noise=0.0, narrow=0.0, masks=0)
    run = ListenerRun(model=model, augment=quiet, frames=3200, steps=50, warmup=5, lr=4e-3, ema=0.9)
    train(run, folder / "data", folder)
    lines = [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["frame"], "after": lines[-1]["frame"]}


def _run(run: ListenerRun, given: Given) -> None:
    data, others = given.out / "data", given.others
    aligner = None if given.start is None else load_part(given.start, "listener")
    assert given.speech is not None
    sheet = load_sheet(find_sheet(run.character))
    prepare(
        given.speech, data, spans=others.get("spans"), aligner=aligner, noise=others.get("noise"),
        sheet=sheet, say=given.say,
    )  # fmt: skip
    own, speaker = data / "train-own.safetensors", others.get("speaker")
    if speaker is not None and not own.exists():
        spoken, drawn = turn(given.speech, speaker / "cache", speaker, count=30000, sheet=sheet)
        drawn.save(given.out / "drawn.safetensors")
        spoken.save(own)
        given.say("train own: sentences in the voices of the recordings")
    train(run, data, given.out, start=given.start, device=given.device)


RECIPE = Recipe(
    part="listener",
    settings=ListenerRun(),
    train=_run,
    debug=debug,
    needs={"speech": "people reading, with their texts"},
    takes={
        "from": "a listener, which also aligns the recordings where there are no spans",
        "spans": "alignments of the recordings: the spans.safetensors of a speaker's run",
        "speaker": "a folder with a speaker and a codec, which say sentences in the recordings' voices",
        "noise": "recordings of noise with a manifest.jsonl",
    },
)
