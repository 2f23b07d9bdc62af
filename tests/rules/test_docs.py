"""What the documents say exists and runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from vivavoce.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
FOLDERS = ("src/", "tests/", "bench/", "docs/", "examples/")
LAYERS = {path.name for path in (ROOT / "src/vivavoce").iterdir() if path.is_dir()}
README = (ROOT / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_file_names_are_true(document: Path):
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
    for name in re.findall(r"`([\w./-]+/[\w./-]+)`", text):
        if name.startswith(FOLDERS):
            assert (ROOT / name).exists(), f"{document.name} names {name}"
        elif name.partition("/")[0] in LAYERS and name.endswith(".py"):
            assert (ROOT / "src/vivavoce" / name).exists(), f"{document.name} names {name}"


def test_the_tests_that_papers_rest_on_are_there():
    there = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for name, cut in re.findall(r"`(test_\w+)(…?)`", (ROOT / "docs/papers.md").read_text()):
        assert name in there or (cut and any(one.startswith(name) for one in there)), f"docs/papers.md names {name}"


def test_the_tables_are_generated():
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "README.md", "docs/measured.md", "docs/voices.md"],
        cwd=ROOT,
        capture_output=True,
    )
    assert done.returncode == 0, "a table is stale; run: cog -r README.md docs/measured.md docs/voices.md"


def test_make_has_the_targets_that_the_readme_names():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^)make (\w+)", README, re.M)) <= targets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the recording that the README speaks of."""
    recordings = sorted((ROOT / "src/vivavoce").glob("**/*.flac")) + sorted((ROOT / "src/vivavoce").glob("**/*.opus"))
    recordings += sorted((ROOT / "src/vivavoce").glob("**/*.ogg")) + sorted((ROOT / "src/vivavoce").glob("**/*.wav"))
    assert recordings, "no recording is shipped with the package"
    from vivavoce.audio.files import read_audio, write_audio

    write_audio(tmp_path / "question.wav", *read_audio(recordings[0]))
    return tmp_path


@pytest.mark.parametrize("document", ["README.md", "docs/tokens.md"])
def test_python_in_documents_runs(folder: Path, document: str):
    for code in blocks("python", (ROOT / document).read_text()):
        if "AsyncOpenAI" in code:  # needs a server; tests/contract runs it
            continue
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_readme_s_commands_run(folder: Path):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("vivavoce ")]
    assert len(lines) >= 3
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in lines:
        done = subprocess.run(
            line, cwd=folder, shell=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist_with_their_options(document: Path):
    text = document.read_text()
    lines = [line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    lines += [" ".join(found.split()) for found in re.findall(r"`(vivavoce [^`]+)`", text)]
    for line in lines:
        if not line.startswith("vivavoce "):
            continue
        command: Any = typer.main.get_command(app)
        for word in shlex.split(line, comments=True)[1:]:
            if word == "--help":
                continue
            if hasattr(command, "commands"):
                assert word in command.commands, f"{document.name}: {line}"
                command = command.commands[word]
            elif word.startswith("-"):
                assert word in {name for option in command.params for name in option.opts}, f"{document.name}: {line}"


def test_nothing_names_the_place_it_was_made_in():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not tracked or not shutil.which("git"):
        pytest.skip("not a git checkout")
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".js", ".html"} and path != Path(__file__) and path.exists():
            assert not re.search(r"/work/(main|shared)|\.\./shared", path.read_text()), name


def test_the_repository_stays_small():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    sizes = {name: (ROOT / name).stat().st_size for name in tracked if name and (ROOT / name).exists()}
    assert sum(sizes.values()) <= 40 * 2**20
    weights = [size for name, size in sizes.items() if name.startswith("src/vivavoce/weights/")]
    assert sum(weights) <= 32 * 2**20
