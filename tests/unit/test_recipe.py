"""A recipe takes what it names, is found by its file, and is run by one command for all."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivavoce.cli.main import app
from vivavoce.core.errors import TrainingError
from vivavoce.train.recipe import Given, Recipe


def test_what_is_missing_or_not_taken_is_said(tmp_path: Path) -> None:
    ran: list[Given] = []
    recipe = Recipe(
        part="x",
        settings=3,
        train=lambda settings, given: ran.append(given),
        debug=lambda folder: {},
        needs={"speech": "people reading", "codec": "what made the tokens"},
        takes={"from": "an earlier part"},
    )
    whole = Given(out=tmp_path, speech=tmp_path, others={"codec": tmp_path})
    recipe.run(3, whole)
    assert ran == [whole]
    with pytest.raises(TrainingError, match="needs --with codec=FOLDER: what made the tokens"):
        recipe.run(3, Given(out=tmp_path, speech=tmp_path))
    with pytest.raises(TrainingError, match=r"does not take --with colour=FOLDER; it takes --speech.*--from"):
        recipe.run(3, Given(out=tmp_path, speech=tmp_path, others={"codec": tmp_path, "colour": tmp_path}))


def test_commands_are_found_by_their_files(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["train", "valle", "--out", str(tmp_path)])
    assert refused.exit_code == 2 and "needs --with codec=FOLDER" in refused.output
    refused = CliRunner().invoke(app, ["train", "valle", "--with", "codec"])
    assert refused.exit_code == 2 and "write it as name=FOLDER" in refused.output
    refused = CliRunner().invoke(app, ["train", "tiny", "nothing"])
    assert refused.exit_code == 2 and "valle" in refused.output
