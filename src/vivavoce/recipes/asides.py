"""How the listener learns what is not meant for us: a head that tells "mhm" and coughs from "stop" and talk.

Words are spoken by the synthesis programs' training voices and, where a speaker is given, in the voices of people who
were recorded; people's sentences (training speakers) are cut after 0.3 to 0.6 s, and so is half of everything else, as
that is when a conversation has to decide. A third is heard over an echo of somebody else, as what we say ourselves
comes back until we pause. The trunk stays as it is. ``make`` measures with voices that were kept for that; it takes
some minutes.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vivavoce.audio.files import read_audio
from vivavoce.audio.mel import FLOOR
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data import manifest
from vivavoce.data.choosing import shuffled
from vivavoce.data.features import features
from vivavoce.data.synthesis import readings, speak
from vivavoce.evals.scenes import Loudspeaker, cough, hum, level, room, trimmed
from vivavoce.models.listener import Listener, pool
from vivavoce.recipes.flywheel import fit_translation, people, some_of_each
from vivavoce.recipes.flywheel import spoken as imitated
from vivavoce.recipes.miniature import recordings
from vivavoce.runtime.model import FRAME, RATE, Pcm
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.binary import BinaryBatch, BinaryTask

SIGNS = "okay|yeah|yep|yes|right|sure|uh-huh|hm|hmm|i see|oh|cool|well|ah|uh|um|aha".split("|")
INTERRUPTIONS = (
    "stop|wait|no|no no|hold on|hang on|excuse me|hey|one moment|just a moment|actually|actually no|cancel|cancel that"
    "|sorry|enough|that's enough|quiet|listen|please|but"
).split("|")
SHARES = {"word": 0.25, "hum": 0.15, "cough": 0.1, "interruption": 0.35, "sentence": 0.15}
ASIDES = ("word", "hum", "cough")
_BEFORE = 3 * RATE // 10
"""Silence that is heard before a sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsidesRun:
    """How often each word is said, how many of the other sounds there are, how often each is heard, and the head."""

    times: int = 24
    others: int = 500
    copies: int = 3
    echo: float = 0.35
    width: int = 64
    steps: int = 1500
    size: int = 256
    lr: float = 2e-3
    blur: float = 0.3
    seed: int = 3


def sounds(run: AsidesRun, speech: Path, *, unseen: bool) -> Iterator[tuple[str, Pcm]]:
    """Sounds at 24 kHz and what they are; ``unseen``: by the voices that were kept for testing."""
    dice = rng.stream(run.seed, "asides", unseen)
    for kind, texts in (("word", SIGNS), ("interruption", INTERRUPTIONS)):
        engines = {"espeak-ng": 0.5, "festival": 0.5} if unseen else {"espeak-ng": 0.6, "flite": 0.4}
        wanted = readings(texts * run.times, run.seed, engines=engines, unseen=unseen)
        for spoken in speak(wanted, sample_rate=RATE, workers=1):
            yield kind, level(trimmed(spoken.wave.astype(np.float32)))
    for _ in range(run.others):
        yield "hum", hum(dice)
        yield "cough", cough(dice)
    known = manifest.recordings(speech, "train", lang="en", seconds=(1.001, math.inf), lossless=True)
    chosen = shuffled(known, dice)[: 2 * run.others]
    for clip in chosen[::2] if unseen else chosen[1::2]:
        yield "sentence", level(trimmed(read_audio(clip.file, RATE)[0].numpy())[: 6 * RATE])


def _cut(kind: str, length: int, rate: int, dice: np.random.Generator) -> int:
    """How much of a sound is heard: sentences never, other sounds half of the time as a whole."""
    if kind == "sentence" or dice.random() < 0.5:
        return min(length, int(dice.uniform(0.3, 0.6) * rate))
    return length


def echoes(sentences: Sequence[Pcm], count: int, dice: np.random.Generator) -> list[Pcm]:
    """Sentences as rooms bring them back, each for three seconds."""
    found = []
    for _ in range(count):
        speaker = Loudspeaker(room(dice))
        played = np.resize(sentences[int(dice.integers(len(sentences)))], 4 * RATE).reshape(-1, FRAME)
        found.append(np.concatenate([speaker.play(frame) for frame in played])[RATE:])
    return found


def over(heard: Pcm, echo: Pcm, dice: np.random.Generator) -> Pcm:
    """A sound over an echo that fades soon after the sound begins, or does not."""
    gate = np.ones(len(heard))
    if dice.random() < 0.6:
        ends = _BEFORE + int(dice.uniform(0.1, 0.3) * RATE)
        gate[ends:] = 10 ** (-np.arange(max(0, len(heard) - ends)) / (0.2 * RATE))
    return (heard + gate * np.resize(echo, len(heard))).astype(np.float32)


@torch.inference_mode()
def pooled(
    listener: Listener, kind: str, wave: Pcm, dice: np.random.Generator, echo: Pcm | None = None
) -> Float[Tensor, " D3"]:
    """What the head sees of a sound at some loudness, with hiss, some silence before it and none or little after it."""
    part = wave[: _cut(kind, len(wave), RATE, dice)] * 10 ** dice.uniform(-0.5, 0.4)
    after = np.zeros(0 if len(part) < len(wave) else int(dice.integers(0, RATE // 5)))
    heard = np.concatenate((np.zeros(_BEFORE), part, after)).astype(np.float32)
    heard = heard if echo is None else over(heard, echo, dice)
    heard = (heard + dice.standard_normal(len(heard)) * 10 ** dice.uniform(-4, -2.3)).astype(np.float32)
    low = resample(torch.from_numpy(heard)[None], RATE, listener.config.mel.sample_rate)
    return pool(listener.listen(F.pad(low, (0, listener.config.mel.sample_rate // 4)), chunk=0).features)[0]


@torch.inference_mode()
def in_real_voices(
    listener: Listener, run: AsidesRun, speech: Path, speaker: Path
) -> Iterator[tuple[str, Float[Tensor, " D3"]]]:
    """The words as our own speaker says them in the voices of the training recordings; see `flywheel`."""
    part = load_part(speaker, "speaker")
    clips = some_of_each(manifest.recordings(speech, "train", lang="en"))
    made = features(clips, speaker / "cache", part.config.mel)
    translate, voices = fit_translation(clips, made), people(part, clips, made)
    dice = rng.stream(run.seed, "real voices")
    for kind, texts in (("word", SIGNS), ("interruption", INTERRUPTIONS)):
        for said in imitated(part, translate, voices, texts * run.times, run.seed):
            mel = said.mel[:, : _cut(kind, said.mel.shape[1], 100, dice)]
            mel = F.pad(mel, (30, 25 + int(dice.integers(0, 20))), value=float(np.log(FLOOR)))
            floor = float(dice.uniform(-9.5, -5.5)) + 0.5 * torch.randn_like(mel)
            yield kind, pool(listener(0.5 * torch.logaddexp(2 * mel, 2 * floor)[None], None, 0).features)[0]


class _Draws:
    """Batches with each kind in its share; a function of the step."""

    def __init__(self, known: Mapping[str, Tensor], run: AsidesRun) -> None:
        self.known, self.run = known, run

    def __call__(self, step: int) -> BinaryBatch:
        draw = rng.torch_stream(self.run.seed, "asides", step)
        kinds = list(self.known)
        chance = torch.tensor([SHARES[kind] for kind in kinds])
        chosen = torch.multinomial(chance, self.run.size, replacement=True, generator=draw).tolist()
        rows = [self.known[kinds[k]] for k in chosen]
        pooled = torch.stack([own[int(torch.randint(len(own), (), generator=draw))] for own in rows])
        return BinaryBatch(pooled, torch.tensor([float(kinds[k] in ASIDES) for k in chosen]))


def _by_kind(seen: Sequence[tuple[str, Tensor]]) -> dict[str, Tensor]:
    return {kind: torch.stack([x for k, x in seen if k == kind]) for kind in SHARES if any(k == kind for k, _ in seen)}


def make(
    run: AsidesRun,
    speech: Path,
    start: Path,
    out: Path,
    *,
    speaker: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, float]]:
    """Gives the listener in ``start`` a head and writes it into ``out``; gives what share of each kind it takes for an
    aside, in voices that were kept for testing.

    ``speaker`` is what ``vivavoce train speaker`` wrote.
    """
    bare = load_part(start, "listener")
    config = replace(bare.config, aside=run.width)
    torch.manual_seed(run.seed)
    listener: Listener = config.build()
    own = {key: value for key, value in bare.state_dict().items() if not key.startswith("aside.")}
    listener.load_state_dict(own, strict=False)
    listener.eval()
    assert listener.aside is not None
    dice = rng.stream(run.seed, "hiss")
    taught = list(sounds(run, speech, unseen=False))
    rooms = echoes([wave for kind, wave in taught if kind == "sentence"], run.others, dice)

    def see(kind: str, wave: Pcm, share: float) -> Tensor:
        echo = rooms[int(dice.integers(len(rooms)))] if dice.random() < share else None
        return pooled(listener, kind, wave, dice, echo)

    seen = [(kind, see(kind, wave, run.echo)) for kind, wave in taught for _ in range(run.copies)]
    if speaker is not None:
        seen += in_real_voices(listener, run, speech, speaker)
    say(f"{len(seen)} sounds to learn from")
    task = BinaryTask(listener.aside, run.blur)
    fit(
        task,
        _Draws(_by_kind(seen), run),
        torch.optim.AdamW(task.parameters(), lr=run.lr, weight_decay=0.3),
        steps=run.steps,
        hooks=hooks(out / "asides", "asides", None),
        schedule=warm_cosine(run.steps, run.steps // 20),
        seed=run.seed,
        bf16=False,
        device=device,
    )
    listener.cpu()
    fewer = replace(run, times=max(1, run.times // 3), others=max(1, run.others // 5))
    kept = list(sounds(fewer, speech, unseen=True))
    found: dict[str, dict[str, float]] = {}
    for where, share in (("", 0.0), (" over an echo", 1.0)):
        for kind, inputs in _by_kind([(kind, see(kind, wave, share)) for kind, wave in kept]).items():
            with torch.inference_mode():
                scores = listener.aside(inputs).sigmoid()
            shares = {f"above {p}": round(float((scores > p).float().mean()), 3) for p in (0.25, 0.4, 0.5, 0.75)}
            found[kind + where] = shares
            say(f"{kind}{where}, {len(inputs)} by voices that were kept: {shares}")
    card = read_card(start, "listener") | {"aside": {"metrics": {"taken for an aside": found}}}
    save_part(out, "listener", config, listener, card, torch.int8)
    return found


def debug(folder: Path) -> dict[str, float]:
    """In seconds, on the package's own listener and recordings: the loss before and after training."""
    run = AsidesRun(times=1, others=10, copies=2, width=16, steps=150, size=64)
    found = make(run, recordings(folder / "speech"), BUNDLED, folder)
    lines = [json.loads(line) for line in (folder / "asides" / LOSSES).read_text().splitlines()]
    shares = {f"{kind} above half": found[kind]["above 0.5"] for kind in ("hum", "sentence")}
    return {"before": lines[0]["binary"], "after": lines[-1]["binary"], **shares}


def _run(run: AsidesRun, given: Given) -> None:
    assert given.speech is not None and given.start is not None
    speaker = given.others.get("speaker")
    make(run, given.speech, given.start, given.out, speaker=speaker, device=given.device, say=given.say)


RECIPE = Recipe(
    part="listener",
    settings=AsidesRun(),
    train=_run,
    debug=debug,
    entry="aside",
    needs={"speech": "people reading", "from": "the listener that gets the head"},
    takes={"speaker": "what `train speaker` wrote; it says the words in the voices of the recordings"},
)
