"""`vivavoce serve` as whoever installed it starts it: where it listens, and how much memory it takes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vivavoce.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its address (``http://…``) and the number of its process."""

    address: str
    pid: int

    def mebibytes(self) -> float:
        """Memory of the server and all its processes, what they share counted once; Linux only."""
        return sum(map(_proportional, _family(self.pid))) / 1024


@contextmanager
def served(*flags: str) -> Iterator[Served]:
    """A server with these flags on a free port. ConfigError with its last words when it does not begin."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as written:
        command = [sys.executable, "-m", "vivavoce.cli.main", "serve", "--port", "0", "--data", folder, *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=written, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if " at http" not in line:
                    process.wait(60)
                    written.seek(0)
                    raise ConfigError(f"the server did not begin: {written.read().strip()[-500:]}")
                yield Served(line.split(" at ")[1].split()[0], process.pid)
            finally:
                process.terminate()


def flags_of(**chosen: str) -> list[str]:
    """The flags of `vivavoce serve` for what was chosen; what is empty is left to it."""
    return [word for name, choice in chosen.items() if choice for word in (f"--{name}", choice)]


def _family(pid: int) -> Sequence[int]:
    """A process and all that it has begun."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended meanwhile
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one and child != os.getpid()]
    return found


def _proportional(pid: int) -> int:
    """KiB of a process, what it shares with others divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
