"""The speaker's recipe from recordings to speech, in miniature."""

import shutil
from pathlib import Path

import pytest

from vivavoce.recipes.speaker import debug


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_speaker_recipe_learns(tmp_path: Path) -> None:
    numbers = debug(tmp_path)
    assert numbers["after"] < 0.8 * numbers["before"]
    assert numbers["frames"] > 100
