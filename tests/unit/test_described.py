"""model.json says what a model is made of; what it says wrong is named."""

import json
from pathlib import Path

import pytest

from vivavoce.assistant.described import SYSTEMS, WEIGHTS, ModelFile, read_model
from vivavoce.assistant.model import load
from vivavoce.core.errors import ManifestError, PartError
from vivavoce.core.places import BUNDLED


def written(folder: Path, **said: object) -> Path:
    (folder / "model.json").write_text(json.dumps({"format": 1, **said}))
    return folder


def test_the_bundled_model_is_found_by_its_name_and_by_its_folder():
    by_name, by_folder = read_model("mini"), read_model(BUNDLED)
    assert by_name == by_folder
    assert (by_name.system, by_name.character, by_name.ears) == ("mini", "innkeeper", "mini")
    assert all(by_name.at(part) == BUNDLED for part in SYSTEMS["mini"])
    assert by_name.sheet.name == "innkeeper"


def test_a_set_takes_other_models_by_name_and_the_default_ones_parts(tmp_path):
    folder = written(tmp_path, parts="mini", ears="whisper-base", mind="smollm2-135m-instruct")
    found = read_model(folder)
    assert (found.ears, found.mind, found.speaker) == ("whisper-base", "smollm2-135m-instruct", "mini")
    assert found.name == tmp_path.name
    assert all(found.at(part) == BUNDLED for part in SYSTEMS["mini"])
    found.check()


def test_parts_lie_where_the_file_says_as_seen_from_its_folder(tmp_path):
    inner = tmp_path / "words"
    inner.mkdir()
    folder = written(tmp_path, parts={"words": "words", "codec": "mini"})
    found = read_model(folder)
    assert (found.at("words"), found.at("codec"), found.at("mind")) == (inner, BUNDLED, tmp_path)
    with pytest.raises(PartError, match=r"listener\.json is missing"):
        found.check()


def test_what_is_written_is_read_again(tmp_path):
    made = ModelFile(
        folder=tmp_path, name="mine", parts={"codec": "mini"}, ears="whisper-base", tools=({"name": "ring"},), voice="a"
    )
    made.write()
    assert read_model(tmp_path) == made


def test_a_folder_without_the_file_is_a_model_of_the_default_system(tmp_path):
    assert read_model(tmp_path) == ModelFile(folder=tmp_path, name=tmp_path.name)


def test_the_tools_of_the_file_are_declared(tmp_path):
    folder = written(tmp_path, parts="mini", tools=[{"name": "ring", "description": "Rings.", "parameters": {}}])
    (tool,) = load(folder, threads=0).tools
    assert (tool.name, tool.description) == ("ring", "Rings.")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"system": "maxi"}, "the system 'maxi'"),
        ({"eras": "mini"}, "'eras', which is unknown"),
        ({"ears": 3}, "ears = 3"),
        ({"parts": {"eyes": "mini"}}, "the part 'eyes'"),
        ({"parts": 3}, "the parts of"),
        ({"tools": "ring"}, "the tools of"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_a_file_says_wrong_is_named(tmp_path, said, complaint):
    with pytest.raises(PartError, match=complaint):
        read_model(written(tmp_path, **said))


def test_another_format_and_damage_are_errors(tmp_path):
    with pytest.raises(PartError, match="no description of a model of format 1"):
        read_model(written(tmp_path, format=2))
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(PartError, match="cannot be read"):
        read_model(tmp_path)


def test_a_model_or_a_character_that_is_not_there_is_an_error_with_the_names():
    with pytest.raises(PartError, match=r"no model in nowhere.*mini"):
        load("nowhere")
    with pytest.raises(ManifestError, match=r"no character 'nobody'.*innkeeper"):
        _ = ModelFile(folder=WEIGHTS / "mini", name="x", character="nobody").sheet
