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
