"""SALMONN: a language model of text is given ears (arXiv:2310.13289).

Two frozen encoders hear half a minute, one trained on speech and one on other sounds; their frames stand side by side,
a Q-Former over windows makes 88 vectors of them, and these stand among the words of a chat. Only the Q-Former, the
projection behind it and small maps beside the language model's weights are learnt, in three stages: recognition, many
tasks under many instructions, and a few long answers with the small maps turned down (activation). How much these count
can be chosen afterwards. Departs: the second encoder is any that is handed in; answers are written greedily.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Latents, Stream, Tokens, Wave
from vivavoce.generate.writer import ROOM, Line, Row, Writer, WriterState
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.trunk import ChatText
from vivavoce.nn.lora import LoraConfig, only_lora, scale_lora
from vivavoce.nn.qformer import WindowQFormerConfig
from vivavoce.nn.transformer import TransformerConfig

LORA: Final = LoraConfig(rank=8, alpha=32.0, dropout=0.1)
_FILL = 0


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
class SalmonnConfig:
    """The frames of both encoders, the text and the trunk, and how much sound is taken at once.

    ``window_seconds`` go into one vector; 0.333 s of 30 s are 17 of 1,500 frames.
    """

    first: Latents
    second: Latents
    text: Tokens
    trunk: TransformerConfig
    qformer: TransformerConfig
    tied: bool = True
    lora: LoraConfig = LORA
    stage: int = 1
    seconds: float = 30.0
    window_seconds: float = 0.333

    @property
    def frames(self) -> int:
        """Frames of the first encoder."""
        assert self.first.rate is not None
        return int(self.seconds * self.first.rate)

    @property
    def windows(self) -> WindowQFormerConfig:
        """The Q-Former."""
        window = max(1, round(self.frames * self.window_seconds / self.seconds))
        return WindowQFormerConfig(trunk=self.qformer, window=window)

    @property
    def heard(self) -> int:
        """Vectors that a recording takes among the words."""
        return self.windows.vectors(self.frames)

    def build(self) -> "SalmonnModel":
        """The module with fresh weights; ConfigError for widths that do not fit and frames without a clock."""
        if self.first.rate is None or self.second.rate is None:
            raise ConfigError("the frames of both encoders need a clock")
        if self.qformer.memory != self.first.dim + self.second.dim:
            raise ConfigError(
                f"frames of {self.first.dim} and {self.second.dim} stand side by side, the Q-Former looks at "
                f"{self.qformer.memory}; make them equal"
            )
        return SalmonnModel(self)


@dataclass(frozen=True, slots=True)
class HeardBatch:
    """Frames of both encoders, and words in which ``heard`` marks the places of what is heard.

    ``weights`` are on the answers.
    """

    first: Float[Tensor, "B T D"]
    second: Float[Tensor, "B U E"]
    ids: Int[Tensor, "B S"]
    heard: Bool[Tensor, "B S"]
    weights: Float[Tensor, "B S"]
    seconds: float = 0.0


@final
class SalmonnModel(nn.Module):
    """The part ``salmonn``: the bridge, and the language model with its small maps."""

    def __init__(self, config: SalmonnConfig) -> None:
        """The language model's own weights cannot be learnt."""
        super().__init__()
        self.config = config
        self.first_norm, self.second_norm = nn.LayerNorm(config.first.dim), nn.LayerNorm(config.second.dim)
        self.qformer = config.windows.build()
        self.project = nn.Linear(config.qformer.dim, config.trunk.dim)
        lm = StreamLMConfig(trunk=config.trunk, lanes=(config.text.size,), tied=config.tied, lora=config.lora)
        self.lm: StreamLM = lm.build()
        only_lora(self.lm)

    def bridge(self, first: Float[Tensor, "B T D"], second: Float[Tensor, "B U E"]) -> Float[Tensor, "B Q W"]:
        """Frames as vectors among words; those of the second are brought to the clock of the first."""
        rates = self.config.first.rate, self.config.second.rate
        assert rates[0] is not None and rates[1] is not None
        size = max(first.shape[1], int(second.shape[1] * rates[0] / rates[1]))
        places = ((torch.arange(size, device=second.device) + 0.5) * float(rates[1] / rates[0])).long()
        own = self.second_norm(second)[:, places.clamp(max=second.shape[1] - 1)]
        own = own * (places < second.shape[1])[:, None]
        both = torch.cat((F.pad(self.first_norm(first), (0, 0, 0, size - first.shape[1])), own), dim=-1)
        return self.project(self.qformer(both))

    def forward(self, batch: HeardBatch) -> Float[Tensor, "B S V"]:
        """Scores of the next word at every place."""
        x = self.lm.embedded(batch.ids[:, None])
        heard = self.bridge(batch.first, batch.second).to(x.dtype)
        return self.lm.scored(x.masked_scatter(batch.heard[..., None], heard))[0]


def words(pieces: Sequence[Sequence[int]], answer: Sequence[int], heard: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, places of what is heard, and weights of one conversation with one recording in it."""
    before, after = pieces
    ids = torch.tensor([*before, *(_FILL,) * heard, *after, *answer], dtype=torch.long)
    places = torch.zeros(len(ids), dtype=torch.bool)
    places[len(before) : len(before) + heard] = True
    weights = torch.zeros(len(ids))
    weights[len(ids) - len(answer) :] = 1.0
    return ids, places, weights


@final
class Salmonn:
    """Answers questions about what is heard; keeps nothing between them."""

    def __init__(
        self, model: SalmonnModel, text: ChatText, first: Hears, second: Hears, *, scale: float | None = None
    ) -> None:
        """``scale`` is how much the small maps count, as trained if left out; 0 leaves the language model as it was.

        SpecError when text or encoders are not those that belong to the model.
        """
        config = model.config
        for wanted, found in (
            (config.text, text.tokens), (config.first, first.spec()), (config.second, second.spec()),
        ):  # fmt: skip
            if found != wanted:
                raise SpecError(f"this model was trained on {wanted}, got {found}; use the parts it was trained with")
        self.model, self.text, self.first, self.second = model.eval(), text, first, second
        scale_lora(model, config.lora.alpha / config.lora.rank if scale is None else scale)

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
    def _asked(self, sound: Stream[Wave], question: str, past: Sequence[dict[str, str]]) -> Line:
        """A line that has read everything up to where the answer begins."""
        frames = [encode(one, sound, self.model.config.seconds) for one in (self.first, self.second)]
        heard = self.model.bridge(frames[0], frames[1])
        asked = question if "…" in question else f"…\n{question}"
        pieces = self.text.around([*past, {"role": "user", "content": asked.replace("…", self.text.hole)}])
        vectors = [self.model.lm.embedded(torch.tensor([[piece]])) for piece in pieces]
        x = torch.cat((vectors[0], heard.to(vectors[0].dtype), *vectors[1:]), dim=1)
        state = self.model.lm.init_state(1, room=x.shape[1] + ROOM)
        hidden = self.model.lm.trunk.step(x, state)[:, -1]
        return Line(Writer(self.model.lm), WriterState(state, hidden, [Row()]))


def encode(encoder: Hears, sound: Stream[Wave], seconds: float) -> Float[Tensor, "1 T D"]:
    """One recording, filled up with silence, as frames. SpecError for one that lasts longer."""
    rate, wanted = sound.spec.sample_rate, encoder.wave.sample_rate
    size = int(seconds * wanted)
    data = sound.data[:, 0]
    if rate != wanted:
        from vivavoce.audio.resample import resample

        data = resample(data, rate, wanted)
    if data.shape[1] > size:
        raise SpecError(f"got {data.shape[1] / wanted:.1f} s of sound, this model hears {seconds:g} s at once; cut it")
    padded = F.pad(data, (0, size - data.shape[1]))[:, None]
    return encoder.encode(Stream(encoder.wave, padded, torch.tensor([size]))).data.transpose(1, 2)
