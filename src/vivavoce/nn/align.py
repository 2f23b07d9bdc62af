"""Which phone is spoken when: a frame classifier, and the best path through everything a sentence may sound like.

The lattice of a sentence holds every listed pronunciation of each word and a pause that may or may not stand between
two words; Viterbi's algorithm takes all of it at once. Every phone lasts at least two frames.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import SpecError

_SHORTEST = 2
_SHORTEST_PAUSE = 3
_NEVER = -1e30


class Span(NamedTuple):
    """A phone that was spoken, the word that it belongs to (-1 for a pause), and its frames."""

    phone: int
    word: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """States with one phone each, in chains.

    A state may be held (``holds``), may follow the state before it (``follows``), or begins a chain: the k-th of
    ``begins`` comes after one of the states in row k of ``after``, which is padded with the number of states.
    """

    phone: np.ndarray
    unit: np.ndarray
    word: np.ndarray
    holds: np.ndarray
    follows: np.ndarray
    begins: np.ndarray
    after: np.ndarray
    opens: np.ndarray
    closes: np.ndarray


def lattice(words: Sequence[Sequence[Sequence[int]]], silence: int = 0) -> Lattice:
    """All ways to say words, each given as its pronunciations; pauses may stand before, between and after them."""
    rows: list[tuple[int, int, int, bool, bool]] = []  # phone, unit, word, holds, follows
    begins: list[int] = []
    after: list[list[int]] = []
    opens: list[int] = []

    def chain(phones: Sequence[int], word: int, befores: list[int], first: bool) -> int:
        begins.append(len(rows))
        after.append(befores)
        if first:
            opens.append(len(rows))
        for place, phone in enumerate(phones):
            repeats = _SHORTEST_PAUSE if phone == silence else _SHORTEST
            unit = rows[-1][1] + 1 if rows else 0
            for repeat in range(repeats):
                rows.append((phone, unit, word, repeat == repeats - 1, place + repeat > 0))
        return len(rows) - 1

    ends = [chain([silence], -1, [], True)]
    for index, forms in enumerate(words):
        reached = [chain(form, index, ends, index == 0) for form in forms if form]
        ends = [*reached, chain([silence], -1, reached, False)]
    widest = max(len(row) for row in after)
    padded = [row + [len(rows)] * (widest - len(row)) for row in after]
    phone, unit, word, holds, follows = (np.array(column) for column in zip(*rows, strict=True))
    states = np.arange(len(rows))
    return Lattice(
        phone,
        unit,
        word,
        np.where(holds, 0.0, _NEVER),
        np.where(follows, 0.0, _NEVER),
        np.array(begins),
        np.array(padded, dtype=np.int64).reshape(len(begins), widest),
        np.isin(states, opens),
        np.isin(states, ends),
    )


def align(scores: Float[Tensor, "T V"], ways: Lattice) -> tuple[list[Span], float]:
    """The best path and its mean score per frame.

    ``scores`` are log-probabilities of phones (divided by their priors, to be exact). Raises SpecError when there are
    fewer frames than the shortest way through the lattice takes.
    """
    local = scores.double().numpy()[:, ways.phone]
    n_frames, n_states = local.shape
    total = np.full(n_states + 1, _NEVER)  # one more: what padding points to
    if n_frames:
        total[:-1] = np.where(ways.opens, local[0], _NEVER)
    moved = np.zeros((n_frames, n_states), dtype=bool)
    entered = np.zeros((n_frames, len(ways.begins)), dtype=np.int64)
    chains = np.arange(len(ways.begins))
    for t in range(1, n_frames):
        hold = total[:-1] + ways.holds
        step = ways.follows.copy()
        step[1:] += total[:-2]
        reach = total[ways.after]
        np.greater(step, hold, out=moved[t])
        entered[t] = reach.argmax(axis=1)
        total[:-1] = np.maximum(hold, step)
        total[ways.begins] = reach[chains, entered[t]]
        total[:-1] += local[t]
    last = np.where(ways.closes, total[:-1], _NEVER)
    state = int(last.argmax())
    best = float(last[state])
    if n_frames == 0 or best < _NEVER / 2:
        raise SpecError(f"{n_frames} frames are too few for these words; is it their recording?")
    chain_of = {int(begin): number for number, begin in enumerate(ways.begins)}
    path = np.empty(n_frames, dtype=np.int64)
    path[-1] = state
    for t in range(n_frames - 1, 0, -1):
        if state in chain_of:
            state = int(ways.after[chain_of[state], entered[t, chain_of[state]]])
        elif moved[t, state]:
            state -= 1
        path[t - 1] = state
    return _spans(path, ways.unit, ways.phone, ways.word), best / n_frames


def _spans(path: np.ndarray, unit: np.ndarray, phone: np.ndarray, word: np.ndarray) -> list[Span]:
    units = unit[path]
    edges = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist(), len(path)]
    return [Span(int(phone[path[a]]), int(word[path[a]]), a, b) for a, b in itertools.pairwise(edges)]


def decode(
    scores: Float[Tensor, "T V"], follows: Float[Tensor, "V V"], weight: float = 1.0, switch: float = 1.0
) -> list[Span]:
    """Phones where nobody has told the words: the best path through any phones, with log-probabilities of pairs."""
    local = scores.double().numpy()
    step = weight * follows.double().numpy() - switch
    np.fill_diagonal(step, 0.0)
    total = local[0].copy()
    back = np.zeros(local.shape, dtype=np.int64)
    columns = np.arange(local.shape[1])
    for t in range(1, len(local)):
        reach = total[:, None] + step
        back[t] = reach.argmax(axis=0)
        total = reach[back[t], columns] + local[t]
    path = np.empty(len(local), dtype=np.int64)
    path[-1] = total.argmax()
    for t in range(len(local) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    return [Span(int(path[a]), 0 if path[a] else -1, a, b) for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameClassifierConfig:
    """Sees the lower ``bins`` of a mel spectrum, ``dilations`` of width 5 around each frame."""

    bins: int = 76
    width: int = 192
    phones: int = 40
    dilations: tuple[int, ...] = (1, 1, 2, 3)

    def build(self) -> "FrameClassifier":
        """The module."""
        return FrameClassifier(self)


@final
class FrameClassifier(nn.Module):
    """Tells the phone of each frame; each utterance is first brought to mean 0 and deviation 1 in every bin."""

    def __init__(self, config: FrameClassifierConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        self.first = nn.Conv1d(config.bins, config.width, 5, padding=2)
        self.norms = nn.ModuleList(nn.GroupNorm(1, config.width) for _ in config.dilations)
        self.convs = nn.ModuleList(
            nn.Conv1d(config.width, config.width, 5, padding=2 * d, dilation=d) for d in config.dilations
        )
        self.last = nn.Conv1d(config.width, config.phones, 1)

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T V"]:
        """Logits."""
        x = mel[:, :, : self.config.bins].transpose(1, 2)
        x = (x - x.mean(dim=2, keepdim=True)) / (x.std(dim=2, keepdim=True) + 0.1)
        x = self.first(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = x + conv(torch.relu(norm(x)))
        return self.last(torch.relu(x)).transpose(1, 2)
