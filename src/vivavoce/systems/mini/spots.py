"""Places of a schema that are to be filled, and the words that say what each of them means."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

from vivavoce.data import sheet as sheets
from vivavoce.data.sheet import Slot
from vivavoce.models.mind import plain_words

SpotPath = tuple[str, ...]
"""Where a place stands: the names of the properties from the root down to it."""
EACH: Final = "*"  # stands in a path for the entries of an array
NUMBERED: Final = frozenset("id number code no".split())
HEADLESS: Final = frozenset("is has have with add want wants include needs need should get use enable".split())
STOPS: Final = frozenset(
    """a an the me my us our it this that them him her you please and or but with for to in on at of by from as so then
    now here there thanks thank is are be i we not no yes just only""".split()
)
NO: Final = frozenset("no none nothing without not don't never".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A leaf of a schema: where it stands, what it may hold, and the words that say what it means."""

    path: SpotPath
    kind: str
    """``string``, ``integer``, ``number``, ``boolean``, or ``list`` for an array of texts."""
    options: tuple[Any, ...] = ()
    required: bool = False
    nullable: bool = False
    words: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    about: frozenset[str] = frozenset()

    @property
    def head(self) -> str:
        """The word that the name is about: "size" of ``cup_size`` and ``size_of_cup``."""
        before = self.words[: self.words.index("of")] if "of" in self.words[1:] else self.words
        return before[-1] if before else ""

    @property
    def name(self) -> str:
        """The name as it is spoken; "origin" for a bare ``from``."""
        kinds = [name for name, kind in _kinds().items() if self.words and self.words[-1] in kind["names"]]
        if len(self.words) == 1 and self.words[0] in STOPS and kinds:
            return kinds[0]
        return " ".join(word for word in self.words if word not in HEADLESS) or " ".join(self.words)


@cache
def name_words(name: str) -> tuple[str, ...]:
    """The words of a name or a description: ``customerName`` and ``customer_name`` are two."""
    return tuple(part.lower() for part in re.findall(r"[A-Z]?[a-z']+|[A-Z]+(?![a-z])|\d+", name))


@cache
def words_of(value: str) -> tuple[str, ...]:
    """The words of a listed value: ``NIGHT_BUS`` and "Night bus (hourly)" are "night bus"."""
    text = re.sub(r"\(.*?\)", " ", re.sub(r"(?<=[a-z])(?=[A-Z])|[_/-]+", " ", value)).strip()
    return tuple(plain_words(text or value))


@cache
def _forms(words: tuple[str, ...]) -> frozenset[str]:
    """The words with and without the ending of the plural."""
    stems = {stem for word in words for stem in (word, word.removesuffix("s"), word.removesuffix("es"))}
    return frozenset(stems | {word + ending for word in words for ending in ("s", "es")})


def alike(word: str | None, part: str) -> bool:
    """Whether two words are one but for the ending of the plural."""
    return word in _forms((part,))


@cache
def _bare(words: tuple[str, ...], neutral: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Words without the ending of the plural, and without those that say nothing here."""
    return tuple(word.removesuffix("s") for word in words if word not in _forms(neutral))


def matches(option: Any, value: str, slot: Slot, spot: Spot) -> bool:
    """Whether a listed value is another spelling of one of a slot's."""
    alike = slot.alike.get(value, ())
    parts, said = words_of(str(option)), words_of(value)
    others = [words_of(other) for other in alike]
    if parts == said or parts in others or str(option).lower() in alike:
        return True
    neutral = (*spot.words, *slot.means, *name_words(slot.name))
    bare = _bare(parts, neutral)
    return bool(bare) and (bare == _bare(said, neutral) or bare in [_bare(other) for other in others])


@cache
def _kinds() -> dict[str, dict[str, Any]]:
    path = Path(sheets.__file__).with_name("sheets") / "cues.yaml"
    return cast("dict[str, dict[str, Any]]", yaml.safe_load(path.read_text(encoding="utf-8")))


def _kind_of(spot: Spot) -> Mapping[str, Any]:
    for words in ((spot.head,), spot.words, spot.about):
        for kind in _kinds().values():
            if any(word in kind["names"] for word in words):
                return kind
    return {}


def cues(spot: Spot) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """What may stand before the value of a free text, the surest first."""
    kind = _kind_of(spot)
    to_end = bool(kind.get("to_end"))
    if (spot.head and spot.head not in ("to", "for", "at", "in", "on")) or len(spot.words) == 1:
        for link in ("is", "called", "as", "to", "of"):
            yield (spot.head, link), to_end, True
    for cue in kind.get("after", ()):
        sure = len(cue.split()) > 1 or cue in spot.words
        yield tuple(cue.split()), to_end, sure
    if spot.head and spot.head not in STOPS:
        yield (spot.head,), to_end, False
    if spot.head in NUMBERED and len(spot.words) > 1:
        yield spot.words[:-1], False, True


def values_of(spot: Spot) -> Sequence[str]:
    """Texts that a place of this meaning may hold, the longest first."""
    return sorted(_kind_of(spot).get("values", ()), key=len, reverse=True)
