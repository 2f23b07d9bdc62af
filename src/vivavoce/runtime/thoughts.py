"""Where the pieces of a live reply come from: thought of one at a time, or on another thread."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from threading import Lock
from typing import Protocol, runtime_checkable

from vivavoce.core.talk import Say, Thought
from vivavoce.runtime.model import Context, Thinking
from vivavoce.runtime.reply import Over


@runtime_checkable
class Thoughts(Protocol):
    """The pieces of one reply, as they come."""

    def take(self) -> list[Thought | Over]:
        """What has come since the last time; never waits."""
        ...

    def cancel(self) -> None:
        """No more are wanted."""
        ...


class Recital:
    """A mind that says one given text."""

    def __init__(self, text: str) -> None:
        """What it will say."""
        self._text = text

    def respond(self, context: Context) -> Iterator[Thought]:
        """The text."""
        yield Say(self._text)


class InlineThoughts:
    """Thinks one piece whenever it is asked; for simulations, where everything happens on one thread."""

    def __init__(self, thinking: Thinking, context: Context) -> None:
        """Begins."""
        self._pieces: Iterator[Thought] = thinking.respond(context)
        self._over = False

    def take(self) -> list[Thought | Over]:
        """The next piece."""
        if self._over:
            return []
        try:
            return [next(self._pieces)]
        except StopIteration:
            self._over = True
            return [Over()]
        except Exception as error:  # a broken model must not take the other conversations with it
            self._over = True
            return [Over(error)]

    def cancel(self) -> None:
        """Stops."""
        self._over = True


class ThreadThoughts:
    """Thinks on another thread, so that a long thought delays nobody's hearing."""

    def __init__(self, thinking: Thinking, context: Context, pool: Executor, wake: Callable[[], None]) -> None:
        """Begins; ``wake`` is called when there is something to take."""
        self._lock, self._box, self._cancelled, self._wake = Lock(), deque[Thought | Over](), False, wake
        self._future = pool.submit(self._run, thinking, context)

    def _run(self, thinking: Thinking, context: Context) -> None:
        over = Over()
        try:
            if not self._cancelled:
                for piece in thinking.respond(context):
                    if self._cancelled:
                        break
                    self._put(piece)
        except Exception as error:  # a broken model must not take the other conversations with it
            over = Over(error)
        self._put(over)

    def _put(self, piece: Thought | Over) -> None:
        with self._lock:
            self._box.append(piece)
        self._wake()

    def take(self) -> list[Thought | Over]:
        """What has come."""
        with self._lock:
            pieces = list(self._box)
            self._box.clear()
        return pieces

    def cancel(self) -> None:
        """Stops after the piece that is being thought."""
        self._cancelled = True
        self._future.cancel()
