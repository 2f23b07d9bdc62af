"""What a speaker that is told how to sound learns from: what is measured of recordings, and synthetic ones at hand."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from vivavoce.audio.files import SYNTHETIC, length_of, read_audio, write_audio
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import TrainingError
from vivavoce.data.attributes import Attributes, measure
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record, write_manifest
from vivavoce.data.synthesis import SPEAKING_RATE, Reading, speak
from vivavoce.data.voices import SynthesisVoice
from vivavoce.text.phones import PHONE_IDS, SIL
from vivavoce.text.tokenizers import PhoneTokenizer

_FORM = 1
"""Of what is measured; another number makes it anew."""


def measured(records: Sequence[Record], folder: Path, say: Callable[[str], None] = print) -> list[Attributes]:
    """The attributes of recordings whose texts are known, measured once."""
    phones = PhoneTokenizer()

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number, record in enumerate(records):
            wave, rate = read_audio(record.file, allow_silent=True)
            said = int((phones.encode([record.text or ""]).data != PHONE_IDS[SIL]).sum())
            one = measure(wave, rate, said)
            yield {"values": np.array([[one.pitch_hz, one.liveliness, one.rate, one.noise_db]], np.float32)}
            if (number + 1) % 500 == 0:
                say(f"measured {number + 1} of {len(records)} recordings")

    texts = [record.text for record in records]
    found = Cache.of(folder, {"form": _FORM, "texts": texts}, [record.file for record in records], make)
    made = []
    for number, record in enumerate(records):
        pitch, liveliness, rate, noise = (float(value) for value in found[number]["values"][0])
        sex = record.sex if record.sex in ("F", "M") else ""
        made.append(Attributes(pitch_hz=pitch, liveliness=liveliness, rate=rate, noise_db=noise, sex=sex))
    return made


def write_attributes(file: Path, ids: Sequence[str], found: Sequence[Attributes]) -> None:
    """What was measured as JSON lines, for a run on a machine that has not the recordings."""
    lines = [json.dumps({"id": id, **asdict(one)}) for id, one in zip(ids, found, strict=True)]
    with atomic_write(file) as path:
        path.write_text("".join(f"{line}\n" for line in lines))


def read_attributes(file: Path, ids: Sequence[str]) -> list[Attributes]:
    """What `write_attributes` wrote of these recordings; TrainingError where there is nothing of the kind."""
    try:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        known = {line.pop("id"): Attributes(**line) for line in lines}
        return [known[id] for id in ids]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{file} has no attributes of all recordings ({error}); take the attributes.jsonl of a run on this corpus"
        ) from error


def synthetic(readings: Sequence[Reading], folder: Path, *, block: int = 200) -> Path:
    """Readings as recordings with a manifest that tells the sex of each voice; a folder that is begun is gone on with.

    Gives the folder.
    """
    files = [folder / f"{number:05d}.flac" for number in range(len(readings))]
    for begin in range(0, len(readings), block):
        some = slice(begin, begin + block)
        if all(file.exists() for file in files[some]):
            continue
        for file, spoken in zip(files[some], speak(readings[some], sample_rate=SPEAKING_RATE), strict=True):
            write_audio(file, torch.from_numpy(spoken.wave), SPEAKING_RATE, comment=SYNTHETIC)
    records = [
        Record(
            id=file.stem, path=file.name, split="train", speaker=f"{reading.engine}:{reading.voice}",
            seconds=length_of(file)[0], sample_rate=SPEAKING_RATE, licence="synthetic speech, free of rights",
            source=reading.engine, text=reading.text, sex=SynthesisVoice(reading.engine, reading.voice).sex,
        )
        for file, reading in zip(files, readings, strict=True)
    ]  # fmt: skip
    write_manifest(folder, records)
    return folder
