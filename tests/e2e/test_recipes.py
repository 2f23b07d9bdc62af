"""Every recipe trains in miniature: its number falls, and what it writes can be loaded."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
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


def test_a_head_for_asides_leaves_the_rest_of_the_listener_as_it_is(tmp_path: Path):
    if not all(map(shutil.which, ("flite", "espeak-ng", "festival"))):
        pytest.skip("a synthesis program is not installed")
    from vivavoce.assistant.model import BUNDLED
    from vivavoce.recipes.asides import AsidesRun, make

    lines = []
    for number, path in enumerate(sorted((Path(BUNDLED).parents[1] / "assistant" / "recordings").glob("*.ogg"))):
        shutil.copy(path, tmp_path / path.name)
        line = {"id": str(number), "path": path.name, "split": "train", "speaker": "x:1", "seconds": 3.0}
        line |= {"sample_rate": 24000, "licence": "CC0", "source": "somebody", "quality": "lossless"}
        lines.append(json.dumps(line))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    run = AsidesRun(times=1, others=10, copies=2, width=16, steps=150, size=64)
    found = make(run, tmp_path, Path(BUNDLED), tmp_path / "out")
    assert found["hum"]["above 0.5"] >= 0.8 > 0.4 >= found["sentence"]["above 0.5"], found
    before, after = load_part(Path(BUNDLED), "listener"), load_part(tmp_path / "out", "listener")
    assert after.config.aside == 16
    with torch.inference_mode():
        wave = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
        assert torch.equal(before.listen(wave).ctc, after.listen(wave).ctc)


def test_a_head_for_speech_leaves_the_rest_of_the_listener_as_it_is(tmp_path: Path):
    if not all(map(shutil.which, ("flite", "espeak-ng", "festival"))):
        pytest.skip("a synthesis program is not installed")
    from vivavoce.assistant.model import BUNDLED
    from vivavoce.recipes.gate import GateRun, make

    lines = []
    for number, path in enumerate(sorted((Path(BUNDLED).parents[1] / "assistant" / "recordings").glob("*.ogg"))):
        shutil.copy(path, tmp_path / path.name)
        line = {"id": str(number), "path": path.name, "split": "dev" if number % 2 else "train", "speaker": "x:1"}
        line |= {"seconds": 3.0, "sample_rate": 24000, "licence": "CC0", "source": "somebody", "quality": "lossless"}
        lines.append(json.dumps(line))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    run = GateRun(speech=9, noises=24, kept=6, width=16, steps=80, size=500, folds=2)
    found = make(run, tmp_path, Path(BUNDLED), tmp_path / "out")
    assert found["sounds"] == 6 and found["taken for speech"] <= 0.5, found
    assert np.mean(list(found["lost"].values())) <= 0.5, found
    before, after = load_part(Path(BUNDLED), "listener"), load_part(tmp_path / "out", "listener")
    assert after.config.speech.width == 16 and after.config.aside == before.config.aside
    with torch.inference_mode():
        wave = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
        assert torch.equal(before.listen(wave).ctc, after.listen(wave).ctc)


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
