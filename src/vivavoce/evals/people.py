"""Recordings of real people from a folder with a ``manifest.jsonl``: who to measure with, who the judge learns from."""

from collections.abc import Iterator
from pathlib import Path

from vivavoce.audio.files import read_audio
from vivavoce.data.choosing import lasting_each, named
from vivavoce.data.manifest import Record, recordings
from vivavoce.evals.listening import Clip

_TAUGHT_SECONDS = 40.0
"""What the judge of voices hears of each training speaker, in pieces of about five seconds."""


def _clip(record: Record) -> Clip:
    wave, rate = read_audio(record.file)
    sex = (record.sex or "").upper()
    return Clip(record.speaker, wave, rate, record.text or "", record.source, record.quality == "lossless", sex)


def measured_on(folder: Path) -> list[Clip]:
    """All English recordings of the dev speakers."""
    return [_clip(record) for record in recordings(folder, "dev", lang="en")]


def taught_from(folder: Path) -> list[Clip]:
    """Pieces of the training speakers whose names are known."""
    return list(_pieces(lasting_each(filter(named, recordings(folder, "train")), _TAUGHT_SECONDS)))


def _pieces(records: list[Record]) -> Iterator[Clip]:
    for record in records:
        whole = _clip(record)
        for piece in whole.wave.chunk(max(1, round(record.seconds / 5))):
            if len(piece) > 1.5 * whole.sample_rate:
                yield Clip(record.speaker, piece, whole.sample_rate, "", whole.source, whole.lossless)
