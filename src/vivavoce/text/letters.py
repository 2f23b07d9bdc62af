"""Letters to sounds for words that no dictionary has: a table learnt from the CMU dictionary, kept as a small file.

Each letter of a word makes no phone, one or two. Which, is looked up by the letter with its neighbours: the widest
context that the table lists decides. Letters and phones are aligned by expectation-maximisation over all monotonic
alignments' best paths, contexts are kept only where they change the answer (the trees of Black, Lenzo and Pagel 1998,
"Issues in building general letter to sound rules", as a pruned table). ``python -m vivavoce.text.letters`` learns it
anew.
"""

import gzip
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, final

from vivavoce.text.dictionary import listed_forms
from vivavoce.text.phones import VOWELS, Phone, parse

_FILE: Final = Path(__file__).with_name("letters.tsv.gz")
# Contexts from narrow to wide, as (letters before, letters after).
_WINDOWS: Final = ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4), (5, 5))
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz'")

Chunk = tuple[str, ...]  # what one letter says: at most two phones, with stress marks on vowels


def _contexts(word: str, index: int) -> list[str]:
    padded = "#####" + word + "#####"
    at = index + 5
    return [
        padded[at - before : at] + word[index].upper() + padded[at + 1 : at + 1 + after] for before, after in _WINDOWS
    ]


@final
class LetterToSound:
    """Guesses how a written word is said."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.table = dict(table)

    def __call__(self, word: str) -> tuple[Phone, ...]:
        """Phones of a word of a-z and apostrophes; never empty for a word with a letter."""
        marks: list[str] = []
        for index in range(len(word)):
            for context in reversed(_contexts(word, index)):
                said = self.table.get(context)
                if said is not None:
                    marks.extend(said.split())
                    break
        return _one_stress(parse(" ".join(marks))) or parse("AH0")

    @staticmethod
    @cache
    def load() -> "LetterToSound":
        """The table that ships with the package."""
        with gzip.open(_FILE, "rt", encoding="ascii") as file:
            return LetterToSound(dict(line.rstrip("\n").split("\t") for line in file))

    def save(self, path: Path = _FILE) -> None:
        """Writes the table, the same bytes for the same table."""
        text = "".join(f"{context}\t{said}\n" for context, said in sorted(self.table.items()))
        path.write_bytes(gzip.compress(text.encode("ascii"), 9, mtime=0))

    @staticmethod
    def learn(words: Iterable[tuple[str, str]], rounds: int = 5, least: int = 2) -> "LetterToSound":
        """A table from pairs of word and dictionary form; contexts seen fewer than ``least`` times are left out."""
        pairs = [(word, form.split()) for word, form in words if set(word) <= _LETTERS]
        aligned = _align(pairs, rounds)
        counts: dict[str, Counter[Chunk]] = defaultdict(Counter)
        for word, chunks in aligned:
            for index, chunk in enumerate(chunks):
                for context in _contexts(word, index):
                    counts[context][chunk] += 1
        table: dict[str, str] = {}
        for word, chunks in aligned:
            for index in range(len(chunks)):
                above: str | None = None
                for context in _contexts(word, index):
                    seen = counts[context]
                    chunk, often = seen.most_common(1)[0]
                    said = " ".join(chunk)
                    # a wider context earns its place by changing the answer, and by being sure of it
                    if above is None or (said != above and often >= least):
                        table[context] = said
                        above = said
        return LetterToSound(table)


def _align(pairs: list[tuple[str, list[str]]], rounds: int) -> list[tuple[str, list[Chunk]]]:
    """Cuts each word's phones into one chunk per letter, by best path under counts that are counted again."""
    scores: dict[tuple[str, Chunk], float] = {}
    aligned: list[tuple[str, list[Chunk]]] = []
    for _ in range(rounds):
        aligned = []
        for word, phones in pairs:
            chunks = _best_path(word, phones, scores)
            if chunks is not None:
                aligned.append((word, chunks))
        counts: Counter[tuple[str, Chunk]] = Counter()
        letters: Counter[str] = Counter()
        for word, chunks in aligned:
            for letter, chunk in zip(word, chunks, strict=True):
                counts[letter, _bare(chunk)] += 1
                letters[letter] += 1
        scores = {(letter, chunk): math.log(n / letters[letter]) for (letter, chunk), n in counts.items() if n > 1}
    return aligned


def _bare(chunk: Chunk) -> Chunk:
    return tuple(phone.rstrip("012") for phone in chunk)


def _best_path(word: str, phones: list[str], scores: Mapping[tuple[str, Chunk], float]) -> list[Chunk] | None:
    n = len(phones)
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for letter in word:
        now: dict[int, tuple[float, int]] = {}
        for at, (score, _) in best[-1].items():
            for size in range(min(3, n - at + 1)):
                chunk = _bare(tuple(phones[at : at + size]))
                # at first everything is possible and one phone per letter is likely
                step = scores.get(
                    (letter, chunk), -12.0 if scores else (-2.0, -1.0, -4.0)[size] + _kinship(letter, chunk)
                )
                end = at + size
                if end not in now or score + step > now[end][0]:
                    now[end] = (score + step, at)
        best.append(now)
    if n not in best[-1]:
        return None
    chunks: list[Chunk] = []
    at = n
    for column in reversed(best[1:]):
        start = column[at][1]
        chunks.append(tuple(phones[start:at]))
        at = start
    return chunks[::-1]


def _kinship(letter: str, chunk: Chunk) -> float:
    if not chunk:
        return 0.0
    return 0.0 if (letter in "aeiouy") == (chunk[0] in VOWELS) else -2.0


def _one_stress(phones: tuple[Phone, ...]) -> tuple[Phone, ...]:
    """Exactly one vowel with primary stress: the first that claims it, or else the first vowel."""
    vowels = [index for index, phone in enumerate(phones) if phone.symbol in VOWELS]
    if not vowels:
        return phones
    main = next((index for index in vowels if phones[index].stress == 1), vowels[0])
    return tuple(
        Phone(phone.symbol, 1 if index == main else 2 if phone.stress == 1 else phone.stress)
        for index, phone in enumerate(phones)
    )


if __name__ == "__main__":
    LetterToSound.learn((word, form) for word, form in listed_forms() if word.isalpha()).save()
