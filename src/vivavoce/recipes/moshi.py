"""How a duplex model is trained: two-channel conversations as grids, what one side says beside what the other does.

The conversations are simulated (`moshi_data`); the model may begin from a speech language model (`moshi_start`).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.model import load
from vivavoce.audio.files import read_audio
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import check_part, copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import sound
from vivavoce.data import manifest
from vivavoce.evals.scenes import Scene, hum, level, trimmed
from vivavoce.models.codec import Codec
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.moshi_data import Mix, TwoChannels, Utterance, channels, dialogues
from vivavoce.recipes.moshi_start import SpeechLM, is_speech_lm
from vivavoce.runtime.model import RATE
from vivavoce.systems.moshi import NEXT, PAD, MoshiConfig, MoshiModel, letters
from vivavoce.text.bpe import BpeConfig, learn
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.grid import GridBatch, GridTask, collate

TRUNK = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=4, hidden=1408, window=3000)
DEPTH = TransformerConfig(dim=256, layers=4, heads=4, kv_heads=4, hidden=704, window=16, rotary=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoshiRun:
    """Numbers of a run; ``semantic`` is what the first book counts beside a later one, ``text`` what the text does, and
    ``padding`` what text in which nothing is said does beside that. ``conversations`` are simulated."""

    trunk: TransformerConfig = TRUNK
    depth: TransformerConfig = DEPTH
    delay: int = 1
    vocabulary: int = 2000
    semantic: float = 100.0
    text: float = 100.0
    padding: float = 0.5
    conversations: int = 500
    mix: Mix = Mix()
    steps: int = 20000
    batch: int = 8
    lr: float = 5e-4
    warmup: int = 500
    ema: float = 0.999
    seed: int = 1


def grid(config: MoshiConfig, codec: Codec, conversation: TwoChannels) -> Grid:
    """A conversation as what the model reads and writes."""
    rate = codec.config.sample_rate
    heard, own = (codec.encode(sound(side, rate)).data[0] for side in (conversation.heard, conversation.own))
    words = [(word, at // codec.config.hop) for word, at in conversation.words]
    return config.layout.pack({"text": letters(config, words, own.shape[1]), "own": own, "heard": heard})


def weighted(grids: Sequence[Grid], config: MoshiConfig, run: MoshiRun, rate: float = 1.0) -> GridBatch:
    """Grids as a batch in which text, its padding and the first book count as the run says; ``rate`` is columns a
    second."""
    batch = collate(grids, (run.text, run.semantic), sum(one.ids.shape[1] for one in grids) / rate)
    first = config.layout.vocabs[0].range(config.layout.segments[0].alphabet(0)).start
    silent = (batch.ids[:, 0] == first + PAD) | (batch.ids[:, 0] == first + NEXT)
    batch.weights[:, 0] *= torch.where(silent, run.padding, 1.0)
    return batch


def train(
    run: MoshiRun,
    conversations: Iterable[TwoChannels],
    bpe: BpeConfig,
    codec: Path,
    out: Path,
    *,
    start: MoshiModel | SpeechLM | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda _: None,
) -> Run:
    """Trains on these conversations and writes the parts ``moshi`` and ``codec`` into ``out``.

    ``start`` is a model of the same ``bpe`` whose weights are gone on from, or a speech language model, whose trunk
    takes the place of the run's. Raises SpecError when a duplex model's tokens are another codec's.
    """
    sounds: Codec = load_part(codec, "codec")
    trunk = start.trunk if isinstance(start, SpeechLM) else run.trunk
    config = MoshiConfig(codes=sounds.tokens, bpe=bpe, trunk=trunk, depth=run.depth, delay=run.delay)
    torch.manual_seed(run.seed)
    model = config.build()
    if isinstance(start, SpeechLM):
        known = start.begin(model, sounds)
        say(f"the trunk is that of {start.folder}, and so is what {known} units are like")
    elif start is not None:
        if start.config.codes != config.codes:
            raise SpecError(f"the part reads {start.config.codes}, the codec gives {config.codes}; use its own codec")
        begin_from(model, start)
    task = GridTask(model)
    grids = [grid(config, sounds, one) for one in conversations]
    frames = float(config.codes.rate or 1)

    def batches(step: int) -> GridBatch:
        size = min(run.batch, len(grids))
        chosen = rng.stream(run.seed, "moshi", step).choice(len(grids), size, replace=False)
        return weighted([grids[n] for n in chosen], config, run, frames)

    optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01)
    done = fit(
        task, batches, optimizer, steps=run.steps, hooks=hooks(out, "moshi", config),
        schedule=warm_cosine(run.steps, run.warmup), seed=run.seed, ema=run.ema, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.load_state_dict({k.removeprefix("model."): v.cpu() for k, v in done.model.state_dict().items()})
    save_part(out, "moshi", config, model, {"recipe": "vivavoce.recipes.moshi", "settings": dump(run)}, torch.float16)
    copy_part(codec, "codec", out)
    return done


def heard_by_us(recordings: Sequence[Path]) -> list[Utterance]:
    """Recordings with the words that our ears find in them, and when these begin."""
    model, made = load(BUNDLED), []
    for path in recordings:
        pcm = level(trimmed(read_audio(path, RATE)[0].numpy()))
        made.append(Utterance(pcm, tuple((word.text, word.start) for word in model.transcribe(pcm).words)))
    return made


def _run(run: MoshiRun, given: Given) -> None:
    assert given.speech is not None
    check_part(given.others["codec"], "codec")  # what is missing is said before hours of hearing
    start: MoshiModel | SpeechLM | None = None
    if given.start is not None:
        start = SpeechLM(given.start) if is_speech_lm(given.start) else load_part(given.start, "moshi")
    records = manifest.recordings(given.speech, "train")
    if not records:
        raise TrainingError(f"{given.speech} has no recordings of the split train to make conversations of")
    utterances = heard_by_us([record.file for record in records])
    said = dialogues(utterances, RATE, run.conversations, run.seed, run.mix)
    words = [f" {word}" for one in utterances for word, _ in one.words]
    bpe = start.config.bpe if isinstance(start, MoshiModel) else learn(words, run.vocabulary)
    train(run, said, bpe, given.others["codec"], given.out, start=start, device=given.device, say=given.say)


# ---- the whole recipe, small ----

PAIRS = (("5.ogg", "3.ogg"), ("3.ogg", "4.ogg"))
"""Questions and answers that the miniature learns by heart; what is an answer in one is the question of the other."""
SMALL = MoshiRun(
    trunk=TransformerConfig(dim=160, layers=2, heads=4, kv_heads=4, hidden=320, window=200),
    depth=TransformerConfig(dim=128, layers=1, heads=4, kv_heads=4, hidden=256, window=9, rotary=False),
    semantic=1.0, text=1.0, steps=120, warmup=10, lr=5e-3, ema=0.0,
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
    """Half a minute on a CPU: two conversations are learnt by heart; the loss before and after."""
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
    takes={"from": "a Moshi to go on from, which keeps its vocabulary; or a SpeechGPT, whose trunk is taken over"},
)
