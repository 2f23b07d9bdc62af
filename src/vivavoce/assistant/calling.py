"""How a chat model is told of tools and writes calls: as its template says, or in a block of our own where it has none.

Names are chosen among the tools that are there, arguments are written under their schema, so a call can always be
carried out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.assistant.declared import shared
from vivavoce.assistant.quoted import Quoted
from vivavoce.core.talk import Call, Tool
from vivavoce.generate.constrained import choose
from vivavoce.generate.spelled import write_spelled
from vivavoce.generate.writer import Line
from vivavoce.hub.chat_model import ChatModel
from vivavoce.hub.template import CallFormat
from vivavoce.text.json_schema import arguments_place

Message = Mapping[str, Any]
_OURS = CallFormat('<tool_call>{"name": "', '", "arguments": ', "}</tool_call>")
_BLOCK = (
    "You have these functions:\n{tools}\nTo do something, answer only with a call like "
    '<tool_call>{{"name": "set_alarm", "arguments": {{"time": "07:00"}}}}</tool_call>'
)
_NAMED = 3.0
"""What a word that a request shares with one tool alone adds to that tool's log-probability."""


class Calling:
    """The tools of one reply."""

    def __init__(self, model: ChatModel, tools: Sequence[Tool]) -> None:
        """For a model and what it may call."""
        self.model, self.tools = model, tuple(tools)
        self.native = model.template.calls is not None
        self.format = model.template.calls or _OURS

    @property
    def mark(self) -> str:
        """What a call begins with: up to the first space."""
        return self.format.begin.strip().split()[0]

    @property
    def declared(self) -> list[dict[str, Any]]:
        """The tools as a template takes them; none where they stand in the system message."""
        if not self.native:
            return []
        return [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
            for t in self.tools
        ]

    def readable(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation as the template takes it."""
        made = [_as_objects(message) for message in messages]
        if self.native:
            return made
        if self.tools:
            block = _BLOCK.format(tools="\n".join(_line(tool) for tool in self.tools))
            made[0] = {**made[0], "content": f"{made[0]['content']}\n\n{block}"}
        return [self._written(message) for message in made]

    def _written(self, message: Message) -> Message:
        if message["role"] == "tool":
            return {"role": "user", "content": f"<tool_response>{message['content']}</tool_response>"}
        calls = [
            f"{_OURS.begin}{call['function']['name']}{_OURS.between}"
            f"{json.dumps(call['function']['arguments'], ensure_ascii=False)}{_OURS.end}"
            for call in message.get("tool_calls", ())
        ]
        if not calls:
            return message
        return {"role": message["role"], "content": "\n".join([message["content"], *calls]).strip()}

    def names(self, line: Line) -> Float[Tensor, " T"]:
        """Log-probabilities of the tools' names behind the beginning of a call; the line has read that."""
        line.push(self.model.tokenizer.encode(self.format.begin))
        return line.branches([self.model.tokenizer.encode(tool.name + self.format.between) for tool in self.tools])

    def write(
        self, line: Line, *, begun: str = "", name: str = "", prior: Tensor | None = None, said: str = ""
    ) -> Call:
        """A call of whichever tool fits best, or of the one of this ``name``; ``begun`` stands there already.

        ``prior`` are the names' log-probabilities where nothing in particular was asked for, and are taken off: small
        models have favourites. ``said`` are words that name a tool, and that arguments are quoted from.
        """
        tokens = self.model.tokenizer
        if name or begun or prior is None:
            line.push(tokens.encode(self.format.begin.lstrip().removeprefix(begun)))
            tools = [tool for tool in self.tools if not name or tool.name == name]
            tool = tools[choose(line, [tokens.encode(tool.name + self.format.between) for tool in tools])]
        else:
            named = _NAMED * torch.tensor(shared(said, self.tools))
            tool = self.tools[int((self.names(line) - prior + named).argmax())]
        line.push(tokens.encode(tool.name + self.format.between))
        place = arguments_place(tool.parameters)
        arguments = write_spelled(line, place, tokens.pieces, tokens.encode, Quoted(said) if said else None)
        line.push(tokens.encode(self.format.end.rstrip()))
        return Call(tool.name, arguments.decode())


def _as_objects(message: Message) -> Message:
    """A message whose calls have objects for arguments, as templates want them."""
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


def _line(tool: Tool) -> str:
    """A tool in one line: its name, what it takes, what it does."""
    properties = tool.parameters.get("properties", {}) if isinstance(tool.parameters, dict) else {}
    takes = ", ".join(f"{name}: {_kind(schema)}" for name, schema in properties.items())
    return f"- {tool.name}({takes}): {tool.description}".rstrip(": ")


def _kind(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema:
        return " or ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    return str(schema.get("type", "any"))
