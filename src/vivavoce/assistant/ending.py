"""Is the speaker done? From the words, how far they can be trusted, and whether the pitch has fallen.

When somebody falls silent after "I'd like a large", the word model knows that more must come; after a complete order
it knows that more may come. That is worth something where the words fit the sound and are such as customers say: of
other speech the listener makes words too. A voice that falls at the end tells of all speech. The weights are a
logistic regression on ends of recordings of people and of synthetic orders against places inside them
(`recipes.endings`).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from vivavoce.audio.pitch import track_pitch

TRUST, WORDS, FALL, BIAS = 1.737, 0.920, -1.654, -0.354
"""Weights of the trust, of the word model's log-odds (times trust), of the fall in octaves, and the constant."""
FAMILIAR, STEPS = -2.6, 0.4
"""Log-probability per word at which words are as likely those of a customer as not, and how sharply that turns."""
LIKELIEST = 0.7
"""More than this is not believed of a sentence's end: a rare word that was seen only there would be certain."""
DOUBTFUL, UNDECIDED = 0.5, 0.45
"""With less trust in the words than this, nobody is called done with more than this probability."""
MARKED, HANGING, OPEN_FALL, OPEN_BIAS = 1.6, -1.6, -1.654, -0.3
"""The same for words of open speech that are written with punctuation: of a mark that ends a sentence, of a last word
after which something must come, of the fall, and the constant."""
UNFINISHED = frozenset(
    (
        *("a an the my your his her its our their this these some any every no".split()),
        *("and or but because if when while although so that than as like".split()),
        *("of to for from with without in into on onto at by about between under over".split()),
        *("is are was were am be been will would can could should i'm i'd i'll we'd you're it's".split()),
        *("i we they he she who which what um uh er very really".split()),
    )
)
"""Words that hardly anybody ends with."""
LAST_WORDS = 4
HEARD_SECONDS, TAIL_SECONDS = 3.0, 0.4


def sureness(confidences: Sequence[float]) -> float:
    """How well the sound fits words: the geometric mean of their confidences, 0 where there are none."""
    if not confidences:
        return 0.0
    return math.exp(sum(math.log(max(each, 1e-3)) for each in confidences) / len(confidences))


def fall(wave: torch.Tensor, sample_rate: int) -> float:
    """By how many octaves the pitch of the last 0.4 s of voice lies above (or below: negative) that of the last 3 s."""
    hz = track_pitch(wave[-int(HEARD_SECONDS * sample_rate) :], sample_rate).hz.numpy()
    voiced = np.flatnonzero(hz > 0)
    if len(voiced) < 8:
        return 0.0
    tail = voiced[voiced > voiced[-1] - 100 * TAIL_SECONDS]
    octaves = np.log2(hz[tail]).tolist(), np.log2(hz[voiced]).tolist()
    return float(np.clip(np.median(octaves[0]) - np.median(octaves[1]), -1, 1))


def evidence(confidences: Sequence[float], text: float, over: float, fallen: float) -> tuple[float, float, float]:
    """What `done` weighs: trust in the words, the log-odds that the sentence ends with them, the fall of pitch.

    ``text`` is the word model's log-probability of the words, ``over`` its probability that a sentence ends after them.
    """
    familiar = 1 / (1 + math.exp(-(text / max(1, len(confidences)) - FAMILIAR) / STEPS))
    trust, over = sureness(confidences[-LAST_WORDS:]) * familiar, min(max(over, 1e-4), LIKELIEST)
    return trust, trust * math.log(over / (1 - over)), fallen


def done(confidences: Sequence[float], text: float, over: float, fallen: float = 0.0) -> float:
    """Probability that somebody who is silent now has said everything."""
    if not confidences:
        return 0.0
    trust, words, tail = evidence(confidences, text, over, fallen)
    found = 1 / (1 + math.exp(-(BIAS + TRUST * trust + WORDS * words + FALL * tail)))
    return found if trust >= DOUBTFUL else min(found, UNDECIDED)


def open_done(texts: Sequence[str], fallen: float = 0.0) -> float:
    """Probability that somebody who is silent now has said everything, by words of open speech with punctuation."""
    if not texts:
        return 0.0
    last = texts[-1]
    marked = last[-1] in ".?!。？！" and not last.endswith("...")
    hanging = last.strip(".,?!…-").lower() in UNFINISHED
    return 1 / (1 + math.exp(-(OPEN_BIAS + MARKED * marked + HANGING * hanging + OPEN_FALL * fallen)))
