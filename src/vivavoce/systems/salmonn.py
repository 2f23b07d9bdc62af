"""SALMONN: a language model of text is given ears (arXiv:2310.13289).

Two frozen encoders hear half a minute, one trained on speech and one on other sounds; their frames stand side by side,
a Q-Former over windows makes 88 vectors of them, and these stand among the words of a chat. Only the bridge
(`models.bridge`) and small maps beside the language model's weights are learnt, in three stages: recognition, many
tasks under many instructions, and a few long answers with the small maps turned down (activation). How much these count
can be chosen afterwards.

Departs: the second encoder is any that is handed in, or there is none; the bridge may spell, and then it hands over as
many vectors as pieces were said; recordings need not be filled up to half a minute; answers are written greedily.
With a bridge that spells, what is said can be written down by it and the language model jointly (`generate.joint`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, NamedTuple, Protocol, final, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.audio.loudness import at_level
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Latents, Stream, Tokens, Wave
from vivavoce.data.phrasings import phrased
from vivavoce.generate.joint import JointConfig, JointWriter, SpellingTree
from vivavoce.generate.writer import ROOM, Line, Row, Writer, WriterState
from vivavoce.models.bridge import BridgeConfig, Bridged
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.trunk import ChatText, without_holes
from vivavoce.nn.lora import LoraConfig, add_lora, only_lora, scale_lora
from vivavoce.nn.transformer import TransformerConfig, TransformerState

LORA: Final = LoraConfig(rank=8, alpha=32.0, dropout=0.1)


@runtime_checkable
class Hears(Protocol):
    """An encoder of sound, such as `models.encoder.Encoder`."""

    @property
    def wave(self) -> Wave:
        """What it hears."""
        ...

    def spec(self) -> Latents:
        """The frames that it gives."""
        ...

    def encode(self, sound: Stream[Wave]) -> Stream[Latents]:
        """Sound to frames."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownFrom:
    """A language model that can be fetched: its name, and the digest of the file of its weights."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SalmonnConfig:
    """The bridge, the text and the trunk, and how much sound is taken at once.

    ``filled``: recordings are filled up to ``seconds`` with silence, so that each takes as many vectors.
    ``system_message`` is the one that it was taught under; None: the chat model's own. ``question`` asks it to write
    down what is said; empty: any wording does. ``llm`` is the language model that it grew from where that one's weights
    are not in the part.

    With ``joint`` what is said is written down by bridge and language model jointly. The model then goes on after the
    lines of ``shown``, as it was published; where there are none it is asked ``question`` about what it hears.
    """

    bridge: BridgeConfig
    text: Tokens
    trunk: TransformerConfig
    tied: bool = True
    lora: LoraConfig = LORA
    stage: int = 1
    seconds: float = 30.0
    filled: bool = True
    system_message: str | None = None
    question: str = ""
    llm: GrownFrom | None = None
    joint: JointConfig | None = None
    shown: tuple[str, ...] = ()
    earlier_names: ClassVar[tuple[tuple[str, str], ...]] = (("told", "system_message"),)

    @property
    def frames(self) -> int:
        """Frames of the first encoder at most."""
        assert self.bridge.first.rate is not None
        return int(self.seconds * self.bridge.first.rate)

    @property
    def heard(self) -> int:
        """Vectors that a recording takes among the words at most."""
        return self.bridge.windows.vectors(self.frames)

    def build(self) -> "SalmonnModel":
        """The module with fresh weights; ConfigError for widths that do not fit and frames without a clock."""
        if self.bridge.width != self.trunk.dim:
            raise ConfigError(f"the bridge makes vectors of {self.bridge.width}, the words have {self.trunk.dim}")
        if self.joint is not None and self.bridge.spelling is None:
            raise ConfigError("only a bridge that spells can write jointly; train one with `vivavoce train bridge`")
        return SalmonnModel(self)


@dataclass(frozen=True, slots=True)
class HeardBatch:
    """Frames of the encoders, ``lengths`` of the first that are sound (all if None); words, and before which of them
    what is heard stands; ``weights`` are on the answers.

    A bridge that spells may be taught so besides: ``pieces`` and their ``counts`` (`models.bridge`).
    """

    first: Float[Tensor, "B T D"]
    second: Float[Tensor, "B U E"] | None
    ids: Int[Tensor, "B S"]
    at: Int[Tensor, " B"]
    weights: Float[Tensor, "B S"]
    lengths: Int[Tensor, " B"] | None = None
    pieces: Int[Tensor, "B P"] | None = None
    counts: Int[Tensor, " B"] | None = None
    seconds: float = 0.0


class Answered(NamedTuple):
    """Scores of every word that has a weight, these words and weights, and what the bridge heard."""

    scores: Float[Tensor, "N V"]
    wanted: Int[Tensor, " N"]
    weights: Float[Tensor, " N"]
    heard: Bridged


@final
class SalmonnModel(nn.Module):
    """The part ``salmonn``: the bridge, and the language model with its small maps."""

    def __init__(self, config: SalmonnConfig, lm: StreamLM | None = None) -> None:
        """``lm`` gets the small maps and is kept, in whatever precision; without, one is made with fresh weights.

        Its own weights cannot be learnt.
        """
        super().__init__()
        self.config = config
        self.bridge = config.bridge.build()
        fresh = StreamLMConfig(trunk=config.trunk, lanes=(config.text.size,), tied=config.tied, lora=config.lora)
        self.lm: StreamLM = fresh.build() if lm is None else lm
        if lm is not None:
            add_lora(lm.trunk, config.lora)
        only_lora(self.lm)

    def read(self, known: StreamLM) -> None:
        """Takes the weights of a language model without small maps, of as many ids or more."""
        size = self.config.text.size
        weights = {name.replace(".qkv.", ".qkv.linear."): value for name, value in known.state_dict().items()}
        weights |= {name: weights[name][:size] for name in ("embed", "out") if name in weights}
        self.lm.load_state_dict({**self.lm.state_dict(), **weights})

    def forward(self, batch: HeardBatch) -> Answered:
        """Scores of the words of answers, each from what stands before it."""
        heard = self.bridge(batch.first, batch.second, batch.lengths)
        hidden = self.lm.trunk(self.mixed(batch.ids, batch.at, heard))
        rows, places = batch.weights.nonzero(as_tuple=True)
        before = places - 1 + torch.where(places >= batch.at[rows], heard.counts[rows], 0)
        scores = self._scores(hidden[rows, before])
        return Answered(scores, batch.ids[rows, places], batch.weights[rows, places], heard)

    def mixed(self, ids: Int[Tensor, "B S"], at: Int[Tensor, " B"], heard: Bridged) -> Float[Tensor, "B L W"]:
        """Words, and what is heard in its place; behind a row's end stands anything."""
        words = self.lm.embedded(ids[:, None])
        vectors, counts, size = heard.vectors.to(words.dtype), heard.counts[:, None], ids.shape[1]
        places = torch.arange(size + int(counts.max()), device=ids.device)[None]
        behind = (places - counts).clamp(max=size - 1)
        found = torch.where(places < at[:, None] + counts, size + places - at[:, None], behind)
        found = torch.where(places < at[:, None], places, found)
        both = torch.cat((words, vectors), dim=1)
        return both.gather(1, found[..., None].expand(-1, -1, both.shape[-1]))

    @torch.no_grad()
    def write(
        self, heard: Bridged, pieces: Sequence[Sequence[int]], ends: frozenset[int], most: int = 200
    ) -> list[list[int]]:
        """The likeliest answers about several recordings, between the same words, up to what ends them."""
        rows = len(heard.counts)
        state, hidden = self.begun(heard, pieces, most)
        found: list[list[int]] = [[] for _ in range(rows)]
        ended = [False] * rows
        for _ in range(most):
            best = self._scores(hidden).argmax(-1)
            for row, id in enumerate(best.tolist()):
                ended[row] |= id in ends
                if not ended[row]:
                    found[row].append(id)
            if all(ended):
                break
            hidden = self.lm.read(best[:, None, None], state)
        return found

    @torch.no_grad()
    def begun(
        self, heard: Bridged, pieces: Sequence[Sequence[int]], room: int
    ) -> tuple[TransformerState, Float[Tensor, "B W"]]:
        """The language model after several recordings between the same words, with ``room`` to go on."""
        rows, (before, after) = len(heard.counts), pieces
        ids = torch.tensor([[*before, *after]], device=heard.counts.device).expand(rows, -1)
        sizes = heard.counts + ids.shape[1]
        x = self.mixed(ids, torch.full((rows,), len(before), device=ids.device), heard)
        state = self.lm.init_state(rows, room=x.shape[1] + room)
        hidden = self.lm.trunk.step(x, state)[torch.arange(rows), sizes - 1]
        state.position.copy_(sizes)  # what was read behind a row's end is written over
        return state, hidden

    def _scores(self, hidden: Float[Tensor, "N W"]) -> Float[Tensor, "N V"]:
        return self.lm.scores(hidden, 0, torch.zeros(len(hidden), 0, dtype=torch.long, device=hidden.device))


def words(pieces: Sequence[Sequence[int]], answer: Sequence[int]) -> tuple[Tensor, int, Tensor]:
    """Ids of one conversation, before which of them what is heard stands, and weights on the answer."""
    before, after = pieces
    ids = torch.tensor([*before, *after, *answer], dtype=torch.long)
    weights = torch.zeros(len(ids))
    weights[len(ids) - len(answer) :] = 1.0
    return ids, len(before), weights


def pieces_of(
    text: ChatText, question: str, past: Sequence[dict[str, str]] = (), *, system_message: str | None = None
) -> list[list[int]]:
    """A conversation with a question about a recording as ids, before and after what is heard.

    It stands where ``…`` is first in the question, before it if there is none; ``system_message`` is that of one
    without.
    """
    *past, asked = without_holes(text, [*past, {"role": "user", "content": question}])
    if "…" not in asked["content"]:
        asked["content"] = f"…\n{asked['content']}"
    if system_message is not None and not any(message["role"] == "system" for message in past):
        past = [{"role": "system", "content": system_message}, *past]
    asked["content"] = asked["content"].replace("…", text.hole, 1)
    return text.around([*past, asked])


@final
class Salmonn:
    """Answers questions about what is heard; keeps nothing between them."""

    def __init__(
        self, model: SalmonnModel, text: ChatText, first: Hears, second: Hears | None, *, scale: float | None = None
    ) -> None:
        """``scale`` is how much the small maps count, as trained if left out; 0 leaves the language model as it was.

        SpecError when text or encoders are not those that belong to the model.
        """
        config = model.config
        own = None if second is None else second.spec()
        for wanted, found in (
            (config.text, text.tokens), (config.bridge.first, first.spec()), (config.bridge.second, own),
        ):  # fmt: skip
            if found != wanted:
                raise SpecError(f"this model was trained on {wanted}, got {found}; use the parts it was trained with")
        self.model, self.text, self.first, self.second = model.eval(), text, first, second
        self.scale = config.lora.alpha / config.lora.rank if scale is None else scale
        """How much the small maps count where they do."""
        scale_lora(model, self.scale)

    def answer(
        self,
        sound: Stream[Wave],
        question: str,
        ends: frozenset[int],
        *,
        past: Sequence[dict[str, str]] = (),
        most: int = 200,
    ) -> Iterator[str]:
        """The answer about one recording, longer after each step.

        ``…`` in the question is where the recording stands, before it if there is none. SpecError for a recording that
        lasts too long.
        """
        line = self._asked(sound, question, past)
        for _ in range(most):
            id = int(line.scores().argmax())
            if id in ends:
                return
            line.push([id])
            yield self.text.read(line.written)

    @torch.inference_mode()
    def heard(self, sound: Stream[Wave]) -> Bridged:
        """What the bridge makes of one recording. SpecError for one that lasts too long."""
        config = self.model.config
        encoders = (self.first, *(() if self.second is None else (self.second,)))
        frames = [encode(one, sound, config.seconds, filled=config.filled) for one in encoders]
        found = self.model.bridge(frames[0], frames[1] if len(frames) > 1 else None)
        return found._replace(vectors=found.vectors[:, : int(found.counts[0])])

    def answers(self, heard: Sequence[Bridged], question: str, *, most: int = 200) -> list[str]:
        """The answers to one question (as in `answer`) about several recordings that the bridge has heard."""
        pieces = pieces_of(self.text, question, system_message=self.model.config.system_message)
        return [self.text.read(ids) for ids in self.model.write(_together(heard), pieces, self.text.ends, most)]

    def transcripts(self, heard: Sequence[Bridged], *, joint: bool | None = None, most: int = 200) -> list[str]:
        """What was said in several recordings that the bridge has heard, written down together.

        By bridge and language model jointly, or else by the language model alone; None: as the configuration says.
        """
        config = self.model.config
        question = config.question or phrased("recognise", "…")
        if not (config.joint is not None if joint is None else joint):
            return self.answers(heard, question, most=most)
        pieces = pieces_of(self.text, question, system_message=config.system_message)
        together = _together(heard)
        scores = [
            one.scores[0, : int(one.lengths[0])].numpy()
            for one in heard
            if one.scores is not None and one.lengths is not None
        ]
        with torch.inference_mode():
            if config.shown:
                scale_lora(self.model, 0.0)
                state, hidden = self._after_lines
                state, hidden = state.rows([0] * len(heard)), hidden.expand(len(heard), -1)
            else:
                state, hidden = self.model.begun(together, pieces, ROOM)
            found = self.joint.write(scores, state, hidden)
        scale_lora(self.model, self.scale)
        return [self.text.read(ids) for ids in found]

    @cached_property
    def joint(self) -> JointWriter:
        """Bridge and language model, writing jointly."""
        config = self.model.config
        assert config.joint is not None and config.bridge.spelling is not None
        tree = SpellingTree(self.text.words_spelled(config.bridge.spelling.pieces))
        ends = self.text.plain("\n") if config.shown else self.text.ends
        return JointWriter(self.model.lm, tree, frozenset(ends), config.joint)

    @cached_property
    def _after_lines(self) -> tuple[TransformerState, Tensor]:
        ids = self.text.plain("\n" + "".join(f" {line}\n" for line in self.model.config.shown))
        state = self.model.lm.init_state(1, room=len(ids))
        return state, self.model.lm.read(torch.tensor(ids)[None, None], state)

    @torch.inference_mode()
    def _asked(self, sound: Stream[Wave], question: str, past: Sequence[dict[str, str]]) -> Line:
        """A line that has read everything up to where the answer begins."""
        heard = self.heard(sound)
        pieces = pieces_of(self.text, question, past, system_message=self.model.config.system_message)
        vectors = [self.model.lm.embedded(torch.tensor([[piece]])) for piece in pieces]
        x = torch.cat((vectors[0], heard.vectors.to(vectors[0].dtype), *vectors[1:]), dim=1)
        state = self.model.lm.init_state(1, room=x.shape[1] + ROOM)
        hidden = self.model.lm.trunk.step(x, state)[:, -1]
        return Line(Writer(self.model.lm), WriterState(state, hidden, [Row()]))


def _together(heard: Sequence[Bridged]) -> Bridged:
    """Several recordings as rows."""
    vectors = pad_sequence([one.vectors[0] for one in heard], batch_first=True)
    return Bridged(vectors, torch.cat([one.counts for one in heard]))


def encode(encoder: Hears, sound: Stream[Wave], seconds: float, *, filled: bool = True) -> Float[Tensor, "1 T D"]:
    """One recording, at one level and filled up with silence if wanted, as frames. SpecError for one that lasts too
    long."""
    rate, wanted = sound.spec.sample_rate, encoder.wave.sample_rate
    size = int(seconds * wanted)
    data = sound.data[:, 0, : int(sound.lengths[0])]
    if rate != wanted:
        data = resample(data, rate, wanted)
    if data.shape[1] > size:
        raise SpecError(f"got {data.shape[1] / wanted:.1f} s of sound, this model hears {seconds:g} s at once; cut it")
    data = at_level(data[0], wanted)[None]
    if filled:
        data = F.pad(data, (0, size - data.shape[1]))
    found = encoder.encode(Stream(encoder.wave, data[:, None], torch.tensor([data.shape[1]])))
    return found.data.transpose(1, 2)
