"""Live conversations with chosen ears, mind and voice, through a server as its users start it.

General questions are spoken by our own voice at the speed of time, so nothing else should run on the machine.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

import vivavoce
from vivavoce.core.progress import Log
from vivavoce.evals import intervals
from vivavoce.evals.caller import SILENCE_MS, held, spoken_only
from vivavoce.evals.endpoint import SlowEndpoint
from vivavoce.evals.open_minds import questions
from vivavoce.evals.report import Row, Table
from vivavoce.evals.served import Served, served
from vivavoce.runtime.model import Pcm

_AT_ONCE = (1, 2)


@cache
def _asked(count: int) -> tuple[Pcm, ...]:
    """The first general questions, spoken."""
    voice = vivavoce.load()
    texts = [entry["ask"] for entry in questions()]
    return tuple(
        spoken_only(np.concatenate(list(voice.say(texts[n % len(texts)], seed=n)))).astype(np.float32)
        for n in range(count)
    )


def _warm(server: Served) -> None:
    """What is read once is not counted."""
    held(server.address, _asked(1))


def first_sound_table(flags: Sequence[str], turns: int, say: Log) -> Table:
    """From the end of a question to the first sound of the answer, beyond the silence that ends a turn."""
    with served(*flags) as server:
        _warm(server)
        (noted,) = held(server.address, _asked(turns))
    say(f"first sound, ms: {[round(ms) for ms in noted.first_sound]}")
    name, beyond = "end of speech to first sound", f"beyond {SILENCE_MS} ms of silence"
    return Table(
        "First sound",
        [
            Row(
                name=f"{name}, p50", value=intervals.median(noted.first_sound), unit="ms", floor="900 ms", remark=beyond
            ),
            Row(
                name=f"{name}, p95",
                value=intervals.quantile(noted.first_sound, 0.95),
                unit="ms",
                floor="1500 ms",
                remark=beyond,
            ),
        ],
    )


def interruption_table(flags: Sequence[str], turns: int, say: Log) -> Table:
    """From the onset of an interruption until the client is told to be silent, beside our own model."""
    table = Table("Interruptions")
    for name, these in (("as chosen", flags), ("mini", [])):
        with served(*these) as server:
            _warm(server)
            (noted,) = held(server.address, _asked(turns + 1), interrupt=True)
        say(f"interruption to silence, {name}, ms: {[round(ms) for ms in noted.silenced]}")
        what = f"onset of an interruption to silence, {name}"
        table.rows += [
            Row(name=f"{what}, p50", value=intervals.median(noted.silenced), unit="ms"),
            Row(name=f"{what}, p95", value=intervals.quantile(noted.silenced, 0.95), unit="ms"),
        ]
    return table


def conversations_table(flags: Sequence[str], turns: int, say: Log) -> Table:
    """Gaps in the sound and time to first sound with one conversation and with several at once."""
    table = Table("Conversations at once")
    with served("--rows", str(max(_AT_ONCE)), *flags) as server:
        _warm(server)
        for count in _AT_ONCE:
            noted = held(server.address, _asked(turns), count)
            sounds = [ms for one in noted for ms in one.first_sound]
            say(f"{count} at once: {[one.gaps for one in noted]} gaps, first sound {[round(ms) for ms in sounds]}")
            gaps, answers = sum(one.gaps for one in noted), sum(one.answers for one in noted)
            table.rows += [
                Row(
                    name=f"{count} at once: gaps per answer",
                    value=intervals.ratio([one.gaps for one in noted], [one.answers for one in noted]),
                    unit="",
                    floor="0" if count == 1 else "",
                    remark=f"{gaps} in {answers} answers",
                ),
                Row(name=f"{count} at once: first sound, p50", value=intervals.median(sounds), unit="ms"),
                Row(name=f"{count} at once: first sound, p95", value=intervals.quantile(sounds, 0.95), unit="ms"),
            ]
    return table


def endpoint_table(flags: Sequence[str], turns: int, say: Log) -> Table:
    """What a mind behind an address adds: from the end of its first sentence, or of the silence where that is later, to
    the first sound."""
    with SlowEndpoint() as endpoint, served(*flags, "--mind", endpoint.choice) as server:
        _warm(server)
        (noted,) = held(server.address, _asked(turns))
    added = [
        1000 * (sound - max(silent, *(at for at in endpoint.sentences if at < sound)))
        for sound, silent in zip(noted.sounded_at, noted.silent_at, strict=True)
    ]
    say(f"added to an endpoint's first sentence, ms: {[round(ms) for ms in added]}")
    return Table(
        "A mind behind an address",
        [
            Row(name="added to first sound, p50", value=intervals.median(added), unit="ms", floor="60 ms"),
            Row(name="added to first sound, p95", value=intervals.quantile(added, 0.95), unit="ms"),
        ],
    )


def memory_table(flags: Sequence[str], turns: int, say: Log) -> Table:
    """Memory of the whole server after some questions."""
    with served(*flags) as server:
        began = server.mebibytes()
        held(server.address, _asked(turns))
        after = server.mebibytes()
    say(f"memory, MiB: {began:.0f} when it began, {after:.0f} after {turns} questions")
    return Table(
        "Memory of the server",
        [
            Row(name="when it begins", value=intervals.median([began]), unit="MiB"),
            Row(name="after a conversation", value=intervals.median([after]), unit="MiB", floor="1229 MiB"),
        ],
    )
