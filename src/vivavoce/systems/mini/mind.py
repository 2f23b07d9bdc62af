"""The mind of vivavoce-mini at work: reads a dialogue, writes calls, a way of speaking, and the reply, piece by piece.

The line of text that it reads and writes is described in `models.mind`. Calls come first (some 20 ms), written under
the JSON schema of their tool: what can only go one way is read at once, listed values are scored together, and what the
user said weighs in (`systems.mini.grounding`). Calls are always the likeliest; only the reply is sampled.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from vivavoce.core.errors import ToolError
from vivavoce.core.talk import Call, Say, Tool
from vivavoce.generate.constrained import choose, write
from vivavoce.generate.samplers import GREEDY, Sampler
from vivavoce.generate.writer import Draw, Line, Writer
from vivavoce.models.mind import Exchange, MindModel, plain_words
from vivavoce.systems.mini.grounding import CallBias, Forms
from vivavoce.text.grammar import Place
from vivavoce.text.json_schema import arguments_place

_CALLS = 6
_REPLY = 160
_STYLE = 16
_PHRASE_ENDS = frozenset(".,!?;:")
_I = re.compile(r"(?<![\w'])i(?=(?:'(?:m|ll|d|ve))?(?![\w']))")


@dataclass(frozen=True, slots=True, kw_only=True)
class MindContext:
    """All that a reply depends on."""

    history: tuple[Exchange, ...] = ()
    user: str = ""
    results: tuple[str, ...] = ()
    """Outputs of tools that are to be answered instead of the user's words."""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required`` or the name of a declared tool."""
    heard: tuple[str, ...] = ()
    """How the user's voice sounds, as words: ``("fast", "high", "loud")``."""
    style: str = ""
    """How we speak at present, in words; empty: as usual."""
    limit: int = _REPLY
    """The reply's most ids; it breaks off there."""


@dataclass(frozen=True, slots=True)
class Style:
    """From here on speak like this: words of a description, or ``normal``."""

    words: str


MindEvent = Say | Call | Style


@final
class Mind:
    """A trained `MindModel` that answers; keeps nothing between replies, so several threads may ask at once."""

    def __init__(self, model: MindModel, forms: Forms | None = None):
        """``forms``: how the values of the tool that it was taught are said."""
        self.model = model.eval()
        self.forms = forms or Forms()
        self.writer = Writer(model.lm)

    def prepare(self, context: MindContext) -> Line:
        """Reads what is known already (history, the first words), to be handed to `respond` later.

        The user's last words may still change; what `respond` finds different is read again.
        """
        line = self._line([])
        line.push(self._prompt(context)[:-1])
        line.scores()
        return line

    def respond(
        self,
        context: MindContext,
        *,
        sampler: Sampler = GREEDY,
        uniforms: Draw = lambda: 0.5,
        prepared: Line | None = None,
    ) -> Iterator[MindEvent]:
        """The reply, piece by piece; closing the iterator ends it.

        Raises ToolError for a tool whose schema cannot be enforced or a choice that is not declared.
        """
        places = {tool.name: grammar_of(tool) for tool in context.tools}
        offered, forced = self._choices(context, places)
        prompt = self._prompt(context)
        line = self._line(prompt, prepared)
        model = self.model
        for number in range(_CALLS):
            may = bool(offered) and (not forced or not number)
            if not may or not (forced or self._calls_now(line)):
                break
            yield self._call(line, offered, places, context)
            if forced and not set(offered) & set(model.config.tools):
                return  # a tool that it does not know: there is nothing to say about it
            forced = False
            offered = [name for name in offered if name in model.config.tools]
        if self._pick(line, ["restyle", "say"]) == "restyle":
            yield Style(self._style(line, prompt))
        yield from self._say(line, prompt, sampler, uniforms, min(context.limit, _REPLY))

    # ---- what is read ----

    def _prompt(self, context: MindContext) -> list[int]:
        """The line up to where the reply begins; the oldest turns are left out where they do not fit."""
        model = self.model
        known = [tool.name for tool in context.tools if tool.name in model.config.tools]
        if context.tool_choice == "none":
            known = []
        words = plain_words(context.user)
        opening, last = model.opening(known), model.asked(words, context.heard, context.results, context.style)
        room = model.config.trunk.window - _REPLY - len(opening) - len(last)
        turns: list[list[int]] = []
        for exchange in reversed(context.history):
            asked = model.asked(plain_words(exchange.user), exchange.heard, exchange.results)
            turn = [*asked, *model.answered(exchange)]
            room -= len(turn)
            if room < 0:
                break
            turns.insert(0, turn)
        return [*opening, *(id for turn in turns for id in turn), *last]

    def _line(self, prompt: list[int], prepared: Line | None = None) -> Line:
        """A line that has read the prompt, as far as possible by going on from a prepared one."""
        if prepared is not None and prepared.written == prompt[: len(prepared.written)]:
            line = prepared.copy()
            line.push(prompt[len(line.written) :])
            return line
        line = Line(self.writer)
        line.push(prompt)
        return line

    # ---- calls ----

    def _choices(self, context: MindContext, places: dict[str, Place]) -> tuple[list[str], bool]:
        """Which tools may be called, and whether one has to be."""
        known = [name for name in places if name in self.model.config.tools]
        match context.tool_choice:
            case "auto":
                return known, False
            case "none":
                return [], False
            case "required":
                if not places:
                    raise ToolError("a tool call is required but no tool is declared; declare one or choose 'auto'")
                return known or list(places), True
            case name:
                if name not in places:
                    raise ToolError(f"the tool {name!r} is not declared; declared are {', '.join(places) or 'none'}")
                return [name], True

    def _calls_now(self, line: Line) -> bool:
        return self._pick(line, ["call", "restyle", "say"], push=False) == "call"

    def _call(self, line: Line, offered: list[str], places: dict[str, Place], context: MindContext) -> Call:
        model = self.model
        line.push([model.mark("call")])
        name = offered[choose(line, [[*model.name(name), model.mark("args")] for name in offered])]
        line.push([*model.name(name), model.mark("args")])
        bias = CallBias(
            plain_words(context.user),
            next(tool.parameters for tool in context.tools if tool.name == name),
            known=name in model.config.tools,
            earlier=_arguments(context.history),
            forms=self.forms,
        )
        arguments = write(line, places[name], model.spell, bias.candidates(), bias.weigh)
        line.push([model.mark("done")])
        return Call(name, arguments.decode())

    # ---- text ----

    def _only(self, ids: range, *marks: str) -> Tensor:
        allowed = torch.zeros(self.model.vocab.size, dtype=torch.bool)
        allowed[ids.start : ids.stop] = True
        for mark in marks:
            allowed[self.model.mark(mark)] = True
        return allowed

    def _pick(self, line: Line, marks: list[str], push: bool = True) -> str:
        """The likeliest of several marks."""
        ids = [self.model.mark(mark) for mark in marks]
        best = int(line.scores()[ids].argmax())
        if push:
            line.push([ids[best]])
        return marks[best]

    def _copied(self, line: Line, prompt: list[int], end: str, limit: int) -> Iterator[int]:
        """Ids of a run of whole words of the prompt, chosen one after the other until the mark ``end`` is likelier.

        Where nothing can be copied there is nothing to choose and the run is empty.
        """
        text, stop = self.model.vocab.range("text"), self.model.mark(end)
        piece = self.model.bpe.piece
        starts = [n for n, id in enumerate(prompt) if id in text and piece(id)[:1] == b" "]
        places = starts
        for count in range(limit):
            following: dict[int, list[int]] = {}
            for place in places:
                following.setdefault(prompt[place], []).append(place + 1)
            # A run may end where a word ends; every place that is left agrees on the words so far.
            whole = bool(count) and any(prompt[p] not in text or not piece(prompt[p])[:1].isalnum() for p in places)
            following = {id: after for id, after in following.items() if id in text}
            if not following:
                break
            ids = sorted(following)
            scores = line.scores()[[*ids, stop] if whole else ids]
            best = int(scores.argmax())
            if best == len(ids):
                break
            line.push([ids[best]])
            yield ids[best]
            places = following[ids[best]]
        line.push([stop])

    def _write(
        self, line: Line, prompt: list[int], end: str, sampler: Sampler, uniforms: Draw, most: int
    ) -> Iterator[int]:
        """Ids of a text up to the mark ``end``; quotations are copied."""
        model = self.model
        allowed = self._only(model.vocab.range("text"), "quote", end)
        for _ in range(most):
            chosen = line.take(sampler, uniforms, allowed)
            if chosen == model.mark(end):
                return
            if chosen == model.mark("quote"):
                yield from self._copied(line, prompt, "unquote", most)
            else:
                yield chosen
        line.push([model.mark(end)])

    def _style(self, line: Line, prompt: list[int]) -> str:
        """Words for a way of speaking."""
        return self.model.bpe.decode(self._write(line, prompt, "say", GREEDY, lambda: 0.5, _STYLE)).strip()

    def _say(self, line: Line, prompt: list[int], sampler: Sampler, uniforms: Draw, limit: int) -> Iterator[Say]:
        phrases = _Phrases(self.model.bpe.piece)
        for id in islice(self._write(line, prompt, "end", sampler, uniforms, limit), limit):
            if phrase := phrases.add(id):
                yield Say(phrase)
        if phrase := phrases.rest():
            yield Say(phrase)


class _Phrases:
    """Gathers ids into phrases that end with a mark of punctuation and a space; never splits a character."""

    def __init__(self, piece: Callable[[int], bytes]):
        self.piece = piece
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text = ""
        self.begun = False

    def add(self, id: int) -> str:
        """A phrase when this id begins the next one, else nothing."""
        new = self.decoder.decode(self.piece(id))
        if new[:1] == " " and self.text[-1:] in _PHRASE_ENDS:
            self.text += " "  # says that the phrase is over, so that it can be spoken at once
            phrase = self._whole()
            self.text = new[1:]
            return phrase
        self.text += new
        return ""

    def rest(self) -> str:
        """What is left at the end."""
        self.text += self.decoder.decode(b"", final=True)
        return self._whole()

    def _whole(self) -> str:
        """The phrase as it is written: no space before a reply, a capital at its start and for the word I."""
        text = _I.sub("I", self.text if self.begun else self.text.lstrip())
        if not self.begun:
            text = text[:1].upper() + text[1:]
        self.begun |= bool(text)
        return text


def _arguments(history: tuple[Exchange, ...]) -> set[tuple[str, str]]:
    """The arguments of the calls so far that are texts."""
    calls = [json.loads(call.arguments or "{}") for exchange in history for call in exchange.calls]
    return {(k, v) for call in calls if isinstance(call, dict) for k, v in call.items() if isinstance(v, str)}


@runtime_checkable
class Parameters(Protocol):
    """Whatever has a schema of arguments."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of an object."""
        ...


def grammar_of(tool: Parameters) -> Place:
    """The grammar of a tool's arguments, made once per schema. Raises ToolError for one that cannot be enforced."""
    return _place(json.dumps(tool.parameters))


@cache
def _place(parameters: str) -> Place:
    return arguments_place(json.loads(parameters))
