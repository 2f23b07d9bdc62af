"""Is the speaker done? From the words, how sure they are, and whether the pitch has fallen.

When somebody falls silent after "I'd like a large", the word model knows that more must come; after a complete order
it knows that more may come. How much that is worth depends on how well the words fit the sound, and a voice that
falls at the end means a little too. The weights are a logistic regression on ends of recordings of people and of
synthetic orders against places inside them (`recipes.endings`; held-out voices: docs/log.md).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from vivavoce.audio.pitch import track_pitch

SURE, WORDS, FALL, BIAS = 2.197, 0.517, -1.627, -1.155
"""Weights of the sureness, of the word model's log-odds (times sureness), of the fall in octaves, and the constant."""
DOUBTFUL, UNDECIDED = 0.65, 0.45
"""Below this sureness nothing was understood, and nobody is called done with more than this probability."""
LAST_WORDS = 4
HEARD_SECONDS, TAIL_SECONDS = 3.0, 0.4


def sureness(confidences: Sequence[float]) -> float:
    """How well the sound fits the last words: the geometric mean of their confidence; 0 where there are none."""
    last = confidences[-LAST_WORDS:]
    return math.exp(sum(math.log(max(each, 1e-3)) for each in last) / len(last)) if last else 0.0


def fall(wave: torch.Tensor, sample_rate: int) -> float:
    """By how many octaves the pitch of the last 0.4 s of voice lies above (or below: negative) that of the last 3 s."""
    hz = track_pitch(wave[-int(HEARD_SECONDS * sample_rate) :], sample_rate).hz.numpy()
    voiced = np.flatnonzero(hz > 0)
    if len(voiced) < 8:
        return 0.0
    tail = voiced[voiced > voiced[-1] - 100 * TAIL_SECONDS]
    octaves = np.log2(hz[tail]).tolist(), np.log2(hz[voiced]).tolist()
    return float(np.clip(np.median(octaves[0]) - np.median(octaves[1]), -1, 1))


def evidence(confidences: Sequence[float], over: float, fallen: float) -> tuple[float, float, float]:
    """What the regression sees; ``over`` is the word model's probability that a sentence ends after these words."""
    sure, over = sureness(confidences), min(max(over, 1e-4), 1 - 1e-4)
    return sure, sure * math.log(over / (1 - over)), fallen


def done(confidences: Sequence[float], over: float, fallen: float = 0.0) -> float:
    """Probability that somebody who is silent now has said everything."""
    if not confidences:
        return 0.0
    sure, words, tail = evidence(confidences, over, fallen)
    found = 1 / (1 + math.exp(-(BIAS + SURE * sure + WORDS * words + FALL * tail)))
    return found if sure >= DOUBTFUL else min(found, UNDECIDED)
