"""The command line: a voice is saved once, and a scene with it is performed into files that a game can take."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from vivavoce.audio.files import SYNTHETIC, read_audio, read_recording
from vivavoce.cli.main import app


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_sound_is_handed_on_as_a_wav_while_it_is_made(tmp_path: Path) -> None:
    times, file = tmp_path / "times.json", tmp_path / "file.wav"
    done = CliRunner().invoke(app, ["say", "Halt! Who goes there?", "-o", "-", "--times", str(times)])
    assert done.exit_code == 0 and SYNTHETIC.encode() in done.stdout_bytes[:200]
    assert done.stderr.startswith("wrote the sound: ")
    run("say", "Halt! Who goes there?", "-o", str(file))
    assert np.allclose(read_recording(done.stdout_bytes).wave, read_audio(file)[0], atol=1e-4)
    assert [word["word"] for word in json.loads(times.read_text())["words"]] == ["halt", "who", "goes", "there"]


def test_a_script_may_begin_with_the_mark_of_an_editor(tmp_path: Path) -> None:
    (tmp_path / "scene.txt").write_bytes(b"\xef\xbb\xbfBrom = low\r\nBrom: Halt!\r\n")
    assert "Brom: Halt!" in run("say", "--script", str(tmp_path / "scene.txt"), "-o", str(tmp_path / "scene.wav"))


def test_a_saved_clip_speaks_by_its_name_with_the_consent_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "data"))
    clip, one, two = tmp_path / "elra.wav", tmp_path / "one.wav", tmp_path / "two.wav"
    run("say", "I was at the market in the morning, and I bought bread.", "--voice", "old queen", "-o", str(clip))
    agreed = ("--like", str(clip), "--consent", "Elra Smith")
    told = run("voices", "save", "Elra", *agreed)
    assert f"the whole clip {clip}" in told and "Elra Smith agreed" in told and "data/voices.sqlite" in told
    assert "a clip of Elra Smith, who agreed on 20" in run("voices").splitlines()[0]
    run("say", "No.", *agreed, "-o", str(one))
    clip.unlink()
    run("say", "No.", "--voice", "elra", "-o", str(two))
    assert one.read_bytes() == two.read_bytes()
    (tmp_path / "scene.txt").write_text("Elra: No.\n")
    run("say", "--script", str(tmp_path / "scene.txt"), "-o", str(two))
    assert one.read_bytes() == two.read_bytes()
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, 0.1 * np.random.default_rng(0).standard_normal(96_000), 24_000)
    for bad, wanted in (
        (("voices", "save", "Elra", "--like", str(one), "--consent", "me"), "there is a voice 'Elra' already"),
        (("voices", "save", "Ann", "--like", str(one)), "without consent"),
        (("voices", "save", "Ann", "--like", str(noise), "--consent", "me"), "nobody is heard to speak"),
        (("voices", "save", "Ann", "--like", str(clip), "--consent", "me"), "cannot be read"),
        (("voices", "save", "Ann", "--voice", "Elra"), "kept under its own name"),
        (("voices", "save", "Ann"), "--voice WORDS, or --like CLIP --consent WHO"),
        (("voices", "save", "Ann", "--voice", "low", "--consent", "me"), "there is no clip"),
        (("voices", "save", "Ann: (x)", "--voice", "low"), "scripts could not say the name 'Ann: (x)'; leave out '('"),
        (("say", "No.", "--voice", "Elra", "--like", str(one), "--consent", "me"), "the clip is another one"),
        (
            ("say", "No.", "--voice", "a deep high man", *("--like", str(one), "--consent", "me")),
            "contradict each other",
        ),
        (("say", "--script", str(tmp_path / "scene.txt"), "--consent", "me"), "a script says itself who agreed"),
        (("voices", "gallery", str(tmp_path / "g"), "--suffix", "xyz"), ".xyz is none of"),
    ):
        done = CliRunner().invoke(app, [*bad])
        assert done.exit_code == 2 and wanted in done.output, done.output
    run("voices", "remove", "Elra")
    assert "Elra" not in run("voices") and b"Elra" not in (tmp_path / "data" / "voices.sqlite").read_bytes()


def test_a_saved_voice_plays_in_a_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "data"))
    run("voices", "save", "Brom", "--voice", "dwarf", "--identity", "3")
    assert "Brom" in run("voices").splitlines()[0] and "old queen" in run("voices", "list")
    (tmp_path / "scene.txt").write_text("Brom: Halt!\n(overlap 0.2)\nmouse: No.\n")
    out, times, lines = tmp_path / "scene.wav", tmp_path / "scene.json", tmp_path / "lines"
    files = ("--out", str(out), "--times", str(times), "--lines", str(lines))
    run("say", "--script", str(tmp_path / "scene.txt"), *files)
    wave, rate = read_audio(out)
    said = json.loads(times.read_text())
    assert (said["audio"], said["comment"]) == ("scene.wav", SYNTHETIC)
    assert said["seconds"] == pytest.approx(len(wave) / rate, abs=1e-3)
    found = said["lines"]
    assert [one["file"] for one in found] == ["001-brom.wav", "002-mouse.wav"]
    assert found[0]["words"][0]["characters"] == [0, len("Halt")]
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
    run("say", "No.", "--voice", "BROM", "-o", str(two))
    assert one.read_bytes() == two.read_bytes()
    run("voices", "remove", "Brom")
    for bad, wanted in (
        (("say", "--script", str(tmp_path / "scene.txt")), "line 1, Brom: this name has no voice"),
        (("say", "hi", "--script", str(tmp_path / "scene.txt")), "a script has its own text"),
        (("say", "hi", "--lines", str(lines)), "--lines writes the lines of a script"),
        (("voices", "remove", "Brom"), "no voice 'Brom' was saved"),
        (("say", ""), "there is no text to say"),
        (("voices", "save", "Zed", "--voice", "a fast slow man"), "fast and slow, which contradict each other"),
        (("say", "--script", str(tmp_path)), "cannot be read (Is a directory)"),
        (("say", "--script", str(out)), "is no text in UTF-8"),
        (("say", "--script", str(tmp_path / "scene.txt"), "-o", "-"), "give -o FILE"),
    ):
        done = CliRunner().invoke(app, [*bad])
        assert done.exit_code == 2 and wanted in done.output, done.output
