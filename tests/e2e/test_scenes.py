"""The command line: a voice is saved once, and a scene with it is performed into files that a game can take."""

import json
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from vivavoce.audio.files import SYNTHETIC, read_audio
from vivavoce.cli.main import app


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_a_saved_voice_plays_in_a_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "data"))
    run("voices", "save", "Brom", "--voice", "dwarf", "--identity", "3")
    assert "Brom" in run("voices").splitlines()[0] and "old queen" in run("voices", "list")
    (tmp_path / "scene.txt").write_text("Brom: Halt!\n(overlap 0.2)\nmouse: No.\n")
    out, times, lines = tmp_path / "scene.wav", tmp_path / "scene.json", tmp_path / "lines"
    files = ("--out", str(out), "--times", str(times), "--lines", str(lines))
    run("say", "--script", str(tmp_path / "scene.txt"), *files)
    wave, rate = read_audio(out)
    found = json.loads(times.read_text())["lines"]
    assert [one["speaker"] for one in found] == ["Brom", "mouse"]
    assert found[1]["start"] == pytest.approx(found[0]["end"] - 0.2, abs=2e-3)
    assert len(wave) / rate == pytest.approx(found[1]["end"], abs=2e-3)
    assert [word["word"] for one in found for word in one["words"]] == ["halt", "no"]
    assert [path.name for path in sorted(lines.iterdir())] == ["001-brom.wav", "002-mouse.wav"]
    assert {soundfile.SoundFile(file).comment for file in (out, *lines.iterdir())} == {SYNTHETIC}
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    run("say", "No.", "--voice", "Brom", "-o", str(one))
    run("say", "No.", "--voice", "a gruff dwarf, low and slow", "--identity", "3", "-o", str(two))
    assert one.read_bytes() == two.read_bytes()
    run("voices", "remove", "Brom")
    for bad, wanted in (
        (("say", "--script", str(tmp_path / "scene.txt")), "line 1: Brom has no voice"),
        (("say", "hi", "--script", str(tmp_path / "scene.txt")), "a script has its own text"),
        (("say", "hi", "--lines", str(lines)), "--lines writes the lines of a script"),
        (("voices", "remove", "Brom"), "no voice 'Brom' was saved"),
        (("say", ""), "there is no text to say"),
    ):
        done = CliRunner().invoke(app, [*bad])
        assert done.exit_code == 2 and wanted in done.output, done.output
