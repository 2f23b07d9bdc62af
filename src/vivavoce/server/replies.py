"""Shapes that several REST answers share: errors, server-sent events, uploads."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import UploadFile

from vivavoce.core.errors import MindError, SpeakerError
from vivavoce.server.problems import Problem


class ErrorDetail(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An error."""

    error: ErrorDetail


_TEXTS = {
    400: "Something in the request is wrong",
    401: "A key is missing, unknown or expired",
    403: "Not allowed: another web origin, or no consent",
    404: "No such thing",
    405: "No such method",
    413: "Too large",
    429: "Too many requests",
    500: "The model failed",
    502: "Another server that thinks or speaks for this one failed",
    503: "All conversations are taken",
    507: "Voices cannot be written: no space, or no permission",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text} for status, text in _TEXTS.items()
}


FAILED: dict[type[Exception], str] = {MindError: "mind_failed", SpeakerError: "speaking_failed"}
"""Codes of what somebody else's server could not do."""
WARNING = "Vivavoce-Warning"

NEVER: dict[str, Any] = {"status_code": 400, "response_model": None, "summary": "Not supported"}
"""For operations of OpenAI's that there are not: they only say so."""


def sse(event: dict[str, Any] | str) -> str:
    """One server-sent event."""
    return f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n"


def error_body(message: str, code: str | None, param: str | None = None, kind: str = "") -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    message, param = _whole(message), _whole(param) if param else None
    return {"error": {"message": message, "type": kind or "invalid_request_error", "param": param, "code": code}}


def _whole(text: str) -> str:
    """Without half characters: what a request said wrong is often repeated."""
    return text.encode(errors="replace").decode()


def warned(warnings: Iterable[str]) -> dict[str, str]:
    """The header that says what was wrong with recordings that were read all the same."""
    said = "; ".join(dict.fromkeys(warning for warning in warnings if warning))
    return {WARNING: said.encode("ascii", "replace").decode()} if said else {}


def broken(error: Exception) -> dict[str, Any]:
    """The last event of a stream that cannot go on, with the code that the error has where nothing was sent yet."""
    if isinstance(error, Problem):
        return error_body(error.message, error.code, error.param)
    return error_body(str(error), FAILED.get(type(error), "model_error"), kind="server_error")


async def upload_bytes(file: UploadFile, most: int, param: str) -> bytes:
    """What was uploaded; Problem when it is too large or empty."""
    data = await file.read(most + 1)
    if len(data) > most:
        raise Problem(f"'{param}' has more than {most} bytes; send a shorter recording.", "too_large", param)
    if not data:
        raise Problem(f"'{param}' is empty; send a recording.", "invalid_value", param)
    return data
