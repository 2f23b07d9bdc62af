"""The shapes of the Realtime protocol that we read: sessions, items and the eleven client events, checked by pydantic.

Field names and values are those of the `openai` package's types; a test compares them. What is unknown is refused
with the path of the field, as OpenAI's server does.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, field_validator

MOST_EVENT_BYTES = 16 * 1024 * 1024
MOST_CHARACTERS = 100_000
Unit = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
"""With a limit pydantic also refuses half a surrogate pair, which nothing could write down again."""
Name = Annotated[str, Field(max_length=256)]


def _writable(value: Any) -> Any:
    """Free JSON that can be written down again."""
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError) as error:
        raise ValueError("JSON has no NaN, no Infinity, no half characters and no endless nesting") from error
    if size > MOST_CHARACTERS:
        raise ValueError(f"it has {size} bytes, at most {MOST_CHARACTERS} are taken")
    return value


Json = Annotated[Any, AfterValidator(_writable)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_writable)]


class Strict(BaseModel):
    """A part of the wire that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")

    def shown(self) -> dict[str, Any]:
        """As clients are told of it: what was not set is not sent, as many of them refuse fields they do not know."""
        return {name: _shown(value) for name, value in self if value is not None or name == "turn_detection"}


def _shown(value: Any) -> Any:
    if isinstance(value, Strict):
        return value.shown()
    return [_shown(each) for each in value] if isinstance(value, list) else value


# ---- sessions ----


class PcmFormat(Strict):
    """16 bit, one channel, little endian, 24 kHz."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class PcmuFormat(Strict):
    """G.711 mu-law at 8 kHz."""

    type: Literal["audio/pcmu"]


class PcmaFormat(Strict):
    """G.711 A-law at 8 kHz."""

    type: Literal["audio/pcma"]


AudioFormat = Annotated[PcmFormat | PcmuFormat | PcmaFormat, Field(discriminator="type")]


class NoiseReduction(Strict):
    """Taken without effect; our listener is trained in noise and filters nothing beforehand."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Transcription(Strict):
    """Whether the user's words are sent, who finds them, and what is known of them."""

    model: Name | None = None
    language: Name | None = None
    languages: Annotated[list[Name], Field(max_length=100)] | None = None
    prompt: Text | None = None
    keywords: Annotated[list[Name], Field(max_length=1000)] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class ServerVad(Strict):
    """Turns by sound."""

    type: Literal["server_vad"]
    threshold: Unit = 0.5
    prefix_padding_ms: int = Field(default=300, ge=0, le=5000)
    silence_duration_ms: int = Field(default=500, ge=40, le=10_000)
    idle_timeout_ms: int | None = Field(default=None, ge=1000, le=3_600_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Strict):
    """Turns by meaning."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class AudioInput(Strict):
    """What comes from the user."""

    format: AudioFormat = PcmFormat(type="audio/pcm")
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad(type="server_vad")


class VoiceId(Strict):
    """A voice made through /v1/audio/voices."""

    id: Name


class AudioOutput(Strict):
    """What goes to the user."""

    format: AudioFormat = PcmFormat(type="audio/pcm")
    voice: Text | VoiceId = "marin"
    speed: float = Field(default=1.0, ge=0.25, le=1.5)


class Audio(Strict):
    """Sound both ways."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class InputOnly(Strict):
    """Sound of a session that only listens."""

    input: AudioInput = AudioInput()


class FunctionTool(Strict):
    """A function; ``parameters`` is a JSON schema."""

    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    description: Text | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class NamedTool(Strict):
    """Force one function."""

    type: Literal["function"]
    name: Name


ToolChoice = Literal["auto", "none", "required"] | NamedTool
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
Modalities = Annotated[list[Literal["text", "audio"]], Field(min_length=1, max_length=1)]


class Reasoning(Strict):
    """Taken without effect; the mind does not reason in writing."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class Tracing(Strict):
    """Taken without effect; nothing is traced or sent anywhere."""

    workflow_name: Text | None = None
    group_id: Text | None = None
    metadata: Json = None


class TokenLimits(Strict):
    """How much of the conversation is read at most."""

    post_instructions: int | None = Field(default=None, ge=1)


class Retention(Strict):
    """Leave the oldest items out of what is read once there is more than the limit."""

    type: Literal["retention_ratio"]
    retention_ratio: Unit
    token_limits: TokenLimits | None = None


class RealtimeSession(Strict):
    """A session that converses."""

    type: Literal["realtime"] = "realtime"
    model: Name | None = None
    instructions: Text = ""
    output_modalities: Modalities = ["audio"]
    audio: Audio = Audio()
    tools: list[FunctionTool] = Field(default_factory=list, max_length=128)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    max_output_tokens: MaxTokens = "inf"
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    prompt: None = None
    reasoning: Reasoning | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | Retention = "auto"


class TranscriptionSession(Strict):
    """A session that only listens."""

    type: Literal["transcription"]
    audio: InputOnly = InputOnly()
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None


# ---- items ----

ItemId = Annotated[str, Field(min_length=1, max_length=64)]


class InputText(Strict):
    """Written by the user or the system."""

    type: Literal["input_text"]
    text: Text


class InputAudio(Strict):
    """Said by the user."""

    type: Literal["input_audio"]
    audio: str | None = None
    transcript: Text | None = None


class OutputText(Strict):
    """Written by the assistant."""

    type: Literal["output_text"]
    text: Text


UserContent = Annotated[InputText | InputAudio, Field(discriminator="type")]


class _Item(Strict):
    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class SystemMessage(_Item):
    """Further instructions."""

    type: Literal["message"]
    role: Literal["system"]
    content: list[InputText] = Field(min_length=1)


class UserMessage(_Item):
    """What the user said or wrote."""

    type: Literal["message"]
    role: Literal["user"]
    content: list[UserContent] = Field(min_length=1)


class AssistantMessage(_Item):
    """What the assistant wrote; its sound cannot be made up by a client."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: list[OutputText] = Field(min_length=1)


class FunctionCall(_Item):
    """A call, for example of an earlier conversation."""

    type: Literal["function_call"]
    name: Name
    arguments: Text
    call_id: Name | None = None


class FunctionCallOutput(_Item):
    """What a call gave back."""

    type: Literal["function_call_output"]
    call_id: Name
    output: Text


Message = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]
Item = Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")]


class ItemReference(Strict):
    """An item of the conversation, by its id."""

    type: Literal["item_reference"]
    id: Name


# ---- client events ----


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


class Problem(Exception):
    """What is wrong with an event, as the protocol says it."""

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.param = message, code, param


class NotFound(Problem):
    """Nothing of this id."""


UNSUPPORTED_ITEMS = {"mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"}


def refuse_unsupported(data: Any, path: str = "") -> None:
    """Says clearly what this server does not do: MCP tools, images, stored prompts."""
    if isinstance(data, list):
        for index, value in enumerate(data):
            refuse_unsupported(value, f"{path}[{index}]")
    if not isinstance(data, dict):
        return
    kind = data.get("type")
    if isinstance(kind, str) and (kind == "mcp" or kind in UNSUPPORTED_ITEMS):
        raise Problem(
            "MCP is not supported by this server; declare functions instead.", "not_supported", path or "type"
        )
    if kind == "input_image":
        raise Problem("Images are not supported by this server; send text or audio.", "not_supported", path or "type")
    if data.get("role") == "assistant" and isinstance(data.get("content"), list):
        for part in data["content"]:
            if isinstance(part, dict) and part.get("type") == "output_audio":
                message = "Audio of the assistant cannot be created by a client; give its text as output_text."
                raise Problem(message, "invalid_value", f"{path}.content".lstrip("."))
    if isinstance(data.get("prompt"), dict) and "id" in data["prompt"]:
        raise Problem("Stored prompts are not supported; send the text as instructions.", "not_supported", "prompt")
    for name in ("session", "response", "item", "input", "tools", "tool_choice", "content"):
        if name in data:
            refuse_unsupported(data[name], f"{path}.{name}".lstrip("."))


def problem_of(errors: Sequence[Mapping[str, Any]], data: Any, prefix: str = "") -> Problem:
    """The finding of pydantic that went deepest into the data, in the words of the protocol."""
    found = max(errors, key=lambda error: len(error["loc"]))
    kind, path, at = found["type"], prefix, data
    for step in found["loc"]:  # steps that only name a branch of a union are in no data
        last = kind == "missing" and step == found["loc"][-1]
        if isinstance(at, dict) and isinstance(step, str) and (step in at or last):
            path, at = f"{path}.{step}".lstrip("."), at.get(step)
        elif isinstance(at, list) and isinstance(step, int):
            path, at = f"{path}[{step}]", at[step] if step < len(at) else None
    if kind == "missing" or kind == "union_tag_not_found":
        if kind == "union_tag_not_found":
            path = f"{path}.{found.get('ctx', {}).get('discriminator', '').strip(chr(39))}".lstrip(".")
        return Problem(f"Missing required parameter: '{path}'.", "missing_required_parameter", path)
    if kind == "extra_forbidden":
        return Problem(f"Unknown parameter: '{path}'.", "unknown_parameter", path)
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    message = found["msg"].removeprefix("Value error, ").removesuffix(".")
    return Problem(f"Invalid value for '{path}': {message}.", code, path)
