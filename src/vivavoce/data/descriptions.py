"""Descriptions of how something is said, composed from measured levels in many wordings (arXiv:2402.01912 §2.2).

The paper has a language model write them from key words. Here an utterance draws which of its attributes are mentioned,
a form, and a word for each level; what is not mentioned is left open, so that a short description works too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivavoce.data.attributes import LEVELS, Attributes, Bins, Kind
from vivavoce.data.templates import pick

DEFAULT: Final = "a medium-pitched voice at a moderate pace"
"""Where nothing is asked for."""
_ADJECTIVES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "pitch": (
        "very low|very deep|very low-pitched", "low|deep|low-pitched", "medium-pitched|middling",
        "high|high-pitched", "very high|very high-pitched|squeaky",
    ),
    "rate": (
        "very slow|extremely slow", "slow|unhurried", "moderately paced|steady", "fast|quick|brisk",
        "very fast|very quick|hurried",
    ),
    "liveliness": ("monotone|flat|monotonous", "fairly expressive", "lively|expressive|animated"),
    "noise": ("noisy", "slightly noisy", "clean|very clear"),
}  # fmt: skip
_ADVERBS: Final = (
    "very slowly|extremely slowly", "slowly|at a slow pace|unhurriedly", "at a moderate pace|at a normal speed",
    "fast|quickly|at a fast pace", "very fast|very quickly|rapidly",
)  # fmt: skip
_RECORDED: Final = ("with much noise|in a noisy recording", "with a little noise", "without noise|in a clean recording")
_WHO: Final[Mapping[str, str]] = {
    "F": "a woman|a female speaker|a lady", "M": "a man|a male speaker|a gentleman",
    "": "somebody|a speaker|a person|the speaker",
}  # fmt: skip
_SEXES: Final[Mapping[str, str]] = {"F": "female|feminine", "M": "male|masculine"}
_MENTIONED: Final[Mapping[Kind, float]] = {"pitch": 0.85, "rate": 0.85, "liveliness": 0.35, "noise": 0.25}
_SEX_MENTIONED: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a description mentions: levels by attribute, and whose voice it is."""

    levels: Mapping[Kind, int]
    sex: str = ""


def mentioned(one: Attributes, bins: Bins, draw: np.random.Generator) -> Asked:
    """Which attributes of an utterance its description mentions, and at which levels."""
    sex = one.sex if draw.random() < _SEX_MENTIONED else ""
    levels: dict[Kind, int] = {}
    for kind in LEVELS:
        said = draw.random() < _MENTIONED[kind]
        level = bins.level(kind, one, sex)
        if said and level is not None:
            levels[kind] = level
    return Asked(levels=levels, sex=sex)


def worded(asked: Asked, draw: np.random.Generator) -> str:
    """One of many wordings; `DEFAULT` where nothing is mentioned."""
    if not asked.levels and not asked.sex:
        return DEFAULT
    return _FORMS[int(draw.integers(len(_FORMS)))](asked, draw)


def described(one: Attributes, bins: Bins, draw: np.random.Generator) -> str:
    """A description of an utterance."""
    return worded(mentioned(one, bins, draw), draw)


def _chosen(words: str, draw: np.random.Generator) -> str:
    return pick(words.split("|"), draw)


def _adjectives(asked: Asked, draw: np.random.Generator, *without: Kind) -> list[str]:
    kinds = [kind for kind in asked.levels if kind not in without]
    order = [kinds[place] for place in draw.permutation(len(kinds))]
    return [_chosen(_ADJECTIVES[kind][asked.levels[kind]], draw) for kind in order]


def _article(phrase: str) -> str:
    return f"{'an' if phrase[:1] in 'aeiou' else 'a'} {phrase}"


def _phrase(asked: Asked, draw: np.random.Generator) -> str:
    """ "a slow, low voice of a woman"."""
    words = _chosen(", | | and ", draw).join(_adjectives(asked, draw))
    if asked.sex and draw.random() < 0.5:
        return _article(f"{words} {_chosen(_SEXES[asked.sex], draw)} voice".strip())
    voice = _article(f"{words} voice".strip())
    return f"{voice} of {_chosen(_WHO[asked.sex], draw)}" if asked.sex else voice


def _sentence(asked: Asked, draw: np.random.Generator) -> str:
    """ "A woman speaks slowly in a low voice, without noise."."""
    who = _chosen(_WHO[asked.sex], draw)
    text = f"{who[0].upper()}{who[1:]} {_chosen('speaks|talks|says it', draw)}"
    if "rate" in asked.levels:
        text += f" {_chosen(_ADVERBS[asked.levels['rate']], draw)}"
    if words := _adjectives(asked, draw, "rate", "noise"):
        text += f" {_chosen('in|with', draw)} {_article(', '.join(words))} voice"
    if "noise" in asked.levels:
        text += f", {_chosen(_RECORDED[asked.levels['noise']], draw)}"
    return f"{text}."


def _order(asked: Asked, draw: np.random.Generator) -> str:
    """ "speak slowly, with a low voice, as a woman"."""
    parts = [_chosen("speak|talk|say it", draw)]
    if "rate" in asked.levels:
        parts[0] += f" {_chosen(_ADVERBS[asked.levels['rate']], draw)}"
    if words := _adjectives(asked, draw, "rate", "noise"):
        parts.append(f"with {_article(' and '.join(words))} voice")
    if asked.sex:
        parts.append(f"as {_chosen(_WHO[asked.sex], draw)}")
    return ", ".join(parts)


def _list(asked: Asked, draw: np.random.Generator) -> str:
    """ "slow, low, female"."""
    words = _adjectives(asked, draw)
    if asked.sex:
        words.insert(int(draw.integers(len(words) + 1)), _chosen(_SEXES[asked.sex], draw))
    return ", ".join(words)


_FORMS: Final[tuple[Callable[[Asked, np.random.Generator], str], ...]] = (_phrase, _phrase, _sentence, _order, _list)
