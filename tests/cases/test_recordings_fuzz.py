"""Thousands of damaged recordings: each is read or refused in a sentence, in a process that neither dies nor chatters.

`VIVAVOCE_FUZZ=10000 pytest tests/cases/test_recordings_fuzz.py` makes the long run; `FUZZ_FROM` says where it begins.
"""

import os
import random
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sounds import FORMATS, sound

CASES = int(os.environ.get("VIVAVOCE_FUZZ", "600"))
FIRST = int(os.environ.get("FUZZ_FROM", "0"))
EACH = 600
"""Cases of one process."""
MOST_MEMORY = 700 << 20
"""Bytes that reading may add to a process: a minute at 384 kHz, and what decoders take for themselves."""
SPOTS = (0, 1, 0x7F, 0x80, 0xFF)
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFF000, 0xFFFF0000, 0x00010000, 48000, 2)


def damaged(number: int) -> bytes:
    """The recording of that number: a format in turn, with one to four kinds of damage, most of it in the header."""
    draw = random.Random(number)
    data = bytearray(sound(FORMATS[number % len(FORMATS)], 0.3))
    for _ in range(draw.randint(1, 4)):
        near = min(len(data), draw.choice((64, 256, 1024, len(data)))) or 1
        place, kind = draw.randrange(near), draw.randrange(10)
        if kind < 3:
            data[place : place + 1] = bytes([draw.choice((*SPOTS, draw.randrange(256)))])
        elif kind < 5:
            word = draw.choice((*WORDS, draw.randrange(1 << 32)))
            data[place : place + 4] = struct.pack(draw.choice("<>") + "I", word)
        elif kind == 5:
            del data[draw.randrange(len(data) + 1) :]
        elif kind == 6:
            del data[place : place + draw.randint(1, 64)]
        elif kind == 7:
            data[place:place] = draw.randbytes(draw.randint(1, 64))
        elif kind == 8:
            data[place:place] = data[place : place + draw.randint(1, 2000)]
        else:
            data += sound(draw.choice(FORMATS), 0.3)[draw.choice((0, 0, 7)) :]
    return bytes(data)


def try_all(first: int, last: int) -> None:
    """Runs in a process of its own; the last line of its output says how far it came."""
    from vivavoce.audio.files import read_recording
    from vivavoce.core.errors import VivavoceError

    read_recording(sound("webm"), 24000)  # so that the libraries are there
    before, slowest, outcomes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, (0.0, 0), [0, 0, 0]
    for number in range(first, last):
        data, begun = damaged(number), time.perf_counter()
        print("case", number, flush=True)
        try:
            read = read_recording(data, 24000, limit_seconds=60, allow_silent=True)
        except VivavoceError as error:
            assert "\n" not in str(error) and len(str(error)) < 400, error
            outcomes[2] += 1
        else:
            assert bool(read.wave.isfinite().all()) and 0 < read.seconds <= 60
            outcomes[bool(read.warning)] += 1
        slowest = max(slowest, (time.perf_counter() - begun, number))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_MEMORY, f"{grown >> 20} MiB more"
    print(f"read {outcomes[0]}, with a warning {outcomes[1]}, refused {outcomes[2]}; slowest {slowest[0]:.2f} s "
          f"(case {slowest[1]}); {grown >> 20} MiB more")  # fmt: skip


@pytest.mark.parametrize("first", range(FIRST, FIRST + CASES, EACH))
def test_damaged_recordings_are_read_or_refused(first: int):
    pytest.importorskip("av", reason="PyAV (the extra 'serve') makes and reads half of the formats")
    code = f"import test_recordings_fuzz as fuzz; fuzz.try_all({first}, {min(first + EACH, FIRST + CASES)})"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    reached = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"{reached}\n{done.stderr[-3000:]}"
    assert not done.stderr, f"the libraries wrote {done.stderr[:300]!r}"
    print(*reached)


if __name__ == "__main__":
    try_all(*map(int, sys.argv[1:]))
