"""Errors between what was said and what was understood, in words or phonemes."""

import re
from collections.abc import Sequence

from vivavoce.text.edit_distance import distance

__all__ = ["distance", "matched", "plain"]


def matched(wanted: Sequence[object], got: Sequence[object]) -> list[bool]:
    """Which of the items that were got are right, in the alignment with the fewest errors."""
    costs = [list(range(len(got) + 1))]
    for i, item in enumerate(wanted, 1):
        row = [i]
        for j, other in enumerate(got, 1):
            row.append(min(costs[-1][j] + 1, row[j - 1] + 1, costs[-1][j - 1] + (item != other)))
        costs.append(row)
    right, i, j = [False] * len(got), len(wanted), len(got)
    while i and j:
        same = wanted[i - 1] == got[j - 1]
        if costs[i][j] == costs[i - 1][j - 1] + (not same):
            right[j - 1], i, j = same, i - 1, j - 1
        elif costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return right


def plain(text: str) -> list[str]:
    """Words in lower case without punctuation, so that spelling habits do not count as errors."""
    return re.findall(r"[a-z']+", text.lower().replace("’", "'"))
