"""How far two sequences of words, letters or phones are from each other."""

from collections.abc import Sequence


def distance(wanted: Sequence[object], got: Sequence[object]) -> int:
    """Fewest insertions, deletions and substitutions that turn one into the other."""
    row = list(range(len(got) + 1))
    for i, item in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (item != other))
    return row[-1]
