"""What is wrong with a request, in the words of the protocol."""

from collections.abc import Mapping, Sequence
from typing import Any


class Problem(Exception):
    """What is wrong with an event, as the protocol says it."""

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.param = message, code, param


class NotFound(Problem):
    """A request names something that is not there: 404."""


OF_THE_SERVER = frozenset({"server_error", "mind_failed", "speaking_failed"})
"""Codes of what is no fault of the request."""
NO_LIVE_SESSIONS = "OpenAI's live sessions are not supported; use /v1/realtime, or our own stream of sound at /v1/live."
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
    """The finding of pydantic that went deepest into the data, in the words of the protocol.

    Of an object that is none of a union's, its type says more than that it is no text.
    """
    found = max(errors, key=lambda error: (len(error["loc"]), error["type"].startswith("union_tag")))
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
