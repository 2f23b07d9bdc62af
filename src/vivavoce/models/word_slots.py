"""Slots in a word model: what may be filled in ("from the fifth of may", "under baker b a k e r") counts as one word.

A class-based n-gram model (Brown et al. 1992): the n-grams are counted on sentences in which every filling of a slot is
one token, so they remember which slots were filled already, and fillings of a slot are equally likely however rarely
they were drawn. A search still goes word by word: inside a filling its state is a node in the tree of all fillings,
beside the history in which the filling began.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

_STRIDE: Final = 2**20  # more than there are words
_ESCAPE: Final = -9.0
"""Nats for words that begin like a filling and go on otherwise."""
_OPEN: Final = -3.0
"""The same for a slot in which anything may stand, such as a name that is spelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotWords:
    """A slot's token, the phrases around its values (``{value}`` alone if there are none), how values are said."""

    token: str
    phrases: tuple[str, ...] = ("{value}",)
    forms: tuple[str, ...]
    open: bool = False
    """Whether anything may stand in it, the forms being examples."""

    def fillings(self) -> Iterator[tuple[str, ...]]:
        """All of them, as words."""
        for phrase in self.phrases:
            for form in self.forms:
                yield tuple(phrase.replace("{value}", form).split())


def words_of(slots: Sequence[SlotWords]) -> dict[str, None]:
    """All words that fillings have, each once, in order."""
    return dict.fromkeys(word for slot in slots for filling in slot.fillings() for word in filling)


@final
class Fillings:
    """The tree of all fillings of all slots over indices of words; node 0 is outside of any."""

    def __init__(self, slots: Sequence[SlotWords], index: Mapping[str, int]) -> None:
        """``index`` has the slots' tokens and all their words; it may grow."""
        self.slots, self.index = tuple(slots), index
        self.tokens = np.array([index[slot.token] for slot in slots], np.int64)
        children: list[dict[int, int]] = [{}]
        ends = [np.zeros(len(slots))]
        self.parent, self.word = [0], [-1]
        for column, slot in enumerate(slots):
            fillings = list(slot.fillings())
            for filling in fillings:
                node = 0
                for word in map(index.__getitem__, filling):
                    following = children[node].get(word)
                    if following is None:
                        following = children[node][word] = len(children)
                        children.append({})
                        ends.append(np.zeros(len(slots)))
                        self.parent.append(node)
                        self.word.append(word)
                    node = following
                ends[node][column] += 1 / len(fillings)
        self.ends = np.stack(ends)
        """Per node and slot the share of its fillings that end here."""
        self.below = self.ends.copy()
        """… that end here or below."""
        for node in range(len(children) - 1, 0, -1):
            self.below[self.parent[node]] += self.below[node]
        self._following = {(node, word): child for node, row in enumerate(children) for word, child in row.items()}
        arcs = sorted((node * _STRIDE + word, child) for (node, word), child in self._following.items())
        self.keys, self.children = (np.array(column, np.int64) for column in zip(*arcs, strict=True))
        self.leaf = np.array([not row for row in children])

    def __len__(self) -> int:
        return len(self.leaf)

    def child(self, nodes: np.ndarray, words: np.ndarray) -> np.ndarray:
        """The node of each word below each node, 0 where there is none."""
        keys = nodes * _STRIDE + words
        place = np.searchsorted(self.keys, keys)
        place[place == len(self.keys)] = 0
        return np.where(self.keys[place] == keys, self.children[place], 0)

    def tokens_of(self, words: Sequence[str]) -> list[str]:
        """A sentence with each filling as its slot's token, the longest first; of two slots the one with fewer."""
        found: list[str] = []
        place = 0
        while place < len(words):
            node, last, token = 0, place, ""
            for ahead in range(place, len(words)):
                node = self._following.get((node, self.index.get(words[ahead], -1)), 0)
                if not node:
                    break
                if self.ends[node].any():
                    last, token = ahead + 1, self.slots[int(self.ends[node].argmax())].token
            found.append(token or words[place])
            place = max(last, place + 1)
        return found


@final
class SlotModel:
    """Looks (state, word) pairs up; a state is ``node * histories + history``."""

    def __init__(
        self,
        slots: Sequence[SlotWords],
        index: Mapping[str, int],
        histories: int,
        grams: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    ) -> None:
        """Takes what n-grams say about the slots' tokens after every history: ``grams`` of histories and words gives
        log-probabilities and the histories after them."""
        self.fillings = Fillings(slots, index)
        self.histories, self._grams = histories, grams
        count = len(slots)
        every = np.repeat(np.arange(self.histories), count)
        score, follow = grams(every, np.tile(self.fillings.tokens, self.histories))
        self.chance = np.exp(score.astype(np.float64)).reshape(-1, count)
        self.follow = follow.reshape(-1, count)
        spare = np.zeros(len(self.fillings), np.int64)
        for node in range(1, len(spare)):  # a parent comes before its children
            before, word = spare[self.fillings.parent[node]], self.fillings.word[node]
            spare[node] = grams(np.array([before]), np.array([word]))[1][0]
        self.spare = spare
        opened = np.array([slot.open for slot in slots])
        self.escape = np.where(self.fillings.below[:, opened].any(1), _OPEN, _ESCAPE)

    def arcs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All nodes with the words that may follow and their log-probability, whatever the history."""
        tree = self.fillings
        node, word = np.divmod(tree.keys, _STRIDE)
        whole = tree.below.sum(1)
        return node, word, np.log(whole[tree.children] / whole[node])

    def leaving(self) -> np.ndarray:
        """Per node the log-probability of going on outside, whatever the history."""
        tree = self.fillings
        return np.maximum(np.log(np.maximum(tree.ends.sum(1) / tree.below.sum(1), 1e-9)), self.escape)

    def entering(self, histories: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each history with the words that begin a filling, and their log-probability."""
        tree = self.fillings
        first = tree.keys < _STRIDE
        words, children = tree.keys[first], tree.children[first]
        score = np.log(self.chance[histories] @ tree.below[children].T)
        return np.repeat(histories, len(words)), np.tile(words, len(histories)), score.reshape(-1)

    def score(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of words after states, and the states after them."""
        tree = self.fillings
        node, history = np.divmod(states.astype(np.int64), self.histories)
        score, follow = self._outside(history, words)
        inside = np.flatnonzero(node)
        if not len(inside):
            return score, follow
        node, history, word = node[inside], history[inside], words[inside]
        chance = self.chance[history]
        whole = (chance * tree.below[node]).sum(1)
        ended = chance * tree.ends[node]
        slot = ended.argmax(1)
        best, after = self._grams(self.spare[node], word)
        best = best + self.escape[node].astype(np.float32)
        over = np.flatnonzero(ended.any(1))
        left, then = self._outside(self.follow[history[over], slot[over]], word[over])
        left = left + np.log(ended[over, slot[over]] / whole[over])
        better = left > best[over]
        best[over[better]], after[over[better]] = left[better], then[better]
        child = tree.child(node, word)
        on = np.flatnonzero(child)
        going = np.log((chance[on] * tree.below[child[on]]).sum(1) / whole[on])
        better = on[going > best[on]]
        best[better] = going[going > best[on]]
        after[better] = self._at(child[better], history[better])
        score[inside], follow[inside] = best, after
        return score, follow

    def _outside(self, history: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same where no filling has begun."""
        score, follow = self._grams(history, words)
        child = self.fillings.child(np.zeros(len(words), np.int64), words)
        begun = np.flatnonzero(child)
        entered = np.log((self.chance[history[begun]] * self.fillings.below[child[begun]]).sum(1))
        better = entered > score[begun]
        begun = begun[better]
        score[begun] = entered[better]
        follow[begun] = self._at(child[begun], history[begun])
        return score, follow

    def _at(self, node: np.ndarray, history: np.ndarray) -> np.ndarray:
        """The states at nodes that were just reached: behind the slot where nothing can follow."""
        slot = (self.chance[history] * self.fillings.ends[node]).argmax(1)
        return np.where(self.fillings.leaf[node], self.follow[history, slot], node * self.histories + history)
