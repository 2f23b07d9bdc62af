"""The client events, and the options of a response."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_validator

from vivavoce.server.wire.fields import Name, Strict, Text
from vivavoce.server.wire.items import Item, ItemReference
from vivavoce.server.wire.sessions import (
    AudioFormat,
    FunctionTool,
    MaxTokens,
    Modalities,
    Reasoning,
    ToolChoice,
    VoiceId,
)


class ResponseOutput(Strict):
    """Sound of one response."""

    format: AudioFormat | None = None
    voice: Text | VoiceId | None = None


class ResponseAudio(Strict):
    """Sound of one response."""

    output: ResponseOutput = ResponseOutput()


class ResponseParams(Strict):
    """One response that differs from the session."""

    instructions: Text | None = None
    output_modalities: Modalities | None = None
    audio: ResponseAudio = ResponseAudio()
    conversation: Literal["auto", "none"] = "auto"
    input: list[Item | ItemReference] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: dict[Text, Text] | None = Field(default=None, max_length=16)
    prompt: None = None
    reasoning: Reasoning | None = None

    @field_validator("metadata")
    @classmethod
    def _short(cls, metadata: dict[Text, Text] | None) -> dict[str, str] | None:
        for key, value in (metadata or {}).items():
            if len(key) > 64 or len(value) > 512:
                raise ValueError("metadata takes keys up to 64 and values up to 512 characters")
        return metadata


class _Event(Strict):
    event_id: str | None = Field(default=None, max_length=512)


class SessionUpdate(_Event):
    """Other settings; only what is given changes."""

    type: Literal["session.update"]
    session: dict[str, Any]


class BufferAppend(_Event):
    """More sound."""

    type: Literal["input_audio_buffer.append"]
    audio: str = Field(max_length=15 * 1024 * 1024)


class BufferCommit(_Event):
    """The sound so far is a turn."""

    type: Literal["input_audio_buffer.commit"]


class BufferClear(_Event):
    """Forget the sound so far."""

    type: Literal["input_audio_buffer.clear"]


class ItemCreate(_Event):
    """A further item."""

    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: Name | None = None


class ItemRetrieve(_Event):
    """Show an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: Name


class ItemTruncate(_Event):
    """Only so much was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: Name
    content_index: Literal[0] = 0
    audio_end_ms: int = Field(ge=0, le=100_000_000)


class ItemDelete(_Event):
    """Forget an item."""

    type: Literal["conversation.item.delete"]
    item_id: Name


class ResponseCreate(_Event):
    """Answer now."""

    type: Literal["response.create"]
    response: ResponseParams | None = None


class ResponseCancel(_Event):
    """Stop answering."""

    type: Literal["response.cancel"]
    response_id: Name | None = None


class OutputBufferClear(_Event):
    """Stop playing; only where we own the playback."""

    type: Literal["output_audio_buffer.clear"]


class PlaybackPosition(_Event):
    """An extension of ours, for clients that ask for it: how much of a reply was played."""

    type: Literal["vivavoce.playback.position"]
    response_id: Name
    audio_ms: int = Field(ge=0, le=100_000_000)


ClientEvent = Annotated[
    SessionUpdate
    | BufferAppend
    | BufferCommit
    | BufferClear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
    | OutputBufferClear
    | PlaybackPosition,
    Field(discriminator="type"),
]
CLIENT_EVENT: TypeAdapter[Any] = TypeAdapter(ClientEvent)
