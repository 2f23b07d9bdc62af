"""The page where another mind thinks: an assistant for everything, which says who hears, thinks and speaks."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vivavoce.core.talk import Call, Say
from vivavoce.runtime.fake import Beeping, fake_model
from vivavoce.runtime.model import Context, Used

pytest.importorskip("playwright", reason="playwright is not installed; pip install playwright")
from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
from live_server import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; apt-get install chromium"),
]
USED = (
    Used(role="ears", name="whisper-base", licence="MIT", credit="OpenAI"),
    Used(role="mind", name="qwen3 at example.org"),
    Used(role="speaker", name="kokoro", licence="Apache-2.0", credit="hexgrad"),
)


class TwoVoices(Beeping):
    voices = ("one", "two")

    def check(self, voice: Any) -> None:
        pass


def answer(context: Context) -> Iterator[Any]:
    yield Call("set_lamp", json.dumps({"room": "kitchen", "level": 3}))
    yield Say("Done.")


def test_it_keeps_no_tavern_and_shows_calls_that_nobody_declared() -> None:
    with (
        serving(model=replace(fake_model(answer), used=USED, speaking=TwoVoices())) as address,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.title() == "vivavoce — talk about anything"
        shown = page.locator("body").inner_text().lower()
        assert "talk about anything." in shown and "capital of france" in shown
        assert not [word for word in ("counter", "tavern", "latte", "ordered", "the house") if word in shown]
        credits = page.get_by_role("list", name="Who hears, thinks and speaks")
        assert credits.inner_text().split("\n") == [
            "ears whisper-base (MIT)",
            "mind qwen3 at example.org",
            "voice kokoro (Apache-2.0)",
        ]
        expect(page.locator("#fixed option")).to_have_text(["as it comes", "one", "two"])
        expect(page.locator("#description")).to_be_hidden()
        page.get_by_role("textbox", name="Write instead of speaking").fill("lights, please")
        page.keyboard.press("Enter")
        slip = page.locator(".slip:not(.blank)")
        expect(slip).to_contain_text("set lamp", ignore_case=True, timeout=60_000)
        expect(slip).to_contain_text("kitchen")
        expect(page.locator("#lines")).to_contain_text("Done.", timeout=60_000)
        assert not problems
        browser.close()
