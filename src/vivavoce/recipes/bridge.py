"""How a bridge to a language model learns to spell before it meets the model: CTC over pieces of the model's words.

What it hands over is then near what the model reads, and the costly part of SALMONN's first stage (`recipes.salmonn`)
begins there and not at noise. The encoder rests, so its frames are computed once; only the bridge is learnt.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.core.streams import Latents
from vivavoce.data.cache import Joined
from vivavoce.data.manifest import Record
from vivavoce.evals import intervals
from vivavoce.evals.word_errors import distance, plain
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.bridge import Bridge, BridgeConfig, Spelling, SpellingConfig, spelled_rows, window_of
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.masking import MaskConfig
from vivavoce.nn.qformer import WindowQFormerConfig, qformer_trunk
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.heard_data import HELD, ByLength, heard_frames, hearing, padded, said, written
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.bridge import SPANS, BridgeTask, SpelledBatch

_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Numbers of a bridge that spells: a vector every ``window_seconds``, ``looks`` layers that look at frames, and
    ``layers`` along its vectors."""

    window_seconds: float = 0.08
    dim: int = 256
    heads: int = 4
    looks: int = 1
    layers: int = 2
    dropout: float = 0.1
    spelling: SpellingConfig = field(default_factory=SpellingConfig)

    def config(self, frames: Latents, width: int) -> BridgeConfig:
        """The bridge for frames of one encoder, to a language model of this width."""
        assert frames.rate is not None
        looks = qformer_trunk(self.dim, self.looks, self.heads, 2 * self.dim, frames.dim)
        windows = WindowQFormerConfig(trunk=looks, window=window_of(self.window_seconds, float(frames.rate)))
        along = TransformerConfig(
            dim=self.dim, layers=self.layers, heads=self.heads, kv_heads=self.heads, hidden=2 * self.dim, window=2048,
            causal=False, dropout=self.dropout,
        )  # fmt: skip
        return BridgeConfig(
            first=frames, second=None, width=width, windows=windows, context=along, spelling=self.spelling
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRun:
    """Numbers of a run: ``recordings`` at most (0: all) of at most ``longest`` seconds after ``skip`` others, ``batch``
    seconds of sound a step. ``spans`` of frames and a share of their ``numbers`` are hidden."""

    shape: Shape = field(default_factory=Shape)
    skip: int = 0
    recordings: int = 0
    longest: float = 16.5
    spans: MaskConfig = SPANS
    numbers: float = 0.1
    batch: float = 80.0
    steps: int = 3000
    warmup: int = 200
    lr: float = 2e-3
    seed: int = 1


def train(
    run: BridgeRun, speech: Path, first: Path, llm: str | Path, out: Path, *, start: Path | None = None,
    cache: Path | None = None, device: str = "cpu", say: Callable[[str], None] = print,
) -> Run:  # fmt: skip
    """Writes the part ``bridge``, the encoder of the folder ``first`` and the text of the chat model into ``out``;
    resumes there. ``start`` has a bridge to go on from, ``cache`` keeps the encoder's frames for other runs."""
    torch.manual_seed(run.seed)
    encoder, found = hearing(first), load_text_model(llm, 64)
    clips, dev = said(speech, "train", run.longest, run.seed), said(speech, "dev", 30.0, run.seed)
    clips = clips[run.skip :][: run.recordings or None]
    if not clips:
        raise TrainingError(f"{speech} has no English training recordings with texts of at most {run.longest:g} s")
    if not dev:
        say(f"{speech} has nothing of the split dev; training recordings are measured instead")
    dev = (dev or clips)[:HELD]
    config = run.shape.config(encoder.spec(), found.lm.config.trunk.dim)
    task, text = BridgeTask(config.build(), run.spans, run.numbers), found.text
    assert task.model.spelling is not None
    task.model.spelling.begin(found.lm.embed)  # type: ignore[arg-type]
    if start is not None:
        begin_from(task.model, load_part(start, "bridge"))
    del found
    kept, held = (heard_frames(encoder, some, cache or out / "frames", say) for some in (clips, dev))
    below = run.shape.spelling.pieces
    pieces = [text.spelled(f" {written(clip)}", below) for clip in clips]
    lengths = np.array([clip.seconds for clip in clips])
    chosen = ByLength(lengths, run.batch, run.seed)
    say(f"{len(clips)} recordings, {lengths.sum() / 3600:.2f} h, in {chosen.count} batches")

    def batch(step: int) -> SpelledBatch:
        rows = chosen(step)
        frames, sizes = padded(kept, rows)
        symbols, counts = spelled_rows([pieces[n] for n in rows])
        return SpelledBatch(frames, None, sizes, symbols, counts, float(lengths[rows].sum()))

    def export(now: Run) -> None:
        assert isinstance(now.task, BridgeTask)
        card = {
            "recipe": "vivavoce.recipes.bridge", "hours": round(float(lengths.sum()) / 3600, 2), "step": now.step,
            "heard_hours": round(now.audio_seconds / 3600, 2), "from": earlier,
        }  # fmt: skip
        save_part(out, "bridge", config, now.task.model, card, torch.float16)

    def measure(now: nn.Module) -> dict[str, float]:
        assert isinstance(now, BridgeTask)
        wrong, total = word_errors(now.model, text, held, dev)
        return {"word_errors": intervals.ratio(wrong, total).value}

    earlier = None if start is None else read_card(start, "bridge")
    text.save(out)
    save_part(out / "first", "encoder", encoder.config, encoder)
    return fit(
        task,
        batch,
        torch.optim.AdamW(task.parameters(), run.lr, betas=(0.9, 0.98), weight_decay=0.01),
        steps=run.steps,
        hooks=hooks(
            out, "bridge", [run, config], every=max(1, min(20, run.steps // 100)), measure=measure, export=export,
            measure_seconds=240.0,
        ),
        schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed,
        device=device,
    )  # fmt: skip


@torch.no_grad()
def word_errors(model: Bridge, text: ChatText, frames: Joined, clips: Sequence[Record]) -> tuple[list[int], list[int]]:
    """Wrong words and words of every recording, when the likeliest piece after piece is written down."""
    wrong, total = [], []
    device = next(model.parameters()).device
    for begin in range(0, len(clips), _ROWS):
        some = range(begin, min(begin + _ROWS, len(clips)))
        heard, sizes = padded(frames, some)
        scores, counts = model.spelled(heard.to(device), None, sizes.to(device))
        for place, ids in zip(some, Spelling.greedy(scores.cpu(), counts.cpu()), strict=True):
            wanted = plain(clips[place].text or "")
            wrong.append(distance(wanted, plain(text.read(ids))))
            total.append(len(wanted))
    return wrong, total


# ---- the whole recipe, small ----


def debug(folder: Path) -> dict[str, float]:
    """In seconds: a bridge from an encoder that has learnt nothing learns a few lines by heart."""
    speech = miniature.recordings(folder / "speech")
    torch.manual_seed(0)
    trunk = TransformerConfig(dim=48, layers=1, heads=4, kv_heads=4, hidden=96, window=600, causal=False)
    encoder = EncoderConfig(front=WaveFrontConfig(dim=48, kernels=(40, 8), strides=(40, 8)), trunk=trunk)
    save_part(folder / "first", "encoder", encoder, encoder.build())
    llm = miniature.chat_model(folder / "llm", dim=48, window=400, spread=0.3)
    size = load_text_model(llm).text.tokens.size
    shape = Shape(dim=64, layers=1, dropout=0.0, spelling=SpellingConfig(pieces=size))
    hidden = MaskConfig(starts=0.0)
    run = BridgeRun(shape=shape, spans=hidden, numbers=0.0, batch=20.0, steps=60, warmup=5, lr=5e-3)
    train(run, speech, folder / "first", llm, folder / "run")
    lines = [json.loads(line) for line in (folder / "run" / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["ctc"], "after": lines[-1]["ctc"]}


def _run(run: BridgeRun, given: Given) -> None:
    assert given.speech is not None
    others = given.others
    train(
        run, given.speech, others["first"], others["llm"], given.out, start=given.start, cache=others.get("cache"),
        device=given.device,
        say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="bridge",
    settings=BridgeRun(),
    train=_run,
    debug=debug,
    needs={
        "speech": "recordings with texts",
        "first": "the encoder of speech: a Whisper's name, a run of hubert (or its like), a published one, units",
        "llm": "the chat model whose words are spelled, by name or folder",
    },
    takes={
        "from": "a bridge of the same form to go on from",
        "cache": "a folder for the encoder's frames, which several runs can share",
    },
)
