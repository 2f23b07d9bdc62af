"""The suite ``mini``: everything that is claimed of the default model, with intervals and outside yardsticks."""

import math
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.assistant.hearing import Ears
from vivavoce.audio.files import SYNTHETIC, write_audio
from vivavoce.audio.resample import resample
from vivavoce.core.progress import Log
from vivavoce.core.streams import sound
from vivavoce.evals import coding, gate, intervals, listening, speaking, speed, word_errors
from vivavoce.evals.drive import Assistant
from vivavoce.evals.listening import Clip
from vivavoce.evals.orders import orders_of
from vivavoce.evals.people import measured_on, taught_from
from vivavoce.evals.report import Report, Row, Table
from vivavoce.models.listener import Listener
from vivavoce.models.words import estimate
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import PHONES
from vivavoce.text.pronounce import pronunciations

PARTS = ("orders", "calls", "noise", "people", "replies", "described", "clones", "codec", "speed")


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniSuite:
    """How much is measured; the numbers of the README are made with these."""

    orders: int = 100
    replies: int = 100
    described: int = 10
    people: int = 60
    noises: int = 500
    timed: int = 10
    seed: int = 0
    parts: tuple[str, ...] = PARTS


def run(
    model: Assistant, suite: MiniSuite, speech: Path | None = None, say: Log = print, noises: Path | None = None
) -> Report:
    """Measures the parts that are asked for; what needs recordings that were not given reads "not measured".

    ``speech`` and ``noises`` are folders of recordings of people and of places where nobody speaks.
    """
    people = measured_on(speech) if speech else []
    taught = taught_from(speech) if speech and "clones" in suite.parts else []
    made: dict[str, Callable[[], Table]] = {
        "orders": lambda: listening.order_table(model, suite.orders, suite.seed, say),
        "calls": lambda: listening.false_call_table(model, suite.seed, say),
        "noise": lambda: gate.gate_table(
            model, model.ungated(), people, noises, (suite.noises, suite.orders, suite.people), suite.seed, say
        ),
        "people": lambda: _people(model, people, suite.people, say),
        "replies": lambda: speaking.reply_table(model, people, suite.replies, suite.seed, say),
        "described": lambda: speaking.described_table(model, suite.described, suite.seed, say),
        "clones": lambda: _clones(model, taught, people, suite.seed, say),
        "codec": lambda: coding.codec_table(there_and_back(model), people, model.codec.config.size, say),
        "speed": lambda: _speed(model, suite),
    }
    about: dict[str, Any] = {"seed": suite.seed, "orders": suite.orders, "speech": speech is not None}
    return Report("mini", about, [made[part]() for part in suite.parts])


def run_apart(
    load: Callable[[], Assistant], suite: MiniSuite, speech: Path | None, jobs: int, noises: Path | None = None
) -> Report:
    """`run` with ``jobs`` parts at a time, each in a process of its own; what is timed comes last and alone."""
    together = [part for part in suite.parts if part != "speed"]
    alone = partial(_alone, load, suite, speech, noises)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        found = dict(zip(together, pool.map(alone, together), strict=True))
    found |= {part: alone(part) for part in suite.parts if part not in found}
    return Report("mini", found[suite.parts[0]].about, [found[part].tables[0] for part in suite.parts])


def _alone(
    load: Callable[[], Assistant], suite: MiniSuite, speech: Path | None, noises: Path | None, part: str
) -> Report:
    say = partial(print, file=sys.stderr, flush=True)
    return run(load(), replace(suite, parts=(part,)), speech, say, noises)


def pronounced(text: str) -> list[str]:
    """The phones of a text, each word's first pronunciation."""
    return [phone.symbol for word in normalise(text) for phone in pronunciations(word)[0]]


def phones_of(model: Assistant) -> Callable[[Float[Tensor, " N"], int], list[str]]:
    """The phones that the listener hears, without knowledge of words: the likeliest of each frame, repeats joined."""

    def heard(wave: Float[Tensor, " N"], sample_rate: int) -> list[str]:
        with torch.inference_mode():
            sound = resample(wave, sample_rate, listening.LISTENING_RATE)
            best = model.listener.listen(sound[None]).ctc[0].argmax(-1)
        return [PHONES[phone] for phone in torch.unique_consecutive(best).tolist() if phone]

    return heard


def there_and_back(model: Assistant) -> coding.RoundTrip:
    """Sound to tokens and back with the model's codec."""

    def round_trip(wave: Float[Tensor, " N"]) -> tuple[Int[Tensor, "K T"], Float[Tensor, " N"]]:
        codes = model.codec.encode(sound(wave, model.codec.config.sample_rate))
        return codes.data[0], model.codec.decode(codes).data[0, 0, : len(wave)]

    return round_trip


def _people(model: Assistant, people: list[Clip], count: int, say: Log) -> Table:
    """What real people said, with the model's own words and with words that are theirs."""
    table = listening.real_table(model, people, count, say, phones_of(model), pronounced)
    table.rows.append(own_words(model.listener, people, count))
    say(f"real people, {table.rows[-1].name}: {table.rows[-1].shown()}, {table.rows[-1].remark}")
    return table


def own_words(listener: Listener, people: Sequence[Clip], count: int) -> Row:
    """Word errors when the search knows what these people say as well as it knows orders: by a trigram of their texts.

    A stand-in for real people's orders; what is left is how well people are heard.
    """
    name = "word errors, with a trigram model of their texts"
    texts = [normalise(clip.text) for clip in people if clip.text]
    if not texts:
        return Row(name=name, value=None)
    ears = Ears(listener, estimate(((text, 1.0) for text in texts), order=3))
    chosen = listening.some_with_text(people, count)
    nats, wrong, totals = 0.0, [], []
    for clip in chosen:
        said = normalise(clip.text)
        nats -= ears.model.sentence(said)
        sound = resample(clip.wave, clip.sample_rate, listening.LISTENING_RATE)
        wrong.append(word_errors.distance(said, [word.text for word in ears.found(sound[None])]))
        totals.append(len(said))
    each = math.exp(nats / (sum(totals) + len(totals)))
    return Row(name=name, value=intervals.ratio(wrong, totals), remark=f"perplexity {each:.1f}")


def _clones(model: Assistant, taught: list[Clip], people: list[Clip], seed: int, say: Log) -> Table:
    by_speaker: dict[str, list[Clip]] = {}
    for clip in people:
        by_speaker.setdefault(clip.speaker, []).append(clip)
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for who, own in by_speaker.items():
            first, _ = speaking.halves(own)
            path = Path(folder) / "clip.wav"
            write_audio(path, first.wave, first.sample_rate, comment="")
            files[who] = path.read_bytes()
    return speaking.clone_table(model, taught, people, files, seed, say)


def _speed(model: Assistant, suite: MiniSuite) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        texts = [order.text for order in orders_of(model.character).orders(suite.timed, suite.seed + 1)]
        paths = []
        for number, one in enumerate(listening.spoken(texts, {"festival": 1.0}, suite.seed + 1)):
            paths.append(Path(folder) / f"{number}.wav")
            wave = resample(one.wave, listening.LISTENING_RATE, 24_000)
            write_audio(paths[-1], wave, 24_000, comment=SYNTHETIC)
        model.ask(paths[0])
        return speed.speed_table([model.ask(path) for path in paths], str(paths[0]))
