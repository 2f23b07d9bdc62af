"""docs/your-own-model.md: its snippets run where they can, and its commands have the flags that they use."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from live_server import serving

from vivavoce.cli.main import app
from vivavoce.runtime.fake import fake_model

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(os.environ.get("VIVAVOCE_CLIENTS", ROOT / ".venv/clients"))
TEXT = (ROOT / "docs/your-own-model.md").read_text()
PYTHON = dict(re.findall(r"^### ([\w-]+)\n\n```python\n(.*?)^```", TEXT, re.M | re.S))
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
]


def client_of(folder: str) -> Path:
    if not (CLIENTS / f"{folder}.made").exists():
        pytest.skip(f"no environment for {folder}: python tests/contract/clients/build.py {folder}")
    return CLIENTS / folder / "bin/python"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "folder"), [("pipecat", "pipecat"), ("LiveKit", "livekit"), ("openai-agents", "agents")]
)
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


@pytest.mark.slow
def test_wyoming_openai_has_the_flags_that_it_is_given() -> None:
    line = next(line for line in LINES if "-m wyoming_openai" in line)
    done = subprocess.run(
        [str(client_of("wyoming")), "-m", "wyoming_openai", "--help"], capture_output=True, text=True, timeout=60
    )
    assert set(re.findall(r"--[\w-]+", line)) <= set(re.findall(r"--[\w-]+", done.stdout))


def test_the_container_file_copies_what_there_is() -> None:
    steps = (ROOT / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    sources = [name for step in steps if step.startswith("COPY ") for name in step.split()[1:-1]]
    assert sources and all((ROOT / name).exists() for name in sources)
    (given,) = (step for step in steps if step.startswith("CMD "))
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    assert command.make_context("serve", re.findall(r'"([^"]+)"', given)[1:]).params["host"] == "0.0.0.0"
