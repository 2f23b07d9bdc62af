"""A cache is made once, knows when it is stale, and is there wholly or not at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vivavoce.core.errors import SpecError, StorageError
from vivavoce.data.cache import Cache


class Maker:
    def __init__(self, items: list[dict[str, np.ndarray]]) -> None:
        self.items, self.runs = items, 0

    def __call__(self) -> Iterator[dict[str, np.ndarray]]:
        self.runs += 1
        yield from self.items


def _items() -> list[dict[str, np.ndarray]]:
    return [{"mel": np.full((n, 3), n, np.float16), "phones": np.arange(n // 2, dtype=np.int64)} for n in (4, 0, 7)]


def test_items_come_back_as_they_were(tmp_path: Path):
    cache = Cache.of(tmp_path / "c", {"bins": 3}, [], Maker(_items()))
    assert len(cache) == 3
    for made, kept in zip(_items(), (cache[i] for i in range(3)), strict=True):
        assert made.keys() == kept.keys()
        for name in made:
            assert kept[name].dtype == made[name].dtype
            np.testing.assert_array_equal(kept[name], made[name])
    assert cache.lengths("mel").tolist() == [4, 0, 7]
    with pytest.raises(IndexError):
        cache[3]
    assert isinstance(cache[0]["mel"].base, np.memmap)


def test_it_is_made_once_and_again_when_stale(tmp_path: Path):
    source = tmp_path / "clip.wav"
    source.write_text("sound")
    make = Maker(_items())
    Cache.of(tmp_path / "c", {"bins": 3}, [source], make)
    Cache.of(tmp_path / "c", {"bins": 3}, [source], make)
    assert make.runs == 1
    Cache.of(tmp_path / "c", {"bins": 4}, [source], make)
    assert make.runs == 2  # another configuration
    source.write_text("another sound")
    Cache.of(tmp_path / "c", {"bins": 4}, [source], make)
    assert make.runs == 3  # another source
    with open(tmp_path / "c" / "mel.bin", "ab") as file:
        file.truncate(5)
    Cache.of(tmp_path / "c", {"bins": 4}, [source], make)
    assert make.runs == 4  # a damaged file
    (tmp_path / "c" / "index.json").write_text("{")
    Cache.of(tmp_path / "c", {"bins": 4}, [source], make)
    assert make.runs == 5  # a damaged index
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "clip.wav"]


def test_what_fails_leaves_the_old_cache(tmp_path: Path):
    old = Cache.of(tmp_path / "c", {"bins": 3}, [], Maker(_items()))

    def failing() -> Iterator[dict[str, np.ndarray]]:
        yield from _items()
        raise RuntimeError("no more sound")

    with pytest.raises(RuntimeError):
        Cache.of(tmp_path / "c", {"bins": 5}, [], failing)
    assert Cache(tmp_path / "c").digest == old.digest
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_items_that_do_not_fit_are_an_error(tmp_path: Path):
    with pytest.raises(SpecError, match="only the first axis"):
        Cache.of(tmp_path / "c", 1, [], Maker([{"mel": np.zeros((2, 3))}, {"mel": np.zeros((2, 4))}]))
    with pytest.raises(SpecError, match="one set"):
        Cache.of(tmp_path / "c", 1, [], Maker([{"mel": np.zeros((2, 3))}, {"units": np.zeros(2)}]))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_cache_and_a_missing_source(tmp_path: Path):
    assert len(Cache.of(tmp_path / "c", 1, [], Maker([]))) == 0
    with pytest.raises(StorageError, match="not there"):
        Cache.of(tmp_path / "c", 1, [tmp_path / "gone.wav"], Maker([]))


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        Cache.of(tmp_path / "file" / "c", 1, [], Maker(_items()))
