"""What recipes learn from in miniature: the package's own recordings as a folder of speech."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.audio.files import length_of
from vivavoce.data.manifest import Record, write_manifest


def recordings(
    folder: Path, lines: Sequence[tuple[str, str]] = LINES, *, splits: Sequence[str] = ("train",), copies: int = 1
) -> Path:
    """Copies recordings into ``folder``, the splits taking turns, and writes their manifest; gives the folder.

    ``lines`` are names of files and what is said in them; each is listed ``copies`` times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number, (name, text) in enumerate(lines):
        shutil.copy(RECORDINGS / name, folder / name)
        records += [
            Record(
                id=f"{name} {copy}",
                path=name,
                split=splits[number % len(splits)],
                speaker="vivavoce:synthetic",
                seconds=length_of(folder / name)[0],
                sample_rate=24000,
                licence="synthetic speech, free of rights",
                source="vivavoce",
                text=text,
            )
            for copy in range(copies)
        ]
    write_manifest(folder, records)
    return folder
