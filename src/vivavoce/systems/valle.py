"""VALL-E: anybody's voice from a few seconds of it, as a language model of a codec's tokens (arXiv:2301.02111).

The first book is written left to right after the phones and the prompt's first book, the others book by book at once.
Departs: rotary positions instead of sinusoids that begin anew in each segment; the first book is drawn aware of
repetitions (VALL-E 2, arXiv:2406.05370 §4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Cursor, Layout, Segment
from vivavoce.core.parts import load_part
from vivavoce.core.rng import Uniforms
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Tokens, Wave
from vivavoce.generate.samplers import RepetitionAware, Sampler
from vivavoce.generate.writer import Row, Writer
from vivavoce.models.book import BookLM, BookLMConfig
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

    @property
    def layout(self) -> Layout:
        """Phones, then the first book."""
        return Layout(blocks=(Segment(stream=self.phones, role="given"), Segment(stream=self.codes.first(1))))

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
        self.first: StreamLM = StreamLMConfig(trunk=config.first, lanes=config.layout.sizes, tied=False).build()
        codes = config.codes
        self.rest: BookLM = BookLMConfig(
            trunk=config.rest, text=config.phones.size, books=codes.books, size=codes.size
        ).build()


@final
class Valle:
    """Speaks; texts of a batch cost one pass per frame together."""

    def __init__(self, model: ValleModel, codec: Codec, *, means: bool = False) -> None:
        """SpecError when the codec is not the one whose tokens (its first books, or all) were learnt.

        With ``means`` what is heard of the other books is the mean of their vectors by the scores, not the likeliest
        one, which is smoother where the model is unsure (a departure). Ids stay the likeliest.
        """
        if codec.tokens.first(model.config.codes.books) != model.config.codes:
            raise SpecError(f"this model was trained on {model.config.codes}, the codec gives {codec.tokens}")
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
        given: dict[str, Stream[Tokens]] = {"phones": phones}
        codes, prompted = self._heard(prompt, len(phones.data))
        if prompt is not None:
            given["codes"] = Stream(self.model.config.codes.first(1), codes[:, :1], prompted)
        rows = []
        for number, items in enumerate(self.layout.rows(given)):
            seed = seeds[number] if seeds else number
            most = 2 + (1 + _FRAMES_PER_PHONE) * items["phones"].shape[1] + int(prompted[number])
            rows.append(Row(Cursor(self.layout, items), Uniforms(seed), most=most))
        for _ in Writer(self.model.first, sampler).write(rows, at_once=len(rows)):
            pass
        firsts = [row.cursor.final()["codes"][0] for row in rows if row.cursor is not None]
        return self._sounding(phones, codes, prompted, firsts)

    @torch.inference_mode()
    def refined(
        self, phones: Stream[Tokens], first: Stream[Tokens], prompt: Stream[Wave] | None = None
    ) -> Stream[Wave]:
        """What the second model makes of first books that are known (those of the sentences, without the prompts')."""
        codes, prompted = self._heard(prompt, len(phones.data))
        lengths = first.expect(self.model.config.codes.first(1)).lengths
        firsts = [
            torch.cat((known[0, :before], row[0, :length]))
            for known, before, row, length in zip(codes, prompted, first.data, lengths, strict=True)
        ]
        return self._sounding(phones, codes, prompted, firsts)

    def _heard(self, prompt: Stream[Wave] | None, rows: int) -> tuple[Int[Tensor, "B K T"], Int[Tensor, " B"]]:
        """All books of the prompts, and how many frames each has."""
        if prompt is None:
            books = self.model.config.codes.books
            return torch.zeros(rows, books, 0, dtype=torch.long), torch.zeros(rows, dtype=torch.long)
        heard = self.codec.encode(prompt).part(0, self.model.config.codes.books)
        return heard.data, prompt.lengths // self.codec.config.hop  # without the silence that pushes its end out

    def _sounding(
        self, phones: Stream[Tokens], prompt: Tensor, prompted: Int[Tensor, " B"], firsts: Sequence[Int[Tensor, " _"]]
    ) -> Stream[Wave]:
        """First books with all others, as sound without the prompts."""
        lengths = torch.tensor([len(first) for first in firsts])
        codes = torch.zeros(len(firsts), prompt.shape[1], int(lengths.max()), dtype=torch.long)
        for row, (first, known) in enumerate(zip(firsts, prompted.tolist(), strict=True)):
            codes[row, :, :known] = prompt[row, :, :known]
            codes[row, 0, : len(first)] = first
        asked = (phones.data[:, 0], phones.lengths)
        free = torch.arange(codes.shape[2]) >= prompted[:, None]
        apart = torch.zeros(())  # what means are beyond the vectors of the likeliest ids
        for book in range(1, codes.shape[1]):
            stage = torch.full((len(codes),), book)
            scores = self.model.rest(*asked, codes, lengths, prompted, stage)
            codes[:, book] = torch.where(free, scores.argmax(-1), codes[:, book])
            if self.books is not None:
                table = self.books.tables[book]
                apart = apart + free[..., None] * (scores.softmax(-1) @ table - table[codes[:, book]])
        if self.books is None:
            sound = self.codec.decode(Stream(self.model.config.codes, codes, lengths))
        else:
            sound = self.codec.decode_vectors(self.books.vectors(codes) + apart.transpose(1, 2), lengths)
        return _after(sound, prompted * self.codec.config.hop)


def _after(sound: Stream[Wave], samples: Int[Tensor, " B"]) -> Stream[Wave]:
    """Every row without its first samples."""
    lengths = (sound.lengths - samples).clamp(min=0)
    data = torch.zeros(len(lengths), 1, int(lengths.max()))
    for row, (begin, length) in enumerate(zip(samples.tolist(), lengths.tolist(), strict=True)):
        data[row, :, :length] = sound.data[row, :, begin : begin + length]
    return Stream(sound.spec, data, lengths)


speaker = Valle.load
