"""What `/v1/chat/completions` takes and gives, checked by pydantic."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vivavoce.server.sound_parts import SoundPart
from vivavoce.server.wire.fields import JsonObject, Name, Text
from vivavoce.server.wire.sessions import VoiceId


class TextPart(BaseModel):
    """Text of a message."""

    type: Literal["text"]
    text: Text


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


class OtherChatPart(BaseModel):
    """What can be sent to others; here it is refused."""

    type: Literal["image_url", "file", "refusal"]


Part = Annotated[TextPart | SoundPart | OtherChatPart, Field(discriminator="type")]


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


class AllowedBody(BaseModel):
    """Which functions may be called, and whether one of them has to be."""

    mode: Literal["auto", "required"]
    tools: list[ChoiceBody] = Field(min_length=1, max_length=128)


class AllowedChoiceBody(BaseModel):
    """Let some of the functions be called, and no others."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedBody


AnyChoice = Literal["auto", "none", "required"] | Annotated[ChoiceBody | AllowedChoiceBody, Field(discriminator="type")]


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
    tool_choice: AnyChoice | None = None
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
