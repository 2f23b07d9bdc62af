"""How words are said: as the dictionary lists them, and by rules where nobody has listed them."""

from collections.abc import Iterable, Sequence
from functools import cache

from vivavoce.text.dictionary import forms_of, usual_form
from vivavoce.text.edit_distance import distance
from vivavoce.text.letters import LetterToSound
from vivavoce.text.phones import VOWELS, Phone, parse

Pronunciation = tuple[Phone, ...]
_ALIKE = 1 / 3
"""Of its phones so many may be others in a word that was misheard."""


_LETTER_NAMES = {"a.": "EY1"}


@cache
def pronunciations(word: str) -> tuple[Pronunciation, ...]:
    """Every way to say a normalised word, the usual one first; at least one, for any word of a-z and apostrophes."""
    if word in _LETTER_NAMES:
        return (parse(_LETTER_NAMES[word]),)
    forms = forms_of(word)
    if not forms:
        return (_unlisted(word),)
    said = [parse(form) for form in forms]
    kept: dict[tuple[str, ...], Pronunciation] = {}
    for form in said:  # forms that differ in stress only are one form
        kept.setdefault(tuple(phone.symbol for phone in form), form)
    return tuple(kept.values())


def pronounce(words: Iterable[str]) -> list[list[Phone]]:
    """The usual pronunciation of each normalised word."""
    return [list(pronunciations(word)[0]) for word in words]


def sounds_like(wanted: Sequence[str], heard: Sequence[str]) -> bool:
    """Whether normalised words may have been misheard as others: at most a third of their phones differ."""
    phones, others = ([phone.symbol for form in pronounce(words) for phone in form] for words in (wanted, heard))
    return distance(phones, others) <= _ALIKE * len(phones)


def _unlisted(word: str) -> Pronunciation:
    """A word that no dictionary has: ending + stem, two words in one, or letter by letter."""
    word = word.strip("'")
    for split in (_inflected, _compound):
        found = split(word)
        if found:
            return found
    return LetterToSound.load()(word)


def _stem(word: str) -> Pronunciation | None:
    form = usual_form(word)
    return None if form is None else parse(form)


def _inflected(word: str) -> Pronunciation | None:
    """Stem and ending, with the sound that English gives the ending after that stem."""
    for ending, sound in (
        ("'s", _plural),
        ("s'", _plural),
        ("es", _plural),
        ("s", _plural),
        ("ed", _past),
        ("d", _past),
    ):
        if word.endswith(ending):
            stem = _stem(word[: -len(ending)])
            if stem:
                return stem + sound(stem[-1].symbol)
    for ending, sound in _SUFFIXES:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            base = word[: -len(ending)]
            # "making", "brewing", "stopping": the stem with an e, as it is, or with its last letter once
            candidates = [base, base + "e"] + ([base[:-1]] if base[-1] == base[-2] else [])
            if ending.startswith("i") and ending.endswith(("ly", "ness")):
                candidates = [base + "y"]
            for candidate in candidates:
                stem = _stem(candidate)
                if stem:
                    return stem + parse(sound)
    return None


_SUFFIXES = (
    ("ing", "IH0 NG"),
    ("ings", "IH0 NG Z"),
    ("ers", "ER0 Z"),
    ("er", "ER0"),
    ("est", "AH0 S T"),
    ("ily", "AH0 L IY0"),
    ("iness", "IY0 N AH0 S"),
    ("ness", "N AH0 S"),
    ("less", "L AH0 S"),
    ("ful", "F AH0 L"),
    ("ly", "L IY0"),
    ("able", "AH0 B AH0 L"),
    ("ish", "IH0 SH"),
    ("y", "IY0"),
)


def _plural(last: str) -> Pronunciation:
    if last in {"S", "Z", "SH", "ZH", "CH", "JH"}:
        return parse("AH0 Z")
    return parse("S" if last in {"P", "T", "K", "F", "TH"} else "Z")


def _past(last: str) -> Pronunciation:
    if last in {"T", "D"}:
        return parse("AH0 D")
    return parse("T" if last in {"P", "K", "F", "TH", "S", "SH", "CH"} else "D")


def _compound(word: str) -> Pronunciation | None:
    """Two listed words written as one ("moonberry"): the split whose shorter half is longest, second half weaker."""
    splits = sorted(range(3, len(word) - 2), key=lambda at: -min(at, len(word) - at))
    for at in splits:
        first, second = _stem(word[:at]), _stem(word[at:])
        if first and second and _has_vowel(first) and _has_vowel(second):
            return first + tuple(Phone(phone.symbol, 2 if phone.stress == 1 else phone.stress) for phone in second)
    return None


def _has_vowel(form: Pronunciation) -> bool:
    return any(phone.symbol in VOWELS for phone in form)
