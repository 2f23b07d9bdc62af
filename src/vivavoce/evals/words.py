"""Errors between what was said and what was understood, in words or phonemes."""

import re
from collections.abc import Sequence


def distance(wanted: Sequence[object], got: Sequence[object]) -> int:
    """Fewest insertions, deletions and substitutions that turn one into the other."""
    row = list(range(len(got) + 1))
    for i, item in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (item != other))
    return row[-1]


def plain(text: str) -> list[str]:
    """Words in lower case without punctuation, so that spelling habits do not count as errors."""
    return re.findall(r"[a-z']+", text.lower().replace("’", "'"))
