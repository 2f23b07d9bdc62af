"""Features and tokens that are computed once: arrays on disk, memory-mapped, that know what they were made from.

A cache is a folder with one file per field and an index. The index holds a digest of the configuration and of the facts
of every source file (name, size, time); when either changes, the cache is stale and made anew, in a folder of its own
that takes the old one's place when it is complete.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from vivavoce.core.atomic import storage_error
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError, StorageError

_INDEX: Final = "index.json"
_VERSION: Final = 1

Item = Mapping[str, np.ndarray]
"""One utterance: a name and an array for each field; arrays of a field differ in their first axis only."""


def digest(config: object, files: Sequence[Path]) -> str:
    """What a cache depends on: the configuration (a config, or plain data) and the sources' names, sizes and times.

    Raises StorageError for a source that is not there.
    """
    facts = []
    for file in files:
        try:
            stat = file.stat()
        except OSError as error:
            raise StorageError(f"{file} is not there ({error.strerror}), so nothing can be made from it") from error
        facts.append([str(file), stat.st_size, stat.st_mtime_ns])
    text = json.dumps([_VERSION, _plain(config), facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(config: object) -> Any:
    return config if isinstance(config, (dict, list, str, int, float, type(None))) else dump(config)


@final
class Cache:
    """Items by number: ``cache[3]["mel"]``. Arrays are read-only views of the files."""

    def __init__(self, folder: Path) -> None:
        """Opens a complete cache; use `Cache.of` to make one when needed."""
        index: dict[str, Any] = json.loads((folder / _INDEX).read_text())
        self.folder, self.digest = folder, str(index["digest"])
        self.config: Any = index.get("config")
        """What it was made by, as plain data."""
        self._fields: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, about in index["fields"].items():
            starts = np.asarray(about["starts"], dtype=np.int64)
            shape = (int(starts[-1]), *about["shape"])
            data: np.ndarray = np.empty(shape, about["dtype"])
            if data.size:  # a file of no bytes cannot be mapped
                data = np.memmap(folder / f"{name}.bin", dtype=about["dtype"], mode="r", shape=shape)
            self._fields[name] = data, starts
        self._length = int(index["items"])

    @classmethod
    def of(
        cls, folder: str | Path, config: object, files: Sequence[Path], make: Callable[[], Iterable[Item]]
    ) -> "Cache":
        """The cache in ``folder`` if it was made from just this, else one made now by ``make()``.

        Raises StorageError when it cannot be written, SpecError when items do not fit each other; an old cache stays
        where it is then.
        """
        folder = Path(folder)
        wanted = digest(config, files)
        if not stale(folder, wanted):
            return cls(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        except OSError as error:
            raise storage_error(folder, error) from error
        try:
            _write(new, wanted, _plain(config), make())
            old = new.with_name(new.name + "-old")
            if folder.exists():
                os.replace(folder, old)
            os.replace(new, folder)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return cls(folder)

    def __len__(self) -> int:
        """How many items."""
        return self._length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """One item."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        return {name: data[starts[index] : starts[index + 1]] for name, (data, starts) in self._fields.items()}

    def lengths(self, name: str) -> np.ndarray:
        """The first axis of a field's arrays, to sort by length without reading them."""
        return np.diff(self._fields[name][1])


@final
class Joined:
    """Caches end to end: what is made block by block goes on after the last whole block when the making was stopped."""

    def __init__(self, caches: "Sequence[Cache | Joined]") -> None:
        """They have the same fields."""
        self._caches = caches
        self._starts = np.cumsum([0, *map(len, caches)])

    def __len__(self) -> int:
        """How many items."""
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """One item."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._caches[place][index - int(self._starts[place])]

    def lengths(self, name: str) -> np.ndarray:
        """As `Cache.lengths`."""
        return np.concatenate([cache.lengths(name) for cache in self._caches])


def stale(folder: Path, wanted: str) -> bool:
    """Whether a folder holds no complete cache of this digest."""
    try:
        index = json.loads((folder / _INDEX).read_text())
        if index["digest"] != wanted:
            return True
        return any(
            (folder / f"{name}.bin").stat().st_size
            != about["starts"][-1] * int(np.prod(about["shape"], dtype=np.int64)) * np.dtype(about["dtype"]).itemsize
            for name, about in index["fields"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _write(folder: Path, wanted: str, config: Any, items: Iterable[Item]) -> None:
    about: dict[str, dict[str, Any]] = {}
    files: dict[str, Any] = {}
    count = 0
    try:
        for item in items:
            if count == 0:
                for name, array in item.items():
                    about[name] = {"dtype": array.dtype.str, "shape": list(array.shape[1:]), "starts": [0]}
                    files[name] = open(folder / f"{name}.bin", "wb")  # noqa: SIM115 - closed below, one per field
            if item.keys() != about.keys():
                raise SpecError(
                    f"item {count} has the fields {sorted(item)} and the first one {sorted(about)}; use one set"
                )
            for name, array in item.items():
                known = about[name]
                if array.dtype.str != known["dtype"] or list(array.shape[1:]) != known["shape"]:
                    raise SpecError(
                        f"{name} of item {count} is {array.dtype} {array.shape} and the first was {known['dtype']} "
                        f"[any, {known['shape']}]; only the first axis may differ"
                    )
                files[name].write(np.ascontiguousarray(array).tobytes())
                known["starts"].append(known["starts"][-1] + len(array))
            count += 1
    finally:
        for file in files.values():
            file.close()
    (folder / _INDEX).write_text(json.dumps({"digest": wanted, "config": config, "items": count, "fields": about}))
