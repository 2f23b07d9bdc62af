"""`/v1/chat/completions` with text and sound in and out."""

import base64
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from vivavoce.audio.pcm import to_int16
from vivavoce.core.errors import VivavoceError
from vivavoce.core.talk import Entry
from vivavoce.runtime.api import (
    Add,
    AudioOut,
    Input,
    Output,
    Refused,
    Respond,
    SessionConfig,
    TextOut,
    ToolCall,
    TurnConfig,
    TurnEnded,
    Usage,
)
from vivavoce.server.items import base64_bytes, user_entry
from vivavoce.server.names import check_model
from vivavoce.server.replies import ERRORS, broken, sse, warned
from vivavoce.server.service import Service
from vivavoce.server.sessions import choice_of, tool_of
from vivavoce.server.sound_files import read_upload, whole_file
from vivavoce.server.speech import first_of, wanted_voice
from vivavoce.server.wire import JsonObject, Name, NamedTool, Problem, Text, VoiceId

KEPT_SECONDS = 3600
KEPT = 1000


class TextPart(BaseModel):
    """Written."""

    type: Literal["text"]
    text: Text


class SoundData(BaseModel):
    """A sound file in base64; its bytes say what it is, so that ``format`` is taken and changes nothing."""

    data: str
    format: Name


class SoundPart(BaseModel):
    """Said."""

    type: Literal["input_audio"]
    input_audio: SoundData


class AudioReference(BaseModel):
    """An earlier spoken answer."""

    id: Name


class FunctionCallBody(BaseModel):
    """What was called."""

    name: Name
    arguments: Text


class ToolCallBody(BaseModel):
    """An earlier call."""

    id: Name
    type: Literal["function"] = "function"
    function: FunctionCallBody


class OtherPart(BaseModel):
    """What can be sent to others; here it is refused."""

    type: Literal["image_url", "file", "refusal"]


Part = Annotated[TextPart | SoundPart | OtherPart, Field(discriminator="type")]


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[Part] | None = None
    audio: AudioReference | None = None
    tool_calls: list[ToolCallBody] | None = None
    tool_call_id: Name | None = None


class FunctionBody(BaseModel):
    """A function that may be called."""

    name: str = Field(min_length=1, max_length=64)
    description: Text | None = None
    parameters: JsonObject | None = None


class ToolBody(BaseModel):
    """A tool that may be called."""

    type: Literal["function"]
    function: FunctionBody


class NamedFunction(BaseModel):
    """Only its name."""

    name: Name


class ChoiceBody(BaseModel):
    """Force one function."""

    type: Literal["function"]
    function: NamedFunction


class AudioParams(BaseModel):
    """How the answer sounds."""

    voice: Text | VoiceId
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]


class StreamOptions(BaseModel):
    """What else a stream tells."""

    include_usage: bool = False


class ResponseFormat(BaseModel):
    """How the answer is written; only as text."""

    type: Literal["text", "json_object", "json_schema"]


class ChatRequest(BaseModel):
    """A conversation to be continued; other options of OpenAI's (temperature, stop …) are taken and change nothing."""

    model_config = ConfigDict(strict=True)

    model: Name
    messages: list[Message] = Field(min_length=1, max_length=1000)
    modalities: list[Literal["text", "audio"]] | None = None
    audio: AudioParams | None = None
    tools: list[ToolBody] | None = None
    tool_choice: Literal["auto", "none", "required"] | ChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)


_COUNT = {"type": "integer", "minimum": 0}
_WORDS = {"type": ["string", "null"]}
COMPLETION: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": _COUNT,
        "model": {"type": "string"},
        "choices": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["index", "message", "finish_reason"],
                "properties": {
                    "index": {"const": 0},
                    "finish_reason": {"enum": ["stop", "length", "tool_calls"]},
                    "message": {
                        "type": "object",
                        "required": ["role", "content"],
                        "properties": {
                            "role": {"const": "assistant"},
                            "content": _WORDS,
                            "audio": {
                                "type": "object",
                                "required": ["id", "data", "expires_at", "transcript"],
                                "properties": {"data": {"type": "string", "contentEncoding": "base64"}},
                            },
                            "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/ToolCallBody"}},
                        },
                    },
                },
            },
        },
        "usage": {
            "type": "object",
            "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
            "properties": {"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT},
        },
    },
}
"""What an answer that is not streamed looks like."""


@dataclass(slots=True)
class _Remembered:
    text: str
    expires_at: int


class SpokenAnswers:
    """Transcripts of spoken answers, so that a client can refer to them by id for an hour."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Remembered] = OrderedDict()

    def keep(self, text: str) -> tuple[str, int]:
        """The id, and when it is forgotten."""
        key = f"audio_{secrets.token_hex(12)}"
        return key, self.keep_as(key, text)

    def keep_as(self, key: str, text: str) -> int:
        """Keeps it under a name; says when it is forgotten."""
        expires = int(time.time()) + KEPT_SECONDS
        self._kept[key] = _Remembered(text, expires)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return expires

    def text(self, key: str) -> str:
        """What was said; Problem when it is not known any more."""
        found = self._kept.get(key)
        if found is None or found.expires_at < time.time():
            raise Problem(f"The audio '{key}' is not known; send its text instead.", "invalid_value", "messages")
        return found.text


async def entries_of(request: ChatRequest, answers: SpokenAnswers) -> tuple[str, list[Entry], list[str]]:
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
                text = answers.text(message.audio.id)
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


async def _content(message: Message, where: str, warnings: list[str]) -> tuple[str, list[np.ndarray]]:
    if not isinstance(message.content, list):
        return message.content or "", []
    texts, sounds = [], []
    for number, part in enumerate(message.content):
        if isinstance(part, OtherPart):
            refused = f"A part of type '{part.type}' is not supported by this server; send text or audio."
            raise Problem(refused, "not_supported", f"{where}.content[{number}]")
        if isinstance(part, TextPart):
            texts.append(part.text)
        else:
            sounds.append(await sound_in(part, f"{where}.content[{number}].input_audio", warnings))
    return "\n".join(texts), sounds


async def sound_in(part: SoundPart, where: str, warnings: list[str]) -> np.ndarray:
    """What was said, Int16[N] at 24 kHz; what is wrong with a recording that is read all the same is added."""
    data = base64_bytes(part.input_audio.data, f"{where}.data")
    pcm, warning = await run_in_threadpool(read_upload, data, where, limit_seconds=300.0)
    warnings.append(warning)
    return to_int16(pcm)


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
    tools = tuple(
        tool_of(each.name, each.description, each.parameters, f"tools[{index}].function.parameters")
        for index, each in enumerate(tool.function for tool in request.tools or [])
    )
    choice = request.tool_choice or "auto"
    if isinstance(choice, ChoiceBody):
        choice = NamedTool(type="function", name=choice.function.name)
    voice = request.audio.voice if request.audio else "default"
    return SessionConfig(
        instructions=instructions,
        voice=wanted_voice(service, voice, None, 1.0),
        audio_out=spoken,
        tools=tools,
        tool_choice=choice_of(choice, tools, "tool_choice"),
        one_call=request.parallel_tool_calls is False,
        turns=TurnConfig(kind="none"),
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
        seed=(request.seed or 0) % 2**62,
    )


def usage_of(usage: Usage) -> dict[str, Any]:
    """Sizes as this endpoint counts them."""
    given, made = usage.input_text + usage.input_audio, usage.output_text + usage.output_audio
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"audio_tokens": usage.input_audio, "cached_tokens": 0},
        "completion_tokens_details": {"audio_tokens": usage.output_audio, "reasoning_tokens": 0},
    }


def _finish(why: str, calls: list[Any]) -> str:
    return "length" if why == "max_output_tokens" else "tool_calls" if calls else "stop"


def _call(output: ToolCall) -> dict[str, Any]:
    function = {"name": output.name, "arguments": output.arguments}
    return {"id": output.call, "type": "function", "function": function}


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(prefix="/v1/chat", tags=["chat"])
    answers = SpokenAnswers()
    content = {"application/json": {"schema": COMPLETION}, "text/event-stream": {"schema": {"type": "string"}}}
    described = {**ERRORS, 200: {"description": "The answer", "content": content}}

    @routes.post("/completions", summary="Continue a conversation", response_class=Response, responses=described)
    async def completions(request: ChatRequest) -> Response:
        """Text and sound in, text, sound and calls out."""
        mind = check_model(request.model, "chat", service.minds)
        instructions, entries, warnings = await entries_of(request, answers)
        config = replace(config_of(service, request, instructions), mind=mind)
        enough = (AudioOut,) if config.audio_out else (TextOut, ToolCall)
        inputs: list[Input] = [*(Add(entry) for entry in entries), Respond()]
        outputs = await first_of(checked(service.one_turn(config, inputs), "messages"), enough)
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": request.model}
        if request.stream:
            chunks = _stream(outputs, head, request, config, answers)
            return StreamingResponse(chunks, headers=warned(warnings), media_type="text/event-stream")
        return JSONResponse(await _whole(outputs, head, request, config, answers), headers=warned(warnings))

    return routes


async def checked(outputs: AsyncIterator[Output], param: str) -> AsyncIterator[Output]:
    """The same outputs; Problem where what ``param`` holds was refused."""
    async for output in outputs:
        if isinstance(output, Refused):
            raise Problem(output.message, output.code, param)
        yield output


async def _whole(
    outputs: AsyncIterator[Output],
    head: dict[str, Any],
    request: ChatRequest,
    config: SessionConfig,
    answers: SpokenAnswers,
) -> dict[str, Any]:
    texts: list[str] = []
    sound: list[np.ndarray] = []
    calls: list[dict[str, Any]] = []
    ended: TurnEnded | None = None
    async for output in outputs:
        match output:
            case TextOut():
                texts.append(output.delta)
            case AudioOut():
                sound.append(output.pcm)
            case ToolCall():
                calls.append(_call(output))
            case TurnEnded():
                ended = output
            case _:
                pass
    if ended is None:
        raise VivavoceError("The answer was lost; ask again.")
    text = "".join(texts)
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if config.audio_out and request.audio is not None and sound:
        key, expires = answers.keep(text)
        name = request.audio.format
        data = whole_file(np.concatenate(sound), "pcm" if name == "pcm16" else name if name != "aac" else "wav")
        encoded = base64.b64encode(data).decode()
        message |= {"content": None, "audio": {"id": key, "data": encoded, "expires_at": expires, "transcript": text}}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": _finish(ended.why, calls), "logprobs": None}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage_of(ended.usage)}


async def _stream(
    outputs: AsyncIterator[Output],
    head: dict[str, Any],
    request: ChatRequest,
    config: SessionConfig,
    answers: SpokenAnswers,
) -> AsyncIterator[str]:
    counted = request.stream_options is not None and request.stream_options.include_usage

    def chunk(delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, Any] | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        choices = [] if delta is None else [choice]
        more = {"usage": usage} if counted else {}
        return sse({**head, "object": "chat.completion.chunk", "choices": choices, **more})

    yield chunk({"role": "assistant"})
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    key = f"audio_{secrets.token_hex(12)}"
    try:
        async for output in outputs:
            match output:
                case TextOut():
                    texts.append(output.delta)
                    spoken = {"audio": {"id": key, "transcript": output.delta}}
                    yield chunk(spoken if config.audio_out else {"content": output.delta})
                case AudioOut():
                    data = base64.b64encode(to_int16(output.pcm).tobytes()).decode()
                    yield chunk({"audio": {"id": key, "data": data}})
                case ToolCall():
                    calls.append(_call(output))
                    yield chunk({"tool_calls": [{"index": len(calls) - 1, **calls[-1]}]})
                case TurnEnded():
                    if config.audio_out and texts:
                        yield chunk({"audio": {"id": key, "expires_at": answers.keep_as(key, "".join(texts))}})
                    yield chunk({}, _finish(output.why, calls))
                    if counted:
                        yield chunk(None, usage=usage_of(output.usage))
                case _:
                    pass
    except (VivavoceError, Problem) as error:
        yield sse(broken(error))
        return
    yield sse("[DONE]")
