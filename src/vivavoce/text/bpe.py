"""Byte-level byte-pair encoding: any text becomes ids and comes back unchanged.

Ids 0..255 are bytes, the following ones are pairs merged most frequent first (arXiv:1508.07909). Text is first cut into
words with the space before them, so that a word has the same ids wherever it stands.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from vivavoce.core.errors import ConfigError

_WORDS = re.compile(r"[ ]?[^\W\d_]+(?:'[^\W\d_]+)*|[ ]?\d|[ ]?[^\s\w]+|\s|_|.", re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class BpeConfig:
    """The merges in the order they were learnt, each as ``"left right"`` in ids."""

    merges: tuple[str, ...]

    def build(self) -> "Bpe":
        """The coder."""
        return Bpe(self)


class Bpe:
    """Text to ids and back."""

    def __init__(self, config: BpeConfig):
        self.config = config
        self._pieces = [bytes([byte]) for byte in range(256)]
        self._ranks: dict[tuple[int, int], int] = {}
        for merge in config.merges:
            left, right = (int(part) for part in merge.split())
            if max(left, right) >= len(self._pieces):
                raise ConfigError(f"the merge {merge!r} uses an id that does not exist yet; train the vocabulary again")
            self._ranks[left, right] = len(self._pieces)
            self._pieces.append(self._pieces[left] + self._pieces[right])
        self._known: dict[str, tuple[int, ...]] = {}

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self._pieces)

    def piece(self, id: int) -> bytes:
        """What an id stands for."""
        return self._pieces[id]

    def encode(self, text: str) -> list[int]:
        """Ids of a text; a lone surrogate becomes a question mark."""
        return [id for word in _WORDS.findall(text) for id in self._word(word)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self._pieces[id] for id in ids).decode("utf-8", errors="replace")

    def _word(self, word: str) -> tuple[int, ...]:
        known = self._known.get(word)
        if known is not None:
            return known
        ids = list(word.encode("utf-8", errors="replace"))
        while len(ids) > 1:
            rank, place = min((self._ranks.get(pair, self.size), place) for place, pair in enumerate(pairwise(ids)))
            if rank == self.size:
                break
            ids[place : place + 2] = [rank]
        made = tuple(ids)
        if len(self._known) < 50_000:  # a cache that a hostile text cannot fill without end
            self._known[word] = made
        return made


def learn(texts: Iterable[str], size: int) -> BpeConfig:
    """Merges of a vocabulary with ``size`` ids (fewer where the texts have no more pairs)."""
    if size < 256:
        raise ConfigError(f"a byte-level vocabulary has at least 256 ids, got {size}")
    counts = Counter(word for text in texts for word in _WORDS.findall(text))
    words = [(list(word.encode("utf-8", errors="replace")), count) for word, count in sorted(counts.items())]
    pairs: Counter[tuple[int, int]] = Counter()
    where: dict[tuple[int, int], set[int]] = defaultdict(set)
    for index, (ids, count) in enumerate(words):
        for pair in pairwise(ids):
            pairs[pair] += count
            where[pair].add(index)
    merges: list[str] = []
    while 256 + len(merges) < size and (
        best := max(pairs, key=lambda pair: (pairs[pair], (-pair[0], -pair[1])), default=None)
    ):
        if pairs[best] < 1:
            break
        new = 256 + len(merges)
        merges.append(f"{best[0]} {best[1]}")
        for index in where[best]:  # only words with this pair change
            ids, count = words[index]
            pairs.subtract({pair: count * n for pair, n in Counter(pairwise(ids)).items()})
            place = 0
            while place + 1 < len(ids):
                if (ids[place], ids[place + 1]) == best:
                    ids[place : place + 2] = [new]
                place += 1
            for pair in pairwise(ids):
                pairs[pair] += count
                where[pair].add(index)
    return BpeConfig(merges=tuple(merges))
