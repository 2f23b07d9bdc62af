"""Formats of boxes and elements: MP4 and Matroska."""

import struct

from vivavoce.audio.source import Part, Source, bytes_of


def mp4(source: Source, place: int) -> Part:
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
            missing = f"{bytes_of(place + size - source.size)} are missing"
        if size < 8:  # 0: to the end of the file; less is no box
            break
        place += size
    if b"moov" not in names:
        missing = "its table of contents (moov), which recorders write last, is missing"
    return Part("MP4", begin, source.size, "PyAV", "mov", missing=missing)


_SEGMENT, _CLUSTER, _EBML = 0x18538067, 0x1F43B675, 0x1A45DFA3


def matroska(source: Source, place: int) -> Part:
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
            missing = f"{bytes_of(body + size - source.size)} are missing"
        place = body if name in (_SEGMENT, _CLUSTER) or unknown else body + size
    return Part(kind, begin, source.size, "PyAV", "matroska", missing=missing)
