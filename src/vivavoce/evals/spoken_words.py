"""Whether a language model of units finds words likelier than what is none, as sWUGGY asks (arXiv:2011.11588 §3).

Words are those of held-out texts; those that no training text has are counted apart. The partner of a word has one or
two other phones of the same kinds, is no word of the dictionary, and follows its runs of three phones as closely as
the word does. A Kokoro says both in one of its voices, which are in nobody's recordings.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.layout import Layout
from vivavoce.core.progress import Log
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.data.manifest import recordings
from vivavoce.evals import intervals
from vivavoce.evals.report import Row, Table
from vivavoce.hub.catalogue import catalogue
from vivavoce.hub.fetch import is_here, place
from vivavoce.hub.kokoro import RATE, Kokoro, Uttered
from vivavoce.models.lm import StreamLM
from vivavoce.models.units import Units, merged
from vivavoce.text.dictionary import dictionary_words, usual_form
from vivavoce.text.ipa import ipa
from vivavoce.text.phones import CONSONANTS, VOWELS, Phone, parse
from vivavoce.train.tasks.grid import collate, lane_losses

_PHONES: Final = (4, 9)
"""How many a word has."""
_SPELLED = re.compile("[a-z]{3,}")
_LEAST = 3
"""How often the dictionary has each run of three phones of a partner, at least."""
_CLOSE = 0.7
"""Nats between the runs of a word and of its partner, at most, so that these alone do not tell them apart."""
_FAR = 60
"""Partners that are looked at for a word, beside all that differ in one phone."""
Score = Callable[[Stream[Wave]], float]
"""How likely a recording is, in nats per unit."""


@runtime_checkable
class SaysSymbols(Protocol):
    """A `Kokoro`."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of its voices."""
        ...

    def utter(self, symbols: str, voice: str) -> Uttered:
        """The sound of symbols."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """A word and what is none; ``learnt``: whether the training texts have the word."""

    word: str
    said: tuple[Phone, ...]
    other: tuple[Phone, ...]
    learnt: bool


class _Runs:
    """The dictionary's runs of three phones."""

    def __init__(self) -> None:
        forms = [form for word in dictionary_words() if (form := usual_form(word)) is not None]
        self.words = {_symbols(parse(form)) for form in forms}
        self.threes = Counter(run for word in self.words for run in _threes(word))
        self.twos = Counter(run[:2] for run in self.threes.elements())

    def usual(self, symbols: tuple[str, ...]) -> float:
        """Log-probability; minus infinity where one of its runs is rare."""
        runs = _threes(symbols)
        if min(self.threes[run] for run in runs) < _LEAST:
            return -np.inf
        return float(sum(np.log(self.threes[run] / self.twos[run[:2]]) for run in runs))


@cache
def _runs() -> _Runs:
    return _Runs()


def _symbols(phones: Sequence[Phone]) -> tuple[str, ...]:
    return tuple(phone.symbol for phone in phones)


def _threes(symbols: tuple[str, ...]) -> list[tuple[str, ...]]:
    edged = ("", "", *symbols, "")
    return [edged[place : place + 3] for place in range(len(edged) - 2)]


def pairs(speech: Path, count: int, seed: int = 0) -> list[Pair]:
    """At most ``count`` words of training texts and as many of no training text, each with a partner."""
    texts = {split: _words_of(speech, split) for split in ("train", "dev", "test")}
    draw = rng.stream(seed, "spoken words")
    made: list[Pair] = []
    for learnt in (True, False):
        words = sorted(word for word in texts["dev"] | texts["test"] if (word in texts["train"]) is learnt)
        found: list[Pair] = []
        for drawn in draw.permutation(len(words)):
            if len(found) == count:
                break
            form = usual_form(words[drawn])
            phones = () if form is None else parse(form)
            if _PHONES[0] <= len(phones) <= _PHONES[1] and (other := partner(phones, draw)) is not None:
                found.append(Pair(words[drawn], phones, other, learnt))
        made += found
    return made


def _words_of(speech: Path, split: str) -> set[str]:
    texts = (clip.text or "" for clip in recordings(speech, split, lang="en", text=True))
    return {word for text in texts for word in text.lower().split() if _SPELLED.fullmatch(word)}


def partner(phones: Sequence[Phone], draw: np.random.Generator) -> tuple[Phone, ...] | None:
    """What is no word and nearest to a word in how usual its runs of phones are; None where nothing is close."""
    runs, best, distance = _runs(), None, _CLOSE
    wanted = runs.usual(_symbols(phones))
    if not np.isfinite(wanted):
        return None
    for other in _changed(phones, draw):
        symbols = _symbols(other)
        far = abs(runs.usual(symbols) - wanted)
        if far < distance and symbols not in runs.words:
            best, distance = other, far
    return best


def _changed(phones: Sequence[Phone], draw: np.random.Generator) -> Iterator[tuple[Phone, ...]]:
    """With one other phone, all of them, and with two, drawn; vowels stay vowels, with their stress."""
    kinds = [sorted((VOWELS if phone.symbol in VOWELS else CONSONANTS) - {phone.symbol}) for phone in phones]

    def put(*changes: tuple[int, str]) -> tuple[Phone, ...]:
        made = list(phones)
        for where, symbol in changes:
            made[where] = Phone(symbol, phones[where].stress)
        return tuple(made)

    for where, kind in enumerate(kinds):
        yield from (put((where, symbol)) for symbol in kind)
    for _ in range(_FAR):
        first, second = draw.choice(len(phones), 2, replace=False)
        yield put(*((int(where), str(draw.choice(kinds[where]))) for where in (first, second)))


def words_table(score: Score, speech: Path, kokoro: SaysSymbols, count: int, say: Log) -> Table:
    """How often the word is the likelier one, for words that the training texts have and for others."""
    chosen, table = pairs(speech, count), Table("Words beside what is none")
    draw = rng.stream(0, "voices of words")
    right: dict[bool, list[bool]] = {True: [], False: []}
    runs: dict[bool, list[bool]] = {True: [], False: []}
    for number, pair in enumerate(chosen):
        voice = str(draw.choice(kokoro.voices))
        word, other = (
            score(sound(torch.from_numpy(kokoro.utter(ipa("", phones, ends=True), voice).pcm.copy()), RATE))
            for phones in (pair.said, pair.other)
        )
        right[pair.learnt].append(word > other)
        usual = (_runs().usual(_symbols(phones)) for phones in (pair.said, pair.other))
        runs[pair.learnt].append(next(usual) > next(usual))
        if number % 100 == 99:
            say(f"{number + 1} of {len(chosen)} words, {np.mean(right[True] + right[False]):.1%} likelier")
    for learnt, name in ((True, "words that training texts have"), (False, "words of no training text")):
        if right[learnt]:
            table.rows += [
                Row(name=f"{name}: likelier", value=intervals.share(right[learnt]), remark="by chance 50 %"),
                Row(name="— by their runs of three phones", value=intervals.share(runs[learnt]), remark="control"),
            ]
    return table


@torch.inference_mode()
def likelihood(lm: StreamLM, layout: Layout, name: str, units: Tensor) -> float:
    """Nats per column of one row of units, Int[1, U], by themselves; less is what costs more."""
    batch = collate([layout.pack({name: units})])
    return -float(lane_losses(batch, lm(batch.ids))["tokens"].value)


def unit_score(units: Units, lm: StreamLM, layout: Layout, name: str) -> Score:
    """The score of a language model of units without repeats."""
    rate = units.config.sample_rate

    def score(wave: Stream[Wave]) -> float:
        heard = sound(resample(wave.data[0], wave.spec.sample_rate, rate)[0], rate)
        return likelihood(lm, layout, name, merged(units.encode(heard)).units.data[0])

    return score


def voices_of_words() -> Kokoro:
    """The first Kokoro of the catalogue that was fetched; PartError where none was."""
    known = [model for model in catalogue() if model.kind == "speaker"]
    return Kokoro(place(next((model for model in known if is_here(model)), known[0])))
