"""Telling work on another thread that nobody waits for it any more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class StopSignal:
    """Set once, from any thread; what the work is doing then can be ended by it."""

    def __init__(self) -> None:
        """Not yet."""
        self._set = False
        self._lock = Lock()
        self._ends: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return self._set

    def set(self) -> None:
        """Nothing more is wanted."""
        with self._lock:
            self._set = True
            for end in self._ends:
                end()

    @contextmanager
    def by(self, end: Callable[[], None]) -> Iterator[None]:
        """While this lasts, `set` calls ``end``; at once where it was called before."""
        with self._lock:
            self._ends.append(end)
            if self._set:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)
