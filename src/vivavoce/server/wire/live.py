"""Client events of ``/v1/live``: a stream of sound both ways, without turns."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vivavoce.server.wire.fields import Name, Strict, Text
from vivavoce.server.wire.sessions import FunctionTool, PcmaFormat, PcmuFormat, VoiceId


class LivePcm(Strict):
    """16 bit, one channel, little endian."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[8000, 16000, 24000, 48000] = 24000


LiveFormat = Annotated[LivePcm | PcmuFormat | PcmaFormat, Field(discriminator="type")]


class LiveInput(Strict):
    """What comes from the client; ``language`` is for ears that know several."""

    format: LiveFormat = LivePcm()
    language: Name | None = None


class LiveOutput(Strict):
    """What goes to the client: sound as binary messages, or as events with base64."""

    format: LiveFormat = LivePcm()
    transport: Literal["binary", "base64"] = "binary"
    voice: Text | VoiceId = "marin"


class LiveSettings(Strict):
    """All that is settled when a session begins."""

    input: LiveInput = LiveInput()
    output: LiveOutput = LiveOutput()
    instructions: Text = ""
    tools: list[FunctionTool] = Field(default_factory=list)
    seed: int = Field(default=0, ge=0, lt=2**63)


class _Event(Strict):
    event_id: str | None = Field(default=None, max_length=512)


class SessionStart(_Event):
    """The first event."""

    type: Literal["session.start"]
    session: LiveSettings = LiveSettings()


class AudioEvent(_Event):
    """More sound, for clients that cannot send binary messages."""

    type: Literal["audio"]
    audio: str


class ToolResult(_Event):
    """What a called tool gave back."""

    type: Literal["tool.result"]
    call_id: Name
    output: Text


class OutputStop(_Event):
    """Be quiet."""

    type: Literal["output.stop"]


class SessionClose(_Event):
    """What was sent is still heard and answered to its last frame; then the session is closed."""

    type: Literal["session.close"]


LiveEvent = SessionStart | AudioEvent | ToolResult | OutputStop | SessionClose
LIVE_EVENT: TypeAdapter[LiveEvent] = TypeAdapter(Annotated[LiveEvent, Field(discriminator="type")])
