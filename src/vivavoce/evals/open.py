"""Other people's ears, minds and voices behind our turns: what they make of open speech on pinned lists.

Each part of the suite measures one of the chosen models; what is timed is timed alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import vivavoce
from vivavoce.assistant.whisper import WhisperEars
from vivavoce.evals.listening import Say
from vivavoce.evals.open_ears import Sounds, ears_table
from vivavoce.evals.open_minds import mind_tables
from vivavoce.evals.report import Report, Table
from vivavoce.evals.voices import resident, voice_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is measured, by what `vivavoce.load` calls it; empty is our own."""

    ears: str = ""
    mind: str = ""
    speaker: str = ""
    recogniser: str = "whisper-base"
    """Who judges what is spoken."""
    sounds: Sounds = Sounds()
    """What ears are measured on."""


def run(chosen: Chosen, parts: tuple[str, ...], say: Say = print) -> Report:
    """Measures these parts."""
    about = {"ears": chosen.ears or "mini", "mind": chosen.mind or "mini", "speaker": chosen.speaker or "mini"}
    report = Report("open", {**about, "judge": chosen.recogniser})
    for part in parts:
        report.tables += PARTS[part](chosen, say)
    return report


def _voices(chosen: Chosen, say: Say) -> list[Table]:
    """Our voice and the chosen one."""
    from vivavoce.hub.whisper import whisper_of

    judge = whisper_of(chosen.recogniser)
    tables = []
    for name in dict.fromkeys(("mini", chosen.speaker or "mini")):
        before = resident()
        speaking = vivavoce.load(speaker=name).speaking
        tables.append(voice_table(name, speaking, judge, partial(_added, before), say=say))
    return tables


def _ears(chosen: Chosen, say: Say) -> list[Table]:
    """The chosen ears, where they are not ours."""
    ears = vivavoce.load(ears=chosen.ears).ears
    return [ears_table(ears, chosen.sounds, say)] if isinstance(ears, WhisperEars) else []


def _mind(part: str, chosen: Chosen, say: Say) -> list[Table]:
    """One table of the chosen mind."""
    from vivavoce.hub.whisper import whisper_of

    return mind_tables(chosen.mind or "mini", whisper_of(chosen.recogniser), (part,), say)


def _added(before: float) -> float:
    return resident() - before


PARTS: Final[dict[str, Callable[[Chosen, Say], list[Table]]]] = {
    "voice": _voices,
    "ears": _ears,
    "speed": partial(_mind, "speed"),
    "knowledge": partial(_mind, "knowledge"),
    "calls": partial(_mind, "calls"),
}
"""What can be measured, by name."""
