"""AudioPaLM: a language model of text whose vocabulary was grown by units, and that does what a tag says.

(arXiv:2306.12925) The tag names tasks and languages in words, ``[ASR English]``; a combined one, ``[ASR S2T S2S
English]``, has what lies between written first, each task seeing what came of the ones before. All tasks share one
stream of text and units. What is written as units sounds by a model of its own, in the voice of a clip
(`systems.audiolm`). Departs: a mark stands where text or units begin.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, final

import torch
from torch import Tensor, nn

from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Cursor, Layout, Segment
from vivavoce.core.layout.segments import Role
from vivavoce.core.rng import Uniforms
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt
from vivavoce.generate.samplers import GREEDY, Sampler
from vivavoce.generate.writer import ROOM, Row, Writer
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.trunk import ChatText
from vivavoce.models.units import Units
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.audiolm import AudioLM

Kind = Literal["text", "units"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a task reads and writes, and how many languages its tag names."""

    reads: Kind
    writes: Kind
    languages: int = 1


TASKS: Final[Mapping[str, Task]] = {
    "ASR": Task("units", "text"),
    "TTS": Task("text", "units"),
    "AST": Task("units", "text", 2),
    "MT": Task("text", "text", 2),
    "S2ST": Task("units", "units", 2),
    "S2T": Task("units", "text"),
    "S2S": Task("units", "units"),
}
"""Recognition, synthesis, translation of speech and of text into text, of speech into speech; answers to what is asked,
in text and in speech."""
TEXT: Final = "text"
"""The name of what is only text, in no task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPaLMConfig:
    """Text and units that it reads and writes, the trunk, and the languages that it was taught, named in English."""

    text: Tokens
    units: Tokens
    trunk: TransformerConfig
    tied: bool = True
    languages: tuple[str, ...] = ("English",)

    @property
    def whole(self) -> Layout:
        """Text and units."""
        return Layout(blocks=(self._segment("tag", "text", "given"), self._segment("source", "units", "given")))

    def layout(self, tasks: Sequence[str]) -> Layout:
        """Tag, source, then what comes of each task; only text for no task."""
        if not tasks:
            return Layout(blocks=(self._segment(TEXT, "text", "made"),), within=self.whole)
        blocks = [self._segment("tag", "text", "given"), self._segment("source", TASKS[tasks[0]].reads, "given")]
        blocks += [self._segment(task, TASKS[task].writes, "made") for task in tasks]
        return Layout(blocks=tuple(blocks), within=self.whole)

    def _segment(self, name: str, kind: Kind, role: Role) -> Segment:
        return Segment(stream=replace(self.text if kind == "text" else self.units, name=name), role=role, mark=kind)

    def tag(self, tasks: Sequence[str], languages: Sequence[str]) -> str:
        """``[ASR AST French English]``; SpecError for tasks and languages that are not known, or do not fit."""
        unknown = [task for task in tasks if task not in TASKS]
        if unknown or not tasks:
            raise SpecError(f"there is no task {(unknown or [''])[0]!r}; the tasks are {', '.join(TASKS)}")
        if foreign := [language for language in languages if language not in self.languages]:
            raise SpecError(f"this model was not taught {foreign[0]!r}; its languages are {', '.join(self.languages)}")
        if len({TASKS[task].reads for task in tasks}) > 1 or len(set(tasks)) < len(tasks):
            raise SpecError(f"the tasks {' '.join(tasks)} cannot be combined; they read different things or repeat")
        count = max(TASKS[task].languages for task in tasks)
        if len(languages) != count:
            raise SpecError(f"the tasks {' '.join(tasks)} name {count} languages, got {len(languages)}")
        return f"[{' '.join((*tasks, *languages))}]"

    def build(self) -> "AudioPaLMModel":
        """The module with fresh weights."""
        return AudioPaLMModel(self)


@final
class AudioPaLMModel(nn.Module):
    """The part ``audiopalm``: one language model."""

    def __init__(self, config: AudioPaLMConfig) -> None:
        """All of it is learnt."""
        super().__init__()
        self.config = config
        self.lm: StreamLM = StreamLMConfig(trunk=config.trunk, lanes=config.whole.sizes, tied=config.tied).build()

    def forward(self, ids: Tensor) -> list[Tensor]:
        """Scores of the next column, for a `train.tasks.grid.GridTask`."""
        return self.lm(ids)


@final
class AudioPaLM:
    """Does tasks; keeps nothing between them."""

    def __init__(self, model: AudioPaLMModel, text: ChatText, units: Units, acoustic: AudioLM | None = None) -> None:
        """SpecError when text, units or acoustic model are not those that belong to the model."""
        for wanted, found in ((model.config.text, text.tokens), (model.config.units, units.tokens)):
            check_learnt(wanted, found)
        if acoustic is not None and acoustic.model.config.units != units.tokens:
            raise SpecError(f"the acoustic model says {acoustic.model.config.units}, this one writes {units.tokens}")
        self.model, self.text, self.units, self.acoustic = model.eval(), text, units, acoustic

    def do(
        self,
        tasks: Sequence[str],
        source: Stream[Wave] | str,
        languages: Sequence[str] = (),
        *,
        sampler: Sampler = GREEDY,
        seed: int = 0,
        most: int = 1500,
    ) -> dict[str, str | Stream[Tokens]]:
        """What comes of each task, in their order: text, or units on their clock; in the model's first language where
        none is named.

        Raises SpecError for tasks that do not fit together or to the source, for languages that are not known, and for
        a source in which there is nothing or too much.
        """
        work = self.work(tasks, source, languages, sampler=sampler, seed=seed, most=most)
        while True:
            try:
                next(work)
            except StopIteration as done:
                found: dict[str, str | Stream[Tokens]] = done.value
                return found

    def work(
        self,
        tasks: Sequence[str],
        source: Stream[Wave] | str,
        languages: Sequence[str] = (),
        *,
        sampler: Sampler = GREEDY,
        seed: int = 0,
        most: int = 1500,
    ) -> Generator[None, None, dict[str, str | Stream[Tokens]]]:
        """As `do`, a column at a time, so that it can be stopped."""
        row, config = self._row(tasks, source, languages, seed, most), self.model.config
        writer = Writer(self.model.lm, sampler)
        state = writer.init_state(1, room=ROOM)
        writer.begin(state, 0, row)
        while not row.done:
            writer.step(state)
            yield
        assert row.cursor is not None
        found: dict[str, str | Stream[Tokens]] = {}
        for task in tasks:
            ids = row.cursor.frames(task)
            if TASKS[task].writes == "text":
                found[task] = self.text.read(ids[0].tolist())
            else:
                found[task] = Stream(config.units, ids[None], torch.tensor([ids.shape[1]]))
        return found

    @torch.inference_mode()
    def many(
        self, tasks: Sequence[str], sources: Sequence[Stream[Wave]], *, most: int = 1500, at_once: int = 16
    ) -> list[list[str]]:
        """The texts of each task for many recordings, the likeliest ones. SpecError for tasks that write units."""
        if any(TASKS[task].writes != "text" for task in tasks if task in TASKS):
            raise SpecError(f"many recordings at once are for tasks that write text, got {' '.join(tasks)}")
        rows = [self._row(tasks, source, (), 0, most) for source in sources]
        made = Writer(self.model.lm, GREEDY).streams(rows, at_once=at_once)
        return [[self.text.read(one[task][0].tolist()) if task in one else "" for one in made] for task in tasks]

    @property
    def sounding(self) -> AudioLM:
        """The acoustic model. SpecError where there is none."""
        if self.acoustic is None:
            raise SpecError(
                "this model has no acoustic model; train one of the same units (vivavoce train audiolm) and copy its "
                "parts audiolm and codec into the model's folder"
            )
        return self.acoustic

    def sound(self, units: Stream[Tokens], voice: Stream[Wave] | None = None, seed: int = 0) -> Stream[Wave]:
        """Units as sound, in the voice of a clip. SpecError without an acoustic model."""
        rows = units.rows
        return self.sounding.say(rows, voice, seeds=[seed + row for row in range(len(rows))])

    def _row(
        self, tasks: Sequence[str], source: Stream[Wave] | str, languages: Sequence[str], seed: int, most: int
    ) -> Row:
        config = self.model.config
        tag = config.tag(tasks, languages or config.languages[:1])
        wanted = TASKS[tasks[0]].reads
        if (wanted == "text") != isinstance(source, str):
            raise SpecError(f"the task {tasks[0]} reads {wanted}, got {type(source).__name__}")
        if isinstance(source, str) and not source.strip():
            raise SpecError(f"the task {tasks[0]} needs a text, got an empty one; give some words")
        known = self._ids(source) if isinstance(source, str) else self.units.encode(source).data[0]
        items = {"tag": self._ids(tag), "source": known}
        used = sum(item.shape[1] + 1 for item in items.values())
        if used >= config.trunk.window:
            raise SpecError(f"the source takes {used} columns, the model sees {config.trunk.window}; give less of it")
        return Row(Cursor(config.layout(tasks), items), Uniforms(seed), most=min(used + most, config.trunk.window))

    def _ids(self, text: str) -> Tensor:
        return torch.tensor([self.text.plain(text)], dtype=torch.long)
