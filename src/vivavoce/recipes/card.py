"""The card of a part: what it was made by and from, for how long, and what was measured at the end."""

import json
import os
import platform
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import vivavoce
from vivavoce.core.config import dump
from vivavoce.core.parts import read_card, write_card
from vivavoce.data.manifest import read_manifest

MADE = "sentences and speech made by this package"


def complete(
    folder: Path,
    part: str,
    settings: Any,
    *,
    speech: Path | None = None,
    measured: Path | None = None,
    begun: float | None = None,
    entry: str = "",
) -> Path:
    """Adds to the card of a part in ``folder`` what its recipe did not write there; gives the path of its JSON file.

    With ``entry`` the part is another recipe's, and all of it goes into that entry of the card.

    ``settings`` is the recipe's configuration, ``speech`` the folder of recordings, ``measured`` the JSON-lines file
    whose last line holds the metrics, ``begun`` a ``time.monotonic()`` (of this process: a run that was resumed took
    longer).
    """
    kind = type(settings)
    found: dict[str, Any] = {
        "recipe": f"{kind.__module__}:{kind.__qualname__}",
        "version": vivavoce.__version__,
        "commit": commit(),
        "settings": dump(settings),
        "seed": settings.seed,
        "data": [*(recordings(speech) if speech else ()), {"source": MADE, "licence": "Apache-2.0"}],
        "hardware": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
    }
    if measured is not None:
        found["metrics"] = _last(measured)
    if begun is not None:
        found["minutes"] = round((time.monotonic() - begun) / 60, 1)
    card = read_card(folder, part)
    return write_card(folder, part, card | {entry: found | card.get(entry, {})} if entry else found | card)


def recordings(speech: Path) -> list[dict[str, Any]]:
    """Sources, licences and hours of the training recordings."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for record in read_manifest(speech / "manifest.jsonl"):
        if record.split == "train":
            seconds[record.source, record.licence] += record.seconds
    return [
        {"source": source, "licence": licence, "hours": round(total / 3600, 2)}
        for (source, licence), total in sorted(seconds.items())
    ]


def commit() -> str:
    """The checkout's commit; "unknown" outside of one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _last(measured: Path) -> dict[str, Any]:
    lines = measured.read_text().splitlines() if measured.exists() else []
    return json.loads(lines[-1]) if lines else {}
