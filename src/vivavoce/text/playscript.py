"""Scenes for several voices as plain text: who speaks, how, after what pause, and into whose words.

    # what follows a number sign is passed over
    Brom = a gruff old dwarf, low and slow
    Elra = like elra.wav, agreed by Elra Smith
    Brom: Who goes there?
    (pause 0.5)
    Elra (whispering): Quiet! It is me.
    (overlap 0.4)
    Brom: I knew it.

A name that was given no voice is a character of the gallery or a voice that was saved under this name; such a name may
also stand for a voice in words: ``Guard = old queen``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vivavoce.core.errors import TextError

PAUSE: Final = 0.3
"""Seconds between two lines where nothing else is said."""
LONGEST_PAUSE: Final = 60.0
NOT_IN_NAMES: Final = ":=()#"
"""Signs that end a name."""
_PART = re.compile(r"(?P<name>[^:=()]+?)\s*=\s*(?P<voice>.+)")
_CLIP = re.compile(r"like\s+(?P<clip>.+?)\s*,?\s+agreed by\s+(?P<who>.+)", re.IGNORECASE)
_FILE = re.compile(r"like\s+\S.*\.\w{2,4}", re.IGNORECASE)
_IDENTITY = re.compile(r"(?P<words>.*?)\s*,?\s*identity\s+(?P<number>\d+)", re.IGNORECASE)
_LINE = re.compile(r"(?P<name>[^:=()]+?)\s*(?:\((?P<manner>[^()]*)\))?\s*:\s*(?P<text>.*)")
_GAP = re.compile(r"\((?P<kind>pause|overlap)\s+(?P<seconds>\d+(?:\.\d+)?)\s*(?:s|seconds?)?\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Whose voice a name has: words and a number (`core.voice.Voice`), or a clip of somebody who agreed to it."""

    description: str = ""
    identity: int = 0
    clip: Path | None = None
    agreed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What somebody says; it begins ``gap`` seconds after the end of all before it, earlier where that is negative."""

    who: str
    text: str
    manner: str = ""
    gap: float = 0.0
    number: int = 0
    """Of the line in the file."""


@dataclass(frozen=True, slots=True)
class Playscript:
    """The voices that are given, and the lines in the order of their beginnings."""

    parts: Mapping[str, Part]
    lines: tuple[Line, ...]

    def part(self, who: str) -> Part | None:
        """The voice that was given to a name, in capitals or not."""
        return next((part for name, part in self.parts.items() if name.lower() == who.lower()), None)


def read_playscript(text: str, folder: Path = Path()) -> Playscript:
    """A scene from its text; clips are found beside ``folder``. TextError names the line that cannot be read."""
    parts: dict[str, Part] = {}
    named: set[str] = set()
    lines: list[Line] = []
    gap: float | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        row = raw.partition("#")[0].strip()
        if not row:
            continue
        if found := _GAP.fullmatch(row):
            seconds = float(found["seconds"])
            if seconds > LONGEST_PAUSE:
                raise TextError(f"line {number}: {seconds:g} s; a pause or overlap lasts at most {LONGEST_PAUSE:g} s")
            gap = (gap or 0.0) + (seconds if found["kind"].lower() == "pause" else -seconds)
            if gap < 0 and not lines:
                raise TextError(f"line {number}: nobody speaks yet whose words could be overlapped; leave it out")
        elif found := _LINE.fullmatch(row):
            if not found["text"]:
                raise TextError(f"line {number}: {found['name']} says nothing; write words after the colon")
            after = (PAUSE if gap is None else gap) if lines else gap or 0.0
            manner = (found["manner"] or "").strip()
            lines.append(Line(who=found["name"], text=found["text"], manner=manner, gap=after, number=number))
            gap = None
        elif found := _PART.fullmatch(row):
            if found["name"].lower() in named:
                raise TextError(f"line {number}: {found['name']} has a voice already; give each name one")
            if _FILE.fullmatch(found["voice"]):
                raise TextError(
                    f"line {number}: a clip may be imitated where somebody agreed; write {found['name']} = "
                    f"{found['voice']}, agreed by WHO"
                )
            named.add(found["name"].lower())
            parts[found["name"]] = _part(found["voice"], folder)
        else:
            raise TextError(
                f"line {number}: {row[:60]!r} is no line of a scene; write NAME: WORDS, NAME = A VOICE IN WORDS, "
                "(pause 0.5) or (overlap 0.5)"
            )
    if not lines:
        raise TextError("nobody says anything in this scene; write lines such as Brom: Who goes there?")
    return Playscript(parts, tuple(lines))


def _part(said: str, folder: Path) -> Part:
    if clip := _CLIP.fullmatch(said):
        return Part(clip=folder / clip["clip"], agreed=clip["who"])
    if person := _IDENTITY.fullmatch(said):
        return Part(description=person["words"], identity=int(person["number"]))
    return Part(description=said)
