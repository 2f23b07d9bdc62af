"""The recordings of a manifest as a token corpus (`data.tokens`): every core works, and work that was ended goes on.

Tokens of each recording are kept in a hidden folder until a stream of all of them is written. Recordings that cannot be
encoded are in no stream; ``left-out.jsonl`` in the corpus says which and why, and they are tried again when they have
changed.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vivavoce.assistant.token_files import FileOutcome, Tally, one_thread_each, tried
from vivavoce.assistant.tokens import encode, open_tokenizer
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ManifestError, SpecError
from vivavoce.core.streams import Tokens
from vivavoce.data.manifest import Record, read_manifest
from vivavoce.data.side_by_side import cores, side_by_side
from vivavoce.data.tokens import Encode, add_stream, has_stream, kind_of
from vivavoce.systems.encodec import ChunkedCodec
from vivavoce.text.tokenizers import PhoneTokenizer

LEFT_OUT = "left-out.jsonl"
_BEGUN = ".begun-"
Watch = Callable[[Iterator[FileOutcome], int, str], Tally]
"""Takes the outcomes of so many recordings for a stream, and shows them to whoever waits."""


def corpus(
    speech: Path, parts: Sequence[str], out: Path, say: Callable[[str], None] = print, watch: Watch | None = None
) -> int:
    """Makes the corpus, a stream per part, or finds it made, and gives how many recordings are left out of it.

    A part is a folder with a codec or units, or ``phones`` for those of the texts. How fast it went is told in hours
    of sound an hour. Raises ManifestError where no recording is left.
    """
    records = read_manifest(speech / "manifest.jsonl")
    encoders = [_encoder(part) for part in parts]
    left = {record.id: why for record in records if (why := _known(out).get(_key(record)))}
    for spec, make in encoders:
        wanted = [record for record in records if record.id not in left]
        if has_stream(out, wanted, spec):
            continue
        begun = _begun(out, spec)
        outcomes = _outcomes(wanted, spec, make, begun, left)
        tally = (watch or _watched(say))(outcomes, len(wanted), spec.name)
        for line in tally.lines("recordings")[1:]:
            say(line)
    good = [record for record in records if record.id not in left]
    if not good:
        raise ManifestError(f"no recording of {speech} could be made tokens: {next(iter(left.values()))}")
    _note(out, [record for record in records if record.id in left], left)
    for spec, make in encoders:
        with one_thread_each():
            made = add_stream(out, good, spec, _kept(make, spec, _begun(out, spec)), cores())
        for begun in out.glob(f"{_BEGUN}{spec.name}-*"):
            shutil.rmtree(begun, ignore_errors=True)
        say(f"{out / spec.name}: {len(made)} utterances of {spec.alphabet}")
    if left:
        say(f"{len(left)} recordings are left out; {out / LEFT_OUT} says why")
    return len(left)


def _encoder(part: str) -> tuple[Tokens, Encode]:
    """What a part makes of a recording."""
    if part == "phones":
        phones = PhoneTokenizer()
        return phones.tokens, lambda record: phones.encode([record.text or ""]).data[0]
    codec = open_tokenizer(part)
    if isinstance(codec, ChunkedCodec):
        raise SpecError(f"{part} takes recordings in chunks, of which no corpus is made; take one with frames in a row")
    return codec.tokens, lambda record: encode(codec, record.file).codes.data[0]


def _watched(say: Callable[[str], None]) -> Watch:
    """Says how far it is now and then, and what is wrong with which recording."""

    def watch(outcomes: Iterator[FileOutcome], number: int, name: str) -> Tally:
        tally = Tally()
        for done, one in enumerate(outcomes, 1):
            tally.add(one)
            if one.error:
                say(one.error)
            if done % 500 == 0:
                say(f"{name}: {done} of {number}")
        return tally

    return watch


def _outcomes(
    records: Sequence[Record], spec: Tokens, make: Encode, begun: Path, left: dict[str, str]
) -> Iterator[FileOutcome]:
    """Encodes each recording that is not begun already; what cannot be is noted in ``left``."""

    def one(record: Record) -> tuple[str, FileOutcome]:
        return record.id, tried(lambda: worked(record), record.file)

    def worked(record: Record) -> FileOutcome:
        kept = begun / f"{_key(record)}.npy"
        if kept.exists():
            return FileOutcome(record.file, kept=True)
        ids = make(record).numpy().astype(kind_of(spec))
        with atomic_write(kept) as path, open(path, "wb") as file:
            np.save(file, ids)
        return FileOutcome(record.file, record.seconds)

    with one_thread_each():
        for name, outcome in side_by_side(one, records, cores()):
            if outcome.error:
                left[name] = outcome.error
            yield outcome


def _kept(make: Encode, spec: Tokens, begun: Path) -> Encode:
    """The tokens of a recording as they were begun, or made now."""

    def ids(record: Record) -> Int[Tensor, "K T"]:
        with suppress(OSError, ValueError, EOFError):
            found = np.load(begun / f"{_key(record)}.npy", allow_pickle=False)
            if found.shape[0] == spec.books:
                return torch.from_numpy(found.astype(np.int64))
        return make(record)

    return ids


def _begun(out: Path, spec: Tokens) -> Path:
    """Where tokens wait for the others."""
    return out / f"{_BEGUN}{spec.name}-{spec.alphabet}"


def _key(record: Record) -> str:
    """What tokens of a recording depend on beside what makes them."""
    facts: list[Any] = [record.id, record.path, record.text]
    with suppress(OSError):
        stat = record.file.stat()
        facts += [stat.st_size, stat.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _known(out: Path) -> dict[str, str]:
    """Why recordings were left out before, by their keys."""
    try:
        rows = [json.loads(line) for line in (out / LEFT_OUT).read_text(encoding="utf-8").splitlines()]
        return {str(row["key"]): str(row["why"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _note(out: Path, records: Sequence[Record], left: dict[str, str]) -> None:
    """Writes down what is left out."""
    if not records:
        (out / LEFT_OUT).unlink(missing_ok=True)
        return
    rows = [{"id": one.id, "path": one.path, "why": left[one.id], "key": _key(one)} for one in records]
    with atomic_write(out / LEFT_OUT) as path:
        path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
