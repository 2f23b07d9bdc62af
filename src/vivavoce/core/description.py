"""Descriptions of voices in words, and what they ask for.

Every known word asks for some of nine things, each as a number about -1 to 1. "Very" and "a bit" scale the word that
follows, "not" and "less" turn it around.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a voice should be like; 0 is "not said".

    ``sex`` is -1 for a man and 1 for a woman, ``age`` -1 for a child and 1 for an old person, ``size`` -1 for somebody
    tiny and 1 for a giant; the others mean more (1) or less (-1) of what they name.
    """

    pitch: float = 0.0
    rate: float = 0.0
    loudness: float = 0.0
    liveliness: float = 0.0
    roughness: float = 0.0
    breath: float = 0.0
    whisper: float = 0.0
    sex: float = 0.0
    age: float = 0.0
    size: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return any(getattr(self, field.name) for field in fields(self))

    def plus(self, asked: Mapping[str, float], weight: float = 1.0) -> "Traits":
        """These and more, each kept within -1.7 to 1.7."""
        changed = {name: max(-1.7, min(1.7, getattr(self, name) + weight * value)) for name, value in asked.items()}
        return replace(self, **changed)


def _known() -> Mapping[str, Mapping[str, float]]:
    """The words by what they ask for."""
    known: dict[str, Mapping[str, float]] = {}
    for line in Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        words, _, asked = line.partition("\t")
        traits = {name: float(value) for name, _, value in (part.partition("=") for part in asked.split())}
        known |= dict.fromkeys(words.split(), traits)
    return MappingProxyType(known)


KNOWN: Mapping[str, Mapping[str, float]] = _known()
_MORE = {
    "very": 1.6,
    "really": 1.5,
    "extremely": 1.7,
    "super": 1.6,
    "so": 1.4,
    "much": 1.4,
    "too": 1.3,
    "incredibly": 1.7,
}
_LESS = {"bit": 0.5, "slightly": 0.5, "somewhat": 0.6, "rather": 0.9, "quite": 1.0, "fairly": 0.8, "touch": 0.4}
_NOT = {"not", "no", "never", "without", "isn't", "don't", "doesn't", "nor"}
_JOINS = {"and", "or", "a", "an", "as", "the", "of", "be", "sound", "speak", "any", "that", "all"}
_VOLUME = {"volume", "loudness"}
_SPEED = {"speed", "tempo", "pace", "rate"}


_EITHER = {"pitch", "rate", "loudness", "liveliness", "roughness"}
"""Of which a voice has more or less, and not both."""
_OPPOSITES = (
    ("man male gentleman guy", "woman female lady"),
    ("old elderly aged ancient aging", "young youthful teenage teenager youngish"),
    ("big large huge", "tiny small"),
    ("whisper whispers whispering whispered", "shout shouting shouted yelling booming thundering"),
)
"""Words that ask for more than one thing, or for what has no more and less, and still cannot both be meant."""
_CANNOT = {"accent", "accents", "accented", "dialect", "singing", "sings", "lisp", "lisping", "stutter", "stuttering"}
"""What is asked for often, and no voice has."""


def traits_of(description: str) -> Traits:
    """What a description asks for; words that nobody knows are passed over."""
    traits = Traits()
    for _, asked, weight in _asked(description):
        traits = traits.plus(asked, weight)
    return traits


def contradiction(description: str) -> tuple[str, str] | None:
    """Two words of a description that ask for opposites, such as deep and high, or young and old."""
    found: dict[str, tuple[str, float]] = {}
    for word, asked, weight in _asked(description):
        for one, other in _OPPOSITES if weight > 0 else ():
            if word in one.split() or word in other.split():
                before, side = found.setdefault(one, (word, float(word in one.split())))
                if side != (word in one.split()):
                    return before, word
        if len(asked) == 1 and (name := next(iter(asked))) in _EITHER:
            before, sign = found.setdefault(name, (word, asked[name] * weight))
            if sign * asked[name] * weight < 0:
                return before, word
    return None


def _asked(description: str) -> Iterator[tuple[str, Mapping[str, float], float]]:
    """The known words, what each asks for, and how much of it."""
    words = re.findall(r"[a-z]+(?:['-][a-z]+)*", description.lower().replace("\u2019", "'"))
    weight, sign = 1.0, 1.0
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word in _NOT:
            sign = -1.0
        elif word == "less":
            sign, weight = -1.0, 0.7
        elif word in _MORE:
            weight *= _MORE[word]
        elif word in _LESS or (word == "little" and following in KNOWN and index and words[index - 1] == "a"):
            weight *= _LESS.get(word, 0.5)
        elif word in KNOWN or (word not in _JOINS and _parts_known(word)):
            for part in [word] if word in KNOWN else word.split("-"):
                yield part, _measured(KNOWN.get(part, {}), following), weight * (0.6 * sign if sign < 0 else 1.0)
            weight, sign = 1.0, 1.0
        elif word not in _JOINS:
            weight = 1.0


def _parts_known(word: str) -> bool:
    return "-" in word and any(part in KNOWN for part in word.split("-"))


def _measured(asked: Mapping[str, float], following: str) -> Mapping[str, float]:
    """ "Low" and "high" mean pitch, unless volume or speed follows."""
    if set(asked) == {"pitch"} and following in _VOLUME:
        return {"loudness": asked["pitch"]}
    if set(asked) == {"pitch"} and following in _SPEED:
        return {"rate": asked["pitch"]}
    return asked


def understood(description: str) -> Traits:
    """As `traits_of`; says in one warning when nothing in a description is known, and then asks for nothing.

    What is known to be nothing that a voice can have (an accent) is said as well.
    """
    traits = traits_of(description)
    lacking = [word for word in re.findall(r"[a-z]+", description.lower()) if word in _CANNOT]
    if lacking and traits:
        log.warning("the voice %r asks for %r, which none has; the rest is heeded", description[:80], lacking[0])
    if description.strip() and not traits and not any(_asked(description)):
        log.warning(
            "no word of the voice %r is known, so the default voice speaks; known are for example %s",
            description[:80],
            "high, low, fast, slow, loud, quiet, whispering, gruff, breathy, lively, monotone, old, young, woman, man, "
            "child, dwarf, robot, witch, giant",
        )
    return traits
