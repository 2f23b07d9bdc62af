"""Encoders train in miniature: their numbers fall, and what they write can be loaded and gone on from."""

import importlib
from pathlib import Path

import pytest
import torch

from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import load_part, read_card
from vivavoce.core.streams import sound

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["hubert", "wav2vec2", "w2vbert", "ctc"])
def test_a_recipe_of_an_encoder(name: str, tmp_path: Path) -> None:
    recipe = importlib.import_module(f"vivavoce.recipes.{name}").RECIPE
    found = recipe.debug(tmp_path)
    assert found["after"] < found["before"], found
    folder = tmp_path / {"hubert": "second", "ctc": "run"}.get(name, "")
    model, card = load_part(folder, recipe.part), read_card(folder, recipe.part)
    features = model.encoder.encode(sound(0.1 * torch.randn(16000), 16000))
    assert features.data.shape[2] == 16000 // model.config.encoder.front.hop and card["steps"] == 40
    if name == "hubert":
        assert card["targets"] == "hubert layer 1" and load_part(folder, "clusters").config.size == 24
        module = importlib.import_module("vivavoce.recipes.hubert")
        with pytest.raises(TrainingError, match="clusters of hubert layer 1"):
            module.train(module.HubertRun(), tmp_path / "speech", folder, cache=tmp_path)
