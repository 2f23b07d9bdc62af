"""Language models that hear and speak units: words both ways beside controls, and what became of their text.

What is heard is written down from units alone. What is said is heard by a Whisper through the model's vocoder, beside
the units of the recordings themselves through the same vocoder, and is read back by the model. The control of both
ways is the same with another recording's units or text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError
from vivavoce.core.progress import Log
from vivavoce.core.streams import Stream, Tokens, sound
from vivavoce.data.lines import text_pieces
from vivavoce.data.synthesis import LISTENING_RATE
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.listening import Clip
from vivavoce.evals.open_ears import by_itself
from vivavoce.evals.report import Row, Table
from vivavoce.evals.spoken_orders import Answers, OrdersTable
from vivavoce.generate.samplers import GREEDY
from vivavoce.hub.text_model import load_text_model
from vivavoce.hub.whisper import whisper_of
from vivavoce.models.lm import StreamLM
from vivavoce.models.trunk import text_rows
from vivavoce.systems.speechgpt import CHAINS, Chain, SpeechGPT

_WORDS, _UNITS = 400, 1000
"""Columns of a text and of what is said at most."""
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsSuite:
    """``ears`` is a Whisper that hears what is said; ``text`` lines to read, and the chat model that was begun with.

    So many spoken ``orders`` of the default character are heard besides, and by ``cascade``, which has a recogniser.
    """

    ears: str = ""
    text: tuple[Path, str] | None = None
    orders: int = 0
    cascade: Answers | None = None


def units_tables(system: SpeechGPT, clips: Sequence[Clip], suite: UnitsSuite, say: Log) -> list[Table]:
    """Words heard, words said, text, and orders, of a model of the second or third stage."""
    rate = system.units.config.sample_rate
    heard = [system.heard(sound(resample(clip.wave, clip.sample_rate, rate), rate)) for clip in clips]
    hear = None if not suite.ears else _hearing(suite.ears)
    tables = [_heard_table(system, clips, heard, hear, say), _said_table(system, clips, heard, hear, say)]
    if suite.text is not None:
        tables.append(text_table(system, *suite.text, say))
    if suite.orders:
        tables.append(orders_table(system, suite.orders, suite.cascade, hear, say))
    return tables


def _hearing(name: str) -> Callable[[Stream], str]:
    whisper = whisper_of(name)

    def hear(wave: Stream) -> str:
        mono = wave.data[0, 0, : int(wave.lengths[0])]
        return by_itself(whisper, resample(mono[None], wave.spec.sample_rate, LISTENING_RATE)[0].numpy())

    return hear


class ErrorRows:
    """Rows of word errors against the texts of the clips."""

    def __init__(self, title: str, clips: Sequence[Clip], say: Log) -> None:
        self.table, self.say = Table(title), say
        self.wanted = [word_errors.plain(clip.text) for clip in clips]

    def add(self, name: str, found: Sequence[str], remark: str = "") -> None:
        """What was found for each clip against its text."""
        wrong = [word_errors.distance(a, word_errors.plain(b)) for a, b in zip(self.wanted, found, strict=True)]
        value = intervals.ratio(wrong, [len(words) for words in self.wanted])
        self.table.rows.append(Row(name=name, value=value, remark=remark))
        self.say(f"{self.table.title}, {name}: {self.table.rows[-1].shown()}")

    def other(self, name: str, found: Sequence[str]) -> None:
        """The same with what was found for the clip half the list away."""
        half = len(found) // 2
        self.add(name, (*found[half:], *found[:half]), "control")


def recognised(system: SpeechGPT, heard: Sequence[Tensor]) -> list[Chain]:
    """What the model writes down of units, the likeliest piece at every step."""
    given = [system.given("recognise", [{"role": "user", "content": ""}], one) for one in heard]
    return system.replies("recognise", given, sampler=GREEDY, most=_WORDS)


def _heard_table(
    system: SpeechGPT, clips: Sequence[Clip], heard: Sequence[Tensor], hear: Callable[[Stream], str] | None, say: Log
) -> Table:
    errors = ErrorRows("Words heard in units (dev speech)", clips, say)
    found = [chain.question for chain in recognised(system, heard)]
    for clip, text in list(zip(clips, found, strict=True))[:_SHOWN]:
        say(f"  {clip.text}\n  → {text}")
    errors.add("word errors, asked to write it down", found)
    if len(clips) > 1:
        errors.other("— from the units of another recording", found)
    if system.model.config.stage == 3:
        form = CHAINS[1]
        given = [system.given(form, [{"role": "user", "content": ""}], one) for one in heard]
        chains = system.replies(form, given, sampler=GREEDY, most=_WORDS)
        errors.add("word errors, before it answers", [chain.question for chain in chains])
        for clip, chain in list(zip(clips, chains, strict=True))[:_SHOWN]:
            say(f"  {clip.text}\n  → {chain.question}\n  → {chain.answer}")
    if hear is not None:
        errors.add("— Whisper by itself", [hear(sound(clip.wave, clip.sample_rate)) for clip in clips], "from sound")
    return errors.table


def _said_table(
    system: SpeechGPT, clips: Sequence[Clip], heard: Sequence[Tensor], hear: Callable[[Stream], str] | None, say: Log
) -> Table:
    errors = ErrorRows("Words said in units (dev texts)", clips, say)
    given = [system.given("synthesise", [{"role": "user", "content": clip.text}]) for clip in clips]
    chains = system.replies("synthesise", given, most=_UNITS)
    written = [torch.zeros(1, 0, dtype=torch.long) if one.units is None else one.units.data[0] for one in chains]
    counts = [one.shape[1] / max(other.shape[1], 1) for one, other in zip(written, heard, strict=True)]
    lengths = Row(name="units said for each of the recording's", value=intervals.median(counts), unit="")
    back = [chain.question for chain in recognised(system, written)]
    errors.add("word errors, read back by itself", back)
    if len(clips) > 1:
        errors.other("— of another text", back)
    errors.table.rows.append(lengths)
    if hear is not None and system.vocoder is not None:
        for name, some, remark in (
            ("word errors, heard by Whisper", written, "through the vocoder"),
            ("— the recordings' own units", heard, "through the same vocoder"),
        ):
            texts = [
                hear(system.sound(_stream(system.model.config.units, one))) if one.shape[1] else "" for one in some
            ]
            for clip, text in list(zip(clips, texts, strict=True))[:_SHOWN]:
                say(f"  {clip.text}\n  → {text}")
            errors.add(name, texts, remark)
            if len(clips) > 1:
                errors.other(f"{name}, of another text", texts)
    return errors.table


def orders_table(
    system: SpeechGPT, count: int, cascade: Answers | None, hear: Callable[[Stream], str] | None, say: Log
) -> Table:
    """Spoken orders of no training: their slots in what is written down of units, and in the answers."""
    orders = OrdersTable(count, say)
    heard = [system.heard(wave) for wave in orders.waves(system.units.config.sample_rate)]
    orders.written("every slot right, written down from units", [c.question for c in recognised(system, heard)])
    if system.model.config.stage == 3:
        given = [system.given(CHAINS[0], [{"role": "user", "content": ""}], one) for one in heard]
        chains = system.replies(CHAINS[0], given, most=_UNITS)  # drawn: the likeliest units go round in circles
        for order, chain in list(zip(orders.orders, chains, strict=True))[:_SHOWN]:
            say(f"  {order.text}\n  → {chain.question}\n  → {chain.answer}")
        orders.answered("every slot named in the written answer", [chain.answer for chain in chains])
        if hear is not None and system.vocoder is not None:
            sounds = ["" if chain.units is None else hear(system.sound(chain.units)) for chain in chains]
            remark = "units, through the vocoder, heard by Whisper"
            orders.answered("every slot named in the spoken answer", sounds, remark)
    if cascade is not None:
        orders.cascade(cascade)
    return orders.table


def _stream(units: Tokens, ids: Tensor) -> Stream[Tokens]:
    return Stream(units, ids[None], torch.tensor([ids.shape[1]]))


def text_table(system: SpeechGPT, path: Path, llm: str, say: Log) -> Table:
    """The loss of the same pieces of text by the model, in its own form, and by the chat model that it grew from."""
    table = Table("Text (nats a piece of a word)")
    known = load_text_model(llm)
    if known.text.tokens != system.text.tokens:
        raise ConfigError(f"{llm} reads {known.text.tokens}, this model {system.text.tokens}; give the one it was")
    config = system.model.config
    pieces = text_pieces(path, system.text, config.trunk.window - 3)
    counts = [len(learnt) - (not given) for given, learnt in pieces]  # nothing stands before the first id of a text
    layout = config.layout("text to text")
    rows = text_rows(config.whole, config.text)
    now, before = [], []
    with torch.inference_mode():
        for given, learnt in pieces:
            items = {
                name: torch.tensor([ids], dtype=torch.long) for name, ids in (("instruction", given), ("ta", learnt))
            }
            now.append(_loss(system.model.lm, layout.pack(items).ids[:, :-1], counts[len(now)], rows))
        for given, learnt in pieces:
            ids = torch.tensor([[*given, *learnt]])
            before.append(_loss(known.lm, ids, counts[len(before)], range(len(rows))))
    for name, sums in (("this model", now), ("the chat model that it grew from", before)):
        table.rows.append(Row(name=name, value=intervals.ratio(sums, counts), unit="nats"))
        say(f"text, {name}: {table.rows[-1].shown()}")
    return table


def _loss(lm: StreamLM, ids: Tensor, count: int, rows: range) -> float:
    """Of the last so many ids, among those of text."""
    end = ids.shape[1]
    scores = lm(ids[None])[0][0, end - count - 1 : end - 1, rows.start : rows.stop]
    return float(F.cross_entropy(scores, ids[0, end - count :] - rows.start, reduction="sum"))
