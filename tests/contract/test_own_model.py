"""docs/your-own-model.md: its snippets run where they can, and its commands have the flags that they use."""

import json
import os
import re
import shlex
import socket
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from live_server import serving

from vivavoce.cli.main import app
from vivavoce.runtime.fake import fake_model

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(os.environ.get("VIVAVOCE_CLIENTS", ROOT / ".venv/clients"))
TEXT = (ROOT / "docs/your-own-model.md").read_text()
PYTHON = dict(re.findall(r"^### ([\w-]+)\n(?:[^#`\n][^\n]*\n|\n)*```python\n(.*?)^```", TEXT, re.M | re.S))
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
]


def client_of(folder: str) -> Path:
    if not (CLIENTS / f"{folder}.made").exists():
        pytest.skip(f"no environment for {folder}: python tests/contract/clients/build.py {folder}")
    return CLIENTS / folder / "bin/python"


RUN_BY = {"Python": "", "pipecat": "pipecat", "LiveKit": "livekit", "openai-agents": "agents"}
"""In which client's environment each snippet runs; in this one if it is none's."""


def test_every_snippet_in_python_runs() -> None:
    assert PYTHON.keys() == RUN_BY.keys() and TEXT.count("```python") == len(PYTHON)


def test_a_mind_in_python_answers(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PYTHON["Python"], "docs/your-own-model.md", "exec"), {})
    assert capsys.readouterr().out == "You said: Good evening.\n"


@pytest.mark.slow
@pytest.mark.parametrize(("title", "folder"), [(title, folder) for title, folder in RUN_BY.items() if folder])
def test_the_snippet_runs(title: str, folder: str) -> None:
    python = client_of(folder)
    with serving(model=fake_model()) as address:
        code = PYTHON[title].replace("http://127.0.0.1:8765", address)
        assert code != PYTHON[title]
        if "AgentSession" in code:  # a session belongs into a running loop
            code = f"import asyncio\nasync def main():\n{re.sub('^', '    ', code, flags=re.M)}\nasyncio.run(main())\n"
        environment = {**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1"}
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        if folder == "agents":
            assert done.stdout.strip() == "you said: good evening."


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("vivavoce ")])
def test_a_command_has_the_flags_that_it_uses(line: str) -> None:
    command = typer.main.get_command(app)
    name, *words = shlex.split(re.sub(r"\s#.*", "", line))[1:]
    command.commands[name].make_context(name, words)  # type: ignore[attr-defined]


def test_what_is_to_be_installed_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for line in re.findall(r"vivavoce\[([\w,]+)\]", TEXT) for name in line.split(",")}
    assert named and named <= set(extras)


@pytest.mark.slow
def test_wyoming_openai_begins_as_it_is_begun_and_lists_what_is_here() -> None:
    python = client_of("wyoming")
    line = next(line for line in LINES if "-m wyoming_openai" in line)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(model=fake_model()) as address:
        changed = line.replace("http://127.0.0.1:8765", address).replace("0.0.0.0:10300", f"127.0.0.1:{port}")
        assert changed.count(address) == 2 and str(port) in changed
        program = subprocess.Popen([str(python), *shlex.split(changed)[1:]], stderr=subprocess.PIPE, text=True)
        try:
            told = told_of(port, program)
        finally:
            program.terminate()
            program.communicate(timeout=30)
    heard, said = (
        {entry["name"] for one in told[kind] for entry in one[each]}
        for kind, each in (("asr", "models"), ("tts", "voices"))
    )
    assert heard == {"whisper-1"} and {"alloy", "nova"} <= said


def told_of(port: int, program: subprocess.Popen[str]) -> dict[str, Any]:
    """What a Wyoming program says of itself, as soon as it listens."""
    for _ in range(600):
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as line, line.makefile("rwb") as pipe:
                pipe.write(b'{"type": "describe"}\n')
                pipe.flush()
                head = json.loads(pipe.readline())
                return json.loads(pipe.read(head["data_length"]))
        except ConnectionRefusedError:
            with suppress(subprocess.TimeoutExpired):  # it begins, or has ended
                program.wait(0.1)
                break
    raise AssertionError("it does not listen")


def test_what_is_installed_has_all_files() -> None:
    """A container has no checkout: what no pattern of the package names would be missing there."""
    package, tool = ROOT / "src/vivavoce", tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    packed = {path for pattern in tool["setuptools"]["package-data"]["vivavoce"] for path in package.glob(pattern)}
    there = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert there and sorted(there - packed) == []


def test_the_container_file_copies_what_there_is() -> None:
    steps = (ROOT / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    sources = [name for step in steps if step.startswith("COPY ") for name in step.split()[1:-1]]
    assert sources and all((ROOT / name).exists() for name in sources)
    (given,) = (step for step in steps if step.startswith("CMD "))
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    assert command.make_context("serve", re.findall(r'"([^"]+)"', given)[1:]).params["host"] == "0.0.0.0"
