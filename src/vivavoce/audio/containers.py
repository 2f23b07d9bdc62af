"""What the bytes of a recording are, whatever its name says: which format, where it begins and ends, what is missing.

Programs that write to a pipe cannot know how long a recording becomes and leave a placeholder in its header; recordings
may be joined end to end; they may have tags in front, and they may break off. `parts_of` finds all of that without
decoding anything.
"""

from collections.abc import Callable
from typing import Final

from vivavoce.audio.formats import boxes, chunks, frames, pages
from vivavoce.audio.source import Library, Part, Source


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
        if head[at : at + len(magic)] == magic and (at != 8 or head[:4] in _CHUNKED):
            return look(source, place)
    if len(head) == 40 and all(source.at(place + step, 1) == b"G" for step in (0, 188, 376)):
        return Part("MPEG-TS", place, source.size, "PyAV", "mpegts")
    if head[8:12] == b"\0\2\0\0" and 2 * int.from_bytes(head[:4]) + 12 == source.size - place:
        return Part("HTK", place, source.size)
    return frames.stream(source, place, first)


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


def _whole(kind: str, library: Library = "libsndfile", decoder: str = "") -> Callable[[Source, int], Part]:
    """A format whose end nobody marks."""

    def look(source: Source, place: int) -> Part:
        return Part(kind, place, source.size, library, decoder)

    return look


_CHUNKED: Final = frozenset({b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"})
"""What a file of chunks begins with, whose kind stands behind its size. libsndfile takes other beginnings for MP3."""
_KNOWN: Final[tuple[tuple[bytes, int, Callable[[Source, int], Part]], ...]] = (
    (b"WAVE", 8, chunks.wave),
    (b"fLaC", 0, pages.flac),
    (b"OggS", 0, pages.ogg),
    (b"ftyp", 4, boxes.mp4),
    (b"moov", 4, boxes.mp4),
    (b"\x1aE\xdf\xa3", 0, boxes.matroska),
    (b"AIFF", 8, chunks.aiff),
    (b"AIFC", 8, chunks.aiff),
    (b"caff", 0, chunks.caf),
    (b"riff.\x91\xcf\x11\xa5\xd6(\xdb\x04\xc1\0\0", 0, chunks.w64),
    (b".snd", 0, chunks.au),
    (b"dns.", 0, chunks.au),
    (b"#!AMR", 0, frames.amr),
    (b"8SVX", 8, chunks.svx),
    (b"16SV", 8, chunks.svx),
    (b"NIST_1A", 0, chunks.nist),
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
