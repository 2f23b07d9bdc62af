"""`/v1/responses`: text and sound in, text and calls out; a conversation goes on by the id of its last response."""

import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from vivavoce.core.errors import VivavoceError
from vivavoce.core.talk import Entry
from vivavoce.runtime.api import Add, Input, Output, Respond, SessionConfig, TextOut, ToolCall, TurnConfig
from vivavoce.server.items import user_entry
from vivavoce.server.names import check_model
from vivavoce.server.outputs import checked, first_of
from vivavoce.server.problems import NotFound, Problem
from vivavoce.server.remembered import Remembered
from vivavoce.server.replies import ERRORS, sse, warned
from vivavoce.server.response_events import ResponseWriter
from vivavoce.server.service import Service
from vivavoce.server.sessions import choice_of, tool_of
from vivavoce.server.sound_parts import SoundPart, sound_in
from vivavoce.server.wire.fields import JsonObject, Name, Text
from vivavoce.server.wire.sessions import FunctionTool, ToolChoice


class WrittenPart(BaseModel):
    """Text, whoever wrote it."""

    type: Literal["input_text", "output_text", "text", "refusal"]
    text: Text = ""
    refusal: Text = ""


class OtherPart(BaseModel):
    """What can be sent to others; here it is refused."""

    type: Literal["input_image", "input_file", "computer_screenshot"]


Part = Annotated[WrittenPart | SoundPart | OtherPart, Field(discriminator="type")]


class MessageItem(BaseModel):
    """A message; its type may be left out."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Text | list[Part]


class CallItem(BaseModel):
    """An earlier call."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Text


class OutputItem(BaseModel):
    """What a call gave."""

    type: Literal["function_call_output"]
    call_id: Name
    output: Text | list[Part]


class ThoughtItem(BaseModel):
    """What another model thought to itself; it is passed over."""

    type: Literal["reasoning"]


Item = Annotated[MessageItem | CallItem | OutputItem | ThoughtItem, Field(discriminator="type")]


class TextFormat(BaseModel):
    """How the answer is written; only as text."""

    type: Literal["text", "json_object", "json_schema"] = "text"


class TextOptions(BaseModel):
    """Options of the text."""

    format: TextFormat | None = None


class ResponsesRequest(BaseModel):
    """What is to be answered; other options of OpenAI's (temperature, reasoning …) are taken and change nothing."""

    model_config = ConfigDict(strict=True)

    model: Name
    input: Text | list[Item]
    instructions: Text | None = None
    previous_response_id: Name | None = None
    tools: list[JsonObject] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    metadata: dict[str, str] | None = None
    store: bool | None = None
    stream: bool | None = None
    background: bool | None = None
    conversation: Any = None
    text: TextOptions | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _typed(cls, given: Any) -> Any:
        """A message may come without its type."""
        if not isinstance(given, list):
            return given
        return [{"type": "message", **item} if isinstance(item, dict) and "role" in item else item for item in given]


class Forgotten(BaseModel):
    """The id of the response that was deleted."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


@dataclass(frozen=True, slots=True)
class Kept:
    """A response, and the conversation up to and with it."""

    response: dict[str, Any]
    entries: tuple[Entry, ...]


async def entries_of(request: ResponsesRequest, before: int) -> tuple[str, list[Entry], list[str]]:
    """Instructions among the input, the input's entries, and what was wrong with recordings that were read anyway;
    ``before`` entries stand before them."""
    if isinstance(request.input, str):
        return "", [Entry(id=f"item_{before}", text=request.input)], []
    inline: list[str] = []
    entries: list[Entry] = []
    warnings: list[str] = []
    for index, item in enumerate(request.input):
        name, where = f"item_{before + index}", f"input[{index}]"
        if isinstance(item, CallItem):
            entries.append(
                Entry(
                    id=name, kind="call", role="assistant", call=item.call_id, name=item.name, arguments=item.arguments
                )
            )
        elif isinstance(item, OutputItem):
            text, _ = await _content(item.output, f"{where}.output", warnings)
            entries.append(Entry(id=name, kind="result", call=item.call_id, output=text))
        elif isinstance(item, MessageItem):
            text, sounds = await _content(item.content, f"{where}.content", warnings)
            if item.role in ("system", "developer"):
                inline.append(text)
            elif item.role == "user":
                entries.append(user_entry(name, text, sounds))
            elif text:
                entries.append(Entry(id=name, role="assistant", text=text))
    return "\n".join(inline), entries, warnings


async def _content(content: str | list[Any], where: str, warnings: list[str]) -> tuple[str, list[Any]]:
    if isinstance(content, str):
        return content, []
    texts, sounds = [], []
    for number, part in enumerate(content):
        if isinstance(part, OtherPart):
            refused = f"A part of type '{part.type}' is not supported by this server; send text or audio."
            raise Problem(refused, "not_supported", f"{where}[{number}]")
        if isinstance(part, SoundPart):
            sounds.append(await sound_in(part, f"{where}[{number}].input_audio", warnings))
        else:
            texts.append(part.text or part.refusal)
    return "\n".join(texts), sounds


def config_of(request: ResponsesRequest, inline: str) -> SessionConfig:
    """How the answer is to be made."""
    for name, value in (("background", request.background), ("conversation", request.conversation)):
        if value:
            message = f"'{name}' is not supported by this server; send the input, or previous_response_id."
            raise Problem(message, "not_supported", name)
    if request.text is not None and request.text.format is not None and request.text.format.type != "text":
        message = "Answers in JSON are not supported; declare a function and force it with tool_choice."
        raise Problem(message, "not_supported", "text.format")
    declared = tuple(_tool(given, f"tools[{index}]") for index, given in enumerate(request.tools or []))
    tools, choice = choice_of(request.tool_choice or "auto", declared, "tool_choice")
    return SessionConfig(
        instructions="\n".join(filter(None, (request.instructions, inline))),
        audio_out=False,
        tools=tools,
        tool_choice=choice,
        one_call=request.parallel_tool_calls is False,
        turns=TurnConfig(kind="none"),
        max_output_tokens=request.max_output_tokens,
    )


def _tool(given: dict[str, Any], where: str) -> Any:
    if given.get("type") != "function":
        kind = str(given.get("type"))[:60]
        raise Problem(f"A tool of type '{kind}' is not supported by this server; declare functions.", param=where)
    try:
        tool = FunctionTool.model_validate({key: given.get(key) for key in FunctionTool.model_fields if key in given})
    except ValueError as error:
        raise Problem(f"The tool is no function: {str(error).splitlines()[-1][:200]}", param=where) from error
    return tool_of(tool.name, tool.description, tool.parameters, f"{where}.parameters")


RESPONSE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created_at", "status", "model", "output", "usage"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "response"},
        "status": {"enum": ["completed", "incomplete", "failed", "in_progress"]},
        "output": {"type": "array", "items": {"type": "object", "required": ["id", "type"]}},
    },
}
"""What an answer that is not streamed looks like."""


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/v1/responses", tags=["responses"])
    memory: Remembered[Kept] = Remembered()
    content = {"application/json": {"schema": RESPONSE}, "text/event-stream": {"schema": {"type": "string"}}}
    described = {**ERRORS, 200: {"description": "The answer", "content": content}}

    def found(key: str) -> Kept:
        kept = memory.find(key)
        if kept is None:
            raise NotFound(f"There is no response '{key[:100]}', or it is forgotten.", "not_found", "response_id")
        return kept

    @routes.post("", summary="Answer a conversation", response_class=Response, responses=described)
    async def respond(request: ResponsesRequest) -> Response:
        """Text and sound in, text and calls out."""
        mind = check_model(request.model, "chat", service.minds)
        past: tuple[Entry, ...] = ()
        if request.previous_response_id is not None:
            before = memory.find(request.previous_response_id)
            if before is None:
                message = f"The response '{request.previous_response_id}' is not known; send the whole conversation."
                raise Problem(message, "previous_response_not_found", "previous_response_id")
            past = before.entries
        inline, entries, warnings = await entries_of(request, len(past))
        config, whole = replace(config_of(request, inline), mind=mind), (*past, *entries)
        inputs: list[Input] = [*(Add(entry) for entry in whole), Respond()]
        outputs = await first_of(checked(service.one_turn(config, inputs), "input"), (TextOut, ToolCall))
        writer = ResponseWriter(_head(request))
        events = _streamed(outputs, writer, memory if request.store is not False else None, whole)
        if request.stream:
            return StreamingResponse(_stream(events), headers=warned(warnings), media_type="text/event-stream")
        async for event in events:
            if event["type"] == "response.failed" and writer.error is not None:
                raise writer.error
        return JSONResponse(writer.response, headers=warned(warnings))

    @routes.get("/{response_id}", summary="An earlier answer", response_class=Response, responses=described)
    async def retrieve(response_id: str) -> Response:
        """A response of the last hour, unless it was sent with ``store: false``."""
        return JSONResponse(found(response_id).response)

    @routes.delete("/{response_id}", summary="Forget an answer", responses=ERRORS)
    async def delete(response_id: str) -> Forgotten:
        """The conversation cannot go on from it any more."""
        found(response_id)
        memory.forget(response_id)
        return Forgotten(id=response_id)

    return routes


def _head(request: ResponsesRequest) -> dict[str, Any]:
    """What of a response is known before it is made."""
    choice = request.tool_choice or "auto"
    return {
        "id": f"resp_{secrets.token_hex(16)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": request.model,
        "instructions": request.instructions,
        "previous_response_id": request.previous_response_id,
        "tools": request.tools or [],
        "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "store": request.store is not False,
    }


async def _streamed(
    outputs: AsyncIterator[Output], writer: ResponseWriter, memory: Remembered[Kept] | None, before: tuple[Entry, ...]
) -> AsyncIterator[dict[str, Any]]:
    """The events of an answer; when it has ended it is remembered."""
    for event in writer.begin():
        yield event
    try:
        async for output in outputs:
            for event in writer.take(output):
                yield event
    except (VivavoceError, Problem) as error:
        yield writer.fail(error)
        return
    if memory is not None:
        made = (replace(entry, id=f"item_{len(before) + number}") for number, entry in enumerate(writer.entries))
        memory.keep(writer.response["id"], Kept(writer.response, (*before, *made)))


async def _stream(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    async for event in events:
        yield f"event: {event['type']}\n{sse(event)}"
