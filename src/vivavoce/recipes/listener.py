"""How the listener is trained: people reading and machines speaking, features made once, augmented at every pass.

The groups of utterances (real corpora, synthetic engines) are mixed by shares of audio time. Losses: CTC at the top and
half-way up (arXiv:2102.03216), and framewise cross-entropy where an engine told its timings or an earlier listener
aligned the recording.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vivavoce.audio.augment import AugmentConfig, augment, stretched
from vivavoce.core import config as configs
from vivavoce.core import rng
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.packed import UNKNOWN, Packed, load_packed, pack
from vivavoce.data.synthesis import readings
from vivavoce.evals.words import distance
from vivavoce.models.listener import Heard, Listener, ListenerConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.recipes.listener_data import synthetic, texts_of_orders
from vivavoce.train import (
    Checkpoints,
    Curves,
    Export,
    JsonLines,
    Losses,
    Progress,
    Run,
    Task,
    Term,
    Validate,
    clock_cosine,
    fit,
    warm_cosine,
)
from vivavoce.train.checkpoint import with_ema

log = logging.getLogger(__name__)
_EDGES = (0, 150, 200, 250, 300, 360, 430, 520, 640, 800, 1000, 1250, 1600)
_CHUNKS = (0, 0, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRun:
    """Numbers of a training run; shares are parts of the audio time that groups take.

    With ``seconds`` the run ends by the clock, learning rate and all, and ``steps`` is only its limit.
    Augmentation begins at the strength ``soft`` and is whole after ``harden`` steps: what is learnt first is what the
    phones are.
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


class ListenerTask(Task[dict[str, Tensor], Heard]):
    """CTC and framewise phone recognition with one trunk."""

    def __init__(self, run: ListenerRun) -> None:
        """Builds the listener."""
        super().__init__()
        self.run = run
        self.listener: Listener = run.model.build()

    def outputs(self, batch: dict[str, Tensor]) -> Heard:
        """Distributions under a chunk size drawn for this batch."""
        chunk = _CHUNKS[int(torch.randint(len(_CHUNKS), ()))]
        return self.listener(batch["mel"], batch["lengths"], chunk)

    def losses(self, phase: str, batch: dict[str, Tensor], out: Heard) -> Losses:
        """CTC per phone, early CTC, framewise cross-entropy."""
        lengths = (-(-batch["lengths"] // 2)).clamp(max=out.ctc.shape[1])
        terms = {"ctc": Term(_ctc(out.ctc, lengths, batch))}
        if out.early is not None:
            terms["early"] = Term(_ctc(out.early, lengths, batch), self.run.early)
        labels = batch["labels"][:, : out.frame.shape[1]]
        told = labels != UNKNOWN
        if told.any():
            chosen = out.frame[:, : labels.shape[1]][told]
            terms["frame"] = Term(F.nll_loss(chosen, labels[told].long()), self.run.framewise)
            terms["right"] = Term((chosen.argmax(-1) == labels[told]).float().mean(), 0.0)
        return terms


def _ctc(log_probs: Tensor, lengths: Tensor, batch: dict[str, Tensor]) -> Tensor:
    losses = F.ctc_loss(
        log_probs.transpose(0, 1),
        batch["phones"],
        lengths,
        batch["n_phones"],
        reduction="none",
        zero_infinity=True,
    )
    return losses.sum() / batch["n_phones"].sum().clamp(min=len(losses))


class Mixture:
    """Batches of equal audio time, utterances of like length together, groups by shares; a function of the step.

    All features lie on the device, and a batch is cut out and augmented there.
    """

    def __init__(self, packs: Mapping[str, Packed], run: ListenerRun, device: str | torch.device = "cpu") -> None:
        """Groups with no share are left out."""
        self.run, self.device = run, torch.device(device)
        shares = dict(run.shares)
        known = [(packed, shares[name]) for name, packed in packs.items() if shares.get(name)]
        frames = [0, *(len(packed.frames) for packed, _ in known)]
        labels = [0, *(len(packed.labels) for packed, _ in known)]
        phones = [0, *(len(packed.phones) for packed, _ in known)]
        chance, begins, sizes = [], [], []
        for place, (packed, share) in enumerate(known):
            size = packed.lengths()
            usable = (size >= 40) & (size <= _EDGES[-1])
            chance.append(usable * (share / float(size[usable].sum())))
            offsets = (sum(frames[: place + 1]), sum(labels[: place + 1]), sum(phones[: place + 1]))
            each = (packed.begins, packed.label_begins, packed.phone_begins)
            begins.append(torch.stack([own[:-1] + offset for own, offset in zip(each, offsets, strict=True)], dim=1))
            sizes.append(torch.stack([own.diff() for own in each], dim=1))
        self.frames = torch.cat([packed.frames for packed, _ in known]).to(self.device)
        self.labels = torch.cat([packed.labels for packed, _ in known]).to(self.device)
        end = torch.zeros(1, dtype=torch.uint8)  # for batches in which nobody says anything
        self.phones = torch.cat([*(packed.phones for packed, _ in known), end]).to(self.device)
        background = packs.get("background")
        self.background = None if background is None else background.frames.to(self.device)
        self.begins, self.sizes = torch.cat(begins), torch.cat(sizes)
        every = torch.cat(chance).double()
        place = torch.bucketize(self.sizes[:, 0].contiguous(), torch.tensor(_EDGES[1:]))
        self.buckets = [((place == b) & (every > 0)).nonzero()[:, 0] for b in range(len(_EDGES) - 1)]
        self.chances = [every[bucket] for bucket in self.buckets]
        weight = [float((c * self.sizes[b, 0]).sum()) for b, c in zip(self.buckets, self.chances, strict=True)]
        self.weight = torch.tensor(weight, dtype=torch.double)

    def __call__(self, step: int) -> dict[str, Any]:
        """The batch of a step."""
        draw = rng.torch_stream(self.run.seed, "batch", step)
        bucket = int(torch.multinomial(self.weight, 1, generator=draw))
        rows = max(self.run.frames // _EDGES[bucket + 1], 2)
        chosen = self.buckets[bucket][torch.multinomial(self.chances[bucket], rows, replacement=True, generator=draw)]
        strength = min(self.run.soft + (1 - self.run.soft) * step / max(self.run.harden, 1), 1.0)
        harsh = self.run.augment.softened(strength)
        frames, labels, phones = self.sizes[chosen].unbind(1)
        tempo = 1 + harsh.tempo * (2 * torch.rand(rows, generator=draw) - 1)
        # Fast speech with many phones must keep more distributions than phones.
        lengths = (frames * torch.maximum(tempo, 3.0 * phones / frames)).round().long().clamp(min=1)
        there = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=draw)))
        begins, frames, labels, sizes, counts = (
            tensor.to(self.device) for tensor in (self.begins[chosen], frames, labels, lengths, phones)
        )
        mel = stretched(self.frames, begins[:, 0], frames, sizes).float()
        place = torch.arange(-(-mel.shape[2] // 2), device=self.device)[None]
        halves = (-(-sizes // 2))[:, None]
        at = torch.minimum((place * labels[:, None]) // halves, labels[:, None] - 1)
        label = self.labels[begins[:, 1:2] + at].masked_fill(place >= halves, UNKNOWN)
        place = torch.arange(max(int(phones.max()), 1), device=self.device)[None]
        said = self.phones[(begins[:, 2:] + place).clamp(max=len(self.phones) - 1)]
        return {
            "mel": augment(mel, sizes, harsh, there, self.background),
            "lengths": sizes,
            "labels": label,
            "phones": said.long().masked_fill(place >= counts[:, None], 0),
            "n_phones": counts,
            "seconds": float(lengths.sum()) / self.run.augment.frame_rate,
        }


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


def train(
    run: ListenerRun,
    data: Path,
    out: Path,
    *,
    start: Path | None = None,
    device: str = "cpu",
    checkpoint_seconds: float = 180.0,
    measure_seconds: float = 420.0,
) -> Run:
    """Trains on ``data/train-*.safetensors``, measures phone errors on ``data/dev-*.safetensors``; resumes in ``out``.

    With every checkpoint the averaged weights are written there as the part ``listener``. ``start`` is a folder with a
    listener whose weights are gone on from.
    """
    packs = {path.stem.removeprefix("train-"): load_packed(path) for path in sorted(data.glob("train-*.safetensors"))}
    dev = {path.stem.removeprefix("dev-"): load_packed(path) for path in sorted(data.glob("dev-*.safetensors"))}
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run.seed)
    task = ListenerTask(run)
    if start is not None:
        known = load_part(start, "listener").state_dict()
        heads = ("aside.", "speech.")  # taught afterwards, by recipes of their own
        task.listener.load_state_dict({key: value for key, value in known.items() if not key.startswith(heads)})
    matrices = [p for p in task.parameters() if p.ndim > 1]
    others = [p for p in task.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": run.decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=run.lr, betas=(0.9, 0.98), fused=True)

    def measure(model: torch.nn.Module) -> dict[str, float]:
        listener: Listener = model.listener  # type: ignore[assignment]  # the averaged copy of this task
        return {f"phone_errors_{name}": phone_errors(listener, packed) for name, packed in dev.items()}

    def write(now: Run) -> None:
        listener: Listener = now.model.listener  # type: ignore[assignment]
        save_part(out, "listener", run.model, listener.state_dict(), {}, torch.int8)

    hooks = (
        Checkpoints(out, every_seconds=checkpoint_seconds, identity=json.dumps(configs.dump(run.model))),
        Export(write, every_seconds=checkpoint_seconds),
        Progress("listener"),
        JsonLines(out / "losses.jsonl"),
        Validate(out / "dev.jsonl", measure, every_seconds=measure_seconds),
        Curves(out / "losses.jsonl", out / "curves.png"),
    )
    schedule = clock_cosine(run.seconds, run.warmup) if run.seconds else warm_cosine(run.steps, run.warmup)
    return fit(
        task,
        Mixture(packs, run, device),
        optimizer,
        steps=run.steps,
        hooks=hooks,
        schedule=schedule,
        seed=run.seed,
        clip=2.0,
        ema=run.ema,
        device=device,
        seconds=run.seconds,
    )


def export(run: ListenerRun, folder: Path, out: Path, card: dict[str, Any]) -> Path:
    """Writes the averaged weights of a run as the part ``listener``, half precision, without its training head."""
    state = {key.removeprefix("listener."): value for key, value in with_ema(folder / "checkpoint.safetensors").items()}
    return save_part(out, "listener", run.model, state, card, torch.int8)


def debug(folder: Path) -> dict[str, float]:
    """The whole recipe in under a minute, on orders that flite reads: the framewise loss before and after training."""
    spoken = pack(synthetic(readings(texts_of_orders(24, 0), 0, engines={"flite": 1.0})))
    for split in ("train", "dev"):
        spoken.save(folder / "data" / f"{split}-orders.safetensors")
    model = ListenerConfig(trunk=ConformerConfig(dim=64, layers=2, heads=2, dropout=0.0))
    quiet = AugmentConfig(warp=0.0, tempo=0.0, room=0.0, noise=0.0, narrow=0.0, masks=0)
    run = ListenerRun(model=model, augment=quiet, frames=3200, steps=100, warmup=5, lr=4e-3, ema=0.9)
    train(run, folder / "data", folder / "run")
    export(run, folder / "run", folder, {"recipe": "listener.debug"})
    lines = [json.loads(line) for line in (folder / "run" / "losses.jsonl").read_text().splitlines()]
    return {"before": lines[0]["frame"], "after": lines[-1]["frame"]}
