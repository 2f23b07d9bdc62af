"""A text as the speaker reads it: phones with stress, place in the word, and the mark that ends their phrase."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from vivavoce.text.normalise import SpokenWord, phrases
from vivavoce.text.phones import PHONE_IDS, SIL, VOWELS, Phone
from vivavoce.text.pronounce import pronounce

# indices of the tables below; 0 means "not known" so that speech without stress or punctuation can be learnt from too
STRESSES = 4  # unknown or consonant, none, primary, secondary
PLACES = 5  # unknown, begins a word, inside, ends it, is all of it
MARK_IDS = {"": 0, ",": 1, ".": 2, "?": 3, "!": 4}


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be said, phone by phone; ``word`` tells whose phone it is (-1 in a pause)."""

    phone: Int[Tensor, " P"]
    stress: Int[Tensor, " P"]
    place: Int[Tensor, " P"]
    mark: Int[Tensor, " P"]
    word: Int[Tensor, " P"]
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] = ()
    """Where in the written text each word comes from; nothing where there is no such text."""

    def __len__(self) -> int:
        """Phones."""
        return len(self.phone)

    def table(self) -> Int[Tensor, "P 4"]:
        """The columns that the model reads: phone, stress, place, mark."""
        return torch.stack((self.phone, self.stress, self.place, self.mark), dim=1)


def script_of(text: str) -> Script:
    """Reads a text; TextError when there is nothing to say in it."""
    return script_from([word for phrase in phrases(text) for word in phrase.words])


def script_from(said: Sequence[SpokenWord]) -> Script:
    """The script of words that were read from a text; there is at least one."""
    words = ["a" if word.text == "a." else word.text for word in said]
    after = [word.mark for word in said]
    after[-1] = after[-1] if after[-1] in {".", "?", "!"} else "."
    script = arrange(words, pronounce([word.text for word in said]), after, [bool(mark) for mark in after])
    return replace(script, spans=tuple((word.begin, word.end) for word in said))


def arrange(
    words: Sequence[str], forms: Sequence[Sequence[Phone]], after: Sequence[str], pauses: Sequence[bool]
) -> Script:
    """A script from words, their phones, the mark after each ('' = none or not known) and whether a pause follows."""
    rows: list[tuple[int, int, int, int, int]] = []
    ends = [mark for mark in after]
    for index in range(len(ends) - 2, -1, -1):  # each word knows the mark that ends its phrase
        ends[index] = ends[index] or ends[index + 1]
    rows.append((PHONE_IDS[SIL], 0, 0, MARK_IDS[ends[0]] if ends else 0, -1))
    for index, form in enumerate(forms):
        mark = MARK_IDS[ends[index]]
        for place, phone in enumerate(form):
            rows.append((PHONE_IDS[phone.symbol], stress_of(phone), place_of(place, len(form)), mark, index))
        if pauses[index] and index + 1 < len(forms):
            rows.append((PHONE_IDS[SIL], 0, 0, MARK_IDS[after[index]], -1))
    rows.append((PHONE_IDS[SIL], 0, 0, MARK_IDS[after[-1]] if after else 0, -1))
    table = torch.tensor(rows, dtype=torch.int64)
    return Script(table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4], tuple(words))


def stress_of(phone: Phone) -> int:
    """Index of the stress: 0 for consonants."""
    return phone.stress + 1 if phone.symbol in VOWELS else 0


def place_of(place: int, size: int) -> int:
    """Index of a phone's place in a word of so many phones."""
    if size == 1:
        return 4
    return 1 if place == 0 else 3 if place == size - 1 else 2
