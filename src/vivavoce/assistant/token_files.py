"""Many recordings as token files, and token files as sound: every core works, and whatever cannot be done is said.

A token file is written whole or not at all and names the recording that it was made of, so that work which was ended
goes on where it was: what is there and would become the same is kept.
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from vivavoce.assistant import tokens
from vivavoce.assistant.tokens import AnyCodec, Coded, EntropyCoder, Tokenizer
from vivavoce.audio.files import SYNTHETIC, write_audio
from vivavoce.core import config as configs
from vivavoce.core.errors import AudioError, SpecError, StorageError, VivavoceError
from vivavoce.core.streams import whole
from vivavoce.data.manifest import read_manifest
from vivavoce.data.side_by_side import cores, side_by_side
from vivavoce.data.tokens import LIST, TokenCorpus
from vivavoce.systems.facodec import Facodec

SOUNDS = frozenset(
    ".wav .wave .w64 .rf64 .flac .ogg .oga .opus .mp3 .mp2 .mpga .m4a .m4b .mp4 .aac .ac3 .aif .aiff .aifc .au .snd "
    ".caf .webm .weba .mka .mkv .wma .amr .3gp .sph .nist .voc .sd2 .avr .mov".split()
)
"""Suffixes by which a file in a folder is taken for a recording; what it is, its bytes decide."""
MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Listed:
    """Files that are to be worked on, each with where its result goes; files that are none of them, by suffix."""

    pairs: Sequence[tuple[Path, Path]]
    others: Mapping[str, int] = field(default_factory=dict)

    def left_out(self) -> str:
        """What is not taken, for people; empty where there is nothing of the kind."""
        if not self.others:
            return ""
        kinds = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in sorted(self.others.items()))
        return f"left out by their names: {kinds}"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file: sound of so many seconds, or nothing because of ``error``."""

    source: Path
    seconds: float = 0.0
    kept: bool = False
    error: str = ""


@dataclass(slots=True)
class Tally:
    """What became of all of them."""

    made: int = 0
    kept: int = 0
    failed: int = 0
    seconds: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    def add(self, one: FileOutcome) -> None:
        """One more."""
        self.seconds += one.seconds
        self.failed += bool(one.error)
        self.kept += one.kept
        self.made += not one.kept and not one.error

    def lines(self, what: str) -> list[str]:
        """For people: how many of ``what`` were made, and how fast in hours of sound an hour."""
        parts = [f"{self.made} {what}, {self.seconds / 3600:.2f} hours of sound"]
        if self.kept:
            parts.append(f"{self.kept} were there and are kept")
        if self.failed:
            parts.append(f"{self.failed} could not be made")
        lines = ["; ".join(parts)]
        if self.made:
            speed = self.seconds / max(time.monotonic() - self.begun, 1e-3)
            number = cores()
            lines.append(f"{speed:.0f} hours of sound an hour on {number} core{'s' * (number != 1)}")
        return lines


def is_many(source: Path) -> bool:
    """Whether this names several files: a folder, or a manifest."""
    return source.is_dir() or source.suffix == ".jsonl"


def recordings_in(source: Path, out: Path) -> Listed:
    """The recordings of a manifest, or of a folder and those in it, and the token file of each under ``out``.

    A folder with a ``manifest.jsonl`` is what that lists. Recordings that differ by their suffix alone keep it in the
    token file's name. Raises AudioError where there are none, ManifestError for a bad manifest.
    """
    manifest = source / MANIFEST if source.is_dir() else source
    if not source.is_dir() or manifest.is_file():
        return Listed(_paired([(record.file, Path(record.path)) for record in read_manifest(manifest)], out, ".npz"))
    return _within(source, out, SOUNDS, ".npz", "recordings")


def tokens_in(folder: Path, out: Path) -> Listed:
    """The token files of a folder and those in it, and the sound file of each under ``out``; SpecError if none."""
    return _within(folder, out, frozenset({".npz"}), ".wav", "token files")


def _within(folder: Path, out: Path, taken: frozenset[str], suffix: str, what: str) -> Listed:
    if not folder.is_dir():
        raise AudioError(f"there is no folder {folder}; check the path")
    found = [path for path in _files(folder) if not path.name.startswith(".")]
    chosen = sorted(path for path in found if path.suffix.lower() in taken)
    if not chosen:
        raise AudioError(f"{folder} has no {what} ({', '.join(sorted(taken))}); give a folder that has some")
    pairs = _paired([(path, path.relative_to(folder)) for path in chosen], out, suffix)
    return Listed(pairs, Counter(path.suffix.lower() for path in found if path.suffix.lower() not in taken))


def _files(folder: Path) -> Iterator[Path]:
    """All files under a folder, through links too; OSError for a folder that cannot be read."""

    def unreadable(error: OSError) -> None:
        raise error

    seen = set()
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / name for name in names)


def _paired(files: Sequence[tuple[Path, Path]], out: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Each with its result's file, at the same place under ``out``."""
    often = Counter(place.with_suffix("") for _, place in files)
    return [
        (file, out / (place.with_suffix(suffix) if often[place.with_suffix("")] == 1 else f"{place}{suffix}"))
        for file, place in files
    ]


def encode_all(
    tokenizer: Tokenizer, listed: Listed, books: int | None = None, coder: EntropyCoder | None = None
) -> Iterator[FileOutcome]:
    """Writes a token file for each recording, in order; one that is there and fits is kept.

    Raises SpecError at once for more books than there are or another tokenizer's coder, and StorageError where nothing
    can be written; what is wrong with a recording is its outcome's error.
    """
    spec = tokens.checked(tokenizer, books)
    if coder is not None:
        tokens.fitting(coder, spec)
    rate = tokens.plain(tokenizer).config.sample_rate

    def one(pair: tuple[Path, Path]) -> FileOutcome:
        file, target = pair
        recording = recording_digest(file)
        if _made_already(target, configs.dump(spec), coder, recording):
            return FileOutcome(file, kept=True)
        coded = tokens.encode(tokenizer, file, books)
        coded.save(target, coder, recording)
        return FileOutcome(file, coded.samples / rate)

    return _each(one, listed.pairs)


def decode_all(
    codec: AnyCodec, listed: Listed, books: int | None = None, coder: EntropyCoder | None = None
) -> Iterator[FileOutcome]:
    """Writes the sound of each token file, in order; as `encode_all`, but all of them are made anew."""

    def one(pair: tuple[Path, Path]) -> FileOutcome:
        file, target = pair
        return _sounded(codec, tokens.load(codec, file, coder), file, target, books)

    return _each(one, listed.pairs)


def decode_corpus(
    codec: AnyCodec, folder: Path, out: Path, books: int | None = None
) -> tuple[int, Iterator[FileOutcome]]:
    """Writes the sound of each utterance of a token corpus (`data.tokens`) under its id; says how many there are.

    Raises ManifestError where there is no corpus, SpecError where none of its streams is of this codec, for more books
    than it has, and for codecs that need more than tokens for sound.
    """
    corpus, wanted = TokenCorpus(folder), codec.tokens
    if isinstance(codec, Facodec):
        raise SpecError(
            f"{folder} says nothing of the voices without which this codec makes no sound; encode the recordings to "
            "token files: vivavoce tokens encode SPEECH -o FOLDER"
        )
    tokens.checked(codec, books)
    fits = [name for name, spec in corpus.specs.items() if spec == wanted]
    if not fits:
        held = "; ".join(str(spec) for spec in corpus.specs.values()) or "nothing"
        raise SpecError(f"{folder} has {held}, wanted {wanted}; name with --model the folder of what made it")
    config = tokens.plain(codec).config

    places = [(Path(said.id), out / f"{quote(said.id, safe=' ')}.wav") for said in corpus.utterances]
    numbers = {target: index for index, (_, target) in enumerate(places)}

    def one(pair: tuple[Path, Path]) -> FileOutcome:
        source, target = pair
        index = numbers[target]
        ids = corpus.items(index)[fits[0]]
        samples = min(round(corpus.utterances[index].seconds * config.sample_rate), ids.shape[1] * config.hop)
        return _sounded(codec, Coded(whole(wanted, ids[None]), samples), source, target, books)

    return len(places), _each(one, places)


def is_corpus(folder: Path) -> bool:
    """Whether a folder holds a token corpus."""
    return (folder / LIST).is_file()


def _sounded(codec: AnyCodec, coded: Coded, source: Path, target: Path, books: int | None) -> FileOutcome:
    wave = tokens.decode(codec, coded, books)
    rate = tokens.plain(codec).config.sample_rate
    write_audio(target, wave, rate, comment=SYNTHETIC)
    return FileOutcome(source, wave.shape[-1] / rate)


def _each(
    work: Callable[[tuple[Path, Path]], FileOutcome], pairs: Iterable[tuple[Path, Path]]
) -> Iterator[FileOutcome]:
    """The outcomes in order, each the work of a core."""
    with one_thread_each():
        yield from side_by_side(lambda pair: tried(lambda: work(pair), pair[0]), pairs, cores())


def tried(work: Callable[[], FileOutcome], source: Path) -> FileOutcome:
    """The outcome, also where there is none: what one file lacks does not stop the others, a full disk does."""
    try:
        return work()
    except StorageError:
        raise
    except VivavoceError as error:
        said = str(error)
        return FileOutcome(source, error=said if str(source) in said else f"{source}: {said}")
    except OSError as error:
        why = error.strerror or str(error)
        return FileOutcome(source, error=f"{source} cannot be read ({why}); check the disk and the permissions")


@contextmanager
def one_thread_each() -> Iterator[None]:
    """While this lasts each core computes something of its own, which is faster than several at one thing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def recording_digest(file: Path) -> str:
    """What a token file calls the recording that it was made of; empty where there is none that can be read."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""  # whoever reads the recording says what is wrong with it


def _made_already(path: Path, spec: Any, coder: EntropyCoder | None, recording: str) -> bool:
    """Whether a token file is what would be written."""
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            packed_by = str(file["coder"]) if "packed" in file else ""
            return (
                json.loads(str(file["spec"])) == spec
                and str(file["recording"]) == recording
                and packed_by == ("" if coder is None else coder.alphabet)
            )
    except tokens.DAMAGED:
        return False
