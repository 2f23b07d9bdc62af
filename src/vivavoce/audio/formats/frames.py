"""Frames that follow each other without a header: MP3, AAC, AMR."""

import struct
from collections.abc import Callable
from typing import Final

from vivavoce.audio.source import Part, Source, bytes_of

_SEARCHED: Final = 1 << 16
"""How far into a file the first frame of a stream without a header is searched."""
_CHAIN: Final = 4
"""Frames in a row that make a stream without a header; fewer might be chance."""
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


def stream(source: Source, place: int, first: bool) -> Part | None:
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
            place, missing = again, f"{bytes_of(again - place)} of it are damaged"
            continue
        length, same = found
        if kind is not None and same != kind:
            break
        if place > begin and _described(head):
            break
        if place + length > source.size:
            missing = f"{bytes_of(place + length - source.size)} of its last frame are missing"
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


def amr(source: Source, place: int) -> Part:
    """Up to the next one."""
    found = source.find(b"#!AMR", place + 5)
    return Part("AMR", place, found if found > 0 else source.size, "PyAV", "amr")
