"""What every shape of the wire is made of: limits of texts, names and JSON, and the refusal of unknown fields."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
