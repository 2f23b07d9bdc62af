"""Understanding: orders from unheard voices and programs, in noise; false calls; words of real people."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core.progress import Log
from vivavoce.data.spoken import with_letters
from vivavoce.data.synthesis import LISTENING_RATE, Reading, readings, speak
from vivavoce.evals import intervals, noise, word_errors
from vivavoce.evals.drive import Assistant, asked, understood
from vivavoce.evals.orders import SpokenOrder, orders_of
from vivavoce.evals.report import Row, Table
from vivavoce.evals.sphinx import Sphinx

SNRS = (None, 24.0, 12.0, 6.0)
GROUPS: Mapping[str, tuple[dict[str, float], dict[float | None, str]]] = {
    "unseen voices of known engines": ({"espeak-ng": 0.75, "flite": 0.25}, {None: "95 %", 12.0: "85 %"}),
    "unseen engine (festival)": ({"festival": 1.0}, {None: "80 %", 12.0: "65 %"}),
}


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A sentence as one of the test voices reads it, at 16 kHz."""

    reading: Reading
    wave: Float[Tensor, " N"]


def spoken(texts: Sequence[str], engines: Mapping[str, float], seed: int) -> list[SpokenSentence]:
    """Texts read by voices that are kept for testing, with half a second of silence behind them.

    Letters that stand beside each other are spelled.
    """
    wanted = readings(map(with_letters, texts), seed, engines=engines, unseen=True)
    quiet = torch.zeros(LISTENING_RATE // 2)
    return [
        SpokenSentence(one.reading, torch.cat([torch.from_numpy(one.wave).float(), quiet]))
        for one in speak(wanted, sample_rate=LISTENING_RATE)
    ]


def noisy(wave: Float[Tensor, " N"], snr_db: float | None, number: int) -> Float[Tensor, " N"]:
    """The utterance in one of the named noises, taken in turn; unchanged without a level."""
    if snr_db is None:
        return wave
    return noise.mix(wave, LISTENING_RATE, list(noise.NOISES)[number % len(noise.NOISES)], snr_db, seed=number)


def accepted(order: SpokenOrder, calls: Iterable[Any]) -> bool:
    """Whether there is one call and every slot of it is right."""
    made = [_arguments(call) for call in calls]
    return made == [order.slots]


def _arguments(call: Any) -> dict[str, str]:
    return dict(call["arguments"] if isinstance(call, Mapping) else call.arguments)


def order_table(model: Assistant, count: int, seed: int, say: Log = print) -> Table:
    """Orders with every slot right, per engine and noise level, beside pocketsphinx where all orders have a grammar."""
    table = Table("Orders accepted (every slot right)")
    known = orders_of(model.character)
    grammar = known.grammar()
    yardstick = None if grammar is None else Sphinx(grammar)
    wanted = known.orders(count, seed)
    for group, (engines, floors) in GROUPS.items():
        heard = spoken([order.text for order in wanted], engines, seed)
        for snr in SNRS:
            level = "clean" if snr is None else f"{snr:.0f} dB"
            ours, theirs = [], []
            for number, (order, one) in enumerate(zip(wanted, heard, strict=True)):
                wave = noisy(one.wave, snr, number)
                ours.append(accepted(order, asked(model, wave, LISTENING_RATE).calls))
                if yardstick is not None:
                    theirs.append(known.slots(yardstick.words(wave, LISTENING_RATE)) == order.slots)
            rows = [Row(name=f"{group}, {level}", value=intervals.share(ours), floor=floors.get(snr, ""))]
            if theirs:
                rows.append(Row(name=f"— pocketsphinx with a grammar, {level}", value=intervals.share(theirs)))
            table.rows += rows
            say("; ".join(f"{row.name}: {row.shown()}" for row in rows))
    return table


def false_call_table(model: Assistant, seed: int, say: Log = print) -> Table:
    """Calls made on sentences that are no order, from unseen voices of all engines."""
    engines = {"espeak-ng": 0.5, "flite": 0.2, "festival": 0.3}
    heard = spoken(orders_of(model.character).not_orders(seed=seed), engines, seed)
    table = Table("Calls on sentences that are no order")
    for snr in (None, 12.0):
        called = [bool(asked(model, noisy(one.wave, snr, n), LISTENING_RATE).calls) for n, one in enumerate(heard)]
        level = "clean" if snr is None else f"{snr:.0f} dB"
        table.rows.append(Row(name=level, value=intervals.share(called), floor="≤ 3 %" if snr is None else ""))
        say(f"false calls, {level}: {table.rows[-1].shown()}")
    return table


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording of a person, with its text where it is known."""

    speaker: str
    wave: Float[Tensor, " N"]
    sample_rate: int
    text: str
    source: str
    lossless: bool
    sex: str = ""
    """F or M where it is known."""


def some_with_text(clips: Sequence[Clip], count: int) -> list[Clip]:
    """So many of the recordings whose text is known, the same ones every time."""
    return sorted((clip for clip in clips if clip.text), key=lambda clip: zlib.crc32(clip.text.encode()))[:count]


def real_table(
    model: Assistant,
    clips: Sequence[Clip],
    count: int,
    say: Log = print,
    phones: Callable[[Float[Tensor, " N"], int], list[str]] | None = None,
    pronounce: Callable[[str], list[str]] | None = None,
) -> Table:
    """Word and phone errors on people, beside pocketsphinx with its general language model."""
    table = Table("Real people (dev speech)")
    with_text = some_with_text(clips, count)
    if not with_text:
        names = ("word errors", "— pocketsphinx", "phone errors", "calls made on what they read")
        table.rows += [Row(name=name, value=None) for name in names]
        return table
    totals = [len(word_errors.plain(clip.text)) for clip in with_text]
    ours = [
        word_errors.distance(
            word_errors.plain(clip.text), word_errors.plain(understood(model, clip.wave, clip.sample_rate))
        )
        for clip in with_text
    ]
    table.rows.append(Row(name="word errors", value=intervals.ratio(ours, totals), remark="its words are the domain's"))
    sphinx = Sphinx()
    theirs = [
        word_errors.distance(word_errors.plain(clip.text), sphinx.words(clip.wave, clip.sample_rate))
        for clip in with_text
    ]
    table.rows.append(Row(name="— pocketsphinx", value=intervals.ratio(theirs, totals)))
    if phones is not None and pronounce is not None:
        wanted = [pronounce(clip.text) for clip in with_text]
        wrong = [
            word_errors.distance(want, phones(clip.wave, clip.sample_rate))
            for want, clip in zip(wanted, with_text, strict=True)
        ]
        table.rows.append(Row(name="phone errors", value=intervals.ratio(wrong, [len(want) for want in wanted])))
    else:
        table.rows.append(Row(name="phone errors", value=None))
    called = [bool(asked(model, clip.wave, clip.sample_rate).calls) for clip in with_text]
    table.rows.append(
        Row(
            name="calls made on what they read", value=intervals.share(called), floor="≤ 3 %", remark="none is an order"
        )
    )
    for row in table.rows:
        say(f"real people, {row.name}: {row.shown()}")
    return table
