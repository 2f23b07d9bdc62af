"""Every recipe trains in miniature: its number falls, and what it writes can be loaded."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.cli.main import app
from vivavoce.core.parts import load_part, read_card
from vivavoce.models.words import Model

pytestmark = pytest.mark.slow


def test_a_training_command_ends_in_a_part_with_a_whole_card(tmp_path: Path):
    line = {"id": "a", "path": "a.wav", "split": "train", "speaker": "x:1", "seconds": 36.0, "sample_rate": 16000}
    line |= {"licence": "CC0", "source": "somebody", "text": "the bridge is safe at night"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    few = [f"--set={name}=40" for name in ("plain", "rich", "talk", "dialogues", "anything")]
    arguments = ["train", "words", "--speech", str(tmp_path), "--out", str(tmp_path / "run"), *few]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "run/words.json") in done.output
    assert "bridge" in Model(load_part(tmp_path / "run", "words")).vocabulary
    card = read_card(tmp_path / "run", "words")
    assert card["data"][0] == {"source": "somebody", "licence": "CC0", "hours": 0.01}
    assert card["settings"]["plain"] == 40 and card["seed"] == 1 and card["minutes"] >= 0
    assert card["recipe"] == "vivavoce.recipes.words:WordsRun" and card["commit"]


@pytest.mark.parametrize("part", ["listener", "mind", "speaker", "codec"])
def test_it_learns_and_exports(part: str, tmp_path: Path):
    if part in {"listener", "speaker"} and not shutil.which("flite"):
        pytest.skip("the synthesis program flite is not installed")
    found = importlib.import_module(f"vivavoce.recipes.{part}").debug(tmp_path)
    assert found["after"] < found["before"]
    written = sorted(tmp_path.rglob(f"{part}.safetensors"))
    assert written
    module = load_part(written[0].parent, part)
    assert all(torch.isfinite(weight).all() for weight in module.parameters())
