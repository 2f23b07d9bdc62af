"""Is a short sound meant for us? "Mhm", "okay" or a cough is not; "stop" and the beginning of a sentence are.

So few sounds are too few for a search among thousands of words, but a choice between two short lists is easy: how well
do the listener's distributions fit the likeliest sign of listening (connectionist temporal classification: Graves et
al. 2006, section 4.1), the likeliest word that interrupts, and anything at all? A hum is also known by its sound, as
closed lips let hardly anything through above 1.2 kHz. The weights are a logistic regression on signs, hums and coughs
against interrupting words and the first half second of people's sentences (`recipes.asides`).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vivavoce.runtime.listening import hums, meant
from vivavoce.runtime.model import Word
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations

SIGNS = "okay|yeah|yep|yes|right|sure|uh-huh|m m|hm|hmm|i see|oh|cool|well|ah|uh|um|aha".split("|")
INTERRUPTIONS = (
    "stop|wait|no|no no|hold on|hang on|excuse me|hey|one moment|just a moment|actually|actually no|cancel|cancel that"
    "|sorry|enough|that's enough|quiet|listen|please|but"
).split("|")
WEIGHTS = (0.181, 0.155, -0.027, 0.449, -0.119, 1.578)
"""Of the evidence, in its order, and the constant."""
LONGEST_SECONDS = 1.6
"""Beyond this it is meant for us, whatever it sounds like."""
_FRAME = 320
_CLOSED_HZ = 1200.0


def _forms(texts: Sequence[str]) -> list[list[int]]:
    """All ways to say these, as ids of phones."""
    found: list[list[int]] = []
    for text in texts:
        ways: list[list[int]] = [[]]
        for word in text.split():
            ways = [way + ids(form) for way in ways for form in pronunciations(word)]
        found += ways
    return found


class Choice:
    """The two lists, ready to be compared with the listener's distributions."""

    def __init__(self) -> None:
        """Looks the words up."""
        signs, others = _forms(SIGNS), _forms(INTERRUPTIONS)
        self._signs = len(signs)
        self._lengths = torch.tensor([len(form) for form in signs + others])
        self._phones = torch.tensor([phone for form in signs + others for phone in form])

    def fits(self, log_probs: Float[Tensor, "T V"]) -> tuple[float, float]:
        """Log-probability of the likeliest sign of listening, less that of the likeliest interruption, and less that
        of the likeliest way through."""
        many, length = len(self._lengths), len(log_probs)
        scores = -F.ctc_loss(
            log_probs[:, None].expand(-1, many, -1),
            self._phones,
            torch.full((many,), length),
            self._lengths,
            reduction="none",
        )
        sign, other = float(scores[: self._signs].max()), float(scores[self._signs :].max())
        return sign - other, sign - float(log_probs.max(dim=-1).values.sum())


def closed(wave: Float[Tensor, " N"], sample_rate: int) -> float:
    """By how many dB the sound above 1.2 kHz is louder than that below, where it is most so (of ten frames that are
    not silent, nine are below this)."""
    frames = wave[: len(wave) // _FRAME * _FRAME].reshape(-1, _FRAME).numpy() * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2
    split = round(_CLOSED_HZ * _FRAME / sample_rate)
    low, high = power[:, 1:split].sum(axis=1), power[:, split : 5 * split].sum(axis=1)
    loud = low + high > 0.01 * (low + high).max(initial=1e-9)
    if not loud.any():
        return -30.0
    return float(np.clip(10 * np.log10(np.quantile((high / (low + 1e-9))[loud], 0.9) + 1e-9), -30, 10))


def evidence(
    choice: Choice,
    log_probs: Float[Tensor, "T V"],
    wave: Float[Tensor, " N"],
    sample_rate: int,
    words: tuple[Word, ...],
) -> tuple[float, ...]:
    """What the regression sees: the two fits, how closed the lips are, and what the search made of it."""
    against, fit = choice.fits(log_probs)
    return (
        max(-15.0, min(15.0, against)),
        max(-30.0, fit),
        closed(wave, sample_rate),
        float(hums(words)),
        float(min(2, meant(words))),
    )


def aside(seen: Sequence[float]) -> float:
    """Probability that it is not meant for us."""
    *slopes, bias = WEIGHTS
    return 1 / (1 + math.exp(-bias - sum(w * x for w, x in zip(slopes, seen, strict=True))))
