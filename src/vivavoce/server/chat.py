"""`/v1/chat/completions` with text and sound in and out."""

import secrets
import time
from dataclasses import replace

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivavoce.core.talk import Entry
from vivavoce.runtime.api import Add, AudioOut, Input, Respond, SessionConfig, TextOut, ToolCall, TurnConfig
from vivavoce.server.chat_answers import answer_stream, whole_answer
from vivavoce.server.chat_shapes import (
    COMPLETION,
    AllowedChoiceBody,
    AnyChoice,
    ChatRequest,
    ChoiceBody,
    Message,
    OtherChatPart,
    TextPart,
)
from vivavoce.server.items import user_entry
from vivavoce.server.names import check_model
from vivavoce.server.outputs import checked, first_of
from vivavoce.server.problems import Problem
from vivavoce.server.remembered import Remembered
from vivavoce.server.replies import ERRORS, warned
from vivavoce.server.service import Service
from vivavoce.server.sessions import choice_of, tool_of
from vivavoce.server.sound_parts import sound_in
from vivavoce.server.speech import wanted_voice
from vivavoce.server.wire.sessions import AllowedTools, NamedTool, ToolChoice


async def entries_of(request: ChatRequest, spoken: Remembered[str]) -> tuple[str, list[Entry], list[str]]:
    """Instructions, history, and what was wrong with recordings that were read all the same."""
    instructions: list[str] = []
    entries: list[Entry] = []
    warnings: list[str] = []
    for index, message in enumerate(request.messages):
        name, where = f"item_{index}", f"messages[{index}]"
        text, sounds = await _content(message, where, warnings)
        if message.role in ("system", "developer"):
            instructions.append(text)
        elif message.role == "tool":
            if not message.tool_call_id:
                raise Problem("A tool message needs a tool_call_id.", "missing_required_parameter", where)
            entries.append(Entry(id=name, kind="result", call=message.tool_call_id, output=text))
        elif message.role == "user":
            entries.append(user_entry(name, text, sounds))
        else:
            if message.audio is not None:
                text = _said(message.audio.id, spoken)
            if text:
                entries.append(Entry(id=name, role="assistant", text=text))
            for number, call in enumerate(message.tool_calls or []):
                entries.append(
                    Entry(
                        id=f"{name}_{number}",
                        kind="call",
                        role="assistant",
                        call=call.id,
                        name=call.function.name,
                        arguments=call.function.arguments,
                    )
                )
    return "\n".join(instructions), entries, warnings


def _said(key: str, spoken: Remembered[str]) -> str:
    """What was said in an earlier answer; Problem when it is not known any more."""
    found = spoken.find(key)
    if found is None:
        raise Problem(f"The audio '{key}' is not known; send its text instead.", "invalid_value", "messages")
    return found


async def _content(message: Message, where: str, warnings: list[str]) -> tuple[str, list[np.ndarray]]:
    if not isinstance(message.content, list):
        return message.content or "", []
    texts, sounds = [], []
    for number, part in enumerate(message.content):
        if isinstance(part, OtherChatPart):
            refused = f"A part of type '{part.type}' is not supported by this server; send text or audio."
            raise Problem(refused, "not_supported", f"{where}.content[{number}]")
        if isinstance(part, TextPart):
            texts.append(part.text)
        else:
            sounds.append(await sound_in(part, f"{where}.content[{number}].input_audio", warnings))
    return "\n".join(texts), sounds


def config_of(service: Service, request: ChatRequest, instructions: str) -> SessionConfig:
    """How the answer is to be made."""
    spoken = "audio" in (request.modalities or [])
    if spoken and request.audio is None:
        raise Problem("Audio output needs 'audio' with a voice and a format.", "missing_required_parameter", "audio")
    if request.audio is not None and request.audio.format == "aac":
        raise Problem("AAC is not supported; use wav, mp3, flac, opus or pcm16.", "not_supported", "audio.format")
    if spoken and request.stream and request.audio is not None and request.audio.format != "pcm16":
        raise Problem("A stream of sound is pcm16; set audio.format to 'pcm16'.", "invalid_value", "audio.format")
    if request.response_format is not None and request.response_format.type != "text":
        message = "Answers in JSON are not supported; declare a function and force it with tool_choice."
        raise Problem(message, "not_supported", "response_format")
    if request.logprobs:
        raise Problem("The answer has no log probabilities; leave logprobs out.", "not_supported", "logprobs")
    declared = tuple(
        tool_of(each.name, each.description, each.parameters, f"tools[{index}].function.parameters")
        for index, each in enumerate(tool.function for tool in request.tools or [])
    )
    tools, choice = choice_of(_flat(request.tool_choice), declared, "tool_choice")
    voice = request.audio.voice if request.audio else "default"
    return SessionConfig(
        instructions=instructions,
        voice=wanted_voice(service, voice, None, 1.0),
        audio_out=spoken,
        tools=tools,
        tool_choice=choice,
        one_call=request.parallel_tool_calls is False,
        turns=TurnConfig(kind="none"),
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
        seed=(request.seed or 0) % 2**62,
    )


def _flat(choice: AnyChoice | None) -> ToolChoice:
    """A choice as everything but chat writes it."""
    if isinstance(choice, ChoiceBody):
        return NamedTool(type="function", name=choice.function.name)
    if isinstance(choice, AllowedChoiceBody):
        allowed = [NamedTool(type="function", name=one.function.name) for one in choice.allowed_tools.tools]
        return AllowedTools(type="allowed_tools", mode=choice.allowed_tools.mode, tools=allowed)
    return choice or "auto"


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(prefix="/v1/chat", tags=["chat"])
    spoken: Remembered[str] = Remembered()
    content = {"application/json": {"schema": COMPLETION}, "text/event-stream": {"schema": {"type": "string"}}}
    described = {**ERRORS, 200: {"description": "The answer", "content": content}}

    @routes.post("/completions", summary="Continue a conversation", response_class=Response, responses=described)
    async def completions(request: ChatRequest) -> Response:
        """Text and sound in, text, sound and calls out."""
        mind = check_model(request.model, "chat", service.minds)
        instructions, entries, warnings = await entries_of(request, spoken)
        config = replace(config_of(service, request, instructions), mind=mind)
        enough = (AudioOut,) if config.audio_out else (TextOut, ToolCall)
        inputs: list[Input] = [*(Add(entry) for entry in entries), Respond()]
        outputs = await first_of(checked(service.one_turn(config, inputs), "messages", partly=True), enough)
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": request.model}
        if request.stream:
            chunks = answer_stream(outputs, head, request, config, spoken)
            return StreamingResponse(chunks, headers=warned(warnings), media_type="text/event-stream")
        return JSONResponse(await whole_answer(outputs, head, request, config, spoken), headers=warned(warnings))

    return routes
