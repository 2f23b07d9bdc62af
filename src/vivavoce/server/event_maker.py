"""Server events and names that nobody else has."""

from typing import Any

Events = list[dict[str, Any]]


class EventMaker:
    """Makes the events that one client is told; ``name`` makes their ids unique."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._count = 0

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """An event with its type and its id."""
        self._count += 1
        return {"type": kind, "event_id": f"event_{self.name}_{self._count}", **fields}

    def new_id(self, kind: str) -> str:
        """A name nobody else has."""
        self._count += 1
        return f"{kind}_{self.name}_{self._count}"


def set_only(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: what was not set is not sent."""
    return {name: value for name, value in fields.items() if value is not None}
