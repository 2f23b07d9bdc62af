"""Whatever comes in, there is one clear sentence, exit status 2 and no half-written file; or it just works."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

import vivavoce
from vivavoce.assistant.demo import RECORDINGS
from vivavoce.cli.main import app
from vivavoce.core.errors import VoiceError

WEIGHTS = Path(__file__).resolve().parents[2] / "src/vivavoce/weights/mini"


def tone(rate: int = 16_000, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    wave = 0.1 * np.sin(2 * np.pi * 140 * time) * (1 + np.sin(2 * np.pi * 4 * time))
    return np.stack([wave] * channels, axis=1).astype(np.float32)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, *hints: str) -> None:
    """One sentence on the error stream that holds the hints, status 2."""
    assert result.exit_code == 2, result.output
    said = result.stderr.strip()
    assert said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert not hints or any(hint in said.lower() for hint in hints), said


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.wav"
    if kind == "missing":
        return path
    if kind == "text":
        path.write_text("this is no sound\n" * 50)
    elif kind == "empty":
        path.touch()
    elif kind == "no samples":
        soundfile.write(path, np.zeros((0, 1), np.float32), 16_000)
    elif kind == "silent":
        soundfile.write(path, np.zeros((16_000, 1), np.float32), 16_000)
    elif kind == "header":
        soundfile.write(path, tone(), 16_000)
        path.write_bytes(path.read_bytes()[:40])
    elif kind == "nan":
        wave = tone()
        wave[100] = np.nan
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
    return path


BAD = ["missing", "text", "empty", "no samples", "silent", "header", "nan"]


@pytest.mark.parametrize("kind", BAD)
def test_ask_names_what_is_wrong_with_a_file(kind: str, tmp_path: Path):
    refused(run("ask", bad_file(kind, tmp_path), "--text-only", "--out", tmp_path / "out"))


def test_ask_goes_on_after_a_bad_file(tmp_path: Path):
    good = tmp_path / "good.wav"
    soundfile.write(good, tone(), 16_000)
    result = run("ask", bad_file("text", tmp_path), good, "--text-only", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 2
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert "error" in first
    assert "error" not in second
    assert second["path"] == str(good)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(8_000, 1, "PCM_U8"), (192_000, 1, "PCM_24"), (44_100, 2, "PCM_16")]
)
def test_ask_takes_any_sound(rate: int, channels: int, subtype: str, tmp_path: Path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, tone(rate, 1.0, channels), rate, subtype=subtype)
    result = run("ask", path, "--text-only", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "reply" in json.loads(result.stdout.splitlines()[-1])


def test_a_recording_that_is_too_long_is_refused_or_heard(tmp_path: Path):
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(8_000, 20 * 60), 8_000)
    refused(run("ask", path, "--text-only", "--out", tmp_path / "out"), "long", "cut", "at most")


@pytest.mark.parametrize("text", ["", "   ", "!!!", "Привет, как дела", "你好", "word " * 20_000])
def test_say_names_what_is_wrong_with_a_text(text: str, tmp_path: Path):
    out = tmp_path / "out.wav"
    refused(run("say", text, "-o", out))
    assert not list(tmp_path.iterdir())


def test_a_clip_needs_consent(tmp_path: Path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, tone(24_000, 4.0), 24_000)
    refused(run("say", "hello there", "--like", clip, "-o", tmp_path / "out.wav"), "consent")
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("kind", [*BAD, "noise"])
def test_say_names_what_is_wrong_with_a_clip(kind: str, tmp_path: Path):
    clip = bad_file(kind, tmp_path)
    if kind == "noise":
        soundfile.write(clip, 0.1 * np.random.default_rng(0).standard_normal(96_000), 24_000)
    refused(run("say", "hello there", "--like", clip, "--consent", "me", "-o", tmp_path / "out.wav"), "clip")
    assert not (tmp_path / "out.wav").exists()


def test_a_consent_names_somebody(tmp_path: Path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, tone(24_000, 4.0), 24_000)
    refused(run("say", "hello there", "--like", clip, "--consent", " ", "-o", tmp_path / "out.wav"), "who agreed")


def test_two_people_in_a_clip_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip, alone, out = tmp_path / "both.wav", tmp_path / "alone.wav", tmp_path / "out.wav"
    words = "I was at the market in the morning, and I bought bread and some apples for the winter."
    for name, voice in (("man", "a low old man"), ("child", "a high child")):
        assert run("say", words, "--voice", voice, "-o", tmp_path / f"{name}.wav").exit_code == 0
    man, child = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("man", "child"))
    soundfile.write(clip, np.concatenate((man, child)), 24_000)
    soundfile.write(alone, np.concatenate((man, man)), 24_000)
    refused(run("say", "hello there", "--like", clip, "--consent", "me", "-o", out), "two people speak in the clip")
    assert not out.exists()
    result = run("say", "hello there", "--like", alone, "--consent", "me", "-o", out)
    assert result.exit_code == 0 and out.exists() and "two people" not in result.stderr, result.stderr
    takes = SimpleNamespace(takes={"clip", "prosody"}, sample_rate=24_000)  # a speaker of whole sentences
    monkeypatch.setattr("vivavoce.assistant.saying.system_of", lambda _: "sentences")
    monkeypatch.setattr("vivavoce.assistant.saying.sentence_speaker", lambda _: takes)
    out.unlink()
    asked = ("say", "hello there", "--speaker", tmp_path, "--like", alone, "--consent", "me", "-o", out)
    refused(run(*asked, "--prosody-like", clip), "two people speak in the clip of the prosody")
    assert not out.exists()


def test_a_clip_of_prosody_may_be_shorter_than_one_of_a_voice():
    mouth, short = vivavoce.load().mouth, (RECORDINGS / "1.ogg").read_bytes()
    mouth.check_prosody(short)
    with pytest.raises(VoiceError, match=r"has .* s of speech, but imitating it takes at least 1.5 s"):
        mouth.imitate(short)
    silent = io.BytesIO()
    soundfile.write(silent, np.zeros(48_000), 24_000, format="WAV")
    with pytest.raises(VoiceError, match=r"clip of the prosody has 0.0 s of speech"):
        mouth.check_prosody(silent.getvalue())


def test_a_whispered_clip_is_refused(tmp_path: Path):
    clip, words = tmp_path / "clip.wav", "I was at the market in the morning, and I bought bread and some apples."
    assert run("say", words, "--voice", "a whispering woman", "-o", clip).exit_code == 0
    refused(run("say", "hello there", "--like", clip, "--consent", "me", "-o", tmp_path / "out.wav"), "a whisper")


def test_a_clip_may_last_half_an_hour(tmp_path: Path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, tone(8_000, 1800.0), 8_000)
    result = run("say", "hello there", "--like", clip, "--consent", "me", "-o", tmp_path / "out.wav")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("where", "hint"), [("out.xyz", ".xyz is none of"), ("folder.wav", "it is a folder"), ("file/out.wav", "is a file")]
)
def test_where_nothing_can_be_written_is_said_before_the_work(
    where: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def never(*arguments: object, **more: object) -> None:
        raise AssertionError("it worked")

    monkeypatch.setattr("vivavoce.assistant.saying.load", never)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    refused(run("say", "hello there", "-o", tmp_path / where), hint)
    refused(run("say", "hi", "-o", tmp_path / "out.wav", "--times", tmp_path / "file" / "times.json"), "is a file")


def test_consent_without_a_clip_is_a_mistake(tmp_path: Path):
    refused(run("say", "hello there", "--consent", "me", "-o", tmp_path / "out.wav"), "--like")


def test_a_written_question_is_answered_and_a_missing_one_named(tmp_path: Path):
    question = tmp_path / "question.txt"
    question.write_text("What did I order?\n")
    result = run("ask", question, tmp_path / "nowhere.txt", "--text-only", "--json")
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 2
    assert first["transcript"] == "What did I order?" and first["reply"]
    assert "check the path" in second["error"]


@pytest.mark.parametrize("text", ["", "Привет, как дела", "word " * 20_000])
def test_a_written_question_that_cannot_be_read_is_refused(text: str, tmp_path: Path):
    question = tmp_path / "question.txt"
    question.write_text(text)
    refused(run("ask", question, "--text-only"), "some words", "latin letters", "split it")


@pytest.mark.parametrize("sound", [np.zeros(0), np.full(24_000, np.nan), np.zeros((2, 24_000))])
def test_a_recording_in_memory_that_is_none_is_refused(sound: np.ndarray):
    with pytest.raises(vivavoce.VivavoceError, match="24 kHz"):
        vivavoce.load().ask(sound)


def test_answers_to_files_of_one_name_are_kept_apart(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "question.txt").write_text("hello")
    files = (tmp_path / "a/question.txt", tmp_path / "b/question.txt")
    result = run("ask", *files, "--json", "--out", tmp_path / "out")
    written = {json.loads(line)["audio"] for line in result.stdout.splitlines()}
    assert len(written) == 2 and {Path(name) for name in written} == set((tmp_path / "out").iterdir())


def test_tokens_name_what_cannot_be_done(tmp_path: Path):
    sound, tokens = tmp_path / "sound.wav", tmp_path / "sound.npz"
    soundfile.write(sound, tone(), 16_000)
    assert run("tokens", "encode", sound, "-o", tokens).exit_code == 0
    refused(run("tokens", "decode", tokens, "--books", "99", "-o", tmp_path / "again.wav"), "8")
    refused(run("tokens", "show", tokens, "-o", tmp_path / "picture.jpg"), ".png")
    tokens.write_bytes(tokens.read_bytes()[:-100])
    refused(run("tokens", "decode", tokens, "-o", tmp_path / "again.wav"), "no token file")
    assert {path.name for path in tmp_path.iterdir()} == {"sound.wav", "sound.npz"}


@pytest.mark.parametrize("part", ["listener", "words", "mind", "speaker", "codec"])
def test_training_without_recordings_says_so(part: str, tmp_path: Path):
    refused(run("train", part, "--speech", tmp_path / "nowhere", "--out", tmp_path / "out"), "manifest")


def test_debug_shows_where_it_happened_wherever_it_stands(tmp_path: Path):
    result = run("transcribe", "--debug", tmp_path / "nowhere.wav", "--model", tmp_path)
    assert isinstance(result.exception, vivavoce.VivavoceError)


def test_a_clip_can_be_too_short_to_clone(tmp_path: Path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, tone(24_000, 0.3), 24_000)
    refused(run("say", "hello there", "--like", clip, "--consent", "me", "-o", tmp_path / "out.wav"), "short", "long")
    assert not (tmp_path / "out.wav").exists()


def test_an_unknown_description_gives_one_warning_that_names_known_words(tmp_path: Path):
    result = run("say", "hello there", "--voice", "blorptastic", "-o", tmp_path / "out.wav")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out.wav").exists()
    assert result.output.lower().count("blorptastic") == 1
    assert "slow" in result.output


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_damaged_weights_are_said(damage: str, tmp_path: Path):
    folder = tmp_path / "mini"
    shutil.copytree(WEIGHTS, folder)
    part = sorted(folder.glob("*.safetensors"))[0]
    if damage == "missing":
        part.unlink()
    else:
        data = bytearray(part.read_bytes())
        part.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 255]))
    with pytest.raises(vivavoce.VivavoceError, match=part.stem):
        vivavoce.load(folder)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(run("say", "hello there", "-o", tmp_path / "out.wav"), "the disk is full")
    assert not list(tmp_path.iterdir())


def test_whatever_the_system_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "losses.jsonl")

    monkeypatch.setattr("vivavoce.data.manifest.check", full)
    refused(run("data", "check", "manifest.jsonl"), "losses.jsonl: no space left")


def test_nowhere_to_write_is_said():
    refused(run("say", "hello there", "-o", "/proc/nowhere/out.wav"))


def test_a_manifest_with_a_bad_line_names_it(tmp_path: Path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"id": "a", "path": "a.wav"\n')
    result = run("data", "check", manifest)
    assert result.exit_code == 2
    assert "1" in result.output
    assert "Traceback" not in result.output
