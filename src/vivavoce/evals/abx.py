"""ABX: whether two instances of a phone are nearer to each other than to an instance of another phone.

Schatz et al. (Interspeech 2013). The distance of two stretches is the mean distance of frames along the cheapest path
that matches them (dynamic time warping): angles between vectors, or for ids whether they differ. A and B are of one
speaker; X is of the same one (within), or of another (across). Errors are averaged over speakers, then over contexts,
then over pairs of phones. All distances between two speakers' stretches are computed at once. An error of few
contrasts says nothing, so their number is told beside it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from vivavoce.core import rng

_MOST = 10
"""Instances of a phone in a context by a speaker."""


@dataclass(frozen=True, slots=True, eq=False)
class SaidPhone:
    """A phone as somebody said it: ids Int[T], or vectors Float[T, D]; an empty context stands for any."""

    phone: int
    context: tuple[int, ...]
    speaker: str
    frames: np.ndarray


class Errors(NamedTuple):
    """Shares of triples in which A was not the nearer one; None where there are no triples.

    ``contrasts``: how many pairs of phones in a context were told apart, within and across.
    """

    within: float | None
    across: float | None
    contrasts: tuple[int, int]


def abx(stretches: Sequence[SaidPhone], seed: int = 0, most: int = _MOST) -> Errors:
    """Both errors; at most ``most`` instances of a phone, context and speaker are used."""
    draw = rng.stream(seed, "abx")
    groups: dict[tuple[str, tuple[int, ...], int], list[SaidPhone]] = defaultdict(list)
    for one in (stretches[place] for place in draw.permutation(len(stretches))):
        group = groups[one.speaker, one.context, one.phone]
        if len(one.frames) and len(group) < most:
            group.append(one)
    people: dict[str, list[SaidPhone]] = defaultdict(list)
    places: dict[str, dict[tuple[int, ...], dict[int, slice]]] = defaultdict(lambda: defaultdict(dict))
    for (who, context, phone), group in groups.items():
        begin = len(people[who])
        people[who] += group
        places[who][context][phone] = slice(begin, begin + len(group))
    within: dict[tuple[tuple[int, ...], int, int], list[float]] = defaultdict(list)
    across: dict[tuple[tuple[int, ...], int, int], list[float]] = defaultdict(list)
    for who, other in product(people, people):
        far = distances(people[who], people[other])
        for context, phones in places[who].items():
            theirs = places[other].get(context, {})
            for a, b in product(phones, phones):
                if a != b and a in theirs:
                    of_a, of_b = far[phones[a], theirs[a]], far[phones[b], theirs[a]]
                    error = _error(of_a, of_b, same=who == other)
                    if error is not None:
                        (within if who == other else across)[context, a, b].append(error)
    return Errors(_averaged(within), _averaged(across), (len(within), len(across)))


def _error(of_a: np.ndarray, of_b: np.ndarray, same: bool) -> float | None:
    """Of distances A × X and B × X; where A and X are the same instances these are left out."""
    wrong = (of_a[:, None] > of_b[None]) + 0.5 * (of_a[:, None] == of_b[None])
    if not same:
        return float(wrong.mean())
    if len(of_a) < 2:
        return None
    apart = ~np.eye(len(of_a), dtype=bool)
    return float(wrong.transpose(0, 2, 1)[apart].mean())


def _averaged(found: dict[tuple[tuple[int, ...], int, int], list[float]]) -> float | None:
    pairs: dict[tuple[int, int], list[float]] = defaultdict(list)
    for (_, a, b), errors in found.items():
        pairs[a, b].append(float(np.mean(errors)))
    return float(np.mean([np.mean(errors) for errors in pairs.values()])) if pairs else None


def distances(first: Sequence[SaidPhone], second: Sequence[SaidPhone]) -> np.ndarray:
    """Mean distance along the cheapest path, for every stretch of the first with every one of the second."""
    frames = [np.concatenate([one.frames for one in side]) for side in (first, second)]
    if frames[0].ndim == 1:
        table = (frames[0][:, None] != frames[1][None]).astype(np.float32)
    else:
        units = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in frames]
        table = (np.arccos(np.clip(units[0] @ units[1].T, -1, 1)) / np.pi).astype(np.float32)
    lengths = [np.array([len(one.frames) for one in side]) for side in (first, second)]
    begins = [np.cumsum(each) - each for each in lengths]
    cost = np.full((lengths[0].max(), lengths[1].max(), len(first), len(second)), np.inf, np.float32)
    steps = np.ones_like(cost)
    for i, j in np.ndindex(cost.shape[:2]):
        at = np.minimum(begins[0] + i, len(frames[0]) - 1), np.minimum(begins[1] + j, len(frames[1]) - 1)
        here = table[at[0][:, None], at[1][None]]
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        known = [(cost[place], steps[place]) for place in before if min(place) >= 0]
        if not known:
            cost[i, j] = here
            continue
        best, walked = known[0]
        for other, others in known[1:]:
            nearer = other < best
            best, walked = np.where(nearer, other, best), np.where(nearer, others, walked)
        cost[i, j], steps[i, j] = best + here, walked + 1
    rows, columns = np.arange(len(first))[:, None], np.arange(len(second))[None]
    last = lengths[0][:, None] - 1, lengths[1][None] - 1
    return cost[last[0], last[1], rows, columns] / steps[last[0], last[1], rows, columns]
