"""What SALMONN is asked about recordings: what is said, who speaks and how, which sound it is; and own questions.

Levels are not asked about: every recording is brought to one level before it is heard.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import log2
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from vivavoce.audio.files import read_audio
from vivavoce.audio.pitch import track_pitch
from vivavoce.core.errors import TrainingError
from vivavoce.data.cache import Cache, digest
from vivavoce.data.manifest import Record, recordings

_WHO: Final = {"m": "A man.", "f": "A woman."}
_SLOW, _FAST = 2.0, 3.2
"""Words a second."""
_MIDDLE: Final = {"m": 115.0, "f": 200.0}
"""Hz of a middling voice."""
_APART = 0.2
"""Octaves from there on a voice is low or high."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A recording, the task that is asked of it (or a question of its own), and the answer."""

    record: Record
    task: str
    answer: str
    question: str = ""


def asked_of(
    records: Sequence[Record],
    stage: int,
    answers: Sequence[Asked] = (),
    *,
    pitches: Mapping[str, float] = MappingProxyType({}),
    sounds: Sequence[Record] = (),
) -> list[Asked]:
    """What a stage learns of recordings: the first what is said and which sound it is, the second also who speaks, how
    fast and how high, and ``answers``; the third these alone.

    ``pitches`` are those of recordings in Hz, by their ids; ``sounds`` have a text that names them.
    """
    if stage == 3:
        return list(answers)
    found = [Asked(record, "recognise", record.text) for record in records if record.text]
    found += [Asked(record, "sound", record.text) for record in sounds if record.text]
    if stage == 1:
        return found
    for record in records:
        sex, pitch = (record.sex or "").lower(), pitches.get(record.id, 0.0)
        if sex in _WHO:
            found.append(Asked(record, "who", _WHO[sex]))
        if sex in _WHO and pitch > 0:
            octaves = log2(pitch / _MIDDLE[sex])
            height = "Low." if octaves < -_APART else "High." if octaves > _APART else "Neither low nor high."
            found.append(Asked(record, "pitch", height))
        if record.text:
            pace = len(record.text.split()) / record.seconds
            found.append(Asked(record, "pace", "Slowly." if pace < _SLOW else "Fast." if pace > _FAST else "Normally."))
    return [*found, *answers]


def in_turns(asked: Sequence[Asked]) -> list[Asked]:
    """The same, the tasks taking turns, so that the first of them are of all tasks."""
    tasks: dict[str, list[Asked]] = {}
    for one in asked:
        tasks.setdefault(one.task, []).append(one)
    return [one for some in zip_longest(*tasks.values()) for one in some if one is not None]


def pitches_of(records: Sequence[Record], folder: Path, say: Callable[[str], None]) -> dict[str, float]:
    """The median pitch of recordings whose speaker's sex is known, in Hz (0: nothing is voiced), by their ids.

    What was measured once is kept in a folder below ``folder``.
    """
    known = [record for record in records if (record.sex or "").lower() in _WHO]
    if not known:
        return {}

    def made() -> Iterator[dict[str, np.ndarray]]:
        for number, record in enumerate(known, 1):
            yield {"hz": np.array([track_pitch(*read_audio(record.file, allow_silent=True)).median()], np.float32)}
            if number % 500 == 0:
                say(f"pitch of {number} of {len(known)} recordings")

    config, files = {"of": "pitch"}, [record.file for record in known]
    found = Cache.of(folder / digest(config, files)[:16], config, files, made)
    return {record.id: float(found[number]["hz"][0]) for number, record in enumerate(known)}


def sounds_of(folder: Path | None, split: str, longest: float) -> list[Record]:
    """Recordings of a folder, of ``longest`` seconds at most, whose text names a sound, with ids that no speech has.

    TrainingError where there are none to learn from.
    """
    if folder is None:
        return []
    found = [
        replace(one, id=f"sounds/{one.id}") for one in recordings(folder, split, text=True, seconds=(0.0, longest))
    ]
    if not found and split == "train":
        raise TrainingError(
            f"{folder} has no training recordings whose text names a sound; vivavoce data sounds makes some"
        )
    return found


def answers_of(path: Path, known: Mapping[str, Record]) -> list[Asked]:
    """Questions about recordings and their answers, of a file of JSON lines; TrainingError for anything else."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [Asked(known[one["id"]], "", str(one["answer"]), str(one["question"])) for one in lines]
        if not all(one.question.strip() for one in found):
            raise ValueError("a question is empty")
        return found
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f'{path} has no answers about these recordings ({error}); write lines of {{"id": RECORDING, "question": …, '
            '"answer": …}'
        ) from error
