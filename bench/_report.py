"""What every question in bench/ shares: a table for people, and as the last line one JSON object for the record.

A result carries the machine, the commit and a digest of the configuration, and each number its spread. With ``--save``
it is appended to ``bench/results/<question>.jsonl``, from which the README's tables are made.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench/results"


def machine() -> dict[str, Any]:
    """What it ran on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit that was measured; "+" where files were changed since."""
    try:
        name = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
        changed = subprocess.check_output(["git", "status", "--porcelain", "src"], cwd=ROOT, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + ("+" if changed else "")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes and tail of repeated measurements."""
    ordered = sorted(values)

    def at(part: float) -> float:
        return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]

    return {
        "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "low": ordered[0], "high": ordered[-1], "n": len(ordered)
    }  # fmt: skip


def publish(
    question: str, config: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, tails: bool = False
) -> None:
    """Prints the rows as a table and the result as JSON; ``--save`` on the command line keeps it.

    Spreads are shown as median and extremes, or with ``tails`` as p50 / p95 / p99.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    shown = [[_brief(row.get(column, ""), tails) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[i]) for line in shown)) for i, column in enumerate(columns)]
    for line in (columns, *shown):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:12]
    result = {
        "question": question,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "commit": commit(),
        "config": dict(config),
        "digest": digest,
        "tails": tails,
        "rows": [dict(row) for row in rows],
    }
    line = json.dumps(result, default=float)
    if "--save" in sys.argv:
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / f"{question}.jsonl").open("a") as file:
            file.write(line + "\n")
    print(line)


def latest(question: str) -> dict[str, Any] | None:
    """The last result that was kept, for the README."""
    path = RESULTS / f"{question}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else None


def _brief(value: Any, tails: bool) -> str:
    if isinstance(value, Mapping) and "p50" in value:
        if tails:
            return f"{value['p50']:.4g} / {value['p95']:.4g} / {value['p99']:.4g}"
        return f"{value['p50']:.4g} ({value['low']:.4g} to {value['high']:.4g})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
