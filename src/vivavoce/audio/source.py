"""The bytes of a recording as a source, and the parts of it that are recordings, mended where they have to be."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

_NEAR: Final = 1 << 16
"""Bytes that are kept from the last look at a file."""

Library = Literal["libsndfile", "PyAV"]


class Source:
    """The bytes of a recording, a file on disk or in memory; ``name`` is for sentences."""

    def __init__(self, file: io.BufferedIOBase | io.RawIOBase, name: str) -> None:
        self.file, self.name = file, name
        self.size = file.seek(0, io.SEEK_END)
        self._near, self._from = b"", 0

    def at(self, place: int, count: int) -> bytes:
        """So many bytes from a place, fewer at the end."""
        first = place - self._from
        if first < 0 or first + count > len(self._near):
            self.file.seek(place)
            self._near, self._from, first = self.file.read(max(count, _NEAR)) or b"", place, 0
        return self._near[first : first + count]

    def find(self, wanted: bytes, place: int, end: int | None = None) -> int:
        """Where these bytes come next, or -1."""
        end = self.size if end is None else min(end, self.size)
        while place < end:
            block = self.at(place, min(1 << 20, end - place))
            found = block.find(wanted)
            if found >= 0:
                return place + found
            if len(block) < len(wanted) or place + len(block) >= end:
                return -1
            place += len(block) - len(wanted) + 1
        return -1


@dataclass(frozen=True, slots=True)
class Part:
    """One recording of a source: its format, its bytes, and what is mended so that a library reads it to its end.

    ``missing`` says in words what its structure promises beyond its end. ``decoder`` is FFmpeg's name of the format.
    """

    kind: str
    begin: int
    end: int
    library: Library = "libsndfile"
    decoder: str = ""
    mended: Mapping[int, bytes] = field(default_factory=dict)
    missing: str = ""
    cut: int | None = None
    """Where a piece begins that is cut; ``tail`` stands in its place."""
    tail: bytes = b""
    samples: int = 0
    """How many samples there are by the marks between them; 0 where there are none."""


class Window(io.RawIOBase):
    """A part of a source as a file of its own, mended."""

    def __init__(self, source: Source, part: Part) -> None:
        self._file, self._begin, self._tail = source.file, part.begin, part.tail
        self._length = (part.end if part.cut is None else part.cut) - part.begin
        self._size = self._length + len(part.tail)
        self._mended = {place - part.begin: data for place, data in part.mended.items()}
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Bytes from the beginning of the part."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place of the part; beyond its ends there is none."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}.get(whence, 0)
        self._at = min(max(base + offset, 0), self._size)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        size = self._size - self._at if size < 0 else size
        left = self._length - self._at
        data = b""
        if left > 0:
            self._file.seek(self._begin + self._at)
            data = self._file.read(min(size, left)) or b""
        if size > left:
            data += self._tail[max(-left, 0) : size - left]
        for place, new in self._mended.items():
            if place < self._at + len(data) and place + len(new) > self._at:
                whole = bytearray(data)
                first, last = max(place, self._at), min(place + len(new), self._at + len(data))
                whole[first - self._at : last - self._at] = new[first - place : last - place]
                data = bytes(whole)
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer as far as there is something."""
        if self._mended or self._at + len(buffer) > self._length:
            data = self.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        self._file.seek(self._begin + self._at)
        count = self._file.readinto(memoryview(buffer)[: self._length - self._at]) or 0
        self._at += count
        return count


def bytes_of(count: int) -> str:
    """A number of bytes in words."""
    return f"{count} byte{'' if count == 1 else 's'}"
