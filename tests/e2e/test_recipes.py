"""Every recipe trains in miniature: its number falls, and what it writes can be loaded."""

import importlib
import shutil
from pathlib import Path

import pytest
import torch

from vivavoce.core.parts import load_part

pytestmark = pytest.mark.slow


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
