"""Text as streams of tokens: phones as they are said, or pieces of words that come back unchanged."""

from collections.abc import Sequence
from typing import final

import torch

from vivavoce.core.config import dump
from vivavoce.core.streams import Stream, Tokens, alphabet_of, padded
from vivavoce.text.bpe import Bpe, BpeConfig
from vivavoce.text.normalise import phrases
from vivavoce.text.phones import PHONES, SIL, ids
from vivavoce.text.pronounce import pronounce


def _rows(spec: Tokens, rows: Sequence[Sequence[int]]) -> Stream[Tokens]:
    return padded(spec, [torch.tensor([row], dtype=torch.long) for row in rows])


@final
class PhoneTokenizer:
    """Phones without stress; a pause before the first word, at every mark, and after the last word."""

    def __init__(self) -> None:
        """Nothing is learnt: the alphabet is the list of phones."""
        self.tokens = Tokens(name="phones", alphabet=alphabet_of("phones", PHONES), size=len(PHONES))

    def encode(self, texts: Sequence[str]) -> Stream[Tokens]:
        """A row per text; TextError for one in which nothing can be said."""
        return _rows(self.tokens, [self._phones(text) for text in texts])

    def _phones(self, text: str) -> list[int]:
        words = [word for phrase in phrases(text) for word in phrase.words]
        found = [SIL]
        for word, form in zip(words, pronounce([word.text for word in words]), strict=True):
            found += [phone.symbol for phone in form]
            found += [SIL] if word.mark else []
        return ids(found if found[-1] == SIL else [*found, SIL])


@final
class BpeTokenizer:
    """Pieces of words, merged from bytes."""

    def __init__(self, config: BpeConfig) -> None:
        """The alphabet is the digest of the merges."""
        self.bpe = Bpe(config)
        self.tokens = Tokens(name="text", alphabet=alphabet_of("bpe", dump(config)), size=self.bpe.size)

    def encode(self, texts: Sequence[str]) -> Stream[Tokens]:
        """A row per text."""
        return _rows(self.tokens, [self.bpe.encode(text) for text in texts])

    def decode(self, stream: Stream[Tokens]) -> list[str]:
        """The texts; SpecError for pieces of another vocabulary."""
        return [self.bpe.decode(row[0].tolist()) for row in stream.expect(self.tokens).rows]
