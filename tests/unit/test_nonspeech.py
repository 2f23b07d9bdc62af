"""Sounds that nobody speaks: whole, repeatable, within range, and different to learn from and to measure with."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.data import nonspeech
from vivavoce.evals.gate import LEVELS_DB, SECONDS, calibration, unspoken
from vivavoce.evals.noise import ALONE, noise


@pytest.mark.parametrize("kind", sorted(nonspeech.KINDS))
def test_each_kind_is_made_from_its_seed_at_any_length(kind: str) -> None:
    for length in (320, 5000):
        once, again, other = (
            nonspeech.recording(length, 16_000, np.random.default_rng(seed), kind=kind, level_db=-20.0)
            for seed in (1, 1, 2)
        )
        assert once.dtype == np.float32 and once.shape == (length,) and np.abs(once).max() <= 1
        assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_a_recording_has_the_level_that_is_asked_for() -> None:
    for level_db in (-60.0, -30.0):
        sound = nonspeech.recording(16_000, 16_000, np.random.default_rng(0), kind="hiss", level_db=level_db)
        assert 20 * np.log10(np.sqrt(np.mean(sound**2))) == pytest.approx(level_db, abs=1.5)


def test_what_is_measured_with_covers_kinds_lengths_and_levels() -> None:
    found = list(unspoken(40, 3))
    assert {kind for kind, _ in found} == set(ALONE)
    seconds = [len(sound) / 16_000 for _, sound in found]
    levels = [20 * np.log10(float(sound.square().mean().sqrt()) + 1e-9) for _, sound in found]
    assert min(seconds) >= SECONDS[0] and max(seconds) <= SECONDS[1] and max(seconds) > 10
    assert min(levels) < -45 and max(levels) > -15 and min(levels) > LEVELS_DB[0] - 3
    assert all(float(sound.abs().max()) <= 1 for _, sound in found)
    again = list(unspoken(2, 3))
    assert all(bool((a == b).all()) for (_, a), (_, b) in zip(found, again, strict=False))


def test_kinds_that_are_measured_are_made_from_their_seed() -> None:
    for kind in ALONE:
        once, again = (noise(kind, 4000, 16_000, 5) for _ in range(2))
        assert bool((once == again).all()) and float(once.std()) == pytest.approx(0.1, rel=0.2)


def test_places_leave_out_voices_and_other_splits(tmp_path: Path) -> None:
    lines = []
    for number, (split, label) in enumerate((("train", "rain"), ("dev", "wind"), ("train", "room with many voices"))):
        soundfile.write(tmp_path / f"{number}.wav", np.full(480, 0.1), 24_000)
        record = {"id": str(number), "path": f"{number}.wav", "kind": "noise", "split": split, "label": label}
        lines.append(json.dumps(record))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    assert list(nonspeech.places(tmp_path, "train", 16_000)) == ["0"]
    assert len(nonspeech.places(tmp_path, "dev", 16_000)["1"]) == 320
    assert list(nonspeech.places(tmp_path, "train", 16_000, voices=True)) == ["0", "2"]
    assert nonspeech.places(None, "train", 16_000) == {}


def test_confidences_that_are_shares_are_true() -> None:
    row = calibration("x", [0.9] * 10 + [0.3] * 10, [True] * 9 + [False] + [True] * 3 + [False] * 7)
    assert row.value is not None and row.value.value == pytest.approx(0.0, abs=1e-9)
    row = calibration("x", [0.9] * 10, [False] * 10)
    assert row.value is not None and row.value.value == pytest.approx(0.9)
    assert calibration("x", [], []).value is None
