"""The microphone of one conversation: samples on an absolute clock, and the words of the turn that is being heard."""

from collections import deque

import numpy as np

from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.core.talk import Heard, Word
from vivavoce.runtime.model import FRAME, Pcm

BACKCHANNELS = frozenset(
    (
        *("mhm", "mm", "mmm", "hm", "hmm", "uh", "um", "er", "ah", "oh", "huh", "uhhuh", "uh-huh", "mm-hmm", "aha"),
        *("yeah", "yep", "yes", "ok", "okay", "right", "sure", "i", "see", "well", "cool"),
    )
)
AGREED = 4
"""A word is shown once so many hypotheses in a row had it, with another word after it."""
CHUNK = 4 * FRAME


URGENT = frozenset("stop wait no hey quiet enough cancel hold hush excuse sorry".split())
"""Words that are enough by themselves to interrupt."""
CLEAR = 0.5
"""Confidence of a word that counts; a hum is heard as a word or two now and then."""


def content_words(words: tuple[Word, ...]) -> int:
    """How many of the words are more than backchannels; an urgent one counts for two."""
    count = 0
    for word in words:
        text = word.text.lower().strip(".,!?")
        if word.confidence >= CLEAR and text not in BACKCHANNELS and len(text) > 1:
            count += 2 if text in URGENT else 1
    return count


def only_backchannels(words: tuple[Word, ...]) -> bool:
    """Whether all that was heard are backchannels."""
    return bool(words) and all(word.text.lower().strip(".,!?") in BACKCHANNELS for word in words)


class Microphone:
    """Input samples since the last turn, and how far the model has heard them.

    ``now`` counts all samples ever taken; ``start`` is where the kept ones begin. Whole frames are taken from what was
    pushed; the rest waits.
    """

    def __init__(self) -> None:
        """Silence so far."""
        self.now = 0
        self.start = 0
        self._kept: deque[np.ndarray] = deque()
        self._pushed: deque[np.ndarray] = deque()
        self._pushed_samples = 0
        self.heard_to: int | None = None

    @property
    def waiting(self) -> int:
        """Samples that were pushed and not taken."""
        return self._pushed_samples

    @property
    def length(self) -> int:
        """Samples that a commit would turn into an entry."""
        return self.now - self.start + self._pushed_samples

    def push(self, pcm: Pcm) -> None:
        """More sound from the client."""
        self._pushed.append(pcm)
        self._pushed_samples += len(pcm)

    def take(self, samples: int) -> Pcm:
        """The next samples; the clock goes on."""
        pieces, wanted = [], samples
        while wanted:
            piece = self._pushed.popleft()
            if len(piece) > wanted:
                self._pushed.appendleft(piece[wanted:])
                piece = piece[:wanted]
            pieces.append(piece)
            wanted -= len(piece)
        self._pushed_samples -= samples
        frame = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        self._kept.append(to_int16(frame))
        self.now += samples
        return frame

    def keep_from(self, at: int) -> None:
        """Drops whole pieces that end before this sample."""
        while self._kept and self.start + len(self._kept[0]) <= at:
            self.start += len(self._kept.popleft())

    def attend(self, at: int) -> None:
        """The model hears from this sample on (microphone's clock, 24 kHz)."""
        self.keep_from(at)
        self.heard_to = self.start

    def begin_with(self, sound: np.ndarray) -> None:
        """Puts sound, Int16[N], before what is kept: the turn began with it."""
        self._kept.appendleft(sound)
        self.start -= len(sound)

    @property
    def next_length(self) -> int:
        """How much the model has to hear next: whole frames, at most CHUNK samples."""
        return 0 if self.heard_to is None else min(CHUNK, (self.now - self.heard_to) // FRAME * FRAME)

    def unheard(self) -> Pcm | None:
        """What the model has to hear next."""
        length = self.next_length
        if self.heard_to is None or not length:
            return None
        pcm = self._between(self.heard_to, self.heard_to + length)
        self.heard_to += length
        return to_float(pcm)

    def rest(self) -> Pcm | None:
        """The last samples that fill no frame, as a frame that ends in silence."""
        if self.heard_to is None or self.heard_to >= self.now:
            return None
        pcm = np.zeros(FRAME, np.float32)
        tail = to_float(self._between(self.heard_to, self.now))
        pcm[: len(tail)] = tail
        self.heard_to = self.now
        return pcm

    def sound(self) -> np.ndarray:
        """All kept samples, 16 bit."""
        return np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)

    def forget(self) -> None:
        """A new turn begins: nothing was heard yet."""
        self._kept.clear()
        self.start, self.heard_to = self.now, None

    def drop_pushed(self) -> None:
        """Forgets also what was not taken yet."""
        self._pushed.clear()
        self._pushed_samples = 0
        self.forget()

    def _between(self, begin: int, end: int) -> np.ndarray:
        at, pieces = self.start, []
        for piece in self._kept:
            if at + len(piece) > begin and at < end:
                pieces.append(piece[max(0, begin - at) : end - at])
            at += len(piece)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


class StableWords:
    """Which words of a growing hypothesis can be shown already, because they do not change any more."""

    def __init__(self) -> None:
        """Nothing shown."""
        self._last: deque[tuple[str, ...]] = deque(maxlen=AGREED)
        self.shown = ""
        self.count = 0
        """How many words are shown."""

    def more(self, heard: Heard) -> str:
        """The text that became certain with this hypothesis."""
        self._last.append(tuple(word.text for word in heard.words))
        certain = self._agreed(heard) if heard.certain is None else heard.certain
        if certain <= self.count:
            return ""
        fresh = " ".join(self._last[-1][self.count : certain])
        delta = f" {fresh}" if self.shown else fresh
        self.count = certain
        self.shown += delta
        return delta

    def _agreed(self, heard: Heard) -> int:
        """How many words the last hypotheses have in common, with another word after them."""
        if len(self._last) < AGREED:
            return 0
        same = 0
        for texts in zip(*self._last, strict=False):
            if len(set(texts)) > 1:
                break
            same += 1
        return min(same, len(heard.words) - 1)

    def rest(self, text: str) -> str:
        """What is missing of the final text; nothing if the final text disagrees with what was shown."""
        return text[len(self.shown) :] if text.startswith(self.shown) else ""
