"""Manifests are read, or the bad line is named; a check looks at everything and never raises for a clip."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vivavoce.core.errors import ManifestError
from vivavoce.data.manifest import Record, check, read_manifest, recordings, write_manifest

GOOD: dict[str, Any] = {
    "id": "one", "path": "one.wav", "split": "train", "speaker": "ann", "seconds": 0.5, "sample_rate": 16000,
    "licence": "CC0 1.0", "text": "hello there", "sex": None, "colour": "unknown fields are let be",
}  # fmt: skip


def _manifest(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def _wave(folder: Path, name: str = "one.wav") -> None:
    soundfile.write(folder / name, np.sin(np.arange(8000) / 5).astype(np.float32), 16000)


def test_a_good_manifest_is_read(tmp_path: Path):
    record, other = read_manifest(_manifest(tmp_path, GOOD, "", {**GOOD, "id": "two", "sex": "F"}))
    assert record.text == "hello there" and record.sex is None and record.lang == "en"
    assert record.file == tmp_path / "one.wav"
    assert other.sex == "F"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{not json", "no valid JSON"),
        ("[1, 2]", "no JSON object"),
        ({**GOOD, "id": "two", "speaker": None}, "speaker missing"),
        ({**GOOD, "id": "two", "seconds": "long"}, "seconds is 'long', which is not a number"),
        ({**GOOD, "id": "two", "sample_rate": True}, "sample_rate is True"),
        ({**GOOD, "id": "two", "seconds": -1}, "above 0"),
        ({**GOOD, "id": "two", "seconds": float("nan")}, "above 0"),
        ({**GOOD, "id": "two", "split": "eval"}, "train, dev, test"),
        ({**GOOD, "id": "two", "path": "../one.wav"}, "leaves the manifest's folder"),
        ({**GOOD, "id": "two", "path": "/etc/one.wav"}, "leaves the manifest's folder"),
        (GOOD, "used in line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: dict[str, Any] | str, says: str):
    with pytest.raises(ManifestError) as caught:
        read_manifest(_manifest(tmp_path, GOOD, line))
    assert "manifest.jsonl:2: " in str(caught.value) and says in str(caught.value)


def test_no_manifest_and_an_empty_one_are_errors(tmp_path: Path):
    with pytest.raises(ManifestError, match="check the path"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(ManifestError, match="lists no recordings"):
        read_manifest(_manifest(tmp_path, ""))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(tmp_path / "binary.jsonl")


def test_a_check_finds_what_is_wrong(tmp_path: Path):
    _wave(tmp_path)
    (tmp_path / "noise.wav").write_text("this is no sound")
    report = check(
        _manifest(
            tmp_path,
            GOOD,
            {**GOOD, "id": "gone", "path": "gone.wav"},
            {**GOOD, "id": "noise", "path": "noise.wav"},
            {**GOOD, "id": "long", "seconds": 2.0},
            {**GOOD, "id": "greek", "text": "καλημέρα"},
            {**GOOD, "id": "leak", "split": "dev"},
            "{",
        )
    )
    said = "\n".join(report.problems)
    assert len(report.problems) == 6
    for line, problem in (
        (2, "not there"),
        (3, "not audio"),
        (4, "lasts 0.50 s"),
        (5, "greek script"),
        (7, "no valid JSON"),
    ):
        assert f"manifest.jsonl:{line}: " in said and problem in said
    assert "speaker 'ann' is in dev and train" in said
    assert report.clips == {("", "train"): 5, ("", "dev"): 1}
    assert report.lines()[-1].startswith("6 problems")


def test_a_clean_check_has_no_problems_and_long_lists_are_cut(tmp_path: Path):
    _wave(tmp_path)
    assert check(_manifest(tmp_path, GOOD)).problems == ()
    many = check(_manifest(tmp_path, *(["{"] * 30)), limit=5)
    assert len(many.problems) == 6 and many.problems[-1] == "and 25 problems more"


def test_recordings_come_back_and_are_chosen(tmp_path: Path) -> None:
    about = {"speaker": "x:1", "seconds": 1.5, "licence": "CC0"}
    made = [
        Record(
            id="a", path="a.wav", split="train", sample_rate=16000, text="one", text_style="no punctuation", **about
        ),
        Record(id="b", path="b.wav", split="train", sample_rate=8000, lang="de", **about),
        Record(id="c", path="c.mp3", split="dev", sample_rate=44100, quality="mp3", **about),
    ]
    write_manifest(tmp_path, made)
    assert read_manifest(tmp_path / "manifest.jsonl") == made
    assert [r.id for r in recordings(tmp_path, "train")] == ["a", "b"]
    assert [r.id for r in recordings(tmp_path, "train", lang="en")] == ["a"]
    assert [r.id for r in recordings(tmp_path, "train", least_rate=16000)] == ["a"]


def test_a_recording_is_trusted_as_far_as_its_filters_let_through() -> None:
    about = {"id": "a", "path": "", "split": "train", "speaker": "", "seconds": 1.0, "licence": ""}
    narrow, wide = Record(sample_rate=16000, **about), Record(sample_rate=24000, **about)
    assert narrow.trusted_hz == 7600 and not narrow.wide and wide.wide
    assert not Record(sample_rate=24000, native_sample_rate=16000, **about).wide
    assert not Record(sample_rate=44100, quality="mp3", **about).wide
