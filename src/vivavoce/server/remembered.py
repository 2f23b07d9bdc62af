"""What clients refer to by an id later: answers of the last hour."""

import time
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")
KEPT_SECONDS = 3600
KEPT = 1000


class Remembered(Generic[T]):
    """Values by their ids, at most `KEPT` of them and each for `KEPT_SECONDS`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def keep(self, key: str, value: T) -> int:
        """Remembers a value; says when (in Unix seconds) it is forgotten."""
        expires = int(time.time()) + KEPT_SECONDS
        self._kept[key] = (value, expires)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return expires

    def find(self, key: str) -> T | None:
        """The value of this id, unless it is forgotten."""
        value, expires = self._kept.get(key, (None, 0))
        return value if expires > time.time() else None

    def forget(self, key: str) -> None:
        """Drops a value."""
        self._kept.pop(key, None)
