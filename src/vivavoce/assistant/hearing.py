"""Hearing: the listener and the words, turn by turn.

While somebody speaks, the listener runs on chunks and the search keeps the words so far. When the turn seems over, all
of it is heard once more with every frame in view of every other; that takes tens of milliseconds and is what counts.
Either way the search sees only what the gate takes for speech.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor
from torch.nn import functional as F

from vivavoce.assistant.ending import done, fall
from vivavoce.assistant.gate import Following, SpeechEvidence, SpeechGate, silenced
from vivavoce.audio.loudness import between_levels
from vivavoce.audio.polyphase import Rational, RationalConfig, RationalState
from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import State
from vivavoce.core.talk import Heard, Word, within
from vivavoce.generate.search import HeardWord, Search, SearchConfig, SearchState
from vivavoce.models.listener import Listener, ListenerOutputs, ListenerState, pool
from vivavoce.models.words import Tree, WordModel, Words
from vivavoce.runtime.model import RATE, EarsInfo, HearingOptions

_TICK = RATE // 50
"""Samples of the conversation's clock per distribution of the listener."""
_FRAME = RATE // 25
"""Samples of that clock per frame of the gate."""
_TOGETHER = 2
"""Rows whose chunks one step takes; the others wait for the next step, so that none takes too long."""
_LONGEST_SECONDS = 60
USUAL_DB = (-33.0, -13.0)
"""Levels of speech that the listener was taught; a whole sound outside is heard at the nearest of them."""
_SHORT_SECONDS = 1.6
"""Beyond this a turn is meant for us, whatever it sounds like."""
_FOLLOWING = SearchConfig(beam=10.0, tokens=700)
"""While somebody speaks; on orders a wider beam finds the same words, and of other speech there would be much to look
at within a step."""
_THOROUGH = SearchConfig(word_bonus=1.0, beam=16.0, tokens=2500)
"""Real voices fit less well than those of machines, so that what was said may be far behind for a while."""
_FAMILIAR = SearchConfig(model_scale=1.0, word_bonus=1.0, beam=14.0, tokens=2000)
_FAMILIAR_NATS = -2.2
"""Log-probability per word from which on a sentence is one that the word model knows; see `recipes.endings`."""
_SLOTTED = SearchConfig(model_scale=2.0, word_bonus=2.0, beam=18.0, tokens=2000, doubt=0.003)
"""The same where the word model knows slots: it is then so much surer that the sound, which is not as independent from
frame to frame as the search takes it to be, can count less."""
_SLOTTED_NATS = -3.0
"""There one word misheard within a filling costs as much as several elsewhere."""
_STRANGE_NATS, _FEW_WORDS = -3.0, 4
"""Where words are less likely than this, the search has made them of sounds that it has no words for."""


@dataclass
class SearchedTurn:
    """The turn so far: sound at the listener's rate that is not stepped yet, all of it, the search, and its words."""

    search: SearchState
    waiting: list[Tensor] = field(default_factory=list)
    sound: list[Tensor] = field(default_factory=list)
    heard: Heard = Heard()
    voice: Following = field(default_factory=Following)


@dataclass
class HearingState(State):
    """Turns have no fixed length and so live beside the tensors, one per row."""

    resample: RationalState
    listener: ListenerState
    turns: list[SearchedTurn | None]

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Begins a new turn on these rows (or all)."""
        self.resample.reset(rows)
        self.listener.reset(rows)
        for index in range(len(self.turns)):
            if rows is None or bool(rows[index]):
                self.turns[index] = None


@dataclass(frozen=True, slots=True)
class Listened:
    """A whole sound as the listener hears it, and its length in samples of the conversation's clock."""

    ctc: Float[np.ndarray, "T V"]
    features: Float[Tensor, "1 U D"]
    voice: SpeechEvidence | None
    samples: int

    @property
    def speech(self) -> float:
        """How likely it is that anybody speaks."""
        return 1.0 if self.voice is None else self.voice.chance()


class Ears:
    """Hearing for the runtime, from the parts ``listener`` and ``words``."""

    def __init__(
        self,
        listener: Listener,
        words: Words,
        search: SearchConfig | None = None,
        thorough: SearchConfig | None = None,
        *,
        gated: bool = True,
    ) -> None:
        """``search`` follows what is being said; ``thorough`` hears a turn as a whole. Both are shared by all rows.
        Without ``gated`` every sound is searched for words, whether or not anybody speaks.

        A turn whose words prove familiar is heard again with more trust in the word model.
        """
        self.listener = listener
        self.model = WordModel(words)
        tree = Tree(self.model)
        self.search: Search = (search or _FOLLOWING).build(self.model, tree)
        self.thorough: Search = (thorough or _THOROUGH).build(self.model, tree)
        slotted = self.model.slots is not None
        self.familiar: Search = (_SLOTTED if slotted else _FAMILIAR).build(self.model, tree)
        self._familiar_nats = _SLOTTED_NATS if slotted else _FAMILIAR_NATS
        self.resample: Rational = RationalConfig(rate=RATE).build()
        self.gate = SpeechGate(listener, listener.config.speech if gated else None)
        self._chunk = listener.timing.hop

    def init_state(self, rows: int) -> HearingState:
        """Ears that have heard nothing."""
        return HearingState(self.resample.init_state(rows), self.listener.init_state(rows), [None] * rows)

    @property
    def info(self) -> tuple[EarsInfo, ...]:
        """What can be chosen: these alone."""
        return (EarsInfo(name="mini"),)

    def check(self, options: HearingOptions) -> None:
        """ConfigError when other ears or another language are wanted."""
        if options.ears not in ("", "mini"):
            raise ConfigError(f"there are no ears {options.ears!r}; loaded is mini")
        if options.language not in ("", "auto", "en") or options.translate:
            raise ConfigError("mini knows English alone; load ears that know more, such as --ears whisper-base")

    def begin(self, state: HearingState, row: int, options: HearingOptions) -> None:
        """Takes all options: there is one language and one way to hear it."""

    @torch.inference_mode()
    def step(self, pcm: Float[Tensor, "B N"], state: HearingState, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """Takes samples at 24 kHz of every active row; gives the words that each row's turn has so far."""
        rows = active.nonzero()[:, 0]
        if not len(rows):
            return [None] * len(active)
        past = state.resample.rows(rows)
        sound = self.resample.step(pcm[rows], past)
        state.resample.put(rows, past)
        ready: list[tuple[int, int]] = []
        for index, piece in zip(rows.tolist(), sound.split(1), strict=True):
            turn = state.turns[index] = state.turns[index] or SearchedTurn(self.search.init_state())
            turn.sound.append(piece)
            turn.waiting.append(piece)
            length = sum(waiting.shape[1] for waiting in turn.waiting) // self._chunk * self._chunk
            if length:
                ready.append((length, index))
        for length, together in groupby(sorted(ready, reverse=True)[:_TOGETHER], itemgetter(0)):
            self._listen(state, [row for _, row in together], length)
        return [turn.heard if on and turn else None for on, turn in zip(active.tolist(), state.turns, strict=True)]

    def _listen(self, state: HearingState, rows: list[int], length: int) -> None:
        """Takes so many of the waiting samples of these rows, whole chunks, in one batch."""
        turns = [turn for row in rows if (turn := state.turns[row])]
        waiting = [torch.cat(turn.waiting, dim=1) for turn in turns]
        chosen = torch.tensor(rows)
        past = state.listener.rows(chosen)
        heard = self.listener.step(torch.cat([wave[:, :length] for wave in waiting]), past)
        state.listener.put(chosen, past)
        for place, (turn, wave, scores) in enumerate(zip(turns, waiting, heard.ctc.numpy(), strict=True)):
            turn.waiting = [wave[:, length:]]
            chance = 1.0
            if heard.speech is not None and self.gate.config is not None:
                voice = heard.speech[place].numpy()
                if not turn.voice.more(voice, self.gate.config):
                    scores = silenced(scores, np.zeros(len(voice), bool))
                chance = turn.voice.chance(self.gate.config)
            self.search.advance(scores, turn.search)
            words = _timed(self.search.best(turn.search, final=False)[0])
            turn.heard = Heard(words, self._done(words), speech=chance)

    @torch.inference_mode()
    def precede(self, state: HearingState, row: int, pcm: Float32[np.ndarray, " N"]) -> None:
        """The row's turn began with these samples at 24 kHz; they count when it is heard as a whole."""
        turn = state.turns[row] = state.turns[row] or SearchedTurn(self.search.init_state())
        turn.sound.insert(0, self.resample.step(torch.from_numpy(pcm)[None], self.resample.init_state(1)))

    def finish(self, state: HearingState, row: int) -> Heard:
        """The turn as it is, heard once more as a whole."""
        return self.later(state, row)()

    def later(self, state: HearingState, row: int) -> Callable[[], Heard]:
        """`finish` as of now, to be called on any thread."""
        wave = self.sound(state, row)
        return Heard if wave is None else partial(self.whole, wave)

    def sound(self, state: HearingState, row: int) -> Float[Tensor, "1 N"] | None:
        """The row's turn so far, at 16 kHz; None before it began."""
        turn = state.turns[row]
        if turn is None or not turn.sound:
            return None
        wave = torch.cat(turn.sound, dim=1)
        turn.sound = [wave]
        return wave

    def sooner(self, state: HearingState, row: int) -> None:
        """None: nothing of a turn is known sooner than its words."""

    def whole(self, wave: Float[Tensor, "1 N"], options: HearingOptions | None = None) -> Heard:
        """Words of a whole turn, 16 kHz, whether it is over, whether anybody speaks, and if it is short, whether it is
        meant for us. It knows one way to hear, whatever the options."""
        sound, rate = self.listened(wave), self.listener.config.mel.sample_rate
        words = self._searched(sound)
        fallen = fall(wave[0], rate) if words else 0.0
        return Heard(self.weighed(words), self._done(words, fallen), self.aside(sound), sound.speech)

    def found(self, wave: Float[Tensor, "1 N"]) -> tuple[Word, ...]:
        """Words of a whole turn, 16 kHz, with how well each fits the sound.

        Long turns are heard in windows that the trunk can take.
        """
        return self._searched(self.listened(wave))

    @torch.inference_mode()
    def listened(self, wave: Float[Tensor, "1 N"]) -> Listened:
        """What the listener makes of a whole sound at 16 kHz, before any words are looked for."""
        rate = self.listener.config.mel.sample_rate
        samples = wave.shape[1] * RATE // rate
        wave = between_levels(wave[0], rate, *USUAL_DB)[None]
        *first, last = wave.split(_LONGEST_SECONDS * rate, dim=1)
        heard = [*(self.listener.listen(piece, chunk=0) for piece in first), self.posteriors(last)]
        speech = None if heard[0].speech is None else torch.cat([p.speech for p in heard if p.speech is not None], 1)
        ctc, features = torch.cat([p.ctc for p in heard], 1), torch.cat([p.features for p in heard], 1)
        voice = None if speech is None else self.gate.of(speech[0].numpy())
        return Listened(ctc[0].numpy(), features, voice, samples)

    def _searched(self, sound: Listened) -> tuple[Word, ...]:
        frames, voice = sound.ctc, sound.voice
        if voice is not None:
            spoken = voice.spoken
            if not spoken.any():
                return ()
            frames = silenced(frames, spoken)
        words = _words(self.thorough, frames)
        if words and self.likely(words) > self._familiar_nats:
            words = _words(self.familiar, frames)
        if voice is not None:
            words = tuple(replace(word, speech=voice.around(word.start / _FRAME, word.end / _FRAME)) for word in words)
        return within(words, sound.samples)

    @torch.inference_mode()
    def aside(self, sound: Listened) -> float | None:
        """How likely a sound is no more than a sign of listening or a cough, which are short; None where the listener
        has no head for that."""
        if sound.samples > _SHORT_SECONDS * RATE:
            return 0.0
        head = self.listener.aside
        return None if head is None else float(head(pool(sound.features)).sigmoid())

    def weighed(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """The words of a turn, less sure where they are no likely sentence: the best fit to any speech fits well."""
        if len(words) < _FEW_WORDS:
            return tuple(words)
        believed = math.exp(min(0.0, self.likely(words) - _STRANGE_NATS))
        return tuple(replace(word, confidence=round(word.confidence * believed, 3)) for word in words)

    def likely(self, words: Sequence[Word]) -> float:
        """The word model's log-probability of a sentence, per word and its end."""
        return self.model.sentence([word.text for word in words]) / (len(words) + 1)

    def posteriors(self, wave: Float[Tensor, "1 N"]) -> ListenerOutputs:
        """What the listener makes of a whole sound, with a quarter of a second of silence after it."""
        return self.listener.listen(F.pad(wave, (0, self.listener.config.mel.sample_rate // 4)), chunk=0)

    def _done(self, words: Sequence[Word], fallen: float = 0.0) -> float:
        return done([word.confidence for word in words], *self.expected(words), fallen) if words else 0.0

    def expected(self, words: Sequence[Word]) -> tuple[float, float]:
        """The word model's log-probability of the words, and its probability that a sentence ends after them."""
        texts = [word.text for word in words]
        over = self.model.over(texts)
        return self.model.sentence(texts) - math.log(max(over, 1e-9)), over


def _words(search: Search, frames: Float[np.ndarray, "T V"]) -> tuple[Word, ...]:
    state = search.init_state()
    search.advance(frames, state)
    return _timed(search.best(state, final=True)[0])


def _timed(words: Sequence[HeardWord]) -> tuple[Word, ...]:
    """Words of a search on the clock of the conversation."""
    return tuple(Word(w.word, w.start * _TICK, w.end * _TICK, w.confidence) for w in words)
