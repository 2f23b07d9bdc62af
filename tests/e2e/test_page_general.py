"""The page where another mind thinks: an assistant for everything, which says who hears, thinks and speaks."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import vivavoce
from vivavoce.audio.resample import resample
from vivavoce.core.talk import Call, Say
from vivavoce.evals.word_errors import distance, plain
from vivavoce.runtime.fake import Beeping, fake_model
from vivavoce.runtime.model import Context, Used

pytest.importorskip("playwright", reason="playwright is not installed; pip install playwright")
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_page import CHROMIUM, PATIENCE, program, serving, visiting

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


LONG = "x" * 80


def answer(context: Context) -> Iterator[Any]:
    if "weather" in context.entries[-1].text:
        place = {"city_name": LONG, "land": "Wales"}
        yield Call(f"weather_of_{LONG}", json.dumps({"place": place, "days": [1, 2], "in_full": True, "note": None}))
    else:
        yield Call("set_lamp", json.dumps({"room": "kitchen", "level": 3}))
    yield Say("Done.")


def test_it_keeps_no_tavern_and_shows_calls_that_nobody_declared() -> None:
    with (
        serving(model=replace(fake_model(answer), used=USED, speaking=TwoVoices())) as address,
        visiting(address, refuse=True) as visit,
    ):
        page = visit.page
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
        expect(slip).to_contain_text("set lamp", ignore_case=True, timeout=PATIENCE)
        expect(slip).to_contain_text("kitchen")
        expect(page.locator("#lines")).to_contain_text("Done.", timeout=PATIENCE)
        page.get_by_role("textbox", name="Write instead of speaking").fill("the weather, please")
        page.keyboard.press("Enter")
        expect(page.locator(".slip")).to_have_count(2, timeout=PATIENCE)
        assert slip.first.locator("dt").all_inner_texts() == ["place", "days", "in full", "note"]
        assert slip.first.locator("dd").all_inner_texts() == [f"city name: {LONG}, land: Wales", "1, 2", "yes", "–"]
        for width in (1280, 390):  # whatever is called, nothing is wider than where it stands
            page.set_viewport_size({"width": width, "height": 844})
            assert (
                page.evaluate(
                    "[document.documentElement, ...document.querySelectorAll('aside, .slip, .slip dd, .call, #parts')]"
                    ".filter((part) => part.scrollWidth > part.clientWidth + 2).map((part) => part.className)"
                )
                == []
            )
        expect(page.locator("#lines")).to_contain_text("Done.", timeout=PATIENCE)
        assert not visit.problems and not visit.of("error")


def test_a_question_about_anything_is_answered_aloud_and_understood(fetched, monkeypatch, tmp_path) -> None:
    """Whisper hears and SmolLM2 thinks, in the program as a user starts it; Whisper judges what is heard of it."""
    faster_whisper = pytest.importorskip("faster_whisper")
    fetched("smollm2-135m-instruct")
    ears = fetched("whisper-base")
    monkeypatch.setenv("VIVAVOCE_DATA", str(ears.parent.parent))
    asked = torch.from_numpy(np.concatenate(list(vivavoce.load().say("What is the capital of France?"))))
    sound = resample(asked[None], 24_000, 48_000)[0].numpy()
    clip = tmp_path / "question.wav"
    soundfile.write(clip, np.concatenate([np.zeros(2 * 48_000), sound, np.zeros(120 * 48_000)]), 48_000)
    with (
        program(tmp_path, "--model", "open") as address,
        visiting(address, microphone=clip) as visit,
    ):
        visit.page.get_by_role("button", name="Talk", exact=True).click()
        visit.until(lambda: visit.of("response.done"), "the answer")
        expect(visit.page.locator("#lines .you").first).to_contain_text("capital of france", ignore_case=True)
        reply = visit.of("response.output_audio_transcript.done")[0]["transcript"]
        visit.page.wait_for_timeout(sum(len(e["delta"]) * 3 // 4 for e in visit.of("response.output_audio.delta")) / 48)
        heard = torch.from_numpy(visit.heard())
        assert not visit.problems and not visit.of("error")
    judge = faster_whisper.WhisperModel(str(ears), device="cpu", compute_type="int8", cpu_threads=1)
    wave = resample(heard[None], 24_000, 16_000)[0].numpy()
    words = plain(" ".join(piece.text for piece in judge.transcribe(wave, language="en", beam_size=1)[0]))
    wanted = plain(reply)
    assert wanted and distance(wanted, words) <= 0.4 * len(wanted), (reply, words)
