"""How the listener's word model is made: the character's customers, people reading, and sentences of anything.

No step of gradient is taken; the model is counted. It knows orders as customers say them because the character sheet
generates them, and everything else from transcripts, so that speech which is no order is heard as what it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vivavoce.core.errors import TextError
from vivavoce.data.character import Character
from vivavoce.data.sentences import sentences
from vivavoce.models.words import Words, estimate
from vivavoce.text.normalise import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsRun:
    """How many sentences of each kind, the length of the n-grams, and the seed."""

    plain: int = 40000
    rich: int = 12000
    talk: int = 25000
    dialogues: int = 4000
    anything: int = 4000
    order: int = 4
    least: float = 1.0
    seed: int = 1


def texts(run: WordsRun, transcripts: Iterable[str] = ()) -> Iterator[str]:
    """Everything that the model is counted on."""
    character = Character()
    yield from (turn.user for turn in character.orders(run.plain, run.seed))
    yield from (turn.user for turn in character.orders(run.rich, run.seed + 1, rich=True))
    yield from (turn.user for turn in character.talk(run.talk, run.seed + 2))
    for dialogue in character.dialogues(run.dialogues, run.seed + 3):
        yield from (turn.user for turn in dialogue.turns)
    yield from sentences(run.anything, run.seed + 4)
    yield from transcripts


def make(run: WordsRun, transcripts: Iterable[str] = ()) -> Words:
    """The word model of a run; lines that cannot be read are left out."""

    def normalised() -> Iterator[tuple[list[str], float]]:
        for text in texts(run, transcripts):
            try:
                words = normalise(text)
            except TextError:
                continue
            if words:
                yield words, 1.0

    return estimate(normalised(), order=run.order, least=run.least)


def transcripts_of(manifest: Path) -> list[str]:
    """Texts of the English training recordings of a manifest, long ones in pieces as they are read."""
    from vivavoce.data.manifest import read_manifest

    return [r.text for r in read_manifest(manifest) if r.split == "train" and r.lang == "en" and r.text]
