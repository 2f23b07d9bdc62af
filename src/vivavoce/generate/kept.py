"""Conversations that go on: what a model has read of a text is kept, and the next text is read from where they part."""

from collections.abc import Iterator, Sequence
from threading import Lock

import torch

from vivavoce.generate.writer import ROOM, Line, Row, Writer, WriterState

_CHUNK = 64


class Kept:
    """The last few texts that a model has read, with its windows; safe to use from several threads."""

    def __init__(self, writer: Writer, most: int = 4) -> None:
        """Keeps at most so many."""
        self.writer, self._most = writer, most
        self._lines: list[Line] = []
        self._lock = Lock()

    def take(self, ids: Sequence[int]) -> tuple[Line, int]:
        """The line that has most of the text in common, cut back to that, and how much that is; it is lent until
        `give`.

        The last id is never among it, so that there is something to read.
        """
        with self._lock:
            shared = [common(line.written, ids[:-1]) for line in self._lines]
            best = max(range(len(shared)), key=shared.__getitem__, default=None)
            if best is not None and (shared[best] >= len(ids) // 4 or len(self._lines) >= self._most):
                line = self._lines.pop(best)
                line.back(shared[best])
                return line, shared[best]
        return self._fresh(), 0

    def give(self, line: Line) -> None:
        """Back, to go on from later."""
        with self._lock:
            self._lines.append(line)
            del self._lines[: -self._most]

    @torch.inference_mode()
    def _fresh(self) -> Line:
        model = self.writer.model
        hidden = torch.zeros(1, model.config.trunk.dim).to(next(model.trunk.norm.parameters()))
        return Line(self.writer, WriterState(model.init_state(1, room=ROOM), hidden, [Row()]))


def push(line: Line, ids: Sequence[int]) -> Iterator[int]:
    """Lets a line read ids, a chunk at a time; gives the size of each chunk, so that one can stop between them."""
    for begin in range(0, len(ids), _CHUNK):
        chunk = ids[begin : begin + _CHUNK]
        line.push(chunk)
        line.writer.read(line.state)
        yield len(chunk)


def common(written: Sequence[int], ids: Sequence[int]) -> int:
    """Length of the beginning that two texts share."""
    size = min(len(written), len(ids))
    return next((place for place in range(size) if written[place] != ids[place]), size)
