"""What SpeechGPT learns from in each stage: pieces of units, pairs of units and text, chains; and lines of text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.core.errors import ConfigError, TrainingError
from vivavoce.core.layout import Grid, Layout
from vivavoce.core.streams import whole
from vivavoce.data.lines import text_pieces
from vivavoce.data.phrasings import phrased
from vivavoce.data.tokens import Batches, TokenCorpus
from vivavoce.models.trunk import ChatText
from vivavoce.models.units import merged
from vivavoce.nn.lora import LoraConfig
from vivavoce.recipes.token_lm import FreshTrunk, GridRun, held_out, pairs_of, some
from vivavoce.systems.speechgpt import CHAINS, FORMS, STAGES, Form, SpeechGPTConfig
from vivavoce.train.tasks.grid import GridBatch, collate

_HELD_TEXT = 10
"""Every so many-th line of text is held out."""
_CORRUPTED: Sequence[Form] = ("recognise", "speech to speech", "speech to text")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechGPTRun:
    """``block`` is the longest piece of units alone, ``window`` how much is kept of the trunk's context.

    A batch has ``grids.batch`` utterances of mean length, of like length each, and ``lines`` times as many lines of
    text. What is given counts ``given`` in the second stage (1 in the paper), a unit ``unit`` beside a word piece's 1.
    In the second stage a share of ``recognise`` is written down, the rest is said. With ``only``, what these speakers
    say is learnt to be said and never written down, all others the other way round: one voice's units follow their
    text after minutes, those of many do not.
    Of units that are heard up to a share of ``corrupt`` is left out or is another one.
    """

    stage: int = 1
    fresh: FreshTrunk = FreshTrunk()
    grids: GridRun = GridRun()
    block: int = 1024
    window: int = 2048
    dropout: float = 0.0
    recognise: float = 0.5
    only: tuple[str, ...] = ()
    given: float = 1.0
    unit: float = 1.0
    corrupt: float = 0.0
    lines: float = 0.2
    workers: int = 0
    lora: LoraConfig = LoraConfig()
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuses weights and shares that are none."""
        shares = 0 <= self.corrupt < 1 and 0 <= self.recognise <= 1
        if self.given < 0 or self.unit <= 0 or self.lines < 0 or not shares:
            raise ConfigError(
                "weights and shares are not negative, a unit's is above 0 and corrupt below 1, got "
                f"given={self.given}, unit={self.unit}, lines={self.lines}, corrupt={self.corrupt}, "
                f"recognise={self.recognise}"
            )


@dataclass(frozen=True, slots=True)
class _Example:
    """How long the utterances of an example last."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _Examples:
    """What batches of like length are drawn from."""

    folder: Path
    utterances: Sequence[_Example]


@dataclass(frozen=True)
class Makers:
    """What is learnt from in a stage: utterances or pairs, and lines of text, as grids."""

    run: SpeechGPTRun
    tokens: TokenCorpus
    config: SpeechGPTConfig
    text: ChatText
    train: Sequence[tuple[int, ...]]
    held: Sequence[tuple[int, ...]]
    lines: Sequence[tuple[list[int], list[int]]] = ()
    _kept: dict[tuple[str, int], Tensor] = field(default_factory=dict, repr=False)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of the stage."""
        return STAGES[2] if self.run.stage == 2 else CHAINS if self.run.stage == 3 else ("units",)

    @property
    def batches(self) -> Callable[[int], GridBatch]:
        """The batch of a step."""
        examples = _Examples(
            self.tokens.folder,
            [_Example(sum(self.tokens.utterances[index].seconds for index in chosen)) for chosen in self.train],
        )
        seconds = self.run.grids.batch * sum(one.seconds for one in examples.utterances) / len(examples.utterances)
        buckets = max(1, min(8, len(self.train) // self.run.grids.batch))
        lines = [self.line(*one) for number, one in enumerate(self.lines) if number % _HELD_TEXT]

        def make(places: list[int], draw: np.random.Generator) -> GridBatch:
            grids = []
            for place in places:
                grids.append(self.grid(self._form(self.train[place], draw), self.train[place], draw))
            more = self.run.lines * len(grids) if lines else 0.0
            for _ in range(int(more + draw.random())):
                grids.append(lines[int(draw.integers(len(lines)))])
            return self.weighed(collate(grids, seconds=sum(examples.utterances[place].seconds for place in places)))

        chosen = range(len(self.train))
        return Batches(examples, chosen, make, seconds=seconds, seed=self.run.seed, buckets=buckets)

    def _form(self, chosen: tuple[int, ...], draw: np.random.Generator) -> Form:
        """One of the forms of the stage."""
        forms = self._forms_of(chosen)
        if len(forms) > 1 and self.run.stage == 2:
            return forms[int(draw.random() >= self.run.recognise)]
        return forms[int(draw.integers(len(forms)))]

    def _forms_of(self, chosen: tuple[int, ...]) -> tuple[Form, ...]:
        """Those that an example is learnt in."""
        if self.run.stage == 2 and self.run.only:
            return STAGES[2][1:] if self.tokens.utterances[chosen[0]].speaker in self.run.only else STAGES[2][:1]
        return self.forms

    def weighed(self, batch: GridBatch) -> GridBatch:
        """With what each id counts."""
        weights = batch.weights
        if self.run.stage == 2 and self.run.given:
            read = batch.ids != 0
            read[..., 0] = False
            weights = torch.where(read & (weights == 0), self.run.given, weights)
        spoken = self._layout("units").vocabs[0].range(f"{self.config.units.alphabet}:{self.config.units.first_book}")
        units = (batch.ids >= spoken.start) & (batch.ids < spoken.stop)
        return GridBatch(batch.ids, torch.where(units, weights * self.run.unit, weights), batch.seconds)

    def held_out(self) -> list[Grid]:
        """Some held-out examples, the forms taking turns."""
        found = []
        for number, chosen in enumerate(some(self.held)):
            forms = self._forms_of(chosen)
            found.append(self.grid(forms[number % len(forms)], chosen, None))
        return found

    def others(self) -> Mapping[str, Sequence[Grid]]:
        """The forms of the second stage one by one, and held-out lines of text."""
        found: dict[str, Sequence[Grid]] = {}
        if self.run.stage == 2:
            for form in self.forms:
                held = [chosen for chosen in self.held if form in self._forms_of(chosen)]
                found |= {form: [self.grid(form, chosen, None) for chosen in some(held)]} if held else {}
        return found | {"text": [self.line(*one) for one in self.lines[::_HELD_TEXT]]}

    def line(self, given: list[int], learnt: list[int]) -> Grid:
        """A text, or the last message of a conversation after the ones before it."""
        items = {"instruction": torch.tensor([given], dtype=torch.long), "ta": torch.tensor([learnt], dtype=torch.long)}
        return self._layout("text to text").pack(items)

    def grid(self, form: Form, chosen: tuple[int, ...], draw: np.random.Generator | None) -> Grid:
        """One form of a question (or an utterance) and its answer, in a wording."""
        first, last = chosen[0], chosen[-1]
        names = FORMS[form]
        if form == "units":
            units = self.units(first)
            room = max(units.shape[1] - self.run.block, 0)
            begin = 0 if draw is None else int(draw.integers(room + 1))
            return self._layout(form).pack({"ua": units[:, begin : begin + self.run.block]})
        spoken = "asked" in names
        asked = self.tokens.utterances[first].text or ""
        content = phrased(form, self.text.hole if spoken else asked, draw)
        items: dict[str, Tensor] = dict(zip(("instruction", "then"), self._around(content), strict=False))
        if spoken:
            items["asked"] = self._corrupted(self.units(first), draw) if form in _CORRUPTED else self.units(first)
        items |= {name: self.said(index) for name, index in (("tq", first), ("ta", last)) if name in names}
        if "ua" in names:
            items["ua"] = self.units(last)
        return self._layout(form).pack({name: items[name] for name in names})

    def said(self, index: int) -> Tensor:
        """An utterance's text."""
        if ("text", index) not in self._kept:
            ids = self.text.plain(self.tokens.utterances[index].text or "")
            self._kept["text", index] = torch.tensor([ids], dtype=torch.long)
        return self._kept["text", index]

    def units(self, index: int) -> Tensor:
        """An utterance's units, without repeats."""
        if ("units", index) not in self._kept:
            spec = self.tokens.spec("units")
            self._kept["units", index] = merged(whole(spec, self.tokens.items(index)["units"][None])).units.data[0]
        return self._kept["units", index]

    def _corrupted(self, units: Tensor, draw: np.random.Generator | None) -> Tensor:
        """Some units less, and others in place of some; as they are without ``draw``."""
        if draw is None or not self.run.corrupt:
            return units
        share, chance = float(draw.random()) * self.run.corrupt, torch.from_numpy(draw.random(units.shape))
        other = torch.from_numpy(draw.integers(self.config.units.size, size=units.shape))
        return torch.where(chance < share / 2, other, units)[:, chance[0] < 1 - share / 2]

    @lru_cache(1000)  # noqa: B019 - it lives as long as the run
    def _around(self, content: str) -> tuple[Tensor, ...]:
        pieces = self.text.around([{"role": "user", "content": content}])
        return tuple(torch.tensor([ids], dtype=torch.long) for ids in pieces)

    @lru_cache  # noqa: B019
    def _layout(self, form: Form) -> Layout:
        return self.config.layout(form)

    def __hash__(self) -> int:
        """By identity: it is one run's."""
        return id(self)


def makers_of(
    run: SpeechGPTRun,
    tokens: TokenCorpus,
    config: SpeechGPTConfig,
    text: ChatText,
    pairs: Path | None,
    lines: Path | None,
    say: Callable[[str], None],
) -> Makers:
    """What a stage learns from and is measured on; TrainingError where something is missing or not for this stage."""
    train, held = tokens.of("train"), held_out(tokens, say)
    read = [] if lines is None else text_pieces(lines, text, config.trunk.window - 3)
    if run.stage < 3:
        if pairs is not None:
            raise TrainingError("pairs of questions and answers are for stage 3; leave --with pairs out")
        learnt, measured = (
            [(index,) for index in chosen if run.stage == 1 or tokens.utterances[index].text]
            for chosen in (train, held)
        )
        if not learnt:
            raise TrainingError(f"no training utterance of {tokens.folder} has a text; stage 2 needs texts")
        if run.stage == 2 and run.only:
            learnt = _shared_out(learnt, run, tokens)
        return Makers(run, tokens, config, text, learnt, measured, read)
    if pairs is None:
        raise TrainingError("stage 3 needs questions and answers: --with pairs=FILE")
    chosen = pairs_of(pairs, tokens)
    dev = set(tokens.of("dev"))
    learnt = [pair for pair in chosen if not dev & set(pair)]
    return Makers(run, tokens, config, text, learnt, [pair for pair in chosen if dev & set(pair)] or learnt, read)


def _shared_out(learnt: Sequence[tuple[int]], run: SpeechGPTRun, tokens: TokenCorpus) -> list[tuple[int]]:
    """What one voice says, repeated or cut until it has its share beside what all others say."""
    said = [one for one in learnt if tokens.utterances[one[0]].speaker in run.only]
    if not said:
        raise TrainingError(f"{tokens.folder} has nothing with a text that {', '.join(run.only)} says to learn from")
    others = [one for one in learnt if tokens.utterances[one[0]].speaker not in run.only]
    if run.recognise == 0 or not others:
        return said
    wanted = round(len(others) * (1 - run.recognise) / run.recognise)
    return [*others, *(said[number % len(said)] for number in range(wanted))]
