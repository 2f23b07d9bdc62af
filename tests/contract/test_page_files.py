"""The web page's files: all there, nothing from elsewhere, and the character as its sheet has it."""

import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from live_server import serving

from vivavoce.assistant.described import WEIGHTS, ModelFile, read_model
from vivavoce.assistant.used import used_by
from vivavoce.core.errors import ManifestError
from vivavoce.core.voice import STOCK
from vivavoce.data.page import load_page
from vivavoce.data.sheet import CHARACTERS, load_sheet
from vivavoce.runtime.fake import fake_model
from vivavoce.runtime.model import Used
from vivavoce.server.app import WEB
from vivavoce.server.character import character_of


def files(*endings: str) -> list[Path]:
    return [path for path in sorted(WEB.iterdir()) if path.suffix in endings]


def test_the_page_and_all_that_it_names_are_served(address):
    page = httpx.get(address)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    named = set(re.findall(r'(?:src|href)="([\w.-]+)"', page.text))
    for script in files(".js"):
        named |= {
            name.removeprefix("./") for name in re.findall(r'(?:from |URL\()"([\w./-]+\.js)"', script.read_text())
        }
    own = {"character.css", "character.svg"}
    assert {path.name for path in files(".js", ".css")} == named - own and own <= named
    for name in named:
        answer = httpx.get(f"{address}/{name}")
        assert answer.status_code == 200
        assert re.match("text/css|(text|application)/javascript|image/svg", answer.headers["content-type"])


@pytest.mark.parametrize(
    "path",
    [*files(".js", ".css", ".html"), *sorted(CHARACTERS.glob("*/*.css")), *sorted(CHARACTERS.glob("*/*.svg"))],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_nothing_comes_from_elsewhere(path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "").replace("xmlns=''", "")
    assert not re.search(r"https?://|//[\w-]+\.\w+/|@import", text)


def test_the_character_is_the_sheets_own(address):
    sheet = load_sheet()
    given = httpx.get(f"{address}/character.json").json()
    assert given == character_of(read_model("mini")).model_dump()  # the scripted model says nothing of its parts
    assert (given["name"], given["voice"]) == (sheet.name, sheet.voice)
    (tool,) = given["tools"]
    assert tool["parameters"] == sheet.tool.schema() and tool["name"] == sheet.tool.name


def test_every_part_that_a_script_asks_for_is_on_the_page():
    page = (WEB / "index.html").read_text()
    present = set(re.findall(r'\b(?:id|name)="([\w-]+)"', page))
    asked = {
        name
        for path in files(".js")
        for name in re.findall(r'(?:\$|this\.find|this\.say)\("([\w-]+)"', path.read_text())
    }
    assert asked and asked <= present


def test_with_another_mind_it_is_an_assistant_and_says_who_hears_thinks_and_speaks():
    used = (
        Used(role="ears", name="whisper-base", licence="MIT", credit="OpenAI"),
        Used(role="mind", name="qwen3 at 127.0.0.1"),
        Used(role="speaker", name="vivavoce mini", licence="Apache-2.0", own=True),
    )
    with serving(model=replace(fake_model(), used=used)) as address:
        given = httpx.get(f"{address}/character.json").json()
    assert given["name"] == "assistant" and given["page"]["name"] == "Assistant"
    assert not given["tools"] and not given["fixed_voices"] and given["voice"] == STOCK["marin"]
    assert [(part["role"], part["name"], part["licence"]) for part in given["parts"]] == [
        ("ears", "whisper-base", "MIT"),
        ("mind", "qwen3 at 127.0.0.1", ""),
        ("speaker", "vivavoce mini", "Apache-2.0"),
    ]


def test_what_was_chosen_is_named_with_its_licence(monkeypatch, tmp_path):
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path))
    folder = tmp_path / "models/kokoro-ja"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"name": "kokoro-ja", "licence": "Apache-2.0", "credit": "hexgrad"}')
    chosen = replace(read_model("mini"), mind="http://example.org/v1#qwen3", speaker="kokoro-ja")
    ears, mind, speaker = used_by(chosen)
    assert ears.own and ears.name == "vivavoce mini" and not mind.own and mind.name == "qwen3 at example.org"
    assert (speaker.name, speaker.licence, speaker.credit) == ("kokoro-ja", "Apache-2.0", "hexgrad")


@pytest.mark.parametrize("name", sorted(path.parent.name for path in CHARACTERS.glob("*/sheet.yaml")))
def test_every_character_has_a_page_of_its_own(name):
    shown = character_of(ModelFile(folder=WEIGHTS / "mini", name="m", character=name))
    page = load_page(load_sheet(CHARACTERS / name / "sheet.yaml"), CHARACTERS / name)
    assert (shown.name, shown.page.title) == (name, page.title)
    assert page.look and page.sign.startswith("<svg") and page.icon.startswith("<svg")
    properties = shown.tools[0].parameters["properties"]
    assert set(page.labels) <= set(properties) and page.ideas


def test_a_model_names_the_tools_and_the_page_that_are_shown():
    tools = ({"name": "ring", "description": "Rings.", "parameters": {}},)
    file = ModelFile(folder=WEIGHTS / "mini", name="m", tools=tools, page="porter", voice="a bell")
    shown = character_of(file)
    assert [tool.name for tool in shown.tools] == ["ring"] and shown.voice == "a bell"
    assert shown.page.name == "Porter" and shown.name == "innkeeper"


def test_a_character_without_a_page_is_shown_on_a_plain_one_and_a_bad_page_says_where(tmp_path):
    page = load_page(load_sheet(), tmp_path)
    assert page.name == "Innkeeper" and page.motto == "The innkeeper answers aloud." and not page.look
    faults = (
        ("colour: red", "'colour', which is unknown"),
        ("title: 3", "title = 3"),
        ("a: [", "read"),
        ("states: {shut: away}", "words for 'shut'"),
    )
    for said, complaint in faults:
        (tmp_path / "page.yaml").write_text(said)
        with pytest.raises(ManifestError, match=complaint):
            load_page(load_sheet(), tmp_path)
