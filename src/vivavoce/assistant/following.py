"""Recognisers of open speech while somebody speaks, on a lane of their own: one piece of work after the other.

A turn is heard again and again as it grows, and what two hearings agree on is shown; when it seems over it is heard
once more. The end of a turn waits for nobody: what only shows words early is dropped for it, and so is the hearing of
an end that was none. What shows words early begins only while somebody speaks, and takes a third of the lane at most.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from vivavoce.assistant.agreement import Agreement
from vivavoce.assistant.ending import open_done
from vivavoce.assistant.hearing import Ears
from vivavoce.assistant.whisper import UP, HeardTurn, WhisperEars, WhisperState
from vivavoce.core.talk import Heard, Word
from vivavoce.hub.whisper import RATE as LOW
from vivavoce.hub.whisper import Recogniser
from vivavoce.runtime.beside import Lane
from vivavoce.runtime.model import HearingOptions

_EVERY = LOW
"""Samples (16 kHz) that are new before a turn is heard again while somebody speaks."""
_REST = 3.0
"""Of what a hearing took, so much must have come in since the one before, for each turn that is followed."""
_SPOKEN = 0.5


class FollowingEars(WhisperEars):
    """The same ears with a `Lane`."""

    def __init__(self, mini: Ears, recognisers: Mapping[str, Recogniser | None], forked: bool | None) -> None:
        """``forked`` as in `Lane`; PartError when a recogniser cannot be read there."""
        super().__init__(mini, recognisers)
        self.alone = WhisperEars(mini, recognisers)
        self._took = 0.0
        """Seconds of the last hearing that showed words early."""
        self._live = forked is not None
        self._lane = Lane(self.alone, forked)
        try:
            self._lane.submit(self.alone.warm).result()
        except BaseException:
            self._lane.stop()
            raise

    def stop(self) -> None:
        """Ends the lane."""
        self._lane.stop()

    # ---- the ability ----

    def step(self, pcm: Float[Tensor, "B N"], state: WhisperState, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """The words that are certain, and those that may follow them; before there are any, what the listener hears."""
        heard = self.mini.step(pcm, state.mini, active)
        for row, each in enumerate(heard):
            turn = state.turns[row]
            if each is not None and self.recogniser(turn.options) is not None:
                self._collect(turn)
                agreed = turn.agreed
                words = agreed.words + agreed.last
                heard[row] = replace(each, words=words or each.words, certain=len(agreed.words))
        if self._lane.idle:
            self._follow(state, heard)
        return heard

    def later(self, state: WhisperState, row: int) -> Callable[[], Heard]:
        """`finish` as of now; the work is done on the lane."""
        return partial(_result, self._lane, self._work(state, row))

    def begun(self, state: WhisperState, row: int) -> Future[Heard]:
        """The same, begun now."""
        return self._lane.submit(self._work(state, row))

    def _work(self, state: WhisperState, row: int) -> Callable[[], Heard]:
        wave, turn = self.mini.sound(state.mini, row), state.turns[row]
        if wave is None:
            return Heard
        if self.recogniser(turn.options) is None:
            return partial(self.mini.whole, wave)
        self._collect(turn)
        if turn.whole:
            return partial(self.alone.whole, wave, turn.options)
        agreed = replace(turn.agreed, heard_to=round(wave.shape[1] * UP))
        return partial(_ended, self.alone, wave[:, round(agreed.start / UP) :].numpy(), turn.options, agreed)

    # ---- following ----

    def _follow(self, state: WhisperState, heard: Sequence[Heard | None]) -> None:
        """Hears the row again that has the most that is new, if somebody speaks there."""
        fresh: dict[int, int] = {}
        for row, each in enumerate(heard):
            turn, past = state.turns[row], state.mini.turns[row]
            if each is None or past is None or turn.whole or each.speech < _SPOKEN:
                continue
            if self.recogniser(turn.options) is not None and past.voice.open:
                fresh[row] = sum(piece.shape[1] for piece in past.sound) - turn.asked_to
        enough = max(_EVERY, round(_REST * self._took * len(fresh) * LOW))
        row = max(fresh, key=fresh.__getitem__, default=-1)
        if row < 0 or fresh[row] < enough:
            return
        wave, turn = self.mini.sound(state.mini, row), state.turns[row]
        assert wave is not None
        turn.asked_to, turn.asked_at = wave.shape[1], time.monotonic()
        window = wave[:, round(turn.agreed.start / UP) :].numpy()
        work = partial(self.alone.recognise, window, turn.options, before=turn.agreed.before(), live=True, beam=1)
        turn.asked = self._lane.submit(work, spare=True)

    def _collect(self, turn: HeardTurn) -> None:
        """Takes what the hearing that was going on has found."""
        asked = turn.asked
        if asked is None or not asked.done():
            return
        turn.asked = None
        if not asked.cancelled() and not asked.exception():  # the end of the turn will say what is wrong
            self._took = time.monotonic() - turn.asked_at if self._live else 0.0
            heard, start = asked.result(), turn.agreed.start
            turn.agreed.more(_moved(heard.words, start), round(turn.asked_to * UP))
            turn.options = replace(turn.options, language=heard.language or turn.options.language)


def _result(lane: Lane, work: Callable[[], Heard]) -> Heard:
    return lane.submit(work).result()


def _ended(ears: WhisperEars, window: Float32[np.ndarray, "1 N"], options: HearingOptions, agreed: Agreement) -> Heard:
    """A turn that seems over, from what is certain of it and the window behind that (16 kHz)."""
    heard = ears.recognise(window, options, before=agreed.before(), live=True)
    words = agreed.words + agreed.rest(_moved(heard.words, agreed.start))
    if not agreed.words:
        return replace(heard, words=words)
    done = heard.done if heard.words else open_done([word.text for word in words])
    return replace(heard, words=words, done=done, backchannel=0.0, speech=max(heard.speech, words[-1].speech))


def _moved(words: Sequence[Word], by: int) -> tuple[Word, ...]:
    return tuple(replace(word, start=word.start + by, end=word.end + by) for word in words)
