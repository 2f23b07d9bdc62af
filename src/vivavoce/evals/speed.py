"""How long it takes and how much memory: a conversation that is warm, and a process that starts cold."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from vivavoce.evals import intervals
from vivavoce.evals.report import Row, Table

_COLD = """
import json, resource, sys, time
start = float(sys.argv[1])
import vivavoce
model = vivavoce.load()
turn = model.ask(sys.argv[2])
spent = time.time() - start
print(json.dumps({"seconds": spent, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def cold_start(recording: str) -> dict[str, float]:
    """Seconds from starting a process to its first whole reply, and the most memory it held in MiB."""
    command = [sys.executable, "-c", _COLD, str(time.time()), recording]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    if sys.platform == "darwin":  # counts bytes where Linux counts KiB
        found["mib"] /= 1024
    return found


def help_seconds() -> float:
    """Time that ``vivavoce --help`` takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "vivavoce.cli.main", "--help"], capture_output=True, check=True)
    return time.perf_counter() - start


def speed_table(turns: Sequence[Any], recording: str) -> Table:
    """Of warm turns, first audio and real-time factor; of cold processes, time and memory."""
    cold = [cold_start(recording) for _ in range(3)]
    rows = [
        Row(
            name="first audio after the last input sample",
            value=intervals.median([float(turn.first_audio_ms) for turn in turns]),
            unit="ms",
            floor="300 ms",
            remark="median, warm",
        ),
        Row(
            name="whole reply, of real time",
            value=intervals.median([float(turn.rtf) for turn in turns]),
            unit="",
            floor="0.35",
        ),
        Row(
            name="cold process to its first reply",
            value=intervals.median([one["seconds"] for one in cold]),
            unit="s",
            floor="4 s",
        ),
        Row(name="memory", value=intervals.median([one["mib"] for one in cold]), unit="MiB", floor="700 MiB"),
        Row(
            name="vivavoce --help",
            value=intervals.median([help_seconds() for _ in range(5)]),
            unit="s",
            floor="0.3 s",
        ),
    ]
    return Table("Speed and memory", rows)
