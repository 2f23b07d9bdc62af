"""How tokens are distributed: use of the book, what a token tells of the next one, what it tells of the phone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Ids = np.ndarray


def merged(ids: Ids) -> Ids:
    """Without repeats."""
    return ids[np.flatnonzero(np.diff(ids, prepend=-1))]


@dataclass(frozen=True, slots=True)
class Grams:
    """Nats per token of unheard recordings, under counts of heard ones, and the share of tokens that repeat."""

    unigram: float
    bigram: float
    repeats: float

    @property
    def gain(self) -> float:
        """What knowing the token before is worth."""
        return self.unigram - self.bigram


def grams(heard: Sequence[Ids], unheard: Sequence[Ids], size: int) -> Grams:
    """Unigrams with half a count added, bigrams smoothed after Witten and Bell (1991).

    The first token of a recording is predicted by the unigram in both.
    """
    single = np.full(size, 0.5)
    double: dict[int, dict[int, int]] = {}
    for ids in heard:
        np.add.at(single, ids, 1)
        for before, after in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
            row = double.setdefault(before, {})
            row[after] = row.get(after, 0) + 1
    share = single / single.sum()
    alone = together = 0.0
    tokens = repeats = pairs = 0
    for ids in unheard:
        cost = -np.log(share[ids])
        alone += float(cost.sum())
        together += float(cost[:1].sum())
        for before, after in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
            row = double.get(before)
            if row is None:
                together -= float(np.log(share[after]))
                continue
            kinds, count = len(row), sum(row.values())
            together -= float(np.log((row.get(after, 0) + kinds * share[after]) / (count + kinds)))
        tokens, pairs = tokens + len(ids), pairs + max(len(ids) - 1, 0)
        repeats += int((ids[1:] == ids[:-1]).sum())
    return Grams(alone / max(tokens, 1), together / max(tokens, 1), repeats / max(pairs, 1))


@dataclass(frozen=True, slots=True)
class Use:
    """Entries in use, and bits of the distribution of use."""

    entries: int
    bits: float

    @property
    def perplexity(self) -> float:
        """As many entries used alike would have the same entropy."""
        return float(2**self.bits)


def use(ids: Ids, size: int) -> Use:
    """Of one book."""
    count = np.bincount(ids, minlength=size).astype(float)
    share = count[count > 0] / max(count.sum(), 1)
    return Use(int((count > 0).sum()), float(-(share * np.log2(share)).sum()))


def pnmi_and_purity(
    ids: Sequence[Ids], labels: Sequence[np.ndarray], rate: float, label_rate: float
) -> tuple[float, float]:
    """PNMI and phone purity (HuBERT, arXiv:2106.07447 §IV.D): mutual information of unit and phone by the entropy of
    phones, and the share of frames whose unit's most frequent phone is theirs."""
    units, phones = [], []
    for own, label in zip(ids, labels, strict=True):
        place = np.minimum(((np.arange(len(label)) + 0.5) * rate / label_rate).astype(int), len(own) - 1)
        units.append(own[place])
        phones.append(label)
    unit, phone = np.concatenate(units), np.concatenate(phones)
    table = np.zeros((unit.max() + 1, phone.max() + 1))
    np.add.at(table, (unit, phone), 1)
    joint = table / table.sum()
    outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    there = joint > 0
    shared = float((joint[there] * np.log(joint[there] / outer[there])).sum())
    of_phones = joint.sum(0)
    of_phones = of_phones[of_phones > 0]
    return shared / float(-(of_phones * np.log(of_phones)).sum()), float(joint.max(1).sum())
