"""VALL-E: anybody's voice from a few seconds of it, as a language model of a codec's tokens (arXiv:2301.02111).

The first book is written left to right after the phones and the prompt's first book, the others book by book at once.
Of VALL-E 2 (arXiv:2406.05370): the first book is drawn aware of repetitions (§4.2) and may be written in groups of
frames (§3). Departs: rotary positions instead of sinusoids that begin anew in each segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.core.layout import Cursor, Layout, Segment
from vivavoce.core.parts import load_part
from vivavoce.core.rng import Uniforms
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt, padded
from vivavoce.generate.samplers import RepetitionAware, Sampler
from vivavoce.generate.writer import Row, Writer
from vivavoce.models.book import BookLM, BookLMConfig, mean_vectors
from vivavoce.models.codec import Codec
from vivavoce.models.latents import Books, books_of
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig

_SAMPLER = RepetitionAware()
_FRAMES_PER_PHONE = 16  # a reply that is longer is stopped (the paper's released code)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValleConfig:
    """The streams that it was trained on, and the trunks of the first book and of the others."""

    phones: Tokens
    codes: Tokens
    first: TransformerConfig
    rest: TransformerConfig
    group: int = 1
    """Frames of the first book that are one step of its model."""

    @property
    def layout(self) -> Layout:
        """Phones, then the first book."""
        first = Segment(stream=self.codes.first(1), group=self.group)
        return Layout(blocks=(Segment(stream=self.phones, role="given"), first))

    def build(self) -> "ValleModel":
        """Both models with fresh weights."""
        return ValleModel(self)


@final
class ValleModel(nn.Module):
    """The part ``valle``: two language models."""

    def __init__(self, config: ValleConfig) -> None:
        """Neither shares anything with the other."""
        super().__init__()
        self.config = config
        # heads tied to the embeddings make the first book's model less exact (Li's reimplementation)
        sizes, codes = config.layout.sizes, config.codes
        first = StreamLMConfig(trunk=config.first, lanes=sizes, tied=False, group=config.group > 1)
        self.first: StreamLM = first.build()
        rest = BookLMConfig(trunk=config.rest, text=config.phones.size, books=codes.books, size=codes.size)
        self.rest: BookLM = rest.build()


@final
class Valle:
    """Speaks; texts of a batch cost one pass per frame together."""

    def __init__(self, model: ValleModel, codec: Codec, *, means: bool = False) -> None:
        """SpecError when the codec is not the one whose tokens (its first books, or all) were learnt.

        With ``means`` what is heard of the other books is the mean of their vectors by the scores, not the likeliest
        one, which is smoother where the model is unsure (a departure). Ids stay the likeliest.
        """
        check_learnt(model.config.codes, codec.tokens.first(model.config.codes.books))
        self.model, self.codec, self.layout = model.eval(), codec, model.config.layout
        self.books: Books | None = books_of(codec, model.config.codes.books) if means else None
        self.sample_rate: int = codec.config.sample_rate
        self.takes: frozenset[Taken] = frozenset({"clip"})

    @staticmethod
    def load(folder: Path, *, means: bool = False) -> "Valle":
        """From the parts ``valle`` and ``codec`` in a folder."""
        return Valle(load_part(folder, "valle"), load_part(folder, "codec"), means=means)

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One sentence, in the voice of the clip if there is one."""
        return self.speak(sentence.all_phones, sentence.prompt, seeds=[sentence.seed])

    @torch.inference_mode()
    def speak(
        self,
        phones: Stream[Tokens],
        prompt: Stream[Wave] | None = None,
        *,
        sampler: Sampler = _SAMPLER,
        seeds: Sequence[int] = (),
    ) -> Stream[Wave]:
        """A row of sound for each row of phones; a prompt's own phones stand before those that are to be said.

        Raises SpecError for streams of alphabets that were not learnt.
        """
        heard, rows = self._heard(prompt, len(phones.data)), []
        for number, items in enumerate(self.layout.rows({"phones": phones, "codes": heard.part(0, 1)})):
            said = items["phones"].shape[1]
            most = 2 + said + (_FRAMES_PER_PHONE * said + int(heard.lengths[number])) // self.model.config.group
            rows.append(Row(Cursor(self.layout, items), Uniforms(seeds[number] if seeds else number), most=most))
        firsts = [written["codes"] for written in Writer(self.model.first, sampler).streams(rows)]
        return self._sounding(phones, firsts, heard)

    @torch.inference_mode()
    def refined(
        self, phones: Stream[Tokens], first: Stream[Tokens], prompt: Stream[Wave] | None = None
    ) -> Stream[Wave]:
        """What the second model makes of first books that are known (those of the sentences, without the prompts')."""
        heard = self._heard(prompt, len(phones.data))
        known = first.expect(self.model.config.codes.first(1)).rows
        firsts = [torch.cat(pair, dim=1) for pair in zip(heard.part(0, 1).rows, known, strict=True)]
        return self._sounding(phones, firsts, heard)

    def _heard(self, prompt: Stream[Wave] | None, rows: int) -> Stream[Tokens]:
        """Whole groups of the frames of the prompts, without the silence that pushes their ends out of the codec."""
        codes = self.model.config.codes
        if prompt is None:
            return padded(codes, [torch.zeros(codes.books, 0, dtype=torch.long)] * rows)
        heard, lengths = self.codec.encode(prompt).part(0, codes.books), prompt.lengths // self.codec.config.hop
        return padded(codes, [self.layout.segments[-1].whole(row) for row in Stream(codes, heard.data, lengths).rows])

    def _sounding(
        self, phones: Stream[Tokens], firsts: Sequence[Int[Tensor, "1 _"]], prompt: Stream[Tokens]
    ) -> Stream[Wave]:
        """First books, the prompts' among them, with all others, as sound without the prompts."""
        pairs = zip(firsts, prompt.rows, strict=True)
        begun = [torch.cat((first, pad(one[1:], (0, first.shape[1] - one.shape[1])))) for first, one in pairs]
        codes, scores = self.model.rest.fill(phones, padded(prompt.spec, begun), prompt.lengths)
        vectors = None if self.books is None else mean_vectors(self.books, codes.data, scores, prompt.lengths)
        sound = self.codec.decode(codes) if vectors is None else self.codec.decode_vectors(vectors, codes.lengths)
        return sound.after(prompt.lengths * self.codec.config.hop)


speaker = Valle.load
