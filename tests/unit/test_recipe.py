"""A recipe takes what it names, is found by its file, and is run by one command for all."""

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import vivavoce.cli.train as commands
from vivavoce.cli.main import app
from vivavoce.core.errors import TrainingError
from vivavoce.recipes.moshi import MoshiRun
from vivavoce.recipes.speechgpt_data import SpeechGPTRun
from vivavoce.train.recipe import Given, Recipe, begin_from


def test_a_device_that_would_not_be_used_is_refused(tmp_path: Path) -> None:
    ran: list[str] = []
    for on_cpu in (False, True):
        recipe = Recipe(
            part="x", settings=3, train=lambda _, given: ran.append(given.device), debug=lambda _: {}, on_cpu=on_cpu
        )
        recipe.run(3, Given(out=tmp_path))
    assert ran == ["cpu", "cpu"]
    with pytest.raises(TrainingError, match="leave --device out"):
        recipe.run(3, Given(out=tmp_path, device="cuda"))
    assert ran == ["cpu", "cpu"]


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
    with pytest.raises(TrainingError, match="needs --with codec=PATH: what made the tokens"):
        recipe.run(3, Given(out=tmp_path, speech=tmp_path))
    with pytest.raises(TrainingError, match=r"does not take --with colour=PATH; it takes --speech.*--from"):
        recipe.run(3, Given(out=tmp_path, speech=tmp_path, others={"codec": tmp_path, "colour": tmp_path}))


def test_commands_are_found_by_their_files(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["train", "valle", "--out", str(tmp_path)])
    assert refused.exit_code == 2 and "needs --with codec=PATH" in refused.output
    refused = CliRunner().invoke(app, ["train", "valle", "--with", "codec"])
    assert refused.exit_code == 2 and "write it as name=PATH" in refused.output
    refused = CliRunner().invoke(app, ["train", "tiny", "nothing"])
    assert refused.exit_code == 2 and "valle" in refused.output and "codec-gan" in refused.output
    refused = CliRunner().invoke(app, ["train", "gate", "--speech", str(tmp_path)])
    assert refused.exit_code == 2 and "needs --from: the listener" in refused.output


def test_a_stage_is_named_where_a_paper_has_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    for settings in (SpeechGPTRun(), MoshiRun()):
        recipe = Recipe(
            part="x", settings=settings, train=lambda run, _: ran.append(run.stage), debug=lambda _: {}
        )  # fmt: skip
        monkeypatch.setattr(commands, "_recipe", lambda _, recipe=recipe: recipe)
        done = CliRunner().invoke(app, ["train", "moshi", "--stage", "2", "--out", str(tmp_path)])
    assert ran == [2] and done.exit_code == 2 and "moshi has no stages; leave --stage out" in done.output


def test_weights_are_gone_on_from_where_the_forms_agree() -> None:
    known, module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)), nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5))
    with pytest.raises(TrainingError, match="another form"):
        begin_from(module, known)
    begin_from(module, known, fresh=("1.",))
    assert torch.equal(module[0].weight, known[0].weight) and module[1].weight.shape == (5, 3)
    begin_from(module, nn.Sequential(nn.Linear(2, 3)), fresh=("1.",))  # what is missing may be missing
