"""Token corpora: the utterances of a manifest as streams of tokens, made once by parts that are named in their specs.

A corpus is a folder with ``utterances.jsonl`` and one cache per stream. A stream is made anew when the part that makes
it, or the manifest, has changed; streams can be added one by one. `Batches` draws batches by seconds.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vivavoce.core import config as configs
from vivavoce.core import rng
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ConfigError, ManifestError, StorageError
from vivavoce.core.streams import Tokens
from vivavoce.data.cache import Cache, digest, stale
from vivavoce.data.manifest import Record
from vivavoce.data.side_by_side import side_by_side

LIST = "utterances.jsonl"
BatchT = TypeVar("BatchT")
Encode = Callable[[Record], Int[Tensor, "K T"]]
"""Makes the tokens of an utterance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is known of an utterance beside its tokens."""

    id: str
    split: str
    speaker: str
    seconds: float
    text: str | None = None


def add_stream(folder: Path, records: Sequence[Record], spec: Tokens, encode: Encode, workers: int = 1) -> Cache:
    """Makes a stream of a corpus, or finds it made; the corpus is begun where there is none.

    ``workers`` threads encode side by side; the stream does not depend on their number.
    Streams that were made of other records stay, and are refused when the corpus is opened.
    """
    listed = _list(records)
    if not (folder / LIST).exists() or (folder / LIST).read_text() != listed:
        with atomic_write(folder / LIST) as path:
            path.write_text(listed)

    def make() -> Iterator[dict[str, np.ndarray]]:
        for ids in side_by_side(encode, records, workers):
            yield {"ids": ids.T.numpy().astype(kind_of(spec))}

    return Cache.of(folder / spec.name, _about(spec, listed), [record.file for record in records], make)


def has_stream(folder: Path, records: Sequence[Record], spec: Tokens) -> bool:
    """Whether `add_stream` would find it made."""
    try:
        wanted = digest(_about(spec, _list(records)), [record.file for record in records])
    except StorageError:  # a recording that is not there
        return False
    return not stale(folder / spec.name, wanted)


def kind_of(spec: Tokens) -> type[np.uint16] | type[np.int32]:
    """The numbers that hold its ids on disk."""
    return np.uint16 if spec.size <= 1 << 16 else np.int32


def _list(records: Sequence[Record]) -> str:
    return "".join(f"{json.dumps(_facts(record), ensure_ascii=False)}\n" for record in records)


def _about(spec: Tokens, listed: str) -> dict[str, Any]:
    return {"spec": configs.dump(spec), "utterances": hashlib.sha256(listed.encode()).hexdigest()}


def _facts(record: Record) -> dict[str, Any]:
    return {"id": record.id, "split": record.split, "speaker": record.speaker} | {
        "seconds": record.seconds,
        "text": record.text,
    }


@final
class TokenCorpus:
    """An opened corpus; ManifestError when there is none, or when its streams are not of the same utterances."""

    def __init__(self, folder: Path) -> None:
        """Reads the lists; tokens stay on disk."""
        self.folder = folder
        try:
            listed = (folder / LIST).read_text()
        except OSError as error:
            raise ManifestError(
                f"{folder} is no token corpus; make one with: vivavoce tokens corpus SPEECH --part PART --out {folder}"
            ) from error
        except ValueError as error:  # no text
            raise _damaged(folder / LIST, folder) from error
        try:
            self.utterances = tuple(Utterance(**json.loads(line)) for line in listed.splitlines())
        except (ValueError, TypeError) as error:
            raise _damaged(folder / LIST, folder) from error
        self.specs: dict[str, Tokens] = {}
        self._streams: dict[str, Cache] = {}
        for index in sorted(folder.glob("*/index.json")):
            try:
                cache = Cache(index.parent)
                spec, made_of = configs.load(cache.config["spec"]), cache.config["utterances"]
            except (OSError, ValueError, KeyError, TypeError, IndexError, ConfigError) as error:
                raise _damaged(index.parent, folder) from error
            if made_of != hashlib.sha256(listed.encode()).hexdigest():
                raise ManifestError(
                    f"the stream {index.parent.name!r} in {folder} was made of other utterances; make it again with: "
                    f"vivavoce tokens corpus SPEECH --part PART --out {folder}"
                )
            self.specs[index.parent.name] = spec
            self._streams[index.parent.name] = cache

    def __len__(self) -> int:
        """Utterances."""
        return len(self.utterances)

    def spec(self, name: str) -> Tokens:
        """The spec of a stream; ManifestError names those that there are."""
        if name not in self.specs:
            raise ManifestError(f"{self.folder} has no stream {name!r}, only {', '.join(self.specs) or 'none'}")
        return self.specs[name]

    def items(self, index: int) -> dict[str, Int[Tensor, "_ _"]]:
        """All streams of an utterance."""
        return {name: torch.from_numpy(cache[index]["ids"].T.astype(np.int64)) for name, cache in self._streams.items()}

    def of(self, split: str) -> list[int]:
        """The utterances of a split."""
        return [index for index, one in enumerate(self.utterances) if one.split == split]


def _damaged(path: Path, folder: Path) -> ManifestError:
    return ManifestError(
        f"{path} is damaged and cannot be read; delete it and make it again with: "
        f"vivavoce tokens corpus SPEECH --part PART --out {folder}"
    )


@runtime_checkable
class Lasting(Protocol):
    """Something that lasts."""

    @property
    def seconds(self) -> float:
        """How long."""
        ...


@runtime_checkable
class Corpus(Protocol):
    """What batches are drawn from, as far as drawing them goes."""

    @property
    def folder(self) -> Path:
        """Where it is."""
        ...

    @property
    def utterances(self) -> Sequence[Lasting]:
        """By number."""
        ...


@final
class Batches(Generic[BatchT]):
    """Batches as a function of the step, each of about ``seconds`` and of utterances of like length.

    ``make(indices, draw)`` turns utterances into a batch, with random numbers that belong to the step. Every utterance
    comes once per pass.
    """

    def __init__(
        self,
        corpus: Corpus,
        chosen: Iterable[int],
        make: Callable[[list[int], np.random.Generator], BatchT],
        *,
        seconds: float,
        seed: int,
        buckets: int = 8,
    ) -> None:
        """ConfigError when nothing is chosen."""
        lengths: Mapping[int, float] = {index: corpus.utterances[index].seconds for index in chosen}
        if not lengths:
            raise ConfigError(f"no utterance of {corpus.folder} is chosen; look at the splits in its {LIST}")
        self._make, self._seed = make, seed
        ordered = sorted(lengths, key=lambda index: lengths[index])
        parts = np.array_split(np.array(ordered), min(buckets, len(ordered)))
        self._buckets = [(part, max(1, int(seconds / max(lengths[int(i)] for i in part)))) for part in parts]
        self.per_pass = sum(-(-len(part) // size) for part, size in self._buckets)
        self._pass = lru_cache(2)(self._plan)

    def __call__(self, step: int) -> BatchT:
        """The batch of a step."""
        number, place = divmod(step, self.per_pass)
        return self._make(self._pass(number)[place], rng.stream(self._seed, "tokens", step))

    def _plan(self, number: int) -> list[list[int]]:
        """The batches of a pass, in an order of its own."""
        draw = rng.stream(self._seed, "pass", number)
        batches = []
        for part, size in self._buckets:
            order = draw.permutation(part).tolist()
            batches += [order[first : first + size] for first in range(0, len(order), size)]
        return [batches[place] for place in draw.permutation(len(batches))]
