"""A character's sheet becomes recordings with a manifest that is whole."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivavoce.audio.files import length_of
from vivavoce.cli.main import app
from vivavoce.data.manifest import OWN_VOICE, read_manifest

pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("espeak-ng", "flite")), reason="espeak-ng and flite are not installed"
)


def test_a_sheet_is_spoken_and_its_manifest_holds(tmp_path: Path):
    for folder in ("a", "b"):
        result = CliRunner().invoke(app, ["data", "synthesise", "--out", str(tmp_path / folder), "--count", "4"])
        assert result.exit_code == 0, result.output
    records = read_manifest(tmp_path / "a/manifest.jsonl")
    assert len(records) == 4
    assert [record.text for record in records] == [r.text for r in read_manifest(tmp_path / "b/manifest.jsonl")]
    checked = CliRunner().invoke(app, ["data", "check", str(tmp_path / "a")])
    assert checked.exit_code == 0, checked.output


def test_a_character_answers_in_our_own_voice(tmp_path: Path):
    result = CliRunner().invoke(app, ["data", "synthesise", "--answers", "--out", str(tmp_path), "--count", "36"])
    assert result.exit_code == 0, result.output
    records = {record.id: record for record in read_manifest(tmp_path / "manifest.jsonl")}
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert len(pairs) == 36 and {one for pair in pairs for one in pair.values()} == set(records)
    asked, answers = ([records[pair[name]] for pair in pairs] for name in ("question", "answer"))
    assert {one.speaker for one in answers} == {OWN_VOICE} and OWN_VOICE not in {one.speaker for one in asked}
    assert [one.split for one in asked] == [one.split for one in answers]
    held = {one.speaker for one in asked if one.split == "dev"}
    assert held and not held & {one.speaker for one in asked if one.split == "train"}
    first = answers[0]
    assert first.text and first.text[0].isupper()
    assert length_of(first.file) == (pytest.approx(first.seconds, abs=1e-3), "")
    checked = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    assert checked.exit_code == 0, checked.output
