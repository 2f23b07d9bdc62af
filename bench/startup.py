"""How long until a newcomer sees something: help, import, a cold process to its first whole reply, and its memory.

Reading weights is cheap (a few MiB); most of a cold start is importing torch, so ``vivavoce --help`` and
``import vivavoce`` must not do it.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import publish, spread
from vivavoce.evals.speed import cold_start, help_seconds


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    from vivavoce.audio.files import write_audio
    from vivavoce.evals.listening import LISTENING_RATE, spoken

    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "order.wav"
        heard = spoken(["can i get a large latte with almond milk"], {"espeak-ng": 1.0}, seed=0)[0]
        write_audio(recording, heard.wave, LISTENING_RATE)
        cold = [cold_start(str(recording)) for _ in range(5)]
    publish(
        "startup",
        {"repeats": 5},
        [
            {"what": "vivavoce --help", "unit": "s", "measured": spread([help_seconds() for _ in range(5)])},
            {
                "what": "import vivavoce",
                "unit": "s",
                "measured": spread([seconds("import vivavoce") for _ in range(5)]),
            },
            {"what": "import torch", "unit": "s", "measured": spread([seconds("import torch") for _ in range(3)])},
            {"what": "cold process to first reply", "unit": "s", "measured": spread([one["seconds"] for one in cold])},
            {"what": "most memory", "unit": "MiB", "measured": spread([one["mib"] for one in cold])},
        ],
    )


if __name__ == "__main__":
    main()
