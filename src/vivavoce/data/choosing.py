"""How some of many recordings are chosen, the same ones every time; `data.manifest.recordings` gives those that fit."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from vivavoce.data.manifest import Record

NAMELESS = ":unknown"
"""How the speaker of a recording ends when nobody knows who it is."""


def named(clip: Record) -> bool:
    """Whether it is known who speaks."""
    return not clip.speaker.endswith(NAMELESS)


def ranked(clips: Iterable[Record]) -> list[Record]:
    """In an order that does not change when recordings are added or taken away: by a checksum of the id."""
    return sorted(clips, key=lambda clip: zlib.crc32(clip.id.encode()))


def shuffled(clips: Sequence[Record], draw: np.random.Generator) -> list[Record]:
    """In random order."""
    return [clips[place] for place in draw.permutation(len(clips)).tolist()]


def lasting(clips: Iterable[Record], seconds: float) -> list[Record]:
    """The first ones, until they last so long together."""
    chosen: list[Record] = []
    total = 0.0
    for clip in clips:
        if total >= seconds:
            break
        chosen.append(clip)
        total += clip.seconds
    return chosen


def lasting_each(clips: Iterable[Record], seconds: float) -> list[Record]:
    """The first ones of every speaker, until they last longer than that together."""
    heard: defaultdict[str, float] = defaultdict(float)
    chosen = []
    for clip in clips:
        if heard[clip.speaker] <= seconds:
            heard[clip.speaker] += clip.seconds
            chosen.append(clip)
    return chosen


def of_each(clips: Iterable[Record], most: int, nameless: int | None = None) -> list[Record]:
    """The first ones of every speaker, so many at most; of speakers whose names nobody knows ``nameless`` together."""
    heard: Counter[str] = Counter()
    chosen = []
    for clip in clips:
        heard[clip.speaker] += 1
        if heard[clip.speaker] <= (most if named(clip) or nameless is None else nameless):
            chosen.append(clip)
    return chosen


def in_turns(clips: Iterable[Record]) -> list[Record]:
    """One of each speaker before a second one of any."""
    heard: Counter[str] = Counter()
    rounds: list[tuple[int, Record]] = []
    for clip in clips:
        heard[clip.speaker] += 1
        rounds.append((heard[clip.speaker], clip))
    return [clip for _, clip in sorted(rounds, key=lambda one: one[0])]
