"""Recipes of the papers' codecs in miniature: each writes a part that makes tokens and sound, a killed run goes on
exactly."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from typer.testing import CliRunner

from vivavoce.cli.tokens import app
from vivavoce.core.errors import ManifestError, SpecError
from vivavoce.core.parts import load_part, read_card
from vivavoce.recipes import adversarial, codec_data, facodec
from vivavoce.recipes.adversarial import train
from vivavoce.recipes.codec_data import CropConfig

NAMES = ("soundstream", "encodec", "speechtokenizer", "mimi", "facodec")
Patch = pytest.MonkeyPatch


def few(monkeypatch: Patch, steps: int) -> None:
    """The miniatures of fewer steps and shorter crops; the control of one."""
    known = adversarial.miniature_of

    def shorter(run: Any, **changes: Any) -> Any:
        return replace(known(run, **changes), steps=steps, crops=CropConfig(batch=2, frames=10))

    def alone(train: Callable[[Path, Any], Any], folder: Path, run: Any) -> dict[str, float]:
        done = train(folder, run)
        return {"before": float("inf"), "after": done.losses["mel"]}

    for module in (adversarial, facodec):
        monkeypatch.setattr(module, "miniature_of", shorter)
        monkeypatch.setattr(module, "beside_control", alone)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_recipe_writes_makes_tokens_and_sound(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    few(monkeypatch, steps=2)
    recipe = importlib.import_module(f"vivavoce.recipes.{name}").RECIPE
    recipe.debug(tmp_path)
    card = read_card(tmp_path, recipe.part)
    assert card["stage"] == "CodecAdversarial" and card["steps"] == 2
    codec, model = load_part(tmp_path, recipe.part), ["--model", str(tmp_path)]
    file, made, run = tmp_path / "in.npz", tmp_path / "out.wav", CliRunner()
    recording = tmp_path / "speech/1.ogg"
    done = run.invoke(app, ["encode", str(recording), "-o", str(file), *model], catch_exceptions=False)
    assert done.exit_code == 0 and f"{codec.tokens.books} books" in done.output
    run.invoke(app, ["decode", str(file), "-o", str(made), *model], catch_exceptions=False)
    about = soundfile.info(made)
    assert about.samplerate == codec.config.sample_rate
    assert about.frames == pytest.approx(soundfile.info(recording).duration * about.samplerate, abs=2)
    wrong = run.invoke(app, ["encode", str(recording), "-o", str(file), "--books", "9", *model]).exception
    assert isinstance(wrong, SpecError) and "9 books were asked" in str(wrong)


def test_mel_and_vq_learn_and_stream(tmp_path: Path) -> None:
    recipe = importlib.import_module("vivavoce.recipes.melvq").RECIPE
    found = recipe.debug(tmp_path)
    assert found["after"] < 0.8 * found["before"]
    codec = load_part(tmp_path, "codec")
    assert codec.streams and (codec.tokens.books, codec.tokens.size) == (1, 125)
    settings = recipe.settings
    assert settings.chosen.books == 4 and replace(settings, finite=True).chosen.size == 12800


def test_a_killed_run_goes_on_exactly(tmp_path: Path, monkeypatch: Patch) -> None:
    recipe = importlib.import_module("vivavoce.recipes.encodec").RECIPE
    few(monkeypatch, steps=6)
    recipe.debug(tmp_path)
    whole = load_part(tmp_path, "codec").state_dict()
    small: list[Any] = []
    monkeypatch.setattr(adversarial, "beside_control", lambda train, folder, run: small.append(run) or {})
    recipe.debug(tmp_path / "again")
    real = codec_data.Crops.__call__

    def killed(self: codec_data.Crops, step: int) -> Any:
        if step == 4:
            raise KeyboardInterrupt
        return real(self, step)

    speech, out = tmp_path / "speech", tmp_path / "other"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(codec_data.Crops, "__call__", killed)
        train(small[0], speech, out, cache=tmp_path)
    torch.manual_seed(9)
    assert train(small[0], speech, out, cache=tmp_path).step == 6
    for name, value in load_part(out, "codec").state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_a_folder_without_training_recordings_is_refused(tmp_path: Path) -> None:
    run, speech = importlib.import_module("vivavoce.recipes.encodec").RECIPE.settings, tmp_path / "speech"
    adversarial.miniature.recordings(speech, splits=("test",))
    with pytest.raises(ManifestError, match="no recordings to train on"):
        train(run, speech, tmp_path)
