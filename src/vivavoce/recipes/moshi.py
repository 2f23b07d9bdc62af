"""How a duplex model is trained: two-channel conversations as grids, what one side says beside what the other does.

`channels` makes them of the scenes of the simulator of turn-taking: questions with pauses, signs of listening, people
who interrupt; the answer falls silent where it is interrupted for good.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.layout import Grid
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import sound
from vivavoce.evals.scenes import REAL, Scene
from vivavoce.models.codec import Codec
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.moshi import MoshiConfig, letters
from vivavoce.text.bpe import BpeConfig
from vivavoce.train import Checkpoints, Curves, JsonLines, Progress, Run, fit, warm_cosine
from vivavoce.train.tasks.grid import GridBatch, GridTask, collate

TRUNK = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=4, hidden=1408, window=3000)
DEPTH = TransformerConfig(dim=256, layers=4, heads=4, kv_heads=4, hidden=704, window=16, rotary=False)
_GAP, _REACTION = 0.3, 0.3
"""Seconds until an answer begins, and until it ends when somebody interrupts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoshiRun:
    """Numbers of a run; ``semantic`` is what the first book counts beside a later one, ``text`` what the text does."""

    trunk: TransformerConfig = TRUNK
    depth: TransformerConfig = DEPTH
    delay: int = 1
    semantic: float = 100.0
    text: float = 100.0
    steps: int = 20000
    batch: int = 8
    lr: float = 5e-4
    warmup: int = 500
    ema: float = 0.999
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Conversation:
    """Two channels of equal length at the codec's rate, and our words with the seconds at which they begin."""

    heard: Float[Tensor, " N"]
    own: Float[Tensor, " N"]
    words: tuple[tuple[str, float], ...] = ()


def channels(scene: Scene, rate: int, words: Sequence[tuple[str, float]] = ()) -> Conversation:
    """A scene as two channels; ``words`` are those of the answer with the seconds from its beginning."""
    parts = [scene.question]
    if scene.rest is not None:
        parts += [np.zeros(scene.pause, np.float32), scene.rest]
    asked = np.concatenate(parts)
    begin = len(asked) + int(_GAP * rate)
    answer, end = scene.answer, len(scene.answer)
    intrudes = begin + scene.after
    if scene.intrusion is not None and scene.kind in REAL:
        end = min(end, scene.after + int(_REACTION * rate))
    size = max(begin + end, intrudes + len(scene.intrusion) if scene.intrusion is not None else 0) + int(_GAP * rate)
    heard, own = np.zeros(size, np.float32), np.zeros(size, np.float32)
    heard[: len(asked)] += asked
    if scene.intrusion is not None:
        heard[intrudes : intrudes + len(scene.intrusion)] += scene.intrusion
    own[begin : begin + end] = answer[:end]
    said = tuple((word, begin / rate + at) for word, at in words if at * rate < end)
    return Conversation(torch.from_numpy(heard), torch.from_numpy(own), said)


def grid(config: MoshiConfig, codec: Codec, conversation: Conversation) -> Grid:
    """A conversation as what the model reads and writes."""
    rate = codec.config.sample_rate
    heard, own = (codec.encode(sound(side, rate)).data[0] for side in (conversation.heard, conversation.own))
    words = [(word, int(at * float(codec.config.rate))) for word, at in conversation.words]
    return config.layout.pack({"text": letters(config, words, own.shape[1]), "own": own, "heard": heard})


def train(
    run: MoshiRun, conversations: Sequence[Conversation], bpe: BpeConfig, codec: Path, out: Path, *, device: str = "cpu"
) -> Run:
    """Trains on these conversations and writes the parts ``moshi`` and ``codec`` into ``out``."""
    sounds: Codec = load_part(codec, "codec")
    config = MoshiConfig(codes=sounds.tokens, bpe=bpe, trunk=run.trunk, depth=run.depth, delay=run.delay)
    torch.manual_seed(run.seed)
    model = config.build()
    task = GridTask(model)
    grids = [grid(config, sounds, one) for one in conversations]
    seconds = [len(one.own) / sounds.config.sample_rate for one in conversations]

    def batches(step: int) -> GridBatch:
        size = min(run.batch, len(grids))
        chosen = rng.stream(run.seed, "moshi", step).choice(len(grids), size, replace=False)
        return collate([grids[n] for n in chosen], (run.text, run.semantic), sum(seconds[n] for n in chosen))

    optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01)
    hooks = (
        Checkpoints(out, identity=json.dumps(dump(config))),
        Progress("moshi"),
        JsonLines(out / "losses.jsonl"),
        Curves(out / "losses.jsonl", out / "curves.png"),
    )
    done = fit(
        task, batches, optimizer, steps=run.steps, hooks=hooks, schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed, ema=run.ema, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.load_state_dict({k.removeprefix("model."): v.cpu() for k, v in done.model.state_dict().items()})
    save_part(out, "moshi", config, model, {"recipe": "vivavoce.recipes.moshi", "settings": dump(run)}, torch.float16)
    for suffix in ("json", "safetensors"):
        shutil.copyfile(codec / f"codec.{suffix}", out / f"codec.{suffix}")
    return done
