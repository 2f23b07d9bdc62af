"""A session as the wire has it, and as the runtime has it."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from vivavoce.core.errors import ToolError, VoiceError
from vivavoce.core.talk import Tool
from vivavoce.core.voice import Voice
from vivavoce.runtime.api import ReplyOptions, SessionConfig, TurnConfig, Window
from vivavoce.runtime.model import HearingOptions
from vivavoce.server.ears import Ears, ears_of, hearing_of, language_of
from vivavoce.server.names import MODELS, UnknownModel
from vivavoce.server.problems import Problem, problem_of
from vivavoce.server.wire.events import ResponseParams
from vivavoce.server.wire.sessions import (
    AllowedTools,
    FunctionTool,
    InputOnly,
    NamedTool,
    RealtimeSession,
    Retention,
    SemanticVad,
    ServerVad,
    Transcription,
    TranscriptionSession,
    VoiceId,
)
from vivavoce.text.json_schema import arguments_place

Session = RealtimeSession | TranscriptionSession
Voices = Callable[[str], Voice]
"""Finds a voice by its name or id, or takes a description in words; raises VoiceError."""

WHOLE = ("format", "turn_detection", "transcription", "noise_reduction", "voice", "tools", "tool_choice", "truncation")
"""Fields that an update replaces; all others are merged."""


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old settings with the given ones changed."""
    result = dict(old)
    for name, value in new.items():
        before = result.get(name)
        if name == "turn_detection" and isinstance(value, dict) and isinstance(before, dict):
            same = value.get("type", before.get("type")) == before.get("type")
            result[name] = {**before, **value} if same else value
        elif isinstance(value, dict) and isinstance(before, dict) and name not in WHOLE:
            result[name] = merged(before, value)
        else:
            result[name] = value
    return result


def updated(session: Session, change: dict[str, Any], ears: Ears) -> Session:
    """The session after an update; Problem when a field is wrong."""
    kind = change.get("type", session.type)
    if kind != session.type:
        raise Problem(f"The session is of type '{session.type}' and stays so.", "invalid_value", "session.type")
    data = merged(session.model_dump(), change)
    try:
        new = type(session).model_validate(data)
    except ValidationError as error:
        raise problem_of(error.errors(), data, "session") from error
    if new.audio.input.transcription is not None:
        _hearing_of(new, ears)
    return new


def _hearing_of(session: Session, ears: Ears) -> HearingOptions:
    """How the user of a session is to be heard; a session that only listens finds the language out."""
    wanted, place = session.audio.input.transcription or Transcription(), "session.audio.input.transcription"
    try:
        info = ears_of(None if wanted.model in MODELS["realtime"] else wanted.model, ears)
    except UnknownModel as error:
        raise Problem(str(error), "model_not_found", f"{place}.model") from error
    languages = [wanted.language] if wanted.language else wanted.languages or []
    language = language_of(languages, info, f"{place}.language" if wanted.language else f"{place}.languages")
    listens = isinstance(session, TranscriptionSession)
    return hearing_of(info, language, prompt=wanted.prompt, keywords=wanted.keywords, find_out=listens)


def first_session(change: dict[str, Any], ears: Ears) -> Session:
    """A session that begins with these settings."""
    kind = change.get("type", "realtime")
    if kind not in ("realtime", "transcription"):
        raise Problem(f"There is no session type '{kind}'; use 'realtime' or 'transcription'.", param="session.type")
    blank: Session = RealtimeSession() if kind == "realtime" else TranscriptionSession(type="transcription")
    return updated(blank, change, ears)


def voice_of(voice: str | VoiceId, voices: Voices, param: str) -> Voice:
    """The voice that is meant; Problem when there is none."""
    try:
        return voices(voice.id if isinstance(voice, VoiceId) else voice)
    except VoiceError as error:
        raise Problem(str(error), "invalid_value", param) from error


def tool_of(name: str, description: str | None, parameters: dict[str, Any] | None, param: str) -> Tool:
    """A function that may be called; Problem when its schema could not be enforced."""
    try:
        arguments_place(parameters or {})
    except (ToolError, RecursionError, TypeError, ValueError) as error:  # a schema may be nonsense in many ways
        raise Problem(f"The parameters of '{name}' cannot be used: {error}.", "invalid_value", param) from error
    return Tool(name=name, description=description or "", parameters=parameters or {})


def tools_of(tools: list[FunctionTool], param: str) -> tuple[Tool, ...]:
    """The functions that may be called."""
    return tuple(
        tool_of(tool.name, tool.description, tool.parameters, f"{param}[{index}].parameters")
        for index, tool in enumerate(tools)
    )


def choice_of(
    choice: str | NamedTool | AllowedTools, tools: tuple[Tool, ...], param: str
) -> tuple[tuple[Tool, ...], str]:
    """The tools that may be called, and ``auto``, ``none``, ``required`` or the name of one of them.

    Problem when a call is required of no tool, or a name is not among the tools.
    """
    if choice == "required" and not tools:
        raise Problem("A call is required, but no tool is declared; declare one or choose 'auto'.", param=param)
    if isinstance(choice, str):
        return tools, choice
    named = [tool.name for tool in choice.tools] if isinstance(choice, AllowedTools) else [choice.name]
    if unknown := [name for name in named if all(tool.name != name for tool in tools)]:
        raise Problem(f"The tool choice names '{unknown[0]}', which is not among the tools.", "invalid_value", param)
    if isinstance(choice, NamedTool):
        return tools, choice.name
    return tuple(tool for tool in tools if tool.name in named), choice.mode


def _window_of(truncation: str | Retention) -> Window | None:
    limits = truncation.token_limits if isinstance(truncation, Retention) else None
    if not isinstance(truncation, Retention) or limits is None or limits.post_instructions is None:
        return None
    return Window(tokens=limits.post_instructions, keep=truncation.retention_ratio)


def _turns_of(given: ServerVad | SemanticVad | None) -> TurnConfig:
    if isinstance(given, ServerVad):
        return TurnConfig(
            kind="server_vad",
            threshold=given.threshold,
            prefix_padding_ms=given.prefix_padding_ms,
            silence_duration_ms=given.silence_duration_ms,
            idle_timeout_ms=given.idle_timeout_ms,
            create_response=given.create_response,
            interrupt_response=given.interrupt_response,
        )
    if isinstance(given, SemanticVad):
        return TurnConfig(
            kind="semantic_vad",
            eagerness=given.eagerness,
            create_response=given.create_response,
            interrupt_response=given.interrupt_response,
        )
    return TurnConfig(kind="none")


def config_of(
    session: Session, voices: Voices, ears: Ears, minds: Sequence[str], plays_here: bool, seed: int = 0
) -> SessionConfig:
    """What the runtime has to know of a session; Problem when a voice or tool is not known."""
    if isinstance(session.audio, InputOnly) or isinstance(session, TranscriptionSession):
        turns = _turns_of(session.audio.input.turn_detection)
        return SessionConfig(turns=turns, hearing=_hearing_of(session, ears), only_listen=True)
    output = session.audio.output
    tools, choice = choice_of(session.tool_choice, tools_of(session.tools, "session.tools"), "session.tool_choice")
    return SessionConfig(
        instructions=session.instructions,
        voice=voice_of(output.voice, voices, "session.audio.output.voice").at(output.speed),
        audio_out=session.output_modalities == ["audio"],
        tools=tools,
        tool_choice=choice,
        one_call=session.parallel_tool_calls is False,
        window=_window_of(session.truncation),
        turns=_turns_of(session.audio.input.turn_detection),
        max_output_tokens=None if session.max_output_tokens == "inf" else session.max_output_tokens,
        mind=session.model if session.model and session.model in minds else "",
        hearing=_hearing_of(session, ears),
        plays_here=plays_here,
        seed=seed,
    )


def options_of(given: ResponseParams, session: RealtimeSession, voices: Voices, tag: object) -> ReplyOptions:
    """What one response does differently; its input is filled in by the caller."""
    tools = None if given.tools is None else tools_of(given.tools, "response.tools")
    voice = None
    if given.audio.output.voice is not None:
        voice = voice_of(given.audio.output.voice, voices, "response.audio.output.voice").at(session.audio.output.speed)
    choice, chosen = None, given.tool_choice
    if chosen is None and tools is not None and isinstance(session.tool_choice, AllowedTools):
        chosen = session.tool_choice  # what a session allows, it allows of other tools too
    if chosen is not None:
        known = tools_of(session.tools, "session.tools") if tools is None else tools
        tools, choice = choice_of(chosen, known, "response.tool_choice")
    return ReplyOptions(
        instructions=given.instructions,
        voice=voice,
        audio_out=None if given.output_modalities is None else given.output_modalities == ["audio"],
        tools=tools,
        tool_choice=choice,
        one_call=None if given.parallel_tool_calls is None else not given.parallel_tool_calls,
        max_output_tokens=given.max_output_tokens,
        out_of_band=given.conversation == "none",
        tag=tag,
    )
