"""The mind's language: how a dialogue is written down for a small language model, and the model that reads it.

One text, one lane. A conversation is a line of turns::

    <tools> set light
    <user> make it red <think> <call> set light <args> { colour = red;} <done> <say> Red it is. <end>
    <user> what did you just say <think> <say> I said: <quote> Red it is. <unquote> <end>

What the model writes stands after ``<think>``: calls, then a change of its way of speaking, then the reply. Between
``<quote>`` and ``<unquote>`` it may only copy what stands before in the line, so repeating cannot go wrong. A call is
written in a short form of its JSON text (`MindModel.spell`), one or two ids per property and value.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import TextError
from vivavoce.core.talk import Call
from vivavoce.core.vocab import Vocab
from vivavoce.models.lm import StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.text.bpe import BpeConfig
from vivavoce.text.normalise import normalise

MARKS = (
    "pad tools style user heard result think call args done restyle say quote unquote end cut".split()
)  # their order is part of every trained mind
_LONGEST = 1200
_WORDS = 80
_AFTER_QUOTE = re.compile(r'"(?=\w)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What somebody said and what was answered, as far as it was heard."""

    user: str = ""
    heard: tuple[str, ...] = ()
    """How the user's voice sounded: ``("fast", "high", "loud")``."""
    results: tuple[str, ...] = ()
    """What called tools gave back, answered instead of the user."""
    calls: tuple[Call, ...] = ()
    restyle: str = ""
    """The way of speaking that was asked for in this turn."""
    reply: str = ""
    cut: bool = False
    """The reply was interrupted: ``reply`` is what was heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MindConfig:
    """Vocabulary, trunk, and the tools that the mind was trained to use of its own accord."""

    bpe: BpeConfig
    trunk: TransformerConfig
    tools: tuple[str, ...] = ()

    @property
    def vocab(self) -> Vocab:
        """Text first, then the marks."""
        return Vocab((("text", 256 + len(self.bpe.merges)), ("mark", len(MARKS))))

    def build(self) -> "MindModel":
        """The module with fresh weights."""
        return MindModel(self)


def plain_words(text: str) -> list[str]:
    """A user's words as the mind reads them, typed or recognised; nothing for a text without any that it could read."""
    try:
        words = normalise(text[:_LONGEST])
    except TextError:
        return []
    return words if len(words) <= _WORDS else [*words[: _WORDS // 2], *words[-_WORDS // 2 :]]


class MindModel(nn.Module):
    """The language model with its vocabulary and the spelling of dialogues."""

    def __init__(self, config: MindConfig):
        super().__init__()
        self.config = config
        self.vocab = config.vocab
        self.bpe = config.bpe.build()
        self.lm = StreamLMConfig(trunk=config.trunk, lanes=(self.vocab.size,)).build()
        self._marks = {name: self.vocab.id("mark", place) for place, name in enumerate(MARKS)}

    def forward(self, ids: Int[Tensor, "B 1 S"]) -> list[Float[Tensor, "B S V"]]:
        """Scores of what follows each id, as those of a grid with one lane."""
        return self.lm(ids)

    def mark(self, name: str) -> int:
        """The id of a mark."""
        return self._marks[name]

    def text(self, text: str) -> list[int]:
        """Ids of a text of ours; its first word has a space before it like every other."""
        return self.bpe.encode(f" {text}" if text[:1].isalnum() else text)

    def words(self, words: Iterable[str]) -> list[int]:
        """Ids of words."""
        return [id for word in words for id in self.bpe.encode(f" {word}")]

    def opening(self, tools: Sequence[str]) -> list[int]:
        """The first ids of a line: which of the tools it knows there are."""
        return [self.mark("tools"), *(id for name in tools for id in self.name(name))]

    def name(self, name: str) -> list[int]:
        """Ids of a tool's name."""
        return self.words(re.sub(r"[_\W]+", " ", name).split()) or self.words(["tool"])

    def asked(
        self, words: Sequence[str], heard: Sequence[str] = (), results: Sequence[str] = (), style: str = ""
    ) -> list[int]:
        """One turn up to where the mind begins to write: `plain_words` of the user and of what tools gave back."""
        ids = [self.mark("style"), *self.text(style)] if style else []
        ids += [self.mark("user"), *self.words(words)]
        if heard:
            ids += [self.mark("heard"), *self.words(heard)]
        for result in results:
            ids += [self.mark("result"), *self.words(plain_words(result))]
        return [*ids, self.mark("think")]

    def answered(self, exchange: Exchange, pieces: Sequence[tuple[str, bool]] | None = None) -> list[int]:
        """What the mind wrote in a turn; ``pieces`` are the reply's parts and whether they are quotations."""
        ids: list[int] = []
        for call in exchange.calls:
            ids += [self.mark("call"), *self.name(call.name), self.mark("args"), *self.spelled(call), self.mark("done")]
        if exchange.restyle:
            ids += [self.mark("restyle"), *self.text(exchange.restyle)]
        ids.append(self.mark("say"))
        for text, quoted in pieces if pieces is not None else ((exchange.reply, False),):
            ids += self.quoted(text) if quoted else self.text(text)
        return [*ids, self.mark("cut" if exchange.cut else "end")]

    def quoted(self, text: str) -> list[int]:
        """A text that is copied from what stands before."""
        return [self.mark("quote"), *self.text(text), self.mark("unquote")]

    def spell(self, before: bytes, piece: bytes) -> list[int]:
        """Ids for the next piece of a call's JSON text, in a short form that needs not be read back.

        ``{"size": `` is read as ``{ size =`` and ``"large"`` as `` large;``: values are the words that people say.
        """
        text = piece.decode("utf-8", errors="replace")
        if before.endswith(b'"') and text[:1].isalnum():
            text = f" {text}"
        text = text.replace(', "', " ").replace('": ', " =")
        return self.bpe.encode(_AFTER_QUOTE.sub(" ", text).replace('"', ";"))

    def spelled(self, call: Call) -> list[int]:
        """Ids of a call's whole arguments, piece by piece as they are written under a schema."""
        ids: list[int] = []
        text = b""
        for piece in _pieces(json.loads(call.arguments or "{}")):
            ids += self.spell(text, piece)
            text += piece
        return ids


def _pieces(value: Any) -> list[bytes]:
    """A JSON text cut where a grammar's choices would cut it."""
    if isinstance(value, dict) and value:
        cut: list[bytes] = []
        for place, (key, inner) in enumerate(value.items()):
            opening = ", " if place else "{"
            cut.append(f"{opening}{json.dumps(key, ensure_ascii=False)}: ".encode("utf-8", errors="replace"))
            cut += _pieces(inner)
        return [*cut, b"}"]
    return [json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")]
