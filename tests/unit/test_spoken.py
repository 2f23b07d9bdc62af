"""A character's sheet becomes recordings with a manifest that is whole."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivavoce.cli.main import app
from vivavoce.data.manifest import read_manifest

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
