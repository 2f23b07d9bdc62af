"""AudioLM: speech goes on as it began, by three language models of tokens (arXiv:2209.03143).

The first writes units without repeats: what is said. The second writes the first books of a codec after the units on
their clock: who says it, in which room. The third adds the other books, a few seconds at a time. Books of a frame
follow each other on one lane, each with ids of its own; every stage has an end of its own. Departs: rotary positions
instead of T5's biases; between the first two stages a small model (`models.durations`) says how long units are held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.layout import Cursor, Grid, Layout, Segment
from vivavoce.core.parts import load_part
from vivavoce.core.rng import Uniforms
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt, padded, whole
from vivavoce.generate.samplers import Sample, Sampler
from vivavoce.generate.writer import Row, Writer
from vivavoce.models.codec import Codec
from vivavoce.models.durations import Durations, DurationsConfig
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.units import Merged, Units, merged, spread
from vivavoce.nn.transformer import TransformerConfig

SEMANTIC, COARSE, FINE = Sample(temperature=0.6), Sample(temperature=0.8), Sample(temperature=0.6)
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLMConfig:
    """Units and codes that it was trained on, how many books are coarse, and a trunk per stage.

    ``seconds``: what the third stage sees at a time.
    """

    units: Tokens
    codes: Tokens
    coarse_books: int
    semantic: TransformerConfig
    coarse: TransformerConfig
    fine: TransformerConfig
    durations: TransformerConfig
    seconds: float = 3.0

    @property
    def layouts(self) -> tuple[Layout, Layout, Layout]:
        """Of the three stages."""
        books = self.coarse_books
        coarse = replace(self.codes.first(books), name="coarse")
        fine = replace(
            self.codes, name="fine", books=self.codes.books - books, first_book=self.codes.first_book + books
        )
        return (
            Layout(blocks=(Segment(stream=replace(self.units, rate=None)),)),
            Layout(blocks=(Segment(stream=self.units, role="given"), Segment(stream=coarse, flat=True))),
            Layout(blocks=(Segment(stream=coarse, role="given", flat=True), Segment(stream=fine, flat=True))),
        )

    @property
    def frames(self) -> int:
        """Frames of the codec in a window of the third stage."""
        assert self.codes.rate is not None
        return max(1, int(self.seconds * self.codes.rate))

    def seconds_of(self, items: Mapping[str, Tensor]) -> float:
        """How long units and codes of an utterance both last."""
        clocks = {"units": float(self.units.rate or 1), "codes": float(self.codes.rate or 1)}
        return min(items[name].shape[1] / clock for name, clock in clocks.items())

    def piece(self, items: Mapping[str, Tensor], begin: float, seconds: float) -> dict[str, Tensor]:
        """Units and codes from a place on, for so long."""
        clocks = {"units": float(self.units.rate or 1), "codes": float(self.codes.rate or 1)}
        places = {name: (round(begin * clock), max(1, round(seconds * clock))) for name, clock in clocks.items()}
        return {name: items[name][:, first : first + count] for name, (first, count) in places.items()}

    def grid(self, stage: int, items: Mapping[str, Tensor]) -> Grid:
        """An utterance, or a piece of one, as a stage reads it; ``items`` are its units and its codes."""
        units, coarse = items["units"], items["codes"][: self.coarse_books]
        fine = items["codes"][self.coarse_books : self.codes.books]
        if stage == 0:
            return self.layouts[0].pack({"units": merged(whole(self.units, units[None])).units.data[0]})
        made = {"units": units, "coarse": coarse} if stage == 1 else {"coarse": coarse, "fine": fine}
        return self.layouts[stage].pack(made)

    def frames_of(self, units: int) -> int:
        """Frames of the codec that so many units last."""
        assert self.codes.rate is not None and self.units.rate is not None
        return -(-units * self.codes.rate // self.units.rate)

    def build(self) -> "AudioLMModel":
        """The module with fresh weights; ConfigError for books that cannot be divided and streams without a clock."""
        if not 0 < self.coarse_books < self.codes.books:
            raise ConfigError(
                f"{self.coarse_books} coarse books of {self.codes.books}; leave at least one to each stage"
            )
        if self.codes.rate is None or self.units.rate is None:
            raise ConfigError("units and codes need a clock")
        return AudioLMModel(self)


@final
class AudioLMModel(nn.Module):
    """The part ``audiolm``: three language models, and the durations between the first two."""

    def __init__(self, config: AudioLMConfig) -> None:
        """They share nothing."""
        super().__init__()
        self.config = config
        first, second, third = config.layouts
        self.semantic: StreamLM = StreamLMConfig(trunk=config.semantic, lanes=first.sizes, tied=False).build()
        self.coarse: StreamLM = StreamLMConfig(trunk=config.coarse, lanes=second.sizes, tied=False).build()
        self.fine: StreamLM = StreamLMConfig(trunk=config.fine, lanes=third.sizes, tied=False).build()
        self.durations: Durations = DurationsConfig(units=config.units, trunk=config.durations).build()


@final
class AudioLM:
    """Goes on with what somebody says, or says units in somebody's voice; rows of a batch share their passes."""

    def __init__(self, model: AudioLMModel, units: Units, codec: Codec) -> None:
        """SpecError when units or codec are not those whose tokens were learnt."""
        config = model.config
        check_learnt(config.units, units.tokens)
        check_learnt(config.codes, codec.tokens.first(config.codes.books))
        self.model, self.units, self.codec = model.eval(), units, codec

    @staticmethod
    def load(folder: Path) -> "AudioLM":
        """From the parts ``audiolm``, ``units`` and ``codec`` in a folder."""
        return AudioLM(load_part(folder, "audiolm"), load_part(folder, "units"), load_part(folder, "codec"))

    @torch.inference_mode()
    def go_on(
        self, prompt: Stream[Wave], seconds: float, *, seeds: Sequence[int] = (), sampler: Sampler = SEMANTIC
    ) -> Stream[Wave]:
        """The prompts (at the codec's rate, 3 s or so) and at most so many seconds after them.

        A row ends earlier where the model ends it.
        """
        seeds = seeds or range(len(prompt.data))
        known = [self._units(wave) for wave in _alone(prompt)]
        most = int(seconds * float(self.model.config.units.rate or 1))
        begun = [merged(units) for units in known]
        layout = self.model.config.layouts[0]
        rows = [
            Row(Cursor(layout, {"units": pair.units.data[0]}), Uniforms(seed), most=1 + pair.units.data.shape[2] + most)
            for pair, seed in zip(begun, seeds, strict=True)
        ]
        made = Writer(self.model.semantic, sampler).streams(rows, at_once=_AT_ONCE)
        lasting = [
            self._held(one["units"], pair, units.data.shape[2] + most)
            for one, pair, units in zip(made, begun, known, strict=True)
        ]
        return self.codec.decode(self.codes(lasting, [self._codes(wave) for wave in _alone(prompt)], seeds))

    @torch.inference_mode()
    def say(
        self, units: Sequence[Tensor], voice: Stream[Wave] | None = None, *, seeds: Sequence[int] = ()
    ) -> Stream[Wave]:
        """Units on their clock, Int[1, T] each, as sound, in the voice of a clip per row (a few seconds).

        Without a voice the model chooses one.
        """
        seeds = seeds or range(len(units))
        if voice is None:
            return self.codec.decode(self.codes(units, [None] * len(units), seeds))
        before = [self._units(wave).data[0] for wave in _alone(voice)]
        prompts = [self._codes(wave) for wave in _alone(voice)]
        joined = [torch.cat(pair, dim=1) for pair in zip(before, units, strict=True)]
        sound = self.codec.decode(self.codes(joined, prompts, seeds))
        return sound.after(torch.tensor([prompt.shape[1] * self.codec.config.hop for prompt in prompts]))

    def resynthesised(self, wave: Stream[Wave], voice: Stream[Wave] | None = None) -> Stream[Wave]:
        """What units alone keep of speech, or units with somebody's voice: who speaks shows what the units know."""
        return self.say([self._units(row).data[0] for row in _alone(wave)], voice)

    @torch.inference_mode()
    def codes(self, units: Sequence[Tensor], prompts: Sequence[Tensor | None], seeds: Sequence[int]) -> Stream[Tokens]:
        """The second and third stage: all books of rows of units, whose first frames (Int[K, T]) are known."""
        config = self.model.config
        _, second, third = config.layouts
        sizes = [config.frames_of(row.shape[1]) for row in units]
        prompts = [None if p is None else p[:, :size] for p, size in zip(prompts, sizes, strict=True)]
        rows = []
        for row, prompt, size, seed in zip(units, prompts, sizes, seeds, strict=True):
            items = {"units": row} | ({} if prompt is None else {"coarse": prompt[: config.coarse_books]})
            rows.append(Row(Cursor(second, items, frames={"coarse": size}), Uniforms(seed)))
        made = Writer(self.model.coarse, COARSE).streams(rows, at_once=_AT_ONCE)
        coarse = [one["coarse"] for one in made]
        owners: list[int] = []
        windows: list[Row] = []
        for number, (books, prompt, size) in enumerate(zip(coarse, prompts, sizes, strict=True)):
            for begin in range(0, size, config.frames):
                end = min(begin + config.frames, size)
                items = {"coarse": books[:, begin:end]}
                if prompt is not None and prompt.shape[1] > begin:
                    items["fine"] = prompt[config.coarse_books :, begin:end]
                cursor = Cursor(third, items, frames={"fine": end - begin})
                owners.append(number)
                windows.append(Row(cursor, Uniforms(seeds[number] * 1000 + begin)))
        finest = Writer(self.model.fine, FINE).streams(windows, at_once=_AT_ONCE)
        data = torch.zeros(len(units), config.codes.books, max(sizes, default=0), dtype=torch.long)
        for number, books in enumerate(coarse):
            fine = [one["fine"] for owner, one in zip(owners, finest, strict=True) if owner == number]
            if fine:
                data[number, :, : sizes[number]] = torch.cat((books, torch.cat(fine, dim=1)))
        return Stream(config.codes, data, torch.tensor(sizes))

    def _held(self, ids: Tensor, begun: Merged, most: int) -> Tensor:
        """Units with their repeats, Int[1, T]: as in the prompt, then as predicted."""
        count = begun.units.data.shape[2]
        units = Stream(begun.units.spec, ids[None], torch.tensor([ids.shape[1]]))
        held = self.model.durations.predict(units).durations
        held.data[:, :, :count] = begun.durations.data
        return spread(Merged(units, held), self.model.config.units.rate).data[0, :, :most]

    def _units(self, wave: Stream[Wave]) -> Stream[Tokens]:
        """One recording at the codec's rate as units."""
        rate, wanted = wave.spec.sample_rate, self.units.config.sample_rate
        if rate == wanted:
            return self.units.encode(wave)
        from vivavoce.audio.resample import resample

        data = resample(wave.data[0], rate, wanted)[None]
        return self.units.encode(Stream(Wave(sample_rate=wanted), data, torch.tensor([data.shape[2]])))

    def _codes(self, wave: Stream[Wave]) -> Tensor:
        """One recording as whole frames of all books, Int[K, T]."""
        frames = int(wave.lengths[0]) // self.codec.config.hop
        return self.codec.encode(wave).data[0, : self.model.config.codes.books, :frames]


def _alone(stream: Stream[Wave]) -> list[Stream[Wave]]:
    """Each row as a stream of its own."""
    return [padded(stream.spec, [row]) for row in stream.rows]
