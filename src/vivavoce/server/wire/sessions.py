"""Sessions as clients ask for them: sound both ways, turns, tools."""

from typing import Annotated, Literal

from pydantic import Field

from vivavoce.server.wire.fields import Json, JsonObject, Name, Strict, Text, Unit


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


class AllowedTools(Strict):
    """Let some of the functions be called, and no others; ``required``: one of them has to be.

    The shape of OpenAI's Responses; their Realtime has none, and here it is the same.
    """

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=128)


ToolChoice = Literal["auto", "none", "required"] | Annotated[NamedTool | AllowedTools, Field(discriminator="type")]
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
    output_modalities: Modalities = Field(default_factory=lambda: ["audio"])
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
