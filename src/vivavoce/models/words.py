"""The listener's knowledge of words: how they are said (a tree of phones) and what follows what (an n-gram model).

The model is estimated from text by interpolated absolute discounting (Ney, Essen, Kneser 1994) and kept as arrays, so
that a search can look thousands of histories up at once. It also says how likely a sentence is over after what has
been said, which tells a pause inside "I'd like a large …" from the end of a turn.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce.core.errors import PartError
from vivavoce.models.word_slots import Fillings, SlotModel, SlotWords, words_of
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations

END = 0
"""Index of the end of a sentence in the vocabulary."""
_BEGIN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsConfig:
    """Vocabulary (index 0 ends a sentence) and the sizes of the arrays."""

    vocabulary: tuple[str, ...]
    grams: int
    histories: int
    slots: tuple[SlotWords, ...] = ()
    """What counts as one word; the vocabulary has the tokens and all words of each."""

    def build(self) -> "Words":
        """Empty arrays of the right size, to be filled with weights."""
        return Words(self)


@final
class Words(nn.Module):
    """n-gram arrays: sorted keys ``history * V + word`` with log-probability and the next history."""

    keys: Tensor
    log_probs: Tensor
    followers: Tensor
    back_off: Tensor
    shorter: Tensor
    start: Tensor

    def __init__(self, config: WordsConfig) -> None:
        """Arrays as buffers, so that they are saved like any weights."""
        super().__init__()
        self.config = config
        self.register_buffer("keys", torch.zeros(config.grams, dtype=torch.int64))
        self.register_buffer("log_probs", torch.zeros(config.grams))
        self.register_buffer("followers", torch.zeros(config.grams, dtype=torch.int32))
        self.register_buffer("back_off", torch.zeros(config.histories))
        self.register_buffer("shorter", torch.zeros(config.histories, dtype=torch.int32))
        self.register_buffer("start", torch.zeros(1, dtype=torch.int32))


class WordModel:
    """The arrays of `Words` in NumPy, with look-up of many (history, word) pairs at once."""

    def __init__(self, words: Words) -> None:
        """Copies nothing that is already in memory."""
        self.vocabulary = words.config.vocabulary
        self.index = {word: number for number, word in enumerate(self.vocabulary)}
        self.keys = words.keys.numpy()
        self.log_probs = words.log_probs.numpy()
        self.followers = words.followers.numpy()
        self.back_off = words.back_off.numpy()
        self.shorter = words.shorter.numpy()
        self.start = int(words.start[0])
        if len(self.keys) == 0:
            raise PartError("the word model is empty; train it with: vivavoce train words")
        slots = words.config.slots
        self.tokens = frozenset(self.index[slot.token] for slot in slots)
        """Indices that are slots and no words."""
        self.slots = SlotModel(slots, self.index, len(self.back_off), self.grams) if slots else None
        self.states = len(self.back_off) * (len(self.slots.fillings) if self.slots else 1)
        """How many states there are: histories, and those inside a slot."""

    def score(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of words after states, and the states after them."""
        return self.grams(states, words) if self.slots is None else self.slots.score(states, words)

    def grams(self, histories: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for histories of the n-grams alone."""
        size = len(self.vocabulary)
        states, score = histories.astype(np.int64), np.zeros(len(words), np.float32)
        follow = np.zeros(len(words), np.int64)
        open_ = np.arange(len(words))
        while len(open_):
            keys = states[open_] * size + words[open_]
            place = np.searchsorted(self.keys, keys)
            place[place == len(self.keys)] = 0
            found = self.keys[place] == keys
            here = open_[found]
            score[here] += self.log_probs[place[found]]
            follow[here] = self.followers[place[found]]
            open_ = open_[~found]
            unknown = open_[states[open_] == 0]
            score[unknown] += np.float32(-20.0)
            open_ = open_[states[open_] != 0]
            score[open_] += self.back_off[states[open_]]
            states[open_] = self.shorter[states[open_]]
        return score, follow

    def unigrams(self) -> np.ndarray:
        """Log-probability of every word without history."""
        everything = np.arange(len(self.vocabulary))
        return self.score(np.zeros(len(everything), np.int64), everything)[0]

    def sentence(self, words: Sequence[str]) -> float:
        """Log-probability of a whole sentence; unknown words cost 20 nats."""
        state, total = self.start, 0.0
        for word in [*words, ""]:
            score, follow = self.score(np.array([state]), np.array([self.index.get(word, -1)]))
            state, total = int(follow[0]), total + float(score[0])
        return total

    def over(self, words: Sequence[str]) -> float:
        """Probability that a sentence ends after these words."""
        state = self.start
        for word in words:
            state = int(self.score(np.array([state]), np.array([self.index.get(word, -1)]))[1][0])
        return float(np.exp(self.score(np.array([state]), np.array([END]))[0][0]))


def estimate(
    texts: Iterable[tuple[Sequence[str], float]],
    *,
    order: int = 4,
    discount: float = 0.6,
    least: float = 0.0,
    slots: Sequence[SlotWords] = (),
) -> Words:
    """A word model from normalised sentences with weights, in which fillings of ``slots`` are one word each.

    n-grams of the highest orders (3 and up) seen no more than ``least`` times in weight are left out.
    """
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
    index: dict[str, int] = {"": END}
    for word in (*(slot.token for slot in slots), *words_of(slots)):
        index.setdefault(word, len(index))
    fillings = Fillings(slots, index) if slots else None
    for sentence, weight in texts:
        words = sentence if fillings is None else fillings.tokens_of(sentence)
        line = [_BEGIN, *(index.setdefault(word, len(index)) for word in words), END]
        for last in range(1, len(line)):
            for size in range(min(order, last + 1)):
                counts[size][tuple(line[last - size : last + 1])] += weight  # type: ignore[assignment]  # weights
    vocabulary = tuple(index)
    total: dict[tuple[int, ...], float] = defaultdict(float)
    for grams in counts:
        for gram, count in grams.items():
            total[gram[:-1]] += count  # with what is left out below, whose share goes to shorter histories
    for size in range(2, order):
        counts[size] = Counter({gram: c for gram, c in counts[size].items() if c > least})
    probability: dict[tuple[int, ...], float] = {}
    back_off: dict[tuple[int, ...], float] = {}
    uniform = 1.0 / len(vocabulary)
    for size, grams in enumerate(counts):
        smallest = min(grams.values(), default=1.0)
        cut = discount * min(smallest, 1.0) if size else discount
        kept: dict[tuple[int, ...], float] = defaultdict(float)
        for gram, count in grams.items():
            kept[gram[:-1]] += max(count - cut, 1e-9)
        back_off |= {history: max(1.0 - own / total[history], 1e-9) for history, own in kept.items()}
        for gram, count in grams.items():
            history = gram[:-1]
            lower = uniform if not size else _lower(probability, back_off, gram[1:], uniform)
            probability[gram] = max(count - cut, 1e-9) / total[history] + back_off[history] * lower
    for word in range(len(vocabulary)):
        probability.setdefault((word,), back_off[()] * uniform)
    histories = sorted(back_off, key=lambda h: (len(h), h))
    number = {history: place for place, history in enumerate(histories)}

    def longest(gram: tuple[int, ...]) -> int:
        while gram not in number:
            gram = gram[1:]
        return number[gram]

    rows = sorted(
        (number[gram[:-1]] * len(vocabulary) + gram[-1], gram, p)
        for gram, p in probability.items()
        if gram[-1] != _BEGIN
    )
    words = WordsConfig(vocabulary=vocabulary, grams=len(rows), histories=len(histories), slots=tuple(slots)).build()
    words.keys.copy_(torch.tensor([row[0] for row in rows]))
    words.log_probs.copy_(torch.tensor([row[2] for row in rows]).log())
    words.followers.copy_(torch.tensor([0 if r[1][-1] == END else longest(r[1][-(order - 1) :]) for r in rows]))
    words.back_off.copy_(torch.tensor([back_off[h] for h in histories]).clamp(min=1e-9).log())
    words.shorter.copy_(torch.tensor([longest(h[1:]) if h else 0 for h in histories]))
    words.start.fill_(longest((_BEGIN,)))
    return words


def _lower(
    probability: dict[tuple[int, ...], float],
    back_off: dict[tuple[int, ...], float],
    gram: tuple[int, ...],
    uniform: float,
) -> float:
    factor = 1.0
    while gram not in probability:
        if len(gram) == 1:
            return factor * back_off.get((), 1.0) * uniform
        factor *= back_off.get(gram[:-1], 1.0)
        gram = gram[1:]
    return factor * probability[gram]


@final
class Tree:
    """Pronunciations of a vocabulary as a tree of phones in arrays; node 0 is the root.

    It looks ahead, so that a search can use the word model before a word is over: `ahead` is the likeliest word below a
    node after the word before (Ortmanns, Eiden, Ney 1998). A node on the way of no listed pair of words has the best
    unigram below it.
    """

    def __init__(self, model: WordModel) -> None:
        """Builds the tree of all pronunciations; index 0 of the vocabulary is not a word."""
        phone, parent, children = [0], [0], [{}]
        ends: list[list[int]] = [[]]
        vocabulary = model.vocabulary
        for word in range(1, len(vocabulary)):
            for form in () if word in model.tokens else pronunciations(vocabulary[word]):
                node = 0
                for symbol in ids(form):
                    following = children[node].get(symbol)
                    if following is None:
                        following = len(phone)
                        children[node][symbol] = following
                        phone.append(symbol)
                        parent.append(node)
                        children.append({})
                        ends.append([])
                    node = following
                ends[node].append(word)
        self.phone = np.array(phone, np.int64)
        self.child_begin = np.cumsum([0, *(len(c) for c in children)])
        self.child = np.array([n for c in children for n in c.values()], np.int64)
        self.end_begin = np.cumsum([0, *(len(e) for e in ends)])
        self.end = np.array([w for e in ends for w in e], np.int64)
        unigrams = model.unigrams()
        alone = np.full(len(phone), -20.0, np.float32)
        for node in range(len(phone) - 1, -1, -1):
            for word in ends[node]:
                alone[node] = max(alone[node], unigrams[word])
            alone[parent[node]] = max(alone[parent[node]], alone[node])
        self._alone = alone
        self._before, self._histories = _last_words(model), len(model.back_off)
        spare = np.where(np.arange(self._histories) == 0, 0.0, model.back_off)
        if model.slots is not None:  # nodes of fillings come behind the histories
            spare = np.concatenate((spare, model.slots.leaving()))
        self._spare = spare.astype(np.float32)
        self._pairs, self._likeliest = self._of_pairs(model, np.array(parent, np.int64))

    def ahead(self, states: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """How likely the likeliest word below each node is after each state, in nats; nodes are not the root."""
        node, history = np.divmod(states, self._histories)
        before = np.where(node > 0, self._histories + node, self._before[history])
        keys = before * len(self.phone) + nodes
        place = np.searchsorted(self._pairs, keys)
        place[place == len(self._pairs)] = 0
        found = self._pairs[place] == keys
        return np.where(found, self._likeliest[place], self._spare[before] + self._alone[nodes])

    def _of_pairs(self, model: WordModel, parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sorted keys ``history * nodes + node`` of the paths of all pairs of words, and the likeliest pair of each."""
        size = len(model.vocabulary)
        histories, words = np.divmod(model.keys.astype(np.int64), size)
        pairs = (self._before[histories] == histories) & (histories > 0) & (words != END)
        scores = model.log_probs[pairs].astype(np.float32)
        histories, words = histories[pairs], words[pairs]
        if model.slots is not None:
            begun = np.unique(histories[np.isin(words, model.slots.fillings.tokens)])
            node, following, likely = model.slots.arcs()
            inside = node > 0
            entered = model.slots.entering(begun)
            histories = np.concatenate((histories, entered[0], self._histories + node[inside]))
            words = np.concatenate((words, entered[1], following[inside]))
            scores = np.concatenate((scores, entered[2], likely[inside])).astype(np.float32)
        order = np.argsort(self.end, kind="stable")
        nodes = np.repeat(np.arange(len(self.phone)), np.diff(self.end_begin))[order]
        first = np.searchsorted(self.end[order], words)
        counts = np.searchsorted(self.end[order], words, side="right") - first
        source = np.repeat(np.arange(len(words)), counts)
        node = nodes[np.repeat(first, counts) + np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)]
        keys, values = [np.array([-1])], [np.zeros(1, np.float32)]
        while len(node):
            keys.append(histories[source] * len(parent) + node)
            values.append(scores[source])
            node = parent[node]
            source, node = source[node > 0], node[node > 0]
        key, value = np.concatenate(keys), np.concatenate(values)
        best = np.lexsort((-value, key))
        unique, place = np.unique(key[best], return_index=True)
        return unique, value[best][place]


def _last_words(model: WordModel) -> np.ndarray:
    """For each history the one that is its last word alone; 0 where that is none."""
    last = np.arange(len(model.shorter))
    while (longer := model.shorter[last] > 0).any():
        last = np.where(longer, model.shorter[last], last)
    return last.astype(np.int64)
