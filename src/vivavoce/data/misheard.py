"""What a listener makes of words when it errs: words that sound alike, lost words, small words that nobody said.

Words that carry the meaning of a sentence are never lost or invented, so that its label stays true.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from functools import cache

import numpy as np

from vivavoce.text.dictionary import listed_forms
from vivavoce.text.pronounce import pronunciations

_CLASSES = {
    **dict.fromkeys(("P", "B"), "p"),
    **dict.fromkeys(("T", "D"), "t"),
    **dict.fromkeys(("K", "G"), "k"),
    **dict.fromkeys(("F", "V", "TH", "DH"), "f"),
    **dict.fromkeys(("S", "Z"), "s"),
    **dict.fromkeys(("SH", "ZH", "CH", "JH"), "c"),
    **dict.fromkeys(("M", "N", "NG"), "m"),
    **dict.fromkeys(("L", "R"), "l"),
    **dict.fromkeys(("HH",), "h"),
    **dict.fromkeys(("W", "Y"), "w"),
}
_SMALL = ("a", "the", "um", "uh", "and", "it", "of", "to", "is", "oh", "in", "er", "that", "so")


def _sketch(symbols: Sequence[str]) -> str:
    """A word's sounds with like sounds made the same, vowels above all."""
    return "".join(_CLASSES.get(symbol.rstrip("012"), "a") for symbol in symbols)


@cache
def _alike() -> dict[str, list[str]]:
    """Words of the dictionary by their sketch."""
    found: dict[str, list[str]] = defaultdict(list)
    for word, form in listed_forms():
        if word.isalpha() and len(word) > 1:
            found[_sketch(form.split())].append(word)
    return dict(found)


@cache
def sound_alikes(word: str) -> tuple[str, ...]:
    """Words that sound like this one, or lack one of its sounds."""
    sketch = _sketch([phone.symbol for phone in pronunciations(word)[0]])
    near = [sketch, *(sketch[:place] + sketch[place + 1 :] for place in range(len(sketch)) if len(sketch) > 2)]
    found = dict.fromkeys(other for key in dict.fromkeys(near) for other in _alike().get(key, ()) if other != word)
    return tuple(found)


def misheard(words: Sequence[str], draw: np.random.Generator, *, rate: float, kept: Set[str]) -> list[str]:
    """The words with errors at about this rate; ``kept`` words are neither lost nor put in, and seldom changed.

    No word turns into a kept one.
    """
    made: list[str] = []
    for word in words:
        chance = draw.random() / max(rate, 1e-9)
        if chance < (0.25 if word in kept else 0.6):
            others = [other for other in sound_alikes(word) if other not in kept]
            made.append(others[int(draw.integers(len(others)))] if others else word)
        elif chance < 0.8 and word not in kept:
            continue
        else:
            made.append(word)
        if 0.8 < chance < 1.0:
            small = _SMALL[int(draw.integers(len(_SMALL)))]
            made += [] if small in kept else [small]
    return made or list(words)
