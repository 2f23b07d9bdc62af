"""Where somebody speaks: what is not speech is not words.

The gate decides from the sound, by the listener's head for speech, and knows nothing of words: whoever makes words of a
sound, our own search or another recogniser, takes them only from the stretches in which somebody speaks.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vivavoce.models.listener import LONG_FRAMES, SPLIT, Listener, SpeechConfig

_MARGIN = 5
"""Frames before and after a stretch that belong to it: words are told a little before or after they sound."""
BLANK = 1e-6
"""What is left for phones where nobody speaks."""


def averaged(log_odds: Float[np.ndarray, " U"], frames: int) -> Float[np.ndarray, " U"]:
    """The mean over so many frames around each, fewer at the edges."""
    if not len(log_odds):
        return log_odds
    sums = np.concatenate((np.zeros(1), np.cumsum(log_odds, dtype=np.float64)))
    place = np.arange(len(log_odds))
    begin = np.maximum(place - frames // 2, 0)
    end = np.minimum(place + (frames + 1) // 2, len(log_odds))
    return (sums[end] - sums[begin]) / (end - begin)


@dataclass(frozen=True, slots=True)
class SpeechEvidence:
    """What the gate makes of a sound: how much each frame (25 a second) speaks for speech."""

    evidence: Float[np.ndarray, " U"]
    config: SpeechConfig

    @property
    def needed(self) -> Float[np.ndarray, " U"]:
        """What each frame must reach for its stretch to be speech: more in long stretches that are sure nowhere."""
        needed = np.full(len(self.evidence), self.config.begins)
        if self.config.sustained is not None:
            for begin, end in self._held():
                if end - begin >= LONG_FRAMES and self.evidence[begin:end].max() < self.config.sustained:
                    needed[begin:end] = self.config.sustained
        return needed

    def _held(self) -> list[tuple[int, int]]:
        held = np.concatenate(([False], self.evidence > self.config.holds, [False]))
        return [(int(begin), int(end)) for begin, end in np.flatnonzero(np.diff(held.astype(np.int8))).reshape(-1, 2)]

    def chance(self, begin: int = 0, end: int | None = None) -> float:
        """How likely it is that somebody speaks in these frames, 0 to 1."""
        beyond = (self.evidence - self.needed)[begin:end]
        if not len(beyond):
            return 0.0
        return float(1 / (1 + np.exp(-self.config.slope * beyond.max())))

    def around(self, begin: float, end: float) -> float:
        """How likely it is that somebody speaks between these places (in frames), or a little before or after."""
        return self.chance(max(0, int(begin) - _MARGIN), int(end) + 1 + _MARGIN)

    @property
    def spoken(self) -> Bool[np.ndarray, " U"]:
        """Which frames belong to a stretch in which somebody speaks, with a little before and after it."""
        sure = self.evidence >= self.needed
        found = np.zeros(len(sure), bool)
        for begin, end in self._held():
            if sure[begin:end].any():
                found[max(0, begin - _MARGIN) : end + _MARGIN] = True
        return found


class SpeechGate:
    """The listener's head for speech."""

    def __init__(self, listener: Listener, config: SpeechConfig | None) -> None:
        """``config`` says how the head is read; without one everything passes, as with a listener without the head."""
        self.listener, self.config = listener, config

    @torch.inference_mode()
    def listen(self, wave: Float[Tensor, "1 N"]) -> SpeechEvidence | None:
        """Where somebody speaks in a sound at 16 kHz; None where the listener cannot tell."""
        heard = self.listener.listen(wave, chunk=0).speech
        return None if heard is None else self.of(heard[0].numpy())

    def of(self, log_odds: Float[np.ndarray, " U"]) -> SpeechEvidence | None:
        """The same, from the head's log-odds of a whole sound."""
        return None if self.config is None else SpeechEvidence(averaged(log_odds, self.config.frames), self.config)


@dataclass
class Following:
    """The gate while sound arrives: the log-odds that are still averaged, whether the last chunk was open, and the
    highest evidence so far."""

    past: Float[np.ndarray, " P"] = field(default_factory=lambda: np.zeros(0, np.float32))
    open: bool = False
    highest: float = -np.inf

    def more(self, log_odds: Float[np.ndarray, " U"], config: SpeechConfig) -> bool:
        """Takes the next chunk; says whether words may be in it. Open is sooner than a whole recording's: what is shown
        early is corrected."""
        joined = np.concatenate((self.past, log_odds))
        fresh = averaged(joined, config.frames)[len(self.past) :]
        # the average of the last frames grows fuller with the next chunk, and counts again
        self.past = joined[-(config.frames - 1) :] if config.frames > 1 else joined[:0]
        self.highest = max(self.highest, float(fresh.max(initial=-np.inf)))
        now = bool((fresh > config.holds).any())
        passed, self.open = now or self.open, now
        return passed

    def chance(self, config: SpeechConfig) -> float:
        """How likely it is that anybody has spoken so far."""
        return float(1 / (1 + np.exp(-config.slope * (self.highest - config.begins))))


def silenced(ctc: Float[np.ndarray, "T V"], spoken: Bool[np.ndarray, " U"]) -> Float[np.ndarray, "T V"]:
    """The listener's distributions with blanks where nobody speaks."""
    quiet = ~np.repeat(spoken, SPLIT)[: len(ctc)]
    if not quiet.any():
        return ctc
    made = ctc.copy()
    made[quiet] = np.log(BLANK / (ctc.shape[1] - 1))
    made[quiet, 0] = np.log1p(-BLANK)
    return made
