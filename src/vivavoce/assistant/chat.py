"""A mind on this machine: any chat model through its own template, told to answer for the ear.

What the model has read of a conversation is kept between turns, so that only what is new has to be read. The iterator
gives something at every step of the work (an empty `Say` where there is nothing to say), so it can be closed at once.
"""

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vivavoce.assistant.endpoint import messages_of
from vivavoce.assistant.plain import Plain
from vivavoce.core.errors import MindError
from vivavoce.core.talk import Say, Thought
from vivavoce.generate.kept import Kept, push, room
from vivavoce.generate.writer import Line, Writer
from vivavoce.hub.chat_model import ChatModel
from vivavoce.runtime.model import Context

TOLD = "You are a helpful voice assistant. Answer in one or two short sentences."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatConfig:
    """How long answers may be and what the model is told."""

    told: str = TOLD
    """The system message, beside the session's instructions."""
    sentences: int = 3
    """After so many an answer ends, or after ``characters`` at the end of a sentence."""
    characters: int = 300
    tokens: int = 200
    """The longest answer of all."""


class ChatMind:
    """Thinking for the runtime by a language model."""

    tools = ()
    """It was taught none; a session declares its own."""

    def __init__(self, model: ChatModel, config: ChatConfig | None = None) -> None:
        """Reads nothing yet."""
        self.model, self.config = model, config or ChatConfig()
        self._kept = Kept(Writer(model.lm))

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model.name

    def respond(self, context: Context) -> Iterator[Thought]:
        """The answer, word by word."""
        ids = self._prompt(context)
        line, known = self._kept.take(ids)
        try:
            for _ in push(line, ids[known:]):
                yield Say("")
            yield from self._written(line)
        finally:
            self._kept.give(line)

    # ---- reading ----

    def _prompt(self, context: Context) -> list[int]:
        """All that the model reads; the oldest turns are left out where it would be too long."""
        messages = [_readable(message) for message in messages_of(context, self.config.told)]
        most = self.model.lm.config.trunk.window - self.config.tokens - 1
        first = 1
        while True:
            ids = self.model.tokenizer.encode(self.model.template.render([messages[0], *messages[first:]]))
            if len(ids) <= most:
                return ids
            if first + 1 >= len(messages):
                raise MindError(f"{self.name} reads {most} tokens at most, and this is {len(ids)} long; say less")
            first = _next_turn(messages, first + max(1, (len(messages) - first) // 2))

    # ---- writing ----

    def _written(self, line: Line) -> Iterator[Thought]:
        text, decoder = Plain(), codecs.getincrementaldecoder("utf-8")("replace")
        for _ in range(self.config.tokens):
            id = self._next(line)
            room(line, 1)
            line.push([id])
            if id in self.model.ends:
                break
            yield Say(text.more(decoder.decode(self.model.tokenizer.pieces[id])))
            if text.repeats or text.sentences >= self.config.sentences:
                break
            if text.sentences and text.characters >= self.config.characters:
                break
        if not text.repeats:
            yield Say(text.rest())

    @torch.inference_mode()
    def _next(self, line: Line) -> int:
        return int(line.scores().argmax())


def _next_turn(messages: Sequence[dict[str, Any]], at: int) -> int:
    """The first message of a user from there on, or the last message."""
    return next((n for n in range(at, len(messages)) if messages[n]["role"] == "user"), len(messages) - 1)


def _readable(message: dict[str, Any]) -> dict[str, Any]:
    """A message as templates want it: arguments are objects."""
    if "tool_calls" not in message:
        return message
    calls = []
    for call in message["tool_calls"]:
        function = call["function"]
        try:
            arguments = json.loads(function["arguments"] or "{}")
        except ValueError:
            arguments = function["arguments"]
        calls.append({**call, "function": {**function, "arguments": arguments}})
    return {**message, "tool_calls": calls}
