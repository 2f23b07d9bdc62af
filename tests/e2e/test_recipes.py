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
from vivavoce.core.places import BUNDLED
from vivavoce.models.words import WordModel
from vivavoce.recipes.card import complete

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
    assert "bridge" in WordModel(load_part(tmp_path / "run", "words")).vocabulary
    card = read_card(tmp_path / "run", "words")
    assert card["data"][0] == {"source": "somebody", "licence": "CC0", "hours": 0.01}
    assert card["settings"]["plain"] == 40 and card["seed"] == 1 and card["minutes"] >= 0
    assert card["recipe"] == "vivavoce.recipes.words:WordsRun" and card["commit"]


@pytest.mark.parametrize("name", ["asides", "gate"])
def test_a_head_leaves_the_rest_of_the_listener_as_it_is(name: str, tmp_path: Path):
    if not all(map(shutil.which, ("flite", "espeak-ng", "festival"))):
        pytest.skip("a synthesis program is not installed")
    recipe = importlib.import_module(f"vivavoce.recipes.{name}").RECIPE
    found = recipe.debug(tmp_path)
    assert found["after"] < found["before"], found
    if name == "asides":
        assert found["hum above half"] >= 0.8 > 0.4 >= found["sentence above half"], found
    else:
        assert found["taken"] <= 0.5 and found["lost"] <= 0.5, found
    before, after = load_part(BUNDLED, "listener"), load_part(tmp_path, "listener")
    widths = {"asides": (16, before.config.speech.width), "gate": (before.config.aside, 16)}
    assert (after.config.aside, after.config.speech.width) == widths[name]
    with torch.inference_mode():
        wave = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
        assert torch.equal(before.listen(wave).ctc, after.listen(wave).ctc)
    path = complete(tmp_path, "listener", recipe.settings, begun=0.0, entry=recipe.entry)
    bundled, card = read_card(BUNDLED, "listener"), json.loads(path.read_text())["card"]
    assert {key: value for key, value in card.items() if key != recipe.entry} == {
        key: value for key, value in bundled.items() if key != recipe.entry
    }
    assert card[recipe.entry]["metrics"] and card[recipe.entry]["settings"]["class"].startswith(
        f"vivavoce.recipes.{name}:"
    )


@pytest.mark.parametrize("part", ["listener", "mind", "speaker", "codec", "words"])
def test_it_learns_and_exports(part: str, tmp_path: Path):
    if part in {"listener", "speaker"} and not shutil.which("flite"):
        pytest.skip("the synthesis program flite is not installed")
    found = importlib.import_module(f"vivavoce.recipes.{part}").debug(tmp_path)
    assert found["after"] < found["before"]
    written = sorted(tmp_path.rglob(f"{part}.safetensors"))
    assert written
    module = load_part(written[0].parent, part)
    assert all(torch.isfinite(weight).all() for weight in module.parameters())
