"""Hearing: the listener and the words, turn by turn.

While somebody speaks, the listener runs on chunks and the search keeps the words so far. When the turn seems over, all
of it is heard once more with every frame in view of every other; that takes tens of milliseconds and is what counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from vivavoce.audio.polyphase import Rational, RationalConfig, RationalState
from vivavoce.core.streaming import State
from vivavoce.generate.search import HeardWord, Search, SearchConfig, SearchState
from vivavoce.models.listener import Heard as Posteriors
from vivavoce.models.listener import Listener, ListenerState
from vivavoce.models.words import Model, Tree, Words
from vivavoce.runtime.model import RATE, Heard, Word

_TICK = RATE // 50
"""Samples of the conversation's clock per distribution of the listener."""
_LONGEST_SECONDS = 60
_THOROUGH = SearchConfig(word_bonus=1.0, beam=16.0, tokens=2500)
"""Real voices fit less well than those of machines, so that what was said may be far behind for a while."""


@dataclass
class Row(State):
    """What one conversation's ears still hear of the past."""

    resample: RationalState
    listener: ListenerState


@dataclass
class Turn:
    """The turn so far: sound at the listener's rate that is not stepped yet, all of it, and the search."""

    search: SearchState
    waiting: list[Tensor] = field(default_factory=list)
    sound: list[Tensor] = field(default_factory=list)


@dataclass
class HearingState(State):
    """One entry per row. Turns have no fixed length and so live beside the tensors."""

    rows_: list[Row]
    turns: list[Turn | None]

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Begins a new turn on these rows (or all)."""
        for index, row in enumerate(self.rows_):
            if rows is None or bool(rows[index]):
                row.reset()
                self.turns[index] = None


class Ears:
    """Hearing for the runtime, from the parts ``listener`` and ``words``."""

    def __init__(
        self,
        listener: Listener,
        words: Words,
        search: SearchConfig | None = None,
        thorough: SearchConfig | None = None,
    ) -> None:
        """``search`` follows what is being said; ``thorough`` hears a turn as a whole. Both are shared by all rows."""
        self.listener = listener
        self.model = Model(words)
        tree = Tree(self.model.vocabulary, self.model.unigrams())
        self.search: Search = (search or SearchConfig()).build(self.model, tree)
        self.thorough: Search = (thorough or _THOROUGH).build(self.model, tree)
        self.resample: Rational = RationalConfig(rate=RATE).build()
        self._chunk = listener.timing.hop

    def init_state(self, rows: int) -> HearingState:
        """Ears that have heard nothing."""
        fresh = [Row(self.resample.init_state(1), self.listener.init_state(1)) for _ in range(rows)]
        return HearingState(fresh, [None] * rows)

    @torch.inference_mode()
    def step(self, pcm: Float[Tensor, "B N"], state: HearingState, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """Takes samples at 24 kHz of every active row; gives the words that each row's turn has so far."""
        given: list[Heard | None] = []
        for index, on in enumerate(active.tolist()):
            given.append(self._hear(pcm[index : index + 1], state, index) if on else None)
        return given

    def _hear(self, pcm: Float[Tensor, "1 N"], state: HearingState, index: int) -> Heard:
        row = state.rows_[index]
        turn = state.turns[index] or Turn(self.search.init_state())
        state.turns[index] = turn
        sound = self.resample.step(pcm, row.resample)
        turn.sound.append(sound)
        turn.waiting.append(sound)
        waiting = torch.cat(turn.waiting, dim=1)
        ready = waiting.shape[1] // self._chunk * self._chunk
        if ready:
            heard = self.listener.step(waiting[:, :ready], row.listener)
            self.search.advance(heard.ctc[0].numpy(), turn.search)
        turn.waiting = [waiting[:, ready:]]
        return self._told(*self.search.best(turn.search, final=False))

    def finish(self, state: HearingState, row: int) -> Heard:
        """The turn as it is, heard once more as a whole."""
        return self.later(state, row)()

    def later(self, state: HearingState, row: int) -> Callable[[], Heard]:
        """`finish` as of now, to be called on any thread."""
        turn = state.turns[row]
        if turn is None or not turn.sound:
            return Heard
        wave = torch.cat(turn.sound, dim=1)
        turn.sound = [wave]
        return partial(self.whole, wave)

    @torch.inference_mode()
    def whole(self, wave: Float[Tensor, "1 N"]) -> Heard:
        """Words of a whole turn, 16 kHz; long ones are heard in windows that the trunk can take."""
        longest = _LONGEST_SECONDS * self.listener.config.mel.sample_rate
        search = self.thorough.init_state()
        for piece in wave.split(longest, dim=1):
            self.thorough.advance(self.posteriors(piece).ctc[0].numpy(), search)
        return self._told(*self.thorough.best(search, final=True))

    def posteriors(self, wave: Float[Tensor, "1 N"]) -> Posteriors:
        """What the listener makes of a whole sound, with half a second of silence after it."""
        return self.listener.listen(F.pad(wave, (0, self.listener.config.mel.sample_rate // 4)), chunk=0)

    def _told(self, words: list[HeardWord], score: float) -> Heard:
        del score
        done = self.model.over([word.word for word in words]) if words else 0.0
        timed = tuple(Word(w.word, w.start * _TICK, w.end * _TICK, w.confidence) for w in words)
        return Heard(timed, float(np.clip(done, 0.0, 1.0)))
