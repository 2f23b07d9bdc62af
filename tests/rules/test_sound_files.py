"""Every sound file of ours says that nobody said what is in it."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.assistant.demo import LINES
from vivavoce.data.synthesis import Reading, SyntheticSpeech
from vivavoce.recipes import demo

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/vivavoce"
RECORDED = {
    "evals/drive.py": "what the model is given to hear, people among it, for as long as it hears it",
    "evals/mini.py": "a clip of a person, for as long as it is read",
}
"""Where files are written that are not ours, and why."""
IN_MEMORY = {"evals/token_sound.py": "there and back through Opus"}
"""Where PyAV writes."""


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def writes(call: ast.Call) -> bool:
    """Whether this opens a file to write to."""
    given = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return any(isinstance(one, ast.Constant) and "w" in str(one.value) for one in given)


def faults(text: str, place: str) -> list[str]:
    """What in a file writes sound that does not say of itself whether it is synthetic."""
    tree = ast.parse(text)
    found = []
    marked = {
        call
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(node, ast.Attribute) and node.attr == "comment" and isinstance(node.ctx, ast.Store)
                for node in ast.walk(function))
        for call in calls(function)
    }  # fmt: skip
    for call in calls(tree):
        name = name_of(call)
        comment = [word.value for word in call.keywords if word.arg == "comment"]
        if name.split(".")[-1] == "write_audio":
            silent = comment and isinstance(comment[0], ast.Constant) and not comment[0].value
            if not comment or (silent and place not in RECORDED):
                found.append(f"{place}:{call.lineno}: write_audio without a comment")
        elif name in ("soundfile.write", "sf.write"):
            found.append(f"{place}:{call.lineno}: {name} cannot keep a comment; take SoundFile or write_audio")
        elif name.endswith("SoundFile") and writes(call) and call not in marked:
            found.append(f"{place}:{call.lineno}: SoundFile without a comment")
        elif name in ("av.open", "wave.open") and writes(call) and place not in IN_MEMORY:
            found.append(f"{place}:{call.lineno}: {name}; take write_audio")
    return found


def test_no_writer_forgets_to_say_that_its_sound_is_synthetic():
    found = [
        fault for path in sorted(SOURCE.rglob("*.py"))
        for fault in faults(path.read_text(), str(path.relative_to(SOURCE)))
    ]  # fmt: skip
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "write_audio(path, wave, rate)",
        "files.write_audio(path, wave, rate, comment='')",
        "soundfile.write(path, wave, rate, format='OGG')",
        "def f():\n with soundfile.SoundFile(path, 'w', rate, 1) as file:\n  file.write(wave)",
        "av.open(path, mode='w')",
    ],
)
def test_what_forgets_it_is_found(text: str):
    assert faults(text, "cli/say.py")


@pytest.mark.parametrize("text", ["soundfile.SoundFile(path)", "av.open(path, 'r')", "write_audio(a, b, c, comment=d)"])
def test_readers_and_those_who_say_it_are_not(text: str):
    assert not faults(text, "cli/say.py")


def test_every_file_that_comes_along_says_that_it_is_synthetic():
    files = [path for folder in (SOURCE, ROOT / "docs") for path in sorted(folder.rglob("*"))
             if path.suffix in (".ogg", ".opus", ".wav", ".flac", ".mp3")]  # fmt: skip
    assert len(files) > len(LINES)
    comments = {str(path.relative_to(ROOT)): soundfile.SoundFile(path).comment for path in files}
    assert not [path for path, comment in comments.items() if not comment.startswith("synthetic s")]


def test_the_recordings_of_the_demonstration_are_written_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def speak(readings: Sequence[Reading], *, sample_rate: int) -> Iterator[SyntheticSpeech]:
        tone = 0.1 * np.sin(np.arange(sample_rate // 4) / 10).astype(np.float32)
        return (SyntheticSpeech(reading, tone, sample_rate, None) for reading in readings)

    monkeypatch.setattr(demo, "speak", speak)
    demo.make(tmp_path)
    made = {file.name: soundfile.SoundFile(file) for file in tmp_path.iterdir()}
    assert set(made) == {"clip.ogg", *(file for file, _ in LINES)}
    assert {file.subtype for file in made.values()} == {"OPUS"}
    engines = {name: file.comment for name, file in made.items()}
    assert engines.pop("clip.ogg") == "synthetic speech, made by festival"
    assert set(engines.values()) == {"synthetic speech, made by espeak-ng"}
