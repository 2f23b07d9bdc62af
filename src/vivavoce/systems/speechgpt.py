"""SpeechGPT: a language model of text that hears and speaks in units (arXiv:2305.11000).

Three stages, each from the one before: units alone (all weights), pairs of units and text under many instructions (all
weights), and the chain of modality, in which a spoken question is written down, answered in writing, and the answer is
said (small maps beside the weights only). The instructions stand in the text model's own chat template; where the
paper has the words ``[ta]`` and ``[ua]`` in the text, these are marks of the layout, so that a cursor reads the chain.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, final

import torch
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.layout import Cursor, Layout, Segment
from vivavoce.core.layout.segments import Role
from vivavoce.core.rng import Uniforms
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt
from vivavoce.data.phrasings import phrased
from vivavoce.generate.samplers import Sample, Sampler
from vivavoce.generate.writer import ROOM, Row, Writer
from vivavoce.models.codec import Codec
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.trunk import ChatText, without_holes
from vivavoce.models.unit_vocoder import UnitVocoder
from vivavoce.models.units import Units, merged
from vivavoce.nn.lora import LoraConfig, only_lora
from vivavoce.nn.transformer import TransformerConfig

log = logging.getLogger(__name__)
Form = Literal[
    "units", "recognise", "synthesise", "speech to speech", "speech to text", "text to speech", "text to text"
]
FORMS: Final[Mapping[Form, tuple[str, ...]]] = {
    "units": ("ua",),
    "recognise": ("instruction", "asked", "then", "tq"),
    "synthesise": ("instruction", "ua"),
    "speech to speech": ("instruction", "asked", "then", "tq", "ta", "ua"),
    "speech to text": ("instruction", "asked", "then", "tq", "ta"),
    "text to speech": ("instruction", "ta", "ua"),
    "text to text": ("instruction", "ta"),
}
"""What follows what: instruction, spoken question, rest of the instruction; question in text, answer, spoken answer."""
CHAINS: Final[tuple[Form, ...]] = ("speech to speech", "speech to text", "text to speech", "text to text")
STAGES: Final[Mapping[int, tuple[Form, ...]]] = {1: ("units",), 2: ("recognise", "synthesise"), 3: CHAINS}
_GIVEN = ("instruction", "asked", "then")
_UNITS = ("asked", "ua")
_SAMPLER = Sample(temperature=0.7, top_k=50, top_p=0.8)
_MOST = 2048
Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechGPTConfig:
    """The text and the units (without repeats) that it reads and writes, the trunk, and the stage it has reached."""

    text: Tokens
    units: Tokens
    trunk: TransformerConfig
    stage: int
    tied: bool = True
    lora: LoraConfig = LoraConfig()

    @property
    def whole(self) -> Layout:
        """All blocks; the layouts of the forms are parts of it."""
        return Layout(blocks=tuple(self._segment(name) for name in FORMS["speech to speech"]))

    def layout(self, form: Form) -> Layout:
        """What a form looks like."""
        return Layout(blocks=tuple(self._segment(name) for name in FORMS[form]), within=self.whole)

    def _segment(self, name: str) -> Segment:
        role: Role = "given" if name in _GIVEN else "made"
        return Segment(stream=replace(self.units if name in _UNITS else self.text, name=name), role=role)

    def build(self) -> "SpeechGPTModel":
        """The module with fresh weights."""
        if self.stage not in STAGES:
            raise ConfigError(f"there is no stage {self.stage}; the stages are 1, 2 and 3")
        return SpeechGPTModel(self)


@final
class SpeechGPTModel(nn.Module):
    """The part ``speechgpt``: one language model."""

    def __init__(self, config: SpeechGPTConfig) -> None:
        """In the third stage only its small maps can be learnt."""
        super().__init__()
        self.config = config
        lora = config.lora if config.stage == 3 else None
        lm = StreamLMConfig(trunk=config.trunk, lanes=config.whole.sizes, tied=config.tied, lora=lora)
        self.lm: StreamLM = lm.build()
        if lora is not None:
            only_lora(self.lm)

    def forward(self, ids: Tensor) -> list[Tensor]:
        """Scores of the next column, for a `train.tasks.grid.GridTask`."""
        return self.lm(ids)


@dataclass(frozen=True, slots=True)
class Chain:
    """What a reply came to, as far as it was written: the question in text, the answer, and its units."""

    question: str = ""
    answer: str = ""
    units: Stream[Tokens] | None = None


@dataclass(slots=True)
class Written:
    """A reply while it is written; ``chain`` can be read at any time."""

    row: Row
    text: ChatText = field(repr=False)
    units: Tokens

    @property
    def chain(self) -> Chain:
        """The parts of it that are there."""
        assert self.row.cursor is not None
        found = self.row.cursor.final()
        tq, ta = (self.text.read(found[name][0].tolist()) if name in found else "" for name in ("tq", "ta"))
        units = None
        if "ua" in found and found["ua"].shape[1]:
            units = Stream(self.units, found["ua"][None], torch.tensor([found["ua"].shape[1]]))
        return Chain(tq, ta, units)


@final
class SpeechGPT:
    """Answers speech or text in speech or text; keeps nothing between replies."""

    def __init__(
        self,
        model: SpeechGPTModel,
        text: ChatText,
        units: Units,
        vocoder: UnitVocoder | None = None,
        codec: Codec | None = None,
    ) -> None:
        """SpecError when the text, the units, the vocoder or the codec are not those that belong to the model."""
        config = model.config
        for wanted, found in ((config.text, text.tokens), (config.units, replace(units.tokens, rate=None))):
            check_learnt(wanted, found)
        if (vocoder is None) != (codec is None):
            raise SpecError("a vocoder of units and a codec belong together; give both or neither")
        if vocoder is not None and codec is not None:
            known = vocoder.config.durations.units, vocoder.config.codes
            if known[0] != units.tokens or known[1] != codec.tokens.first(known[1].books):
                raise SpecError(f"the vocoder makes {known[1]} of {known[0]}, got {codec.tokens} and {units.tokens}")
        self.model, self.text, self.units = model.eval(), text, units
        self.vocoder, self.codec = vocoder, codec

    def heard(self, wave: Stream[Wave]) -> Tensor:
        """One recording as units without repeats, Int[1, U]."""
        return merged(self.units.encode(wave)).units.data[0]

    def given(self, form: Form, messages: Messages, heard: Tensor | None = None, room: int = 0) -> dict[str, Tensor]:
        """The conversation as the streams that a reply begins from; the last message is the question.

        ``heard`` is the spoken question, else its text is taken. The oldest turns are left out, and the log says so,
        until what is given and ``room`` columns fit into the window. SpecError when the question alone does not.
        """
        stage = self.model.config.stage
        known = (*STAGES[stage], *(STAGES[2] if stage == 3 else ()))
        if form not in known:
            raise SpecError(f"this model is of stage {stage} and knows {', '.join(known)}; asked was {form}")
        spoken = "asked" in FORMS[form]
        *past, question = without_holes(self.text, messages)
        question["content"] = phrased(form, self.text.hole if spoken else question["content"])
        dropped = 0
        while True:
            pieces = self.text.around([*past, question])
            streams = [torch.tensor([piece], dtype=torch.long) for piece in pieces]
            items = {"instruction": streams[0]}
            if spoken:
                assert heard is not None
                items |= {"asked": heard, "then": streams[1]}
            size = sum(item.shape[1] + 1 for item in items.values()) + room
            if size <= self.model.config.trunk.window:
                break
            first = next((n for n, message in enumerate(past) if message["role"] != "system"), None)
            if first is None:
                raise SpecError(
                    f"the question takes {size} columns with its answer, the model sees "
                    f"{self.model.config.trunk.window}; ask something shorter"
                )
            after = next((n for n in range(first + 1, len(past)) if past[n]["role"] == "user"), len(past))
            past, dropped = [*past[:first], *past[after:]], dropped + 1
        if dropped:
            log.warning("the context is full: the oldest %d turns are left out", dropped)
        return items

    def write(
        self, form: Form, items: Mapping[str, Tensor], *, sampler: Sampler = _SAMPLER, seed: int = 0, most: int = _MOST
    ) -> Iterator[Written]:
        """A reply, a column at a time; what is given comes from `given`.

        Question and answer in text take a quarter of the room (``most`` columns, or what the window has left) each.
        """
        row = self._row(form, items, seed, most)
        writer = Writer(self.model.lm, sampler)
        state = writer.init_state(1, room=ROOM)
        writer.begin(state, 0, row)
        written = Written(row, self.text, self.model.config.units)
        while not row.done:
            writer.step(state)
            yield written

    def replies(
        self,
        form: Form,
        given: Sequence[Mapping[str, Tensor]],
        *,
        sampler: Sampler = _SAMPLER,
        seed: int = 0,
        most: int = _MOST,
        at_once: int = 16,
    ) -> list[Chain]:
        """As `write`, many at a time."""
        rows = [self._row(form, items, seed + number, most) for number, items in enumerate(given)]
        Writer(self.model.lm, sampler).streams(rows, at_once=at_once)
        return [Written(row, self.text, self.model.config.units).chain for row in rows]

    def _row(self, form: Form, items: Mapping[str, Tensor], seed: int, most: int) -> Row:
        config = self.model.config
        used = sum(item.shape[1] + 1 for item in items.values())
        room = min(most, config.trunk.window - used)
        each = {name: max(1, room // 4) for name in ("tq", "ta")}  # so that a chain comes to its end
        return Row(Cursor(config.layout(form), items, most=each), Uniforms(seed), most=used + room)

    @property
    def sounding(self) -> tuple[UnitVocoder, Codec]:
        """What makes units sound. SpecError without a vocoder."""
        if self.vocoder is None or self.codec is None:
            raise SpecError(
                "this model has no vocoder; train one (vivavoce train unit-vocoder) and copy its parts vocoder and "
                "codec into the model's folder"
            )
        return self.vocoder, self.codec

    def sound(self, units: Stream[Tokens]) -> Stream[Wave]:
        """Units as they sound, in the vocoder's usual voice. SpecError without a vocoder."""
        vocoder, codec = self.sounding
        more, speaker = -(-codec.delay // codec.config.hop), vocoder.config.usual
        return codec.decode(vocoder.render(vocoder.timed(units, speaker), speaker=speaker, more=more))
