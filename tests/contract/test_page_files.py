"""The web page's files: all there, nothing from elsewhere, and the character as its sheet has it."""

import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from live_server import serving

from vivavoce.assistant.described import read_model
from vivavoce.assistant.used import used_by
from vivavoce.core.voice import STOCK
from vivavoce.data.sheet import load_sheet
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
    assert {path.name for path in files(".js", ".css")} == named
    for name in named:
        answer = httpx.get(f"{address}/{name}")
        assert answer.status_code == 200
        assert re.match("text/css|(text|application)/javascript", answer.headers["content-type"])


@pytest.mark.parametrize("path", files(".js", ".css", ".html"), ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "").replace("xmlns=''", "")
    assert not re.search(r"https?://|//[\w-]+\.\w+/|@import", text)


def test_the_character_is_the_sheets_own(address):
    sheet = load_sheet()
    given = httpx.get(f"{address}/character.json").json()
    assert given == character_of(sheet).model_dump()  # the scripted model says nothing of its parts
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
    assert given["general"] and not given["tools"] and not given["fixed_voices"] and given["voice"] == STOCK["marin"]
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
