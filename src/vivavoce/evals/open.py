"""Other people's ears, minds and voices behind our turns: what they make of open speech on pinned lists.

Each part of the suite measures one of the chosen models; what is timed is timed alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import vivavoce
from vivavoce.assistant.model import Model
from vivavoce.assistant.whisper import WhisperEars
from vivavoce.core.places import BUNDLED
from vivavoce.core.progress import Log
from vivavoce.evals.open_ears import Sounds, ears_table
from vivavoce.evals.open_live import (
    conversations_table,
    endpoint_table,
    first_sound_table,
    interruption_table,
    memory_table,
)
from vivavoce.evals.open_minds import mind_tables
from vivavoce.evals.report import Report, Table
from vivavoce.evals.served import flags_of
from vivavoce.evals.voices import resident, voice_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is measured, by what `vivavoce.load` calls it; empty is our own."""

    model: str = ""
    ears: str = ""
    mind: str = ""
    speaker: str = ""
    turns: int = 20
    """Questions that a live conversation has."""
    held_out: bool = True
    """Whether minds are measured on lists that nothing was chosen by."""
    recogniser: str = "whisper-base"
    """Who judges what is spoken."""
    sounds: Sounds = Sounds()
    """What ears are measured on."""


def run(chosen: Chosen, parts: tuple[str, ...], say: Log = print) -> Report:
    """Measures these parts."""
    described = loaded(chosen).described
    about = {"ears": described.ears or "mini", "mind": described.mind or "mini", "speaker": described.speaker or "mini"}
    report = Report("open", {**about, "judge": chosen.recogniser, "held out": chosen.held_out})
    for part in parts:
        report.tables += PARTS[part](chosen, say)
    return report


def loaded(chosen: Chosen) -> Model:
    """The chosen model."""
    return vivavoce.load(chosen.model or BUNDLED, ears=chosen.ears, mind=chosen.mind, speaker=chosen.speaker)


def _voices(chosen: Chosen, say: Log) -> list[Table]:
    """Our voice and the chosen one."""
    from vivavoce.hub.whisper import whisper_of

    judge = whisper_of(chosen.recogniser)
    tables = []
    for name in dict.fromkeys(("mini", str(loaded(chosen).described.speaker) or "mini")):
        before = resident()
        speaking = vivavoce.load(speaker=name).speaking
        tables.append(voice_table(name, speaking, judge, partial(_added, before), say=say))
    return tables


def _ears(chosen: Chosen, say: Log) -> list[Table]:
    """The chosen ears, where they are not ours."""
    ears = loaded(chosen).ears
    return [ears_table(ears, chosen.sounds, say)] if isinstance(ears, WhisperEars) else []


def _mind(part: str, chosen: Chosen, say: Log) -> list[Table]:
    """One table of the chosen mind."""
    mind = loaded(chosen).described.mind or "mini"
    return mind_tables(mind, chosen.recogniser, (part,), say, held_out=chosen.held_out)


def _live(part: Callable[[Sequence[str], int, Log], Table], chosen: Chosen, say: Log) -> list[Table]:
    """One table of a server with the chosen parts."""
    flags = flags_of(model=chosen.model, ears=chosen.ears, mind=chosen.mind, speaker=chosen.speaker)
    return [part(flags, chosen.turns, say)]


def _added(before: float) -> float:
    return resident() - before


PARTS: Final[dict[str, Callable[[Chosen, Log], list[Table]]]] = {
    "voice": _voices,
    "ears": _ears,
    "speed": partial(_mind, "speed"),
    "knowledge": partial(_mind, "knowledge"),
    "calls": partial(_mind, "calls"),
    "first-sound": partial(_live, first_sound_table),
    "interruptions": partial(_live, interruption_table),
    "conversations": partial(_live, conversations_table),
    "endpoint": partial(_live, endpoint_table),
    "memory": partial(_live, memory_table),
}
"""What can be measured, by name."""
