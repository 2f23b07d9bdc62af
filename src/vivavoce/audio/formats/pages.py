"""Ogg, page by page, and FLAC."""

import struct

from vivavoce.audio.source import Part, Source


def ogg(source: Source, place: int) -> Part:
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


def flac(source: Source, place: int) -> Part:
    """Up to the next one."""
    found = [at for block in (b'\0\0\0"', b'\x80\0\0"') if (at := source.find(b"fLaC" + block, place + 4)) > 0]
    return Part("FLAC", place, min(found, default=source.size), decoder="flac")
