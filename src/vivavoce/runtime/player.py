"""What is still to be played of our answers, one after the other, where the playback is ours."""

from collections import deque
from collections.abc import Callable

import numpy as np

from vivavoce.runtime.model import Pcm

REPORT_EVERY = 10
"""Pieces that are played between two reports."""


class Player:
    """A queue of answers that gives sound piece by piece, and knows which sample of which answer comes next."""

    def __init__(self, began: Callable[[int], None], played: Callable[[int, int, bool], None]) -> None:
        """``began`` is told the turn whose first sample is played, ``played`` the turn, how many samples of it were
        played, and whether that was all: now and then, and at its end."""
        self._began, self._report = began, played
        self._queues: dict[int, deque[Pcm]] = {}
        self._played: dict[int, int] = {}
        self._whole: set[int] = set()
        self._pieces = 0
        self.paused = False
        self.turn: int | None = None
        """The answer that is being played."""

    def put(self, turn: int, pcm: Pcm) -> None:
        """More to play."""
        self._queues.setdefault(turn, deque()).append(pcm)

    def end(self, turn: int) -> None:
        """Nothing more comes of this turn."""
        self._whole.add(turn)

    def drop(self, turn: int | None = None) -> int | None:
        """Forgets what is still to be played, of all or of one turn; says which was being played."""
        was = self.turn
        self._queues = {t: queue for t, queue in self._queues.items() if turn is not None and t != turn}
        self.paused, self.turn = False, None if turn in (None, was) else was
        return was

    def next(self, samples: int) -> Pcm:
        """The next samples; silence while it is paused or has nothing."""
        self._pieces += 1
        sound = np.zeros(samples, np.float32)
        if self.paused:
            return sound
        filled = 0
        while filled < samples:
            if self.turn is None and not self._begin():
                break
            assert self.turn is not None
            queue = self._queues[self.turn]
            if not queue and self.turn not in self._whole:
                break
            if not queue:
                self._finish()
                continue
            pcm = queue.popleft()
            count = min(samples - filled, len(pcm))
            sound[filled : filled + count] = pcm[:count]
            filled += count
            self._played[self.turn] += count
            if count < len(pcm):
                queue.appendleft(pcm[count:])
        if self.turn is not None:
            if self._pieces % REPORT_EVERY == 0:
                self._report(self.turn, self._played[self.turn], False)
            if not self._queues[self.turn] and self.turn in self._whole:
                self._finish()
        return sound

    def _begin(self) -> bool:
        """The next answer that has sound; says whether there is one."""
        turn = next((turn for turn, queue in self._queues.items() if queue), None)
        if turn is not None:
            self.turn, self._played[turn] = turn, 0
            self._began(turn)
        return turn is not None

    def _finish(self) -> None:
        if self.turn is not None:
            self._report(self.turn, self._played.pop(self.turn), True)
            self._queues.pop(self.turn, None)
            self._whole.discard(self.turn)
            self.turn = None
