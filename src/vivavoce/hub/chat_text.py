"""The text side of a chat model: its tokens, its template, and what ends a turn; two files in a folder."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import PartError
from vivavoce.core.streams import Tokens, alphabet_of
from vivavoce.hub.published import Published
from vivavoce.hub.template import ChatTemplate, Message
from vivavoce.hub.tokens import ChatTokenizer

CHAT_FILE, TOKENS = "chat.json", "tokenizer.json"
_ENDS = ("<|im_end|>", "<|eot_id|>")
_HOLE = "\ufffc"
"""Stands in a message for what is no text."""


@dataclass(frozen=True)
class ChatText:
    """``tokenizer_json`` and ``source`` are the texts that tokens and template are made of."""

    tokenizer_json: str
    source: str
    bos: str
    eos: str
    ends: frozenset[int]

    @staticmethod
    def of(published: Published, name: str) -> "ChatText":
        """That of a published model; PartError for one that was not made to chat, or whose tokens are not known."""
        if not published.template.strip():
            raise PartError(f"{name} brings no chat template; choose a model that was made to chat (…-Instruct)")
        text = ChatText(published.tokenizer, published.template, published.bos, published.eos, frozenset())
        ChatTemplate(published.template, published.bos, published.eos)
        ids = {text.tokenizer.id(token) for token in (published.eos, *_ENDS) if token}
        ends = frozenset({*published.ends, *(id for id in ids if id)})
        return ChatText(text.tokenizer_json, text.source, text.bos, text.eos, ends)

    @staticmethod
    def load(folder: Path) -> "ChatText":
        """From a folder that `save` wrote; PartError when it is damaged."""
        try:
            stored = json.loads((folder / CHAT_FILE).read_text(encoding="utf-8"))
            tokenizer = (folder / TOKENS).read_text(encoding="utf-8")
            return ChatText(tokenizer, stored["template"], stored["bos"], stored["eos"], frozenset(stored["ends"]))
        except (OSError, ValueError, KeyError) as error:
            raise PartError(
                f"{folder} lacks the text of a chat model, or it is damaged ({error}); make it again"
            ) from error

    def save(self, folder: Path) -> None:
        """Writes both files; ``chat.json`` comes last."""
        with atomic_write(folder / TOKENS) as file:
            file.write_text(self.tokenizer_json, encoding="utf-8")
        stored = {"template": self.source, "bos": self.bos, "eos": self.eos, "ends": sorted(self.ends)}
        with atomic_write(folder / CHAT_FILE) as file:
            file.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @cached_property
    def tokenizer(self) -> ChatTokenizer:
        """Text to ids and back."""
        return ChatTokenizer(self.tokenizer_json)

    @cached_property
    def template(self) -> ChatTemplate:
        """What a conversation looks like."""
        return ChatTemplate(self.source, self.bos, self.eos)

    @property
    def tokens(self) -> Tokens:
        """The stream of its ids; the alphabet is the digest of the tokenizer."""
        return self._tokens

    @cached_property
    def _tokens(self) -> Tokens:
        alphabet = alphabet_of("chat", json.loads(self.tokenizer_json))
        return Tokens(name="text", alphabet=alphabet, size=len(self.tokenizer.pieces))

    def around(self, messages: list[Message]) -> list[list[int]]:
        """A conversation up to where its answer begins, as ids: the pieces around every `hole` in its messages."""
        rendered = self.template.render(messages)
        return [self.tokenizer.encode(piece) for piece in rendered.split(_HOLE)]

    @property
    def hole(self) -> str:
        """What stands in a message for something that is no text."""
        return _HOLE

    def plain(self, text: str) -> list[int]:
        """Ids of a text in which nothing is special, whatever it looks like."""
        return self.tokenizer.plain(text)

    def spelled(self, text: str, below: int) -> list[int]:
        """As `plain`, in ids below a number only; PartError where these cannot spell it."""
        return self.tokenizer.spelled(text, below)

    def words_spelled(self, below: int) -> dict[int, list[int]]:
        """As `spelled`, of every token of plain words (see `ChatTokenizer.words_spelled`)."""
        return self.tokenizer.words_spelled(below)

    def read(self, ids: list[int]) -> str:
        """The text of ids; bytes that make no letter become �."""
        return b"".join(self.tokenizer.pieces[id] for id in ids).decode("utf-8", "replace").strip()
