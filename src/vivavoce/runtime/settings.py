"""How a conversation is to be held, and a reply in it."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vivavoce.core.talk import Entry, Tool
from vivavoce.core.voice import Voice
from vivavoce.runtime.model import HearingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnConfig:
    """Who may speak: by sound (``server_vad``), by meaning (``semantic_vad``) or only when told (``none``)."""

    kind: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much of a conversation a reply may depend on, in tokens as `Usage` counts them."""

    tokens: int
    keep: float = 1.0
    """Fraction of ``tokens`` that is left after the oldest entries were left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Everything that a conversation can be told before and between its turns."""

    instructions: str = ""
    voice: Voice = field(default_factory=Voice)
    audio_out: bool = True
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required`` or the name of a tool."""
    one_call: bool = False
    """A reply calls one tool at most."""
    turns: TurnConfig = field(default_factory=TurnConfig)
    max_output_tokens: int | None = None
    window: Window | None = None
    """None: as much as the mind can read."""
    seed: int = 0
    mind: str = ""
    """Who thinks, where there are several; the first if empty."""
    hearing: HearingOptions = HearingOptions()
    """How the user is to be heard, from the next turn on."""
    only_listen: bool = False
    """A transcription session: turns are heard, never answered."""
    plays_here: bool = False
    """The server plays the sound itself (WebRTC), so it knows where an interruption cut it; no client has to say so."""
    reply_to_text: bool = False
    """Text and tool results are answered at once, without ``Respond``."""
    frames: bool = False
    """Every frame of the microphone that was heard is told (`Framed`); a duplex model gives its sound with it, as it is
    and without replies."""
    tag: Any = None
    """Comes back with Configured and TurnStarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyOptions:
    """One reply that differs from the session's settings; None means as the session."""

    instructions: str | None = None
    voice: Voice | None = None
    audio_out: bool | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | None = None
    one_call: bool | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    out_of_band: bool = False
    """What is said does not become part of the conversation."""
    input: tuple[Entry | str, ...] | None = None
    """What to answer instead of the whole history: entries, or the ids of known ones."""
    recite: str | None = None
    """Speak exactly this text; the mind is not asked."""
    tag: Any = None
    """Comes back with TurnStarted."""

    def over(self, config: SessionConfig) -> SessionConfig:
        """The session's settings with these on top."""
        limit = config.max_output_tokens if self.max_output_tokens is None else self.max_output_tokens
        return replace(
            config,
            instructions=config.instructions if self.instructions is None else self.instructions,
            voice=config.voice if self.voice is None else self.voice,
            audio_out=config.audio_out if self.audio_out is None else self.audio_out,
            tools=config.tools if self.tools is None else self.tools,
            tool_choice=config.tool_choice if self.tool_choice is None else self.tool_choice,
            one_call=config.one_call if self.one_call is None else self.one_call,
            max_output_tokens=None if limit == "inf" else limit,
        )
