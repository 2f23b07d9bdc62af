"""Formats of chunks with their sizes in front: WAV, AIFF, CAF, W64, SVX; and AU and NIST with one header."""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import replace

from vivavoce.audio.source import Part, Source, bytes_of


def _sized(
    source: Source,
    kind: str,
    begin: int,
    body: int,
    size_at: int,
    layout: str,
    declared: int,
    extra: int = 0,
) -> Part:
    """The part whose sound begins at ``body``, its size declared at ``size_at`` (``extra`` bytes more than sound)."""
    there = max(source.size - body, 0)
    streamed = declared == 0 or _placeholder(declared, layout)
    if declared <= there and not streamed:
        return Part(kind, begin, _next_one(source, begin, body + declared), decoder=kind.lower())
    if declared == 0 and _only_chunks(source, body, layout):
        return Part(kind, begin, source.size, decoder=kind.lower())
    end = source.size
    if streamed and kind == "WAV" and (found := source.find(b"WAVEfmt ", body)) >= 0:
        end = max(found - 8, body)
    there = max(end - body, 0)
    most = (1 << 8 * struct.calcsize(layout)) - 1
    mended = {size_at: struct.pack(layout, min(there + extra, most))}
    missing = "" if streamed else f"{bytes_of(declared - there)} of sound are missing"
    return Part(kind, begin, end, mended=mended, missing=missing, decoder=kind.lower())


def _placeholder(size: int, layout: str) -> bool:
    """Whether this is what programs write that cannot know: (almost) all bits, or all but the sign."""
    if struct.calcsize(layout) == 8:
        return size >= (1 << 62) or _placeholder(size, "<I")
    return 0x7FFF0000 <= size <= 0x8000FFFF or 0xFFFF0000 <= size <= 0xFFFFFFFF


def _only_chunks(source: Source, place: int, layout: str) -> bool:
    """Whether nothing but whole chunks follows, so that a size of 0 is true."""
    if struct.calcsize(layout) == 8:
        return place >= source.size
    while place + 8 <= source.size:
        name, length = struct.unpack(layout[0] + "4sI", source.at(place, 8))
        if not name.isascii() or not name.decode().isprintable():
            return False
        place += 8 + length + length % 2
    return source.size <= place <= source.size + 1


def _next_one(source: Source, begin: int, place: int) -> int:
    """Where a recording ends: at the next one that is joined to it, or at the end of the source."""
    magic = source.at(begin, 4)
    if magic not in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return next((p for p in (place, place + -(place - begin) % 8) if source.at(p, 4) == magic), source.size)
    order = ">" if magic in (b"RIFX", b"FORM") else "<"
    place += (place - begin) % 2
    while place + 12 <= source.size:
        name, length, form = struct.unpack(order + "4sI4s", source.at(place, 12))
        if name == magic and form == source.at(begin + 8, 4):
            return place
        if not name.strip().isalnum():
            break
        place += 8 + length + length % 2
    return source.size


def _chunks(source: Source, place: int, layout: str) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, place of the size, place of the body and size of each chunk."""
    name_bytes, size_bytes = struct.calcsize(layout[:-1]), struct.calcsize(layout[0] + layout[-1])
    while place + name_bytes + size_bytes <= source.size:
        name, size = struct.unpack(layout, source.at(place, name_bytes + size_bytes))
        body = place + name_bytes + size_bytes
        if name_bytes == 16:  # W64: sizes count their own headers, chunks begin at multiples of eight
            size = max(size - 24, 0)
            yield name, place + 16, body, size
            place = body + size + -size % 8
        else:
            yield name, place + name_bytes, body, size
            place = body + size + (size % 2 if size_bytes == 4 else 0)


def wave(source: Source, place: int) -> Part:
    """WAV up to its sound, whatever its size says."""
    head = source.at(place, 12)
    order = ">" if head[:4] == b"RIFX" else "<"
    mended = {place: b"RF64"} if head[:4] == b"BW64" else {}
    wide: tuple[int, int] | None = None
    kind = "WAV"
    for name, size_at, body, size in _chunks(source, place + 12, order + "4sI"):
        if name == b"fmt " and int.from_bytes(source.at(body, 2), "little") == 0x55:
            kind = "MP3 in WAV"
        if name == b"ds64":
            wide = body + 8, int.from_bytes(source.at(body + 8, 8), "little")
        if name == b"data":
            if wide is not None and size == 0xFFFFFFFF:
                part = _sized(source, "WAV", place, body, wide[0], "<Q", wide[1])
            else:
                part = _sized(source, "WAV", place, body, size_at, order + "I", size)
            return replace(part, kind=kind, mended=mended | dict(part.mended))
    return Part("WAV", place, source.size, decoder="wav", mended=mended)


def aiff(source: Source, place: int) -> Part:
    """AIFF and AIFC."""
    for name, size_at, body, size in _chunks(source, place + 12, ">4sI"):
        if name == b"SSND":
            return _sized(source, "AIFF", place, body, size_at, ">I", size)
    return Part("AIFF", place, source.size, decoder="aiff")


def caf(source: Source, place: int) -> Part:
    """Core Audio."""
    for name, size_at, body, size in _chunks(source, place + 8, ">4sQ"):
        if name == b"data":
            return _sized(source, "CAF", place, body, size_at, ">Q", size)
    return Part("CAF", place, source.size, decoder="caf")


def svx(source: Source, place: int) -> Part:
    """Amiga's 8SVX and 16SV."""
    for name, size_at, body, size in _chunks(source, place + 12, ">4sI"):
        if name == b"BODY":
            return replace(_sized(source, "SVX", place, body, size_at, ">I", size), decoder="")
    return Part("SVX", place, source.size)


def nist(source: Source, place: int) -> Part:
    """A header of 1,024 bytes in words."""
    said = dict(re.findall(rb"(\w+) -i (\d+)", source.at(place, 1024)))
    promised = math.prod(int(said.get(name, b"0")) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    lacking = 1024 + promised - (source.size - place)
    coded = b"shorten" in source.at(place, 1024)
    missing = f"{bytes_of(lacking)} of sound are missing" if lacking > 0 and not coded else ""
    return Part("NIST", place, source.size, missing=missing)


def w64(source: Source, place: int) -> Part:
    """Sony's Wave64."""
    for name, size_at, body, size in _chunks(source, place + 40, "<16sQ"):
        if name[:4] == b"data":
            return _sized(source, "W64", place, body, size_at, "<Q", size, extra=24)
    return Part("W64", place, source.size, decoder="w64")


def au(source: Source, place: int) -> Part:
    """Sun's and NeXT's."""
    layout = ">I" if source.at(place, 1) == b"." else "<I"
    offset, size = struct.unpack(layout[0] + "II", source.at(place + 4, 8).ljust(8, b"\0"))
    body = place + offset
    part = _sized(source, "AU", place, body, place + 8, layout, size)
    if size == 0 and body >= source.size:
        return Part("AU", place, source.size, decoder="au")
    return part
