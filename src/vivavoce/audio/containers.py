"""What the bytes of a recording are, whatever its name says: which format, where it begins and ends, what is missing.

Programs that write to a pipe cannot know how long a recording becomes and leave a placeholder in its header; recordings
may be joined end to end; they may have tags in front, and they may break off. `parts_of` finds all of that without
decoding anything.
"""

import io
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

_NEAR: Final = 1 << 16
"""Bytes that are kept from the last look at a file."""
_SEARCHED: Final = 1 << 16
"""How far into a file the first frame of a stream without a header is searched."""
_CHAIN: Final = 4
"""Frames in a row that make a stream without a header; fewer might be chance."""

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


def parts_of(source: Source) -> list[Part]:
    """The recordings that follow each other in these bytes; none when they are in no format that is known.

    What follows a recording and is none itself (a tag, padding) is left out.
    """
    found: list[Part] = []
    place = 0
    while place < source.size:
        place = _after_tags(source, place)
        part = _part(source, place, first=not found)
        if part is None or part.end <= place:
            break
        found.append(part)
        place = part.end
    return found


def looks_like_text(source: Source) -> bool:
    """Whether the bytes begin as words, a page or a program do."""
    head = source.at(0, 512)
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode()
    return all(letter.isprintable() or letter in "\t\r\n\f\ufeff" for letter in text)


def _part(source: Source, place: int, *, first: bool) -> Part | None:
    head = source.at(place, 40)
    for magic, at, look in _KNOWN:
        if head[at : at + len(magic)] == magic:
            return look(source, place)
    if len(head) == 40 and all(source.at(place + step, 1) == b"G" for step in (0, 188, 376)):
        return Part("MPEG-TS", place, source.size, "PyAV", "mpegts")
    if head[8:12] == b"\0\2\0\0" and 2 * int.from_bytes(head[:4]) + 12 == source.size - place:
        return Part("HTK", place, source.size)
    return _stream(source, place, first)


def _after_tags(source: Source, place: int) -> int:
    """Behind ID3 and APE tags."""
    while True:
        head = source.at(place, 32)
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
            length = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            place += 10 + length + (10 if head[5] & 16 else 0)
        elif head[:3] == b"TAG":
            place += 128
        elif head[:8] == b"APETAGEX" and len(head) >= 24:
            place += int.from_bytes(head[12:16], "little") + (32 if head[23] & 0x20 else 0)
        else:
            return place


def _bytes(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"


# ---- chunks: RIFF, AIFF, CAF, W64, AU ----


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
    missing = "" if streamed else f"{_bytes(declared - there)} of sound are missing"
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


def _wave(source: Source, place: int) -> Part:
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


def _aiff(source: Source, place: int) -> Part:
    for name, size_at, body, size in _chunks(source, place + 12, ">4sI"):
        if name == b"SSND":
            return _sized(source, "AIFF", place, body, size_at, ">I", size)
    return Part("AIFF", place, source.size, decoder="aiff")


def _caf(source: Source, place: int) -> Part:
    for name, size_at, body, size in _chunks(source, place + 8, ">4sQ"):
        if name == b"data":
            return _sized(source, "CAF", place, body, size_at, ">Q", size)
    return Part("CAF", place, source.size, decoder="caf")


def _svx(source: Source, place: int) -> Part:
    for name, size_at, body, size in _chunks(source, place + 12, ">4sI"):
        if name == b"BODY":
            return replace(_sized(source, "SVX", place, body, size_at, ">I", size), decoder="")
    return Part("SVX", place, source.size)


def _nist(source: Source, place: int) -> Part:
    """A header of 1,024 bytes in words."""
    said = dict(re.findall(rb"(\w+) -i (\d+)", source.at(place, 1024)))
    promised = math.prod(int(said.get(name, b"0")) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    lacking = 1024 + promised - (source.size - place)
    coded = b"shorten" in source.at(place, 1024)
    missing = f"{_bytes(lacking)} of sound are missing" if lacking > 0 and not coded else ""
    return Part("NIST", place, source.size, missing=missing)


def _w64(source: Source, place: int) -> Part:
    for name, size_at, body, size in _chunks(source, place + 40, "<16sQ"):
        if name[:4] == b"data":
            return _sized(source, "W64", place, body, size_at, "<Q", size, extra=24)
    return Part("W64", place, source.size, decoder="w64")


def _au(source: Source, place: int) -> Part:
    layout = ">I" if source.at(place, 1) == b"." else "<I"
    offset, size = struct.unpack(layout[0] + "II", source.at(place + 4, 8).ljust(8, b"\0"))
    body = place + offset
    part = _sized(source, "AU", place, body, place + 8, layout, size)
    if size == 0 and body >= source.size:
        return Part("AU", place, source.size, decoder="au")
    return part


# ---- Ogg, FLAC ----


def _ogg(source: Source, place: int) -> Part:
    """Pages up to the first page of another recording; the pages that begin streams come first in each."""
    begin, beginning, ended, missing, marks = place, True, False, "", list[int]()
    while place < source.size:
        head = source.at(place, 27)
        if head[:4] != b"OggS" or len(head) < 27:
            found = source.find(b"OggS", place + 1)
            if found < 0:
                break
            place, missing = found, "a page is damaged"
            continue
        starts = bool(head[5] & 2)
        if starts and not beginning:
            break
        beginning = starts
        ended = bool(head[5] & 4)
        sizes = source.at(place + 27, head[26])
        length = 27 + head[26] + sum(sizes)
        if len(sizes) < head[26] or place + length > source.size:
            tail = _rest_of_page(source, place, max(marks, default=0))
            return Part("Ogg", begin, source.size, decoder="ogg", missing="its last page is cut", cut=place, tail=tail)
        mark = int.from_bytes(head[6:14], "little", signed=True)
        if mark > 0:
            marks.append(mark)
        place += length
    if not ended and not missing:
        missing = "its last page is missing"
    from_start = bool(marks) and marks[0] < 30 * 48000  # what is caught from a running stream begins anywhere
    samples = max(marks) if from_start else 0
    return Part("Ogg", begin, max(place, begin + 1), decoder="ogg", missing=missing, samples=samples)


def _rest_of_page(source: Source, place: int, samples: int) -> bytes:
    """A page with the packets of a page that are wholly there, if any."""
    head, there = source.at(place, 27), source.size - place
    sizes = source.at(place + 27, head[26])
    body = place + 27 + head[26]
    kept = length = ends = 0
    for number, size in enumerate(sizes, 1):
        length += size
        if body + length > source.size:
            break
        if size < 255:
            kept, ends = number, length
    if there <= 27 + head[26] or not kept:
        return b""
    most = samples + 65536 * kept  # readers stop where the page says that it ends, and nobody knows where that is
    page = bytearray(head[:5] + bytes([head[5] & 1]) + struct.pack("<q", most) + head[14:22] + bytes(4) + bytes([kept]))
    page += sizes[:kept] + source.at(body, ends)
    page[22:26] = struct.pack("<I", _ogg_checksum(page))
    return bytes(page)


def _ogg_checksum(page: bytes | bytearray) -> int:
    check = 0
    for byte in page:
        check ^= byte << 24
        for _ in range(8):
            check = check << 1 ^ (0x04C11DB7 if check & 0x80000000 else 0)
        check &= 0xFFFFFFFF
    return check


def _flac(source: Source, place: int) -> Part:
    found = [at for block in (b'\0\0\0"', b'\x80\0\0"') if (at := source.find(b"fLaC" + block, place + 4)) > 0]
    return Part("FLAC", place, min(found, default=source.size), decoder="flac")


# ---- boxes and elements: MP4, Matroska ----


def _mp4(source: Source, place: int) -> Part:
    """Boxes up to the ``ftyp`` of another recording."""
    begin, names = place, set[bytes]()
    missing = ""
    while place + 8 <= source.size:
        size, name = struct.unpack(">I4s", source.at(place, 8))
        if size == 1:
            size = int.from_bytes(source.at(place + 8, 8))
        if name == b"ftyp" and b"moov" in names and ({b"mdat", b"moof"} & names):
            return Part("MP4", begin, place, "PyAV", "mov", missing=missing)
        names.add(name)
        if size and place + size > source.size:
            missing = f"{_bytes(place + size - source.size)} are missing"
        if size < 8:  # 0: to the end of the file; less is no box
            break
        place += size
    if b"moov" not in names:
        missing = "its table of contents (moov), which recorders write last, is missing"
    return Part("MP4", begin, source.size, "PyAV", "mov", missing=missing)


_SEGMENT, _CLUSTER, _EBML = 0x18538067, 0x1F43B675, 0x1A45DFA3


def _matroska(source: Source, place: int) -> Part:
    """Elements up to the header of another recording; whoever records live leaves sizes of all ones."""
    begin, missing = place, ""
    kind = "WebM" if b"webm" in source.at(place, 64) else "Matroska"
    while place < source.size:
        head = source.at(place, 12)
        name_bytes = 9 - head[0].bit_length() if head[0] else 9
        if name_bytes > 4 or len(head) <= name_bytes:
            missing = missing or ("" if name_bytes > 4 else "its last element is cut")
            break
        size_bytes = 9 - head[name_bytes].bit_length() if head[name_bytes] else 9
        if size_bytes > 8 or len(head) < name_bytes + size_bytes:
            missing = missing or ("" if size_bytes > 8 else "its last element is cut")
            break
        name = int.from_bytes(head[:name_bytes])
        size = int.from_bytes(head[name_bytes : name_bytes + size_bytes]) & ((1 << 7 * size_bytes) - 1)
        body = place + name_bytes + size_bytes
        unknown = size == (1 << 7 * size_bytes) - 1
        if name == _EBML and place > begin:
            return Part(kind, begin, place, "PyAV", "matroska", missing=missing)
        if not unknown and body + size > source.size:
            missing = f"{_bytes(body + size - source.size)} are missing"
        place = body if name in (_SEGMENT, _CLUSTER) or unknown else body + size
    return Part(kind, begin, source.size, "PyAV", "matroska", missing=missing)


# ---- frames without a header: MP3, AAC, AMR ----

_KBITS: Final = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_frame(head: bytes) -> tuple[int, tuple[int, ...]] | None:
    """Length of an MPEG audio frame, and what stays the same within a recording; None when it is none."""
    if len(head) < 4 or head[0] != 255 or head[1] < 224:
        return None
    version, layer, bits, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    hz = _RATES[version][rate]
    kbits = _KBITS[(1, layer) if version == 3 else (2, min(layer, 2))][bits]
    padding = head[2] >> 1 & 1
    if layer == 1:
        length = (12000 * kbits // hz + padding) * 4
    else:
        length = (72000 if layer == 3 and version != 3 else 144000) * kbits // hz + padding
    return length, (version, layer, hz, (head[3] >> 6) == 3)


def _adts_frame(head: bytes) -> tuple[int, tuple[int, ...]] | None:
    """Length of a frame of AAC, and what stays the same within a recording; None when it is none."""
    if len(head) < 7 or head[0] != 255 or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, (head[1], head[2])) if length > 7 else None


_FrameOf = Callable[[bytes], tuple[int, tuple[int, ...]] | None]


def _chained(source: Source, place: int, frame_of: _FrameOf) -> bool:
    """Whether frames follow each other from here, `_CHAIN` of them or up to the end."""
    same: tuple[int, ...] | None = None
    for number in range(_CHAIN):
        if number and (place >= source.size or source.at(place, 3) in (b"TAG", b"ID3", b"APE")):
            return place <= source.size or number > 1
        found = frame_of(source.at(place, 8))
        if found is None or (same is not None and found[1] != same):
            return False
        place, same = place + found[0], found[1]
    return True


def _stream(source: Source, place: int, first: bool) -> Part | None:
    """MP3 or AAC from its first frame, which need not be the first byte."""
    end = min(place + _SEARCHED, source.size) if first else place + 1
    while place < end:
        place = source.find(b"\xff", place, end)
        if place < 0:
            return None
        if _chained(source, place, _mpeg_frame):
            return _mp3(source, place)
        if _chained(source, place, _adts_frame):
            return Part("AAC", place, source.size, "PyAV", "aac")
        place += 1
    return None


def _mp3(source: Source, begin: int) -> Part:
    """Frames up to a tag, a header of another recording, or frames of another kind."""
    place, kind, missing = begin, None, ""
    while place < source.size:
        head = source.at(place, 48)
        found = _mpeg_frame(head)
        if found is None:
            if head[:3] in (b"ID3", b"TAG") or head[:8] == b"APETAGEX":
                break
            again = _resumes(source, place, kind)
            if again < 0:
                break
            place, missing = again, f"{_bytes(again - place)} of it are damaged"
            continue
        length, same = found
        if kind is not None and same != kind:
            break
        if place > begin and _described(head):
            break
        if place + length > source.size:
            missing = f"{_bytes(place + length - source.size)} of its last frame are missing"
        place, kind = place + length, same
    end = min(place, source.size)
    return Part("MP3", begin, end, decoder="mp3", mended=_sizes(source, begin, end), missing=missing)


def _described(head: bytes) -> bool:
    """Whether this frame is the header that encoders put in front of a recording."""
    return any(head[at : at + 4] in (b"Xing", b"Info") for at in (13, 21, 36)) or head[36:40] == b"VBRI"


def _sizes(source: Source, begin: int, end: int) -> dict[int, bytes]:
    """The number of bytes in such a header as it is; mpg123 prints a warning where it differs."""
    head = source.at(begin, 48)
    for at in (13, 21, 36):
        if head[at : at + 4] in (b"Xing", b"Info") and head[at + 7] & 2:
            return {begin + at + (12 if head[at + 7] & 1 else 8): struct.pack(">I", min(end - begin, 0xFFFFFFFF))}
    return {}


def _resumes(source: Source, place: int, kind: tuple[int, ...] | None) -> int:
    """Where frames of this kind go on after damage, or -1."""
    end = min(place + _SEARCHED, source.size)
    while (place := source.find(b"\xff", place + 1, end)) >= 0:
        found = _mpeg_frame(source.at(place, 4))
        if found is not None and found[1] == kind and _chained(source, place, _mpeg_frame):
            return place
    return -1


def _amr(source: Source, place: int) -> Part:
    found = source.find(b"#!AMR", place + 5)
    return Part("AMR", place, found if found > 0 else source.size, "PyAV", "amr")


def _whole(kind: str, library: Library = "libsndfile", decoder: str = "") -> Callable[[Source, int], Part]:
    """A format whose end nobody marks."""

    def look(source: Source, place: int) -> Part:
        return Part(kind, place, source.size, library, decoder)

    return look


_KNOWN: Final[tuple[tuple[bytes, int, Callable[[Source, int], Part]], ...]] = (
    (b"WAVE", 8, _wave),
    (b"fLaC", 0, _flac),
    (b"OggS", 0, _ogg),
    (b"ftyp", 4, _mp4),
    (b"moov", 4, _mp4),
    (b"\x1aE\xdf\xa3", 0, _matroska),
    (b"AIFF", 8, _aiff),
    (b"AIFC", 8, _aiff),
    (b"caff", 0, _caf),
    (b"riff.\x91\xcf\x11\xa5\xd6(\xdb\x04\xc1\0\0", 0, _w64),
    (b".snd", 0, _au),
    (b"dns.", 0, _au),
    (b"#!AMR", 0, _amr),
    (b"8SVX", 8, _svx),
    (b"16SV", 8, _svx),
    (b"NIST_1A", 0, _nist),
    (b"Creative Voice File\x1a", 0, _whole("VOC")),
    (b"2BIT", 0, _whole("AVR")),
    (b"PVF1\n", 0, _whole("PVF")),
    (b" paf", 0, _whole("PAF")),
    (b"fap ", 0, _whole("PAF")),
    (b"d\xa3", 0, _whole("IRCAM")),
    (b"ALawSoundFile", 0, _whole("WVE")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, _whole("WMA", "PyAV", "asf")),
    (b"AVI ", 8, _whole("AVI", "PyAV", "avi")),
    (b"FLV\x01", 0, _whole("FLV", "PyAV", "flv")),
    (b"wvpk", 0, _whole("WavPack", "PyAV", "wv")),
    (b"TTA1", 0, _whole("TTA", "PyAV", "tta")),
    (b"\x0bw", 0, _whole("AC-3", "PyAV", "ac3")),
)
