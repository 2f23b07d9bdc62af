"""Both sides of the gate: what is made of sounds that nobody speaks, and what is lost of what is said."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.progress import Log
from vivavoce.data.nonspeech import places, room
from vivavoce.data.synthesis import LISTENING_RATE
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.drive import Assistant, asked
from vivavoce.evals.intervals import Estimate
from vivavoce.evals.listening import GROUPS, SNRS, Clip, accepted, noisy, some_with_text, spoken
from vivavoce.evals.noise import ALONE, noise
from vivavoce.evals.orders import orders_of
from vivavoce.evals.report import Row, Table

SECONDS = (0.2, 30.0)
LEVELS_DB = (-60.0, 0.0)


def unspoken(count: int, seed: int, noises: Path | None = None) -> Iterator[tuple[str, Float[Tensor, " N"]]]:
    """So many sounds in which nobody speaks, each kind in turn, from 0.2 s to 30 s (short ones more often), at levels
    from -60 to 0 dB (what is too loud clips), a third of them in a room; ``noises`` adds recordings of places."""
    dice = rng.stream(seed, "unspoken")
    known = places(noises, "dev", LISTENING_RATE)
    kinds = [*ALONE, *known]
    low, high = np.log(SECONDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        length = int(np.exp(dice.uniform(low, high)) * LISTENING_RATE)
        if kind in known:
            whole = np.resize(known[kind], max(length, len(known[kind])))
            begin = int(dice.integers(len(whole) - length + 1))
            sound = whole[begin : begin + length]
        else:
            sound = noise(kind, length, LISTENING_RATE, int(dice.integers(1 << 30))).numpy()
        if dice.random() < 1 / 3:
            sound = room(sound, LISTENING_RATE, dice)
        level = 10 ** (dice.uniform(*LEVELS_DB) / 20) / max(float(np.sqrt(np.mean(sound**2))), 1e-9)
        yield kind, torch.from_numpy(np.clip(sound * level, -1, 1).astype(np.float32))


def gate_table(
    model: Assistant,
    ungated: Assistant,
    people: Sequence[Clip],
    noises: Path | None,
    counts: tuple[int, int, int],
    seed: int,
    say: Log = print,
) -> Table:
    """Calls and words from sounds that nobody speaks; orders, and words of people, that only ``ungated`` understands.

    ``counts``: of sounds, of orders per engine and noise level, and of recordings of people.
    """
    sounds, some_orders, some_people = counts
    table = Table("Speech and other sound")
    called, worded, chances = [], [], []
    for kind, sound in unspoken(sounds, seed, noises):
        turn = asked(model, sound, LISTENING_RATE)
        called.append(bool(turn.calls))
        worded.append(bool(turn.words))
        chances.append(turn.speech)
        if turn.words:
            say(f"words from {kind}, {len(sound) / LISTENING_RATE:.1f} s: {turn.transcript}")
    calls = f"{sum(called)} of {len(called)}"
    table.rows.append(Row(name="calls from noise", value=intervals.share(called), floor="0 of 500", remark=calls))
    table.rows.append(Row(name="noises with words", value=intervals.share(worded), remark=f"{sum(worded)} of {sounds}"))
    surely = intervals.share([chance < 0.1 for chance in chances])
    table.rows.append(Row(name="noises with `no_speech_prob` above 0.9", value=surely))
    lost, understood, sure, right = [], 0, [], []
    for engines, _ in GROUPS.values():
        wanted = orders_of(model.character).orders(some_orders, seed)
        heard = spoken([order.text for order in wanted], engines, seed)
        for snr in SNRS:
            for number, (order, one) in enumerate(zip(wanted, heard, strict=True)):
                wave = noisy(one.wave, snr, number)
                turn, without = (asked(which, wave, LISTENING_RATE) for which in (model, ungated))
                lost.append(accepted(order, without.calls) and not accepted(order, turn.calls))
                understood += accepted(order, turn.calls) and not accepted(order, without.calls)
                right += word_errors.matched(order.text.split(), [word.text for word in turn.words])
                sure += [word.confidence for word in turn.words]
    gained = f"{sum(lost)} of {len(lost)}; {understood} are understood only with the gate"
    table.rows.append(Row(name="orders lost by the gate", value=intervals.share(lost), floor="≤ 0.5 %", remark=gained))
    table.rows.append(calibration("confidence of words of orders, mean error", sure, right))
    chosen, sure, right, added, total = some_with_text(people, some_people), [], [], [], []
    for clip in chosen:
        said = word_errors.plain(clip.text)
        turn, without = (asked(which, clip.wave, clip.sample_rate) for which in (model, ungated))
        errors = [word_errors.distance(said, word_errors.plain(each.transcript)) for each in (without, turn)]
        added.append(errors[1] - errors[0])
        total.append(len(said))
        right += word_errors.matched(said, [word.text for word in turn.words])
        sure += [word.confidence for word in turn.words]
    table.rows.append(
        Row(name="word errors of people that the gate adds", value=intervals.ratio(added, total) if chosen else None)
    )
    table.rows.append(calibration("confidence of people's words, mean error", sure, right))
    for row in table.rows:
        say(f"{row.name}: {row.shown()} {row.remark}")
    return table


def calibration(name: str, confidences: Sequence[float], right: Sequence[bool]) -> Row:
    """How true the words' confidences are: by how much they miss the share of words that are right, in five bands."""
    if not confidences:
        return Row(name=name, value=None)
    given, truth = np.array(confidences), np.array(right, float)
    bands = np.minimum((given * 5).astype(int), 4)
    known = sorted(set(bands.tolist()))
    off = sum(abs(given[bands == band].mean() - truth[bands == band].mean()) * (bands == band).mean() for band in known)
    bins = ", ".join(
        f"{truth[bands == b].mean():.0%} of {(bands == b).sum()} at {b / 5:.1f} to {(b + 1) / 5:.1f}" for b in known
    )
    return Row(name=name, value=Estimate(float(off), float(off), float(off), len(given)), remark=f"right: {bins}")
