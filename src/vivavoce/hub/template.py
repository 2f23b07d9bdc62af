"""Chat templates: what a model reads for a conversation. They are data from elsewhere and run in a sandbox."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

from vivavoce.core.errors import MindError, MissingExtra, PartError

Message = Mapping[str, Any]
_MARK = "vvmark"


@dataclass(frozen=True, slots=True)
class CallFormat:
    """How a model writes a call: ``begin`` name ``between`` arguments ``end``."""

    begin: str
    between: str
    end: str


class ChatTemplate:
    """One model's template."""

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        """PartError for one that is none."""
        try:
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise MissingExtra("chat models need the extra 'mind': pip install 'vivavoce[mind]'") from error
        self.source, self._tokens, self._error = source, {"bos_token": bos, "eos_token": eos}, TemplateError
        world = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        world.filters["tojson"] = _to_json
        world.globals |= {"raise_exception": self._refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
        try:
            self._template = world.from_string(source)
        except TemplateError as error:
            raise PartError(f"the model's chat template cannot be read: {error}") from error

    def _refuse(self, message: str) -> NoReturn:
        raise self._error(message)

    def _rendered(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], prompt: bool) -> str:
        given = {"messages": list(messages), "tools": list(tools) or None, "add_generation_prompt": prompt}
        try:
            return self._template.render(**given, **self._tokens)
        except Exception as error:  # a template is a program: it may fail in every way
            raise MindError(f"the model's chat template does not take this conversation: {error}") from error

    def render(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = (), *, prompt: bool = True
    ) -> str:
        """What the model reads, up to where its answer begins (``prompt``).

        Where a template knows no system messages, the first user's message begins with it. MindError when it takes the
        conversation in neither way.
        """
        messages = _joined(messages)
        try:
            return self._rendered(messages, tools, prompt)
        except MindError:
            first, *rest = messages
            if first["role"] != "system" or not rest or rest[0]["role"] != "user":
                raise
            merged = {"role": "user", "content": f"{first['content']}\n\n{rest[0]['content']}"}
            return self._rendered([merged, *rest[1:]], tools, prompt)

    @cached_property
    def calls(self) -> CallFormat | None:
        """How calls are written; None where the template knows no tools."""
        tool = {"type": "function", "function": {"name": _MARK, "description": _MARK, "parameters": {}}}
        asked: list[Message] = [{"role": "user", "content": "Hello"}]
        called = {"type": "function", "id": "callvv000", "function": {"name": _MARK, "arguments": {"a": _MARK}}}
        try:
            before = self._rendered(asked, [tool], True)
            if _MARK not in before:
                return None
            message = {"role": "assistant", "content": "", "tool_calls": [called]}
            after = self._rendered([*asked, message], [tool], False)
        except MindError:
            return None
        if not after.startswith(before):
            return None
        begin, name, rest = after[len(before) :].partition(_MARK)
        between, arguments, end = rest.partition(_to_json({"a": _MARK}))
        return CallFormat(begin, between, end) if name and arguments else None


def _joined(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of one role are one message: many templates want roles to alternate."""
    made: list[Message] = []
    for message in messages:
        last = made[-1] if made else None
        plain = message["role"] in ("user", "system") and last is not None and last["role"] == message["role"]
        if plain and last is not None:
            made[-1] = {**last, "content": f"{last['content']}\n{message['content']}"}
        else:
            made.append(message)
    return made


def _to_json(value: Any, indent: int | None = None, **more: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
