"""StyleTTS and StyleTTS 2 in miniature: they learn to make recordings again, and speak in the style of a clip."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.sentences import system_of
from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.core.sentence import Sentence
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.recipes import styletts, styletts2
from vivavoce.text.tokenizers import PhoneTokenizer

pytestmark = pytest.mark.slow


def said(folder: Path, *, seed: int = 0, prompt: Stream[Wave] | None = None) -> torch.Tensor:
    made = system_of(folder)
    assert made is not None
    phones = PhoneTokenizer().encode(["make that small"])
    return made(folder).say(Sentence(text="make that small", phones=phones, prompt=prompt, seed=seed)).data[0, 0]


def clip() -> Stream[Wave]:
    return sound(read_audio(RECORDINGS / "clip.ogg", 24000)[0][:36000], 24000)


def test_styletts_learns_and_speaks_in_a_style(tmp_path: Path) -> None:
    found = styletts.debug(tmp_path, replace(styletts.SMALL, steps=14, prosody_steps=2))
    assert found["after"] < 0.9 * found["before"], found
    usual, like = said(tmp_path / "run"), said(tmp_path / "run", prompt=clip())
    assert len(usual) % 600 == 0 and usual.isfinite().all()
    assert len(usual) != len(like) or not torch.equal(usual, like)
    assert torch.equal(usual, said(tmp_path / "run", seed=1))  # nothing is drawn


def test_styletts2_learns_and_speaks_in_the_style_of_a_clip(tmp_path: Path) -> None:
    found = styletts2.debug(tmp_path)
    assert found["after"] < 0.9 * found["before"], found
    assert {"joint pull", "joint judge of speech", "reader phones"} <= set(found)
    one, two = said(tmp_path / "run", seed=1), said(tmp_path / "run", seed=2)
    assert one.isfinite().all() and (len(one) != len(two) or not torch.equal(one, two))
    out = tmp_path / "said.wav"
    arguments = ["say", "make that small", "--speaker", str(tmp_path / "run"), "-o", str(out)]
    like = ["--like", str(RECORDINGS / "clip.ogg")]
    done = CliRunner().invoke(app, [*arguments, *like, "--consent", "made by a synthesis program"])
    assert done.exit_code == 0, done.output
    assert len(read_audio(out, allow_silent=True)[0]) > 0
    assert CliRunner().invoke(app, [*arguments, *like]).exit_code != 0  # nobody consented
    done = CliRunner().invoke(app, [*arguments, "--scene", "rain"])
    assert done.exit_code == 2 and "give --like CLIP" in done.output
