"""A mind on this machine: any chat model through its own template, told to answer for the ear.

What the model has read of a conversation is kept between turns, so that only what is new has to be read. The iterator
gives something at every step of the work (an empty `Say` where there is nothing to say), so it can be closed at once.
"""

import codecs
import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vivavoce.assistant.calling import Calling, Message
from vivavoce.assistant.endpoint import messages_of
from vivavoce.assistant.plain import Plain
from vivavoce.core.errors import MindError
from vivavoce.core.talk import Entry, Say, Thought
from vivavoce.generate.kept import Kept, common, push
from vivavoce.generate.writer import Line, Writer
from vivavoce.hub.chat_model import ChatModel
from vivavoce.runtime.model import Context

log = logging.getLogger(__name__)

SYSTEM_MESSAGE = "You are a helpful AI assistant. Answer in one short sentence."
"""Chosen among seven by fifty questions (docs/log.md)."""
_PRIORS = 8
_NOTHING = "Hello."
"""Something that asks for no tool at all."""
_NEXT = ("Hello.", "And why?")
"""Turns that have nothing in common; what prompts with them share stands before any turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatConfig:
    """How long answers may be and what the model is told."""

    system_message: str = SYSTEM_MESSAGE
    """The system message, beside the session's instructions."""
    sentences: int = 3
    """After so many an answer ends, or after ``characters`` at the end of a sentence."""
    characters: int = 300
    tokens: int = 200
    """The longest answer of all."""
    lean: float = 7.5
    """By how much (in log-probability) a call may be less likely than the likeliest beginning, in templates without."""


class ChatMind:
    """Thinking for the runtime by a language model."""

    tools = ()
    """It was taught none; a session declares its own."""

    def __init__(self, model: ChatModel, config: ChatConfig | None = None) -> None:
        """Reads nothing yet."""
        self.model, self.config = model, config or ChatConfig()
        self._kept = Kept(Writer(model.lm))
        self._priors: dict[tuple[int, ...], Tensor] = {}

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model.name

    def respond(self, context: Context) -> Iterator[Thought]:
        """The answer, word by word, or a call."""
        calling = Calling(self.model, context.tools if context.tool_choice != "none" else ())
        ids = self._prompt(context, calling)
        prior = yield from self._prior(context, calling)
        line, known = self._kept.take(ids)
        try:
            for _ in push(line, ids[known:]):
                yield Say("")
            named = "" if context.tool_choice in ("auto", "none", "required") else context.tool_choice
            said = "" if calling.native else _last_words(context)
            if calling.tools and (named or context.tool_choice == "required" or self._leans(line, calling)):
                yield calling.write(line, name=named, prior=prior, said=said)
            else:
                yield from self._written(line, calling, said)
        finally:
            self._kept.give(line)

    # ---- reading ----

    def read(self, context: Context) -> Iterator[None]:
        """Reads all that stands before the words of a next turn: what it is told, its tools, and what was said."""
        calling = Calling(self.model, context.tools if context.tool_choice != "none" else ())
        one, other = (
            self._prompt(replace(context, entries=(*context.entries, Entry(id="next", text=text))), calling)
            for text in _NEXT
        )
        ids = one[: common(one, other) + 1]
        line, known = self._kept.take(ids)
        try:
            for _ in push(line, ids[known:-1]):
                yield
        finally:
            self._kept.give(line)
        for _ in self._prior(context, calling):
            yield

    def _prior(self, context: Context, calling: Calling) -> Generator[Thought, None, Tensor | None]:
        """How likely each tool is where nobody asked for one; found once for what the model is told."""
        if calling.native or len(calling.tools) < 2:
            return None
        nothing = replace(context, entries=(Entry(id="nothing", text=_NOTHING),))
        ids = self._prompt(nothing, calling)
        if (known := self._priors.get(tuple(ids))) is not None:
            return known
        line, shared = self._kept.take(ids)
        try:
            for _ in push(line, ids[shared:]):
                yield Say("")
            found = calling.names(line)
        finally:
            self._kept.give(line)
        self._priors = dict([*self._priors.items(), (tuple(ids), found)][-_PRIORS:])
        return found

    def _prompt(self, context: Context, calling: Calling) -> list[int]:
        """All that the model reads; the oldest turns are left out where it would be too long, which the log says."""
        messages = calling.readable(messages_of(context, self.config.system_message))
        most = self.model.lm.config.trunk.window - self.config.tokens - 1
        first = 1
        while True:
            text = self.model.template.render([messages[0], *messages[first:]], calling.declared)
            ids = self.model.tokenizer.encode(text)
            if len(ids) <= most:
                if first > 1:
                    log.warning("the context is full: the oldest %d messages are left out", first - 1)
                return ids
            if first + 1 >= len(messages):
                raise MindError(f"{self.name} reads {most} tokens at most, and this is {len(ids)} long; say less")
            first = _next_turn(messages, first + max(1, (len(messages) - first) // 2))

    # ---- writing ----

    def _leans(self, line: Line, calling: Calling) -> bool:
        """Whether a call is what the model would begin with, or nearly; templates that know tools need no help."""
        if calling.native:
            return False
        first = self.model.tokenizer.encode(calling.mark)[0]
        chances = line.scores().log_softmax(-1)
        return float(chances.max() - chances[first]) < self.config.lean

    def _written(self, line: Line, calling: Calling, said: str) -> Iterator[Thought]:
        text, decoder, raw = Plain(), codecs.getincrementaldecoder("utf-8")("replace"), ""
        for _ in range(self.config.tokens):
            id = self._next(line)
            line.push([id])
            if id in self.model.ends:
                break
            piece = decoder.decode(self.model.tokenizer.pieces[id])
            raw += piece
            if calling.tools and raw.rstrip().endswith(calling.mark):
                yield calling.write(line, begun=calling.mark, said=said)
                return
            yield Say(text.more(piece))
            if text.repeats or text.sentences >= self.config.sentences:
                break
            if text.sentences and text.characters >= self.config.characters:
                break
        if not text.repeats:
            yield Say(text.rest())

    @torch.inference_mode()
    def _next(self, line: Line) -> int:
        return int(line.scores().argmax())


def _last_words(context: Context) -> str:
    """What the user said last."""
    return next((entry.text for entry in reversed(context.entries) if entry.role == "user" and entry.text), "")


def _next_turn(messages: Sequence[Message], at: int) -> int:
    """The first message of a user from there on, or the last message."""
    return next((n for n in range(at, len(messages)) if messages[n]["role"] == "user"), len(messages) - 1)
