"""Some of many recordings: the same ones every time, and as many of each speaker as is said."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vivavoce.core import rng
from vivavoce.data import choosing
from vivavoce.data.manifest import Record, recordings, write_manifest


def clip(number: int, speaker: str, seconds: float = 2.0, **more: Any) -> Record:
    return Record(
        id=f"{number}", path=f"{number}.wav", split="train", speaker=speaker, seconds=seconds, sample_rate=16_000,
        licence="none", **more,
    )  # fmt: skip


CLIPS = [clip(n, ("ada", "ben", "corpus:unknown")[n % 3]) for n in range(30)]


def test_a_rank_does_not_change_when_others_go():
    some = CLIPS[::2]
    assert [one for one in choosing.ranked(CLIPS) if one in some] == choosing.ranked(some[::-1])


def test_recordings_are_taken_until_they_last_long_enough():
    assert choosing.lasting(CLIPS, 5.0) == CLIPS[:3]
    assert choosing.lasting(CLIPS, 6.0) == CLIPS[:3]
    assert choosing.lasting(CLIPS, 1e6) == CLIPS


def test_of_every_speaker_so_many_and_of_those_without_a_name_so_many_together():
    chosen = choosing.of_each(CLIPS, 2, 5)
    assert Counter(one.speaker for one in chosen) == {"ada": 2, "ben": 2, "corpus:unknown": 5}
    assert Counter(one.speaker for one in choosing.of_each(CLIPS, 2)) == {"ada": 2, "ben": 2, "corpus:unknown": 2}
    assert Counter(one.speaker for one in choosing.lasting_each(CLIPS, 5.0)) == dict.fromkeys(Counter(
        one.speaker for one in CLIPS), 3)  # fmt: skip
    assert not choosing.named(CLIPS[2])


def test_one_of_each_comes_before_a_second_of_any():
    turns = choosing.in_turns(sorted(CLIPS, key=lambda one: one.speaker))
    assert [len({one.speaker for one in turns[n : n + 3]}) for n in range(0, 30, 3)] == [3] * 10


def test_an_order_at_random_is_that_of_its_generator():
    once, again = (choosing.shuffled(CLIPS, rng.stream(1, "x")) for _ in range(2))
    assert once == again != CLIPS
    assert sorted(once, key=lambda one: int(one.id)) == CLIPS


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"seconds": (2.0, 4.0)}, "ab"),
        ({"text": True}, "bc"),
        ({"lossless": True}, "ac"),
        ({"source": "libri"}, "c"),
        ({"lang": "en"}, "abc"),
        ({}, "abcd"),
    ],
)
def test_recordings_that_are_as_wanted(tmp_path: Path, wanted: dict[str, Any], ids: str):
    made = [
        clip(0, "ada", 2.0),
        clip(1, "ada", 4.0, text="hello", quality="lossy"),
        clip(2, "ben", 9.0, text="hello", source="librispeech"),
        clip(3, "eva", 9.0, lang="de", quality="lossy"),
    ]
    write_manifest(tmp_path, made)
    assert [int(one.id) for one in recordings(tmp_path, "train", **wanted)] == ["abcd".index(name) for name in ids]
