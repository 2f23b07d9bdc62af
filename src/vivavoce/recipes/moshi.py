"""How a duplex model is trained: two-channel conversations as grids, what one side says beside what the other does.

`channels` makes them of the scenes of the simulator of turn-taking: questions with pauses, signs of listening, people
who interrupt; the answer falls silent where it is interrupted for good.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.model import load
from vivavoce.audio.files import read_audio
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import sound
from vivavoce.data import manifest
from vivavoce.evals.scenes import REAL, Kind, Scene, hum
from vivavoce.models.codec import Codec
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.runtime.model import RATE
from vivavoce.systems.moshi import MoshiConfig, MoshiModel, letters
from vivavoce.text.bpe import BpeConfig, learn
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
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
    vocabulary: int = 2000
    semantic: float = 100.0
    text: float = 100.0
    steps: int = 20000
    batch: int = 8
    lr: float = 5e-4
    warmup: int = 500
    ema: float = 0.999
    seed: int = 1


@dataclass(frozen=True, slots=True)
class TwoChannels:
    """Two channels of equal length at the codec's rate, and our words with the samples at which they begin."""

    heard: Float[Tensor, " N"]
    own: Float[Tensor, " N"]
    words: tuple[tuple[str, int], ...] = ()


def channels(scene: Scene, rate: int, words: Sequence[tuple[str, int]] = ()) -> TwoChannels:
    """A scene as two channels; ``words`` are those of the answer with the samples from its beginning."""
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
    said = tuple((word, begin + at) for word, at in words if at < end)
    return TwoChannels(torch.from_numpy(heard), torch.from_numpy(own), said)


def grid(config: MoshiConfig, codec: Codec, conversation: TwoChannels) -> Grid:
    """A conversation as what the model reads and writes."""
    rate = codec.config.sample_rate
    heard, own = (codec.encode(sound(side, rate)).data[0] for side in (conversation.heard, conversation.own))
    words = [(word, at // codec.config.hop) for word, at in conversation.words]
    return config.layout.pack({"text": letters(config, words, own.shape[1]), "own": own, "heard": heard})


def train(
    run: MoshiRun,
    conversations: Sequence[TwoChannels],
    bpe: BpeConfig,
    codec: Path,
    out: Path,
    *,
    start: MoshiModel | None = None,
    device: str = "cpu",
) -> Run:
    """Trains on these conversations and writes the parts ``moshi`` and ``codec`` into ``out``.

    ``start`` is a model of the same ``bpe`` whose weights are gone on from. Raises SpecError when its tokens are
    another codec's.
    """
    sounds: Codec = load_part(codec, "codec")
    config = MoshiConfig(codes=sounds.tokens, bpe=bpe, trunk=run.trunk, depth=run.depth, delay=run.delay)
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        if start.config.codes != config.codes:
            raise SpecError(f"the part reads {start.config.codes}, the codec gives {config.codes}; use its own codec")
        begin_from(model, start)
    task = GridTask(model)
    grids = [grid(config, sounds, one) for one in conversations]
    seconds = [len(one.own) / sounds.config.sample_rate for one in conversations]

    def batches(step: int) -> GridBatch:
        size = min(run.batch, len(grids))
        chosen = rng.stream(run.seed, "moshi", step).choice(len(grids), size, replace=False)
        return collate([grids[n] for n in chosen], (run.text, run.semantic), sum(seconds[n] for n in chosen))

    optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01)
    done = fit(
        task, batches, optimizer, steps=run.steps, hooks=hooks(out, "moshi", config),
        schedule=warm_cosine(run.steps, run.warmup), seed=run.seed, ema=run.ema, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.load_state_dict({k.removeprefix("model."): v.cpu() for k, v in done.model.state_dict().items()})
    save_part(out, "moshi", config, model, {"recipe": "vivavoce.recipes.moshi", "settings": dump(run)}, torch.float16)
    copy_part(codec, "codec", out)
    return done


def conversations(recordings: Sequence[Path], seed: int) -> list[TwoChannels]:
    """Pairs of recordings as questions and answers, with pauses, hums or interruptions; our ears say when words begin.

    The second channel of a scene has other people's words in it, never our own echo.
    """
    model, made = load(BUNDLED), []
    for number, (asked, answered) in enumerate(zip(recordings[::2], recordings[1::2], strict=False)):
        draw = rng.stream(seed, "conversations", number)
        question, answer = (read_audio(path, RATE)[0].numpy() for path in (asked, answered))
        words = [(word.text, word.start) for word in model.transcribe(answered).words]
        kind: Kind = ("order", "backchannel", "interruption")[int(draw.integers(3))]
        intrusion = {"order": None, "backchannel": hum(draw), "interruption": question}[kind]
        scene = Scene(kind=kind, question=question, answer=answer, intrusion=intrusion, after=len(answer) // 2)
        made.append(channels(scene, RATE, words))
    return made


def _run(run: MoshiRun, given: Given) -> None:
    assert given.speech is not None
    records = manifest.recordings(given.speech, "train")
    said = conversations([record.file for record in records], run.seed)
    start: MoshiModel | None = None if given.start is None else load_part(given.start, "moshi")
    words = [f" {word}" for one in said for word, _ in one.words]
    bpe = learn(words, run.vocabulary) if start is None else start.config.bpe
    train(run, said, bpe, given.others["codec"], given.out, start=start, device=given.device)


# ---- the whole recipe, small ----

PAIRS = (("5.ogg", "3.ogg"), ("3.ogg", "4.ogg"))
"""Questions and answers that the miniature learns by heart; what is an answer in one is the question of the other."""
SMALL = MoshiRun(
    trunk=TransformerConfig(dim=160, layers=2, heads=4, kv_heads=4, hidden=320, window=200),
    depth=TransformerConfig(dim=128, layers=1, heads=4, kv_heads=4, hidden=256, window=9, rotary=False),
    semantic=1.0, text=1.0, steps=200, warmup=10, lr=3e-3, ema=0.0,
)  # fmt: skip


def miniature() -> list[TwoChannels]:
    """Two conversations from the package's own recordings; somebody hums into the answer of the second."""
    made = []
    for number, pair in enumerate(PAIRS):
        question, answer = (read_audio(RECORDINGS / name, RATE)[0].numpy() for name in pair)
        words = [(word.text, word.start) for word in load(BUNDLED).transcribe(RECORDINGS / pair[1]).words]
        humming = hum(rng.stream(1, "hum")) if number else None
        scene = Scene(kind="backchannel", question=question, answer=answer, intrusion=humming, after=len(answer) // 2)
        made.append(channels(scene, RATE, words))
    return made


def debug(folder: Path) -> dict[str, float]:
    """About a minute on a CPU: two conversations are learnt by heart; the loss before and after."""
    said = miniature()
    bpe = learn([f" {word}" for one in said for word, _ in one.words] * 3, 300)
    run = train(SMALL, said, bpe, BUNDLED, folder)
    before = json.loads((folder / LOSSES).read_text().splitlines()[0])["tokens"]
    return {"before": before, "after": run.losses["tokens"], "right": run.losses["right"]}


RECIPE = Recipe(
    part="moshi",
    settings=MoshiRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings that ask and answer", "codec": "the codec whose tokens are learnt"},
    takes={"from": "a Moshi to go on from; it keeps its vocabulary"},
)
