"""Parler-TTS: a voice and a manner asked for in words, as a language model of a codec's tokens (arXiv:2402.01912).

Two paths that never meet before the trunk: what is said stands before the tokens on their own lane, how it is said is
looked at by cross-attention in every layer. The books are delayed, one column each; the end is written on the first
lane and the later books run on beside it. Departs: phones in place of pieces of words, a book after its end is fill
instead of an end of its own; what reads descriptions is small and learnt with the rest, or a T5 that stays as it is
(`hub.t5`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.layout import Cursor, Layout, Segment
from vivavoce.core.parts import load_part
from vivavoce.core.rng import Uniforms
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt, padded
from vivavoce.data.attributes import Bins
from vivavoce.data.descriptions import DEFAULT
from vivavoce.generate.samplers import Sample, Sampler
from vivavoce.generate.writer import Row, Writer
from vivavoce.models.codec import Codec
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.text_encoder import Pieces, TextEncoding
from vivavoce.nn.attention import Remembered
from vivavoce.nn.transformer import TransformerConfig

_SAMPLER: Final = Sample(top_k=50)
_SECONDS_PER_PHONE: Final = 0.4
"""What is longer than this is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParlerConfig:
    """The streams that it was trained on, its trunk, what reads descriptions, and what their words meant there."""

    phones: Tokens
    codes: Tokens
    trunk: TransformerConfig
    words: TextEncoding
    bins: Bins

    @property
    def layout(self) -> Layout:
        """Phones, then the books, each a column later than the one before."""
        codes = Segment(stream=self.codes, delays=tuple(range(self.codes.books)))
        return Layout(blocks=(Segment(stream=self.phones, role="given"), codes))

    def build(self) -> "ParlerModel":
        """The module with fresh weights; ConfigError for a trunk that cannot look at the encoder's vectors."""
        if self.trunk.memory != self.words.dim:
            raise ConfigError(
                f"the trunk looks at vectors of {self.trunk.memory}, words have {self.words.dim}; make them equal"
            )
        return ParlerModel(self)


@final
class ParlerModel(nn.Module):
    """The part ``parler``: a language model and an encoder of descriptions."""

    def __init__(self, config: ParlerConfig) -> None:
        """The heads are not the embeddings."""
        super().__init__()
        self.config = config
        self.lm: StreamLM = StreamLMConfig(trunk=config.trunk, lanes=config.layout.sizes, tied=False).build()
        self.words: Any = config.words.build()

    def memory(self, pieces: Pieces) -> Remembered:
        """Descriptions as the layers look at them."""
        valid = torch.arange(pieces.ids.shape[1], device=pieces.ids.device) < pieces.lengths[:, None]
        return self.lm.trunk.remember(self.words(pieces), valid)

    def forward(self, ids: Int[Tensor, "B R S"], pieces: Pieces) -> list[Float[Tensor, "B S _"]]:
        """Scores of each lane of the next column."""
        return self.lm(ids, self.memory(pieces))


@final
class Parler:
    """Speaks as it is described; texts of a batch cost one pass per frame together."""

    takes: Final[frozenset[Taken]] = frozenset({"description"})

    def __init__(self, model: ParlerModel, codec: Codec) -> None:
        """SpecError when the codec is not the one whose tokens (its first books, or all) were learnt."""
        check_learnt(model.config.codes, codec.tokens.first(model.config.codes.books))
        self.model, self.codec, self.layout = model.eval(), codec, model.config.layout

    @staticmethod
    def load(folder: Path) -> "Parler":
        """From the parts ``parler`` and ``codec`` in a folder."""
        return Parler(load_part(folder, "parler"), load_part(folder, "codec"))

    @property
    def sample_rate(self) -> int:
        """Of what is said."""
        return self.codec.config.sample_rate

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One sentence, as its description says."""
        return self.speak(sentence.phones, [sentence.description], seeds=[sentence.seed])

    @torch.inference_mode()
    def speak(
        self,
        phones: Stream[Tokens],
        descriptions: Sequence[str],
        *,
        sampler: Sampler = _SAMPLER,
        seeds: Sequence[int] = (),
    ) -> Stream[Wave]:
        """A row of sound for each row of phones and its description; one without words is `DEFAULT`.

        Raises SpecError for phones of another alphabet, or another number of descriptions.
        """
        if len(descriptions) != len(phones.data):
            raise SpecError(
                f"got {len(phones.data)} rows of phones and {len(descriptions)} descriptions; give one each"
            )
        memory = self.model.memory(self.model.words.pieces([text.strip() or DEFAULT for text in descriptions]))
        second = float(self.model.config.codes.rate or 1)
        rows = []
        for number, items in enumerate(self.layout.rows({"phones": phones})):
            said = items["phones"].shape[1]
            most = {"codes": int(second * (1 + _SECONDS_PER_PHONE * said))}
            draw = Uniforms(seeds[number] if seeds else number)
            rows.append(Row(Cursor(self.layout, items, most=most), draw, memory=memory.row(number)))
        made = [written["codes"] for written in Writer(self.model.lm, sampler).streams(rows)]
        return self.codec.decode(padded(self.model.config.codes, made))


speaker = Parler.load
