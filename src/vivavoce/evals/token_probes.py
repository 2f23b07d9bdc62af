"""What can be read from tokens or features with little means: phones, who speaks, and how high.

The phone probe is the same for all: two convolutions that see at most 200 ms, so many steps, one seed; what it cannot
find is not there for a language model either. CTC (per phone) and each frame's phone are learnt together, phones are
read greedily. Fewer steps or less speech than `ProbeBudget` has leave even a listener's own vectors half read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core import rng
from vivavoce.evals.tokens_speech import LABEL_RATE
from vivavoce.evals.word_errors import distance

VIEW_SECONDS = 0.2
_SYMBOLS = 40
_WIDTH = 192
_CLIP = 1.0
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeBudget:
    """The same for every tokenizer that is compared."""

    steps: int = 600
    frames: int = 700
    lr: float = 2e-3
    seed: int = 1


def kernels(rate: float) -> tuple[int, int]:
    """Of the two convolutions, odd, which together see no more than 200 ms."""
    seen = max(1, int(VIEW_SECONDS * rate + 1e-6))
    first = max(1, (seen + 1) // 2)
    first -= 1 - first % 2
    second = max(1, seen - first + 1)
    return first, second - (1 - second % 2)


class PhoneProbe(nn.Module):
    """Ids Int[B, T, K] or vectors Float[B, T, D] to phones at 50 a second: CTC's, and each frame's.

    Ids enter as the vectors that they stand for, where there are any, and as what is learnt of each: rare ids are then
    read like those that they resemble.
    """

    def __init__(self, rate: float, size: int, books: int, dim: int, stand_for: Tensor | None = None) -> None:
        """``size`` 0 for vectors of ``dim`` numbers; ``stand_for`` Float[V, D] of the only book."""
        super().__init__()
        self.split = max(1, round(LABEL_RATE / rate))
        self.stand_for = stand_for
        tables = [nn.Embedding(size, _WIDTH) for _ in range(books if size else 0)]
        self.books = nn.ModuleList(tables)
        self.enter = None if size and stand_for is None else nn.Linear(dim, _WIDTH)
        if stand_for is not None:
            nn.init.zeros_(tables[0].weight)
        first, second = kernels(rate)
        self.first = nn.Conv1d(_WIDTH, _WIDTH, first, padding=first // 2)
        self.second = nn.Conv1d(_WIDTH, 2 * self.split * _SYMBOLS, second, padding=second // 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities."""
        hidden = torch.zeros(1, device=x.device)
        for place, book in enumerate(self.books):
            hidden = hidden + book(x[..., place])
        if self.enter is not None:
            hidden = hidden + self.enter(x if self.stand_for is None else self.stand_for[x[..., 0]])
        scores = self.second(F.gelu(self.first(hidden.transpose(1, 2)))).transpose(1, 2)
        both = scores.unflatten(-1, (2, self.split, _SYMBOLS)).movedim(2, 0).flatten(2, 3).log_softmax(-1)
        return both[0], both[1]


def phone_errors(
    heard: Sequence[tuple[Tensor, np.ndarray, Sequence[int]]],
    unheard: Sequence[Tensor],
    wanted: Sequence[Sequence[int]],
    rate: float,
    size: int,
    budget: ProbeBudget,
    stand_for: Tensor | None = None,
) -> list[int]:
    """Errors per unheard recording; ``heard`` are inputs with the phones of frames and in order.

    ``stand_for``: the vectors Float[V, D] of the ids of a single book, if they have any.
    """
    draw = rng.stream(budget.seed, "probe")
    torch.manual_seed(budget.seed)
    example = heard[0][0]
    vectors = size == 0
    mean, spread = torch.zeros(1), torch.ones(1)
    if vectors:
        everything = torch.cat([x for x, _, _ in heard])
        mean, spread = everything.mean(0), everything.std(0).clamp(min=1e-5)
    dim = example.shape[1]
    if stand_for is not None:
        used = stand_for[torch.cat([x[:, 0] for x, _, _ in heard])]
        dim, stand_for = stand_for.shape[1], (stand_for - used.mean(0)) / used.std(0).clamp(min=1e-5)
    probe = PhoneProbe(rate, size, 1 if vectors else example.shape[1], dim, stand_for)
    optimizer = torch.optim.AdamW(probe.parameters(), budget.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, budget.lr, budget.steps, pct_start=0.1)
    usable = [one for one in heard if len(one[2]) * 1.05 < len(one[0]) * probe.split]
    for _ in range(budget.steps):
        batch, frames = [], 0
        while frames < budget.frames:
            batch.append(usable[int(draw.integers(len(usable)))])
            frames += len(batch[-1][0])
        x = nn.utils.rnn.pad_sequence([(one[0] - mean) / spread if vectors else one[0] for one in batch], True)
        ctc, each = probe(x)
        lengths = torch.tensor([len(one[0]) * probe.split for one in batch])
        said = nn.utils.rnn.pad_sequence([torch.tensor(one[2]) for one in batch], True)
        counts = torch.tensor([len(one[2]) for one in batch])
        summed = F.ctc_loss(ctc.transpose(0, 1), said, lengths, counts, reduction="sum", zero_infinity=True)
        loss = summed / counts.sum()
        for row, (own, labels, _) in enumerate(batch):
            known = _stretched(labels, len(own) * probe.split)
            loss = loss + F.nll_loss(each[row, : len(known)], known, reduction="sum") / lengths.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(probe.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
    found = []
    with torch.no_grad():
        for x, said in zip(unheard, wanted, strict=True):
            best = torch.unique_consecutive(probe(((x - mean) / spread if vectors else x)[None])[0][0].argmax(-1))
            found.append(distance(list(said), [symbol for symbol in best.tolist() if symbol]))
    return found


def _stretched(labels: np.ndarray, length: int) -> Tensor:
    """Labels at the rate of the distributions."""
    place = np.minimum((np.arange(length) * len(labels) / length).astype(int), len(labels) - 1)
    return torch.from_numpy(labels[place].astype(np.int64))


def speaker_share(pooled: Sequence[np.ndarray], who: Sequence[str], seed: int = 1) -> tuple[list[bool], float]:
    """Whether a recording's speaker is told from the mean of its frames (or the use of its ids), and what always
    guessing the most frequent one would get.

    Ridge regression on every other recording of each speaker, asked about the others.
    """
    names = sorted({one for one in who if sum(other == one for other in who) >= 4})
    chosen = [place for place, one in enumerate(who) if one in names]
    if len(names) < 2:
        return [], float("nan")
    order = rng.stream(seed, "speakers").permutation(chosen)
    seen: dict[str, int] = dict.fromkeys(names, 0)
    heard, asked = [], []
    for place in (int(one) for one in order):
        seen[who[place]] += 1
        (heard if seen[who[place]] % 2 else asked).append(place)
    x = np.stack([pooled[place] for place in heard])
    centre, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - centre) / scale
    y = np.array([[who[place] == name for name in names] for place in heard], float)
    level = y.mean(0)
    weight = np.linalg.solve(x.T @ x + 10 * len(x) * _RIDGE * np.eye(x.shape[1]) / 10, x.T @ (y - level))
    right = []
    for place in asked:
        scores = (pooled[place] - centre) / scale @ weight + level
        right.append(names[int(scores.argmax())] == who[place])
    counts = [sum(who[place] == name for place in asked) for name in names]
    return right, max(counts) / max(1, len(asked))


def pitch_share(frames: Sequence[np.ndarray], octaves: Sequence[np.ndarray], size: int) -> float:
    """R² of the pitch (octaves from the recording's mean, NaN where there is none) on unheard recordings.

    From the mean pitch of an id, or by ridge regression from vectors; every other recording is learnt from.
    """

    def joined(first: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.concatenate([frames[place] for place in range(first, len(frames), 2)])
        y = np.concatenate([octaves[place] for place in range(first, len(frames), 2)])
        known = ~np.isnan(y)
        return x[known], y[known]

    (x, y), (asked, wanted) = joined(0), joined(1)
    level = y.mean()
    if size:
        count, total = np.bincount(x, minlength=size), np.bincount(x, y - level, minlength=size)
        guess = (total / (count + 5.0))[asked] + level
    else:
        centre, scale = x.mean(0), x.std(0) + 1e-6
        x = (x - centre) / scale
        weight = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (y - level))
        guess = (asked - centre) / scale @ weight + level
    return float(1 - np.square(wanted - guess).sum() / np.square(wanted - wanted.mean()).sum())
