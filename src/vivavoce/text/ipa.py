"""ARPABET in letters of the International Phonetic Alphabet, as speech models of others were taught American English.

Diphthongs and affricates are one symbol each (``A`` as in "day", ``I`` as in "my", ``O`` as in "go", ``W`` as in
"now", ``Y`` as in "boy", ``T`` the flap of "butter"), and a mark of stress stands right before its vowel.
"""

from collections.abc import Sequence
from typing import Final

from vivavoce.text.phones import VOWELS, Phone

_VOWELS: Final[dict[str, str]] = dict(
    zip(
        "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split(),
        "ɑ æ ʌ ɔ W I ɛ ɜɹ A ɪ i O Y ʊ u".split(),
        strict=True,
    )
)
_WEAK: Final = {"AH": "ə", "ER": "əɹ"}
"""Vowels that sound otherwise where they have no stress."""
_CONSONANTS: Final[dict[str, str]] = dict(
    zip(
        "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split(),
        "b ʧ d ð f ɡ h ʤ k l m n ŋ p ɹ s ʃ t θ v w j z ʒ".split(),
        strict=True,
    )
)
_STRESS: Final = ("", "ˈ", "ˌ")
FLAP: Final = "T"
SYMBOLS: Final = frozenset("".join((*_VOWELS.values(), *_WEAK.values(), *_CONSONANTS.values(), *_STRESS, FLAP, "ᵊɐ")))

_UNSTRESSED: Final = frozenset(
    "a an the of to in on at by for from with as is are was were be been am and or but if than that so can could "
    "will would shall should do does did have has had i you he she it we they me him her us them my your his its our "
    "their there some i'm i'll i'd it's we're you're they're".split()
)
"""Words that have no stress of their own inside a sentence."""


def ipa(word: str, phones: Sequence[Phone], *, ends: bool = False, next_vowel: bool = False) -> str:
    """A word's phones as symbols; ``ends``: nothing is said right after it, ``next_vowel``: a vowel is."""
    if word in {"a", "the", "to"} and not ends:
        return {"a": "ɐ", "the": "ði" if next_vowel else "ðə", "to": "tʊ" if next_vowel else "tə"}[word]
    weak = word in _UNSTRESSED and not ends
    written: list[str] = []
    for place, phone in enumerate(phones):
        symbol = phone.symbol
        before = phones[place - 1] if place else None
        after = phones[place + 1] if place + 1 < len(phones) else None
        if symbol in VOWELS:
            written.append(_vowel(phone, before, after, weak))
        elif symbol == "T" and before and after and _flapped(before, after):
            written.append(FLAP)
        else:
            written.append(_CONSONANTS[symbol])
    return "".join(written)


def _vowel(phone: Phone, before: Phone | None, after: Phone | None, weak: bool) -> str:
    if phone.stress == 0:
        if phone.symbol == "AH" and before and before.symbol not in VOWELS and after and after.symbol in {"L", "N"}:
            return "ᵊ"
        return _WEAK.get(phone.symbol, _VOWELS[phone.symbol])
    return ("" if weak else _STRESS[phone.stress]) + _VOWELS[phone.symbol]


def _flapped(before: Phone, after: Phone) -> bool:
    """Whether a T between these is no more than a tap of the tongue."""
    return (before.symbol in VOWELS or before.symbol == "R") and after.symbol in VOWELS and after.stress == 0
