"""Makes an environment for every client under ``.venv/clients``: ``python tests/contract/clients/build.py [NAME ...]``.

A client is a folder beside this file with its pinned packages: ``requirements.txt`` (every package it needs, nothing is
resolved) or ``package-lock.json``. What is there and has not changed is left alone; what cannot be had is named, and
its tests are skipped. `uv` shares files between environments and is fast; without it venv and pip do the same slowly.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parents[2] / ".venv" / "clients"
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


class Missing(Exception):
    """Why a client's environment cannot be made, in a sentence."""


def run(*command: str | Path) -> str:
    """Output of a command; Missing with the last line of its error."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if done.returncode:
        raise Missing((done.stderr.strip() or done.stdout.strip() or "failed").splitlines()[-1])
    return done.stdout.strip()


def interpreter(wanted: str) -> str:
    """A Python of at least this version: the running one, one that uv finds, or one of pyenv's."""
    least = tuple(int(part) for part in wanted.split("."))
    if sys.version_info[:2] >= least:
        return sys.executable
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    for found in [shutil.which(f"python3.{minor}") for minor in range(least[1], least[1] + 4)] + pyenv:
        check = f"import sys; sys.exit(sys.version_info < {least})"
        if found and not subprocess.run([str(found), "-c", check], capture_output=True).returncode:
            return str(found)
    raise Missing(f"needs Python {wanted}, and there is none")


def python_packages(name: str, folder: Path) -> None:
    """A virtual environment with exactly the listed packages."""
    listed = HERE / name / "requirements.txt"
    wanted = re.search(r"^# python ([\d.]+)", listed.read_text(), re.MULTILINE)
    python = interpreter(wanted[1] if wanted else "3.11")
    if UV:
        run(UV, "venv", "-q", "--no-python-downloads", "--python", python, folder)
        run(UV, "pip", "install", "-q", "--no-deps", "--python", folder / "bin/python", "-r", listed)
    else:
        run(python, "-m", "venv", folder)
        pip = (folder / "bin/python", "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "-q", "--no-deps", "-r", listed)


def node_packages(name: str, folder: Path) -> None:
    """A folder with ``node_modules``."""
    folder.mkdir(parents=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name / file, folder)
    run("npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefix", folder)


def make(name: str) -> str:
    """Makes one environment where it is missing or old; gives what is to be told about it, if anything."""
    node = (HERE / name / "package.json").exists()
    pins = HERE / name / ("package-lock.json" if node else "requirements.txt")
    folder, stamp = PLACE / name, PLACE / f"{name}.made"
    print_of_pins = hashlib.sha256(pins.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == print_of_pins:
        return ""
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        (node_packages if node else python_packages)(name, folder)
    except Missing as why:
        shutil.rmtree(folder, ignore_errors=True)
        return f"{name} cannot be had here, its tests are skipped: {why}"
    stamp.write_text(print_of_pins)
    return f"{name} is there"


def main(names: list[str]) -> None:
    """Makes the environments of these clients, or of all."""
    PLACE.mkdir(parents=True, exist_ok=True)
    known = sorted(
        {path.parent.name for kind in ("requirements.txt", "package.json") for path in HERE.glob(f"*/{kind}")}
    )
    with ThreadPoolExecutor(2) as pool:
        for told in pool.map(make, names or known):
            if told:
                print(told, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
