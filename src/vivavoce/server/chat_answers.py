"""Answers of `/v1/chat/completions`: whole, or as a stream of chunks."""

import base64
import secrets
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from vivavoce.audio.pcm import to_int16
from vivavoce.core.errors import VivavoceError
from vivavoce.runtime.api import AudioOut, Output, SessionConfig, TextOut, ToolCall, TurnEnded, Usage
from vivavoce.server.chat_shapes import ChatRequest
from vivavoce.server.problems import Problem
from vivavoce.server.remembered import Remembered
from vivavoce.server.replies import broken, sse
from vivavoce.server.sound_files import whole_file


def audio_id() -> str:
    """The id of a spoken answer."""
    return f"audio_{secrets.token_hex(12)}"


def _usage_of(usage: Usage) -> dict[str, Any]:
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


async def whole_answer(
    outputs: AsyncIterator[Output],
    head: dict[str, Any],
    request: ChatRequest,
    config: SessionConfig,
    spoken: Remembered[str],
) -> dict[str, Any]:
    """The completion as one object; what was said is remembered in ``spoken`` by its id."""
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
        key = audio_id()
        expires = spoken.keep(key, text)
        name = request.audio.format
        data = whole_file(np.concatenate(sound), "pcm" if name == "pcm16" else name if name != "aac" else "wav")
        encoded = base64.b64encode(data).decode()
        message |= {"content": None, "audio": {"id": key, "data": encoded, "expires_at": expires, "transcript": text}}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": _finish(ended.why, calls), "logprobs": None}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage_of(ended.usage)}


async def answer_stream(
    outputs: AsyncIterator[Output],
    head: dict[str, Any],
    request: ChatRequest,
    config: SessionConfig,
    spoken: Remembered[str],
) -> AsyncIterator[str]:
    """The completion as server-sent events while it is made."""
    counted = request.stream_options is not None and request.stream_options.include_usage

    def chunk(delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, Any] | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        choices = [] if delta is None else [choice]
        more = {"usage": usage} if counted else {}
        return sse({**head, "object": "chat.completion.chunk", "choices": choices, **more})

    yield chunk({"role": "assistant"})
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    key = audio_id()
    try:
        async for output in outputs:
            match output:
                case TextOut():
                    texts.append(output.delta)
                    said = {"audio": {"id": key, "transcript": output.delta}}
                    yield chunk(said if config.audio_out else {"content": output.delta})
                case AudioOut():
                    data = base64.b64encode(to_int16(output.pcm).tobytes()).decode()
                    yield chunk({"audio": {"id": key, "data": data}})
                case ToolCall():
                    calls.append(_call(output))
                    yield chunk({"tool_calls": [{"index": len(calls) - 1, **calls[-1]}]})
                case TurnEnded():
                    if config.audio_out and texts:
                        yield chunk({"audio": {"id": key, "expires_at": spoken.keep(key, "".join(texts))}})
                    yield chunk({}, _finish(output.why, calls))
                    if counted:
                        yield chunk(None, usage=_usage_of(output.usage))
                case _:
                    pass
    except (VivavoceError, Problem) as error:
        yield sse(broken(error))
        return
    yield sse("[DONE]")
