"""The phones that the listener hears and the speaker says: ARPABET without stress, silence first."""

from collections.abc import Iterable
from typing import NamedTuple

from vivavoce.core.errors import TextError

SIL = "SIL"
VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS = frozenset("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
PHONES: tuple[str, ...] = (SIL, *sorted(VOWELS | CONSONANTS))
PHONE_IDS: dict[str, int] = {phone: index for index, phone in enumerate(PHONES)}


class Phone(NamedTuple):
    """A phone and its stress: 1 primary, 2 secondary, 0 none (and for every consonant)."""

    symbol: str
    stress: int = 0


def parse(text: str) -> tuple[Phone, ...]:
    """Phones written as in the CMU dictionary, ``"L AA1 T EY2"``."""
    phones = []
    for mark in text.split():
        symbol, stress = (mark[:-1], int(mark[-1])) if mark[-1].isdigit() else (mark, 0)
        if symbol not in PHONE_IDS:
            raise TextError(f"phone {mark!r} is not known; the phones are {' '.join(PHONES)}, vowels with a stress 0-2")
        phones.append(Phone(symbol, stress))
    return tuple(phones)


def ids(phones: Iterable[Phone | str]) -> list[int]:
    """Index of each phone in ``PHONES``; stress is dropped."""
    return [PHONE_IDS[phone if isinstance(phone, str) else phone.symbol] for phone in phones]
