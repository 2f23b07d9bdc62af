"""What a client sent, as one of the client events, or the Problem with it."""

import json
from typing import Any

from pydantic import ValidationError

from vivavoce.server.beta import modernise
from vivavoce.server.problems import Problem, problem_of, refuse_unsupported
from vivavoce.server.wire.events import CLIENT_EVENT
from vivavoce.server.wire.fields import MOST_EVENT_BYTES


def json_object(message: str | bytes) -> dict[str, Any]:
    """The JSON object that a message is; Problem where it is none or too large."""
    if isinstance(message, bytes):
        raise Problem("Binary messages are not understood; send JSON as text.", "invalid_event")
    if len(message) > MOST_EVENT_BYTES:
        raise Problem(f"An event may have {MOST_EVENT_BYTES} bytes at most.", "event_too_large")
    try:
        data = json.loads(message, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("The message is not JSON.", "invalid_json") from error
    if not isinstance(data, dict):
        raise Problem("An event is a JSON object with a type.", "invalid_event")
    return data


def event_of(data: dict[str, Any]) -> Any:
    """The client event that an object is; Problem with the path of the first wrong field."""
    data = modernise(data)
    refuse_unsupported(data)
    try:
        return CLIENT_EVENT.validate_python(data)
    except ValidationError as error:
        if error.errors()[0]["type"] == "union_tag_invalid" and not error.errors()[0]["loc"]:
            raise Problem(f"There is no client event '{data['type']}'.", "invalid_event", "type") from error
        raise problem_of(error.errors(), data) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
