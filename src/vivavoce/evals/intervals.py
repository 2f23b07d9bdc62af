"""Numbers with their uncertainty: shares, means and ratios of sums, each with a bootstrap interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vivavoce.core import rng

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its 95 % interval over the items it was measured on, and how many these were."""

    value: float
    low: float
    high: float
    n: int


def ratio(wrong: Sequence[int | float], total: Sequence[int | float], seed: int = 0) -> Estimate:
    """Sum over sum (micro average); items are drawn again together with their totals."""
    top, bottom = np.asarray(wrong, float), np.asarray(total, float)
    if not len(top) or bottom.sum() <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"), len(top))
    drawn = rng.stream(seed, "bootstrap").integers(len(top), size=(_DRAWS, len(top)))
    spread = top[drawn].sum(1) / np.maximum(bottom[drawn].sum(1), 1e-12)
    low, high = np.quantile(spread, (0.025, 0.975))
    return Estimate(float(top.sum() / bottom.sum()), float(low), float(high), len(top))


def mean(values: Sequence[int | float], seed: int = 0) -> Estimate:
    """The average."""
    return ratio(values, [1.0] * len(values), seed)


def share(right: Sequence[bool], seed: int = 0) -> Estimate:
    """How often something holds."""
    return mean([float(item) for item in right], seed)


def median(values: Sequence[int | float], seed: int = 0) -> Estimate:
    """The middle value."""
    items = np.asarray(values, float)
    if not len(items):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    drawn = rng.stream(seed, "bootstrap").integers(len(items), size=(_DRAWS, len(items)))
    low, high = np.quantile(np.median(items[drawn], axis=1), (0.025, 0.975))
    return Estimate(float(np.median(items)), float(low), float(high), len(items))


def quantile(values: Sequence[int | float], part: float, seed: int = 0) -> Estimate:
    """The value that this part of all values does not exceed."""
    items = np.asarray(values, float)
    if not len(items):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    drawn = rng.stream(seed, "bootstrap").integers(len(items), size=(_DRAWS, len(items)))
    low, high = np.quantile(np.quantile(items[drawn], part, axis=1), (0.025, 0.975))
    return Estimate(float(np.quantile(items, part)), float(low), float(high), len(items))


def spearman(first: Sequence[int | float], second: Sequence[int | float], seed: int = 0) -> Estimate:
    """The correlation of ranks (means of ranks where values are equal); pairs are drawn again together."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    if len(a) < 3 or len(set(a.tolist())) < 2 or len(set(b.tolist())) < 2:
        return Estimate(float("nan"), float("nan"), float("nan"), len(a))
    drawn = rng.stream(seed, "bootstrap").integers(len(a), size=(_DRAWS, len(a)))
    spread = np.array([_correlation(_ranks(a[one]), _ranks(b[one])) for one in drawn])
    low, high = np.quantile(spread, (0.025, 0.975))
    return Estimate(_correlation(_ranks(a), _ranks(b)), float(low), float(high), len(a))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-12))
