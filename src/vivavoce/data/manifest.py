"""Recordings listed in a file, one JSON object a line: errors name the line, a check reports on all of them."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from vivavoce.audio.files import length_of
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import AudioError, ManifestError, MissingExtra, TextError
from vivavoce.text.normalise import normalise

SPLITS: Final = ("train", "dev", "test")
OWN_VOICE: Final = "vivavoce"
"""The speaker that our own model's usual voice is; it answers in every split."""
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "id": (str,), "path": (str,), "split": (str,), "speaker": (str,), "seconds": (int, float), "sample_rate": (int,),
    "licence": (str,), "source": (str,), "lang": (str,), "text": (str,), "text_style": (str,), "sex": (str,),
    "native_sample_rate": (int,), "quality": (str,), "snr_db": (int, float),
}  # fmt: skip
_REQUIRED: Final = ("id", "path", "split", "speaker", "seconds", "sample_rate", "licence")
_PASSED: Final = 0.95
"""Of half a sampling rate."""
_LOSSY_HZ: Final = 5500.0
WIDE_HZ: Final = 9000.0
"""What reaches above it has all of speech in it."""
_LENGTH_TOLERANCE: Final = 0.1  # seconds: encoders pad and headers round


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One recording. ``path`` is relative to the manifest's folder; ``folder`` says where that is."""

    id: str
    path: str
    split: str
    speaker: str
    seconds: float
    sample_rate: int
    licence: str
    source: str = ""
    lang: str = "en"
    text: str | None = None
    text_style: str | None = None
    sex: str | None = None
    native_sample_rate: int | None = None
    quality: str = "lossless"
    snr_db: float | None = None
    folder: Path = field(default=Path(), compare=False)

    @property
    def file(self) -> Path:
        """The sound file."""
        return self.folder / self.path

    @property
    def trusted_hz(self) -> float:
        """The frequency above which the recording says nothing: filters of rates and of lossy codecs took it away."""
        if self.quality != "lossless":
            return _LOSSY_HZ
        return min(self.native_sample_rate or self.sample_rate, self.sample_rate) / 2 * _PASSED

    @property
    def wide(self) -> bool:
        """Whether all of speech can be heard in it."""
        return self.trusted_hz > WIDE_HZ

    @property
    def punctuated(self) -> bool:
        """Whether its text has punctuation marks."""
        style = self.text_style or ""
        return "punctuated" in style and "no punct" not in style


@dataclass(frozen=True, slots=True)
class ManifestReport:
    """What a manifest holds and what is wrong with it."""

    path: Path
    clips: Mapping[tuple[str, str], int]
    seconds: Mapping[tuple[str, str], float]
    speakers: Mapping[tuple[str, str], int]
    problems: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report for people: a table by source and split, then the problems."""
        table = [f"{'source':24} {'split':6} {'clips':>7} {'hours':>7} {'speakers':>8}"]
        for source, split in sorted(self.clips):
            key = source, split
            hours = self.seconds[key] / 3600
            table.append(f"{source or '-':24} {split:6} {self.clips[key]:7} {hours:7.2f} {self.speakers[key]:8}")
        return [*table, *self.problems, f"{len(self.problems)} problems in {self.path}"]


def read_manifest(path: str | Path) -> list[Record]:
    """The records of a manifest. Raises ManifestError for the first bad line, with its number and what to do."""
    path = Path(path)
    records: list[Record] = []
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        record = _record(line, path, number)
        if record.id in seen:
            raise ManifestError(
                f"{path}:{number}: the id {record.id!r} was used in line {seen[record.id]}; ids are unique"
            )
        seen[record.id] = number
        records.append(record)
    if not records:
        raise ManifestError(f"{path} lists no recordings; each line is one JSON object with {', '.join(_REQUIRED)}")
    return records


def recordings(
    speech: Path,
    split: str,
    *,
    lang: str | None = None,
    least_rate: int = 0,
    seconds: tuple[float, float] = (0.0, math.inf),
    text: bool = False,
    lossless: bool = False,
    source: str = "",
) -> list[Record]:
    """The recordings of a split in a folder with a ``manifest.jsonl`` that are as wanted.

    ``seconds`` is how long they may last, both ends included. ``text``: only those whose text is known; ``lossless``:
    only those that no lossy codec went over; ``source``: only those whose source begins so.
    """
    return [
        record
        for record in read_manifest(speech / "manifest.jsonl")
        if record.split == split
        and lang in (None, record.lang)
        and record.sample_rate >= least_rate
        and seconds[0] <= record.seconds <= seconds[1]
        and (record.text or not text)
        and (record.quality == "lossless" or not lossless)
        and record.source.startswith(source)
    ]


def write_manifest(folder: Path, records: Iterable[Record]) -> Path:
    """Writes ``manifest.jsonl`` into ``folder``, whose files the records name, and gives its path."""
    names = [item.name for item in fields(Record) if item.name != "folder"]
    rows = [{name: getattr(record, name) for name in names} for record in records]
    lines = [json.dumps({name: value for name, value in row.items() if value is not None}) for row in rows]
    with atomic_write(folder / "manifest.jsonl") as path:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "manifest.jsonl"


def check(path: str | Path, *, limit: int = 20) -> ManifestReport:
    """Reads every line and looks at every file; problems are listed up to ``limit``, and none of them raises.

    Looked for: bad lines, missing or unreadable files, lengths that differ from the file's, texts that cannot be said,
    speakers that are in two splits. Raises ManifestError when the manifest itself cannot be read.
    """
    path = Path(path)
    problems: list[str] = []
    clips: Counter[tuple[str, str]] = Counter()
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    speakers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    seen: dict[str, int] = {}
    where: defaultdict[str, set[str]] = defaultdict(set)
    for number, line in _lines(path):
        try:
            record = _record(line, path, number)
        except ManifestError as error:
            problems.append(str(error))
            continue
        if record.id in seen:
            problems.append(f"{path}:{number}: the id {record.id!r} was used in line {seen[record.id]}; ids are unique")
        seen[record.id] = number
        where[record.speaker].add(record.split)
        key = record.source, record.split
        clips[key] += 1
        seconds[key] += record.seconds
        speakers[key].add(record.speaker)
        problems.extend(f"{path}:{number}: {problem}" for problem in _look(record))
    for speaker, splits in sorted(where.items()):
        if len(splits) > 1 and speaker != OWN_VOICE:
            problems.append(f"{path}: speaker {speaker!r} is in {' and '.join(sorted(splits))}; keep each in one split")
    if len(problems) > limit:
        problems[limit:] = [f"and {len(problems) - limit} problems more"]
    people = {key: len(names) for key, names in speakers.items()}
    return ManifestReport(path, dict(clips), dict(seconds), people, tuple(problems))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ManifestError(f"the manifest {path} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"the manifest {path} is no UTF-8 text ({error.reason}); save it as UTF-8") from error


def _record(line: str, path: Path, number: int) -> Record:
    place = f"{path}:{number}"
    try:
        data: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{place}: no valid JSON ({error.msg} at column {error.colno}); mend the line") from error
    if not isinstance(data, dict):
        raise ManifestError(f'{place}: {line.strip()[:40]} is no JSON object; write {{"id": …, "path": …}}')
    missing = [name for name in _REQUIRED if data.get(name) is None]
    if missing:
        raise ManifestError(f"{place}: {', '.join(missing)} missing; every line needs {', '.join(_REQUIRED)}")
    for name, kinds in _TYPES.items():
        value = data.get(name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            wanted = "a number" if float in kinds else "a whole number" if int in kinds else "a text"
            raise ManifestError(f"{place}: {name} is {value!r}, which is not {wanted}; mend the line")
    if data["split"] not in SPLITS:
        raise ManifestError(f"{place}: split is {data['split']!r}; it can be {', '.join(SPLITS)}")
    if not 0 < data["seconds"] < math.inf or data["sample_rate"] <= 0:
        raise ManifestError(
            f"{place}: seconds and sample_rate are {data['seconds']} and {data['sample_rate']}; both are above 0"
        )
    if Path(data["path"]).is_absolute() or ".." in Path(data["path"]).parts:
        raise ManifestError(
            f"{place}: path {data['path']!r} leaves the manifest's folder; give it relative to that folder"
        )
    known = {item.name for item in fields(Record)} - {"folder"}
    given = {name: value for name, value in data.items() if name in known and value is not None}
    return Record(**given, folder=path.parent)


def _look(record: Record) -> Iterator[str]:
    try:
        seconds, warning = length_of(record.file, name=record.path)
    except (AudioError, MissingExtra) as error:
        there = record.file.is_file()
        yield str(error) if there else f"{record.path} is not there; copy the recording again"
    else:
        if warning:
            yield f"{record.path}: {warning}"
        elif abs(seconds - record.seconds) > _LENGTH_TOLERANCE:
            yield f"{record.path} lasts {seconds:.2f} s and not {record.seconds:.2f} s; mend seconds"
    if record.text is not None and record.lang == "en":
        try:
            normalise(record.text)
        except TextError as error:
            yield f"text of {record.id}: {error}"
