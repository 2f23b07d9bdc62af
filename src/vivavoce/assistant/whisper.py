"""Hearing for the runtime by recognisers of open speech, beside our own listener.

The words are the recogniser's. Whether anybody speaks, whether a short sound is meant for us and when a turn is over
the listener says, as it does for its own words: what it takes for no speech never reaches the recogniser, or gives no
words. While somebody speaks the turn is heard again and again on a lane of its own, one row at a time, and what two
hearings agree on is shown; at its end it is heard once more.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from vivavoce.assistant.agreement import Agreement
from vivavoce.assistant.ending import fall, open_done
from vivavoce.assistant.gate import Voice
from vivavoce.assistant.hearing import Ears, HearingState
from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import State
from vivavoce.core.talk import Heard, Word, within
from vivavoce.hub.whisper import RATE as LOW
from vivavoce.hub.whisper import WINDOW_SECONDS, Spelled, Wanted, Whisper, whisper_of
from vivavoce.runtime.beside import Lane
from vivavoce.runtime.model import RATE, EarsInfo, HearingOptions

MINI = "mini"
AUTO = "auto"
"""A language that is to be found out."""
_UP = RATE / LOW
_FRAMES = 25
"""Of the gate, a second."""
_EVERY = LOW
"""Samples (16 kHz) that are new before a turn is heard again while somebody speaks."""
_GAP, _AROUND = 3.0, 0.4
"""Seconds without speech that are listened to all the same between speech, and around it: words need surroundings."""
_JUDGED_SECONDS = 10
"""The end of a turn that the listener judges by."""
_SPOKEN = 0.5
_UNSPACED = frozenset(("zh", "ja", "th", "lo", "my", "yue"))


@dataclass
class _Turn:
    """How a row's turn is heard, and what is certain of it so far."""

    options: HearingOptions = HearingOptions()
    agreed: Agreement = field(default_factory=Agreement)
    asked: Future[Heard] | None = None
    """The hearing that is going on, and how far it goes (samples at 16 kHz)."""
    asked_to: int = 0
    whole: bool = False
    """Whether it is heard as a whole only: its beginning was said before."""


@dataclass
class WhisperState(State):
    """The listener's state, and the turns beside it."""

    mini: HearingState
    turns: list[_Turn]

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Begins a new turn on these rows (or all)."""
        self.mini.reset(rows)
        for index in range(len(self.turns)):
            if rows is None or bool(rows[index]):
                self.turns[index] = _Turn()


class WhisperEars:
    """Our ears and any number of recognisers, by name; the first is heard with where none is asked for.

    ``None`` stands for our own words.
    """

    def __init__(self, mini: Ears, recognisers: Mapping[str, Whisper | None]) -> None:
        """Hears whole turns and recordings; `beside` gives ears that also follow what is being said."""
        self.mini, self._recognisers = mini, dict(recognisers)
        self._first = next(iter(self._recognisers))
        self._lane: Lane | None = None

    @property
    def info(self) -> tuple[EarsInfo, ...]:
        """What can be chosen."""
        return tuple(
            EarsInfo(name=name)
            if whisper is None
            else EarsInfo(name=name, languages=whisper.languages, translates=whisper.multilingual)
            for name, whisper in self._recognisers.items()
        )

    @property
    def first(self) -> Whisper | None:
        """The recogniser that is heard with where none is asked for."""
        return self._recognisers[self._first]

    def beside(self, forked: bool | None) -> "WhisperEars":
        """The same ears with a `Lane`; PartError when a recogniser cannot be read there."""
        other = copy(self)
        other._lane = Lane(other, forked)
        try:
            other._lane.submit(other.warm).result()
        except BaseException:
            other._lane.stop()
            raise
        return other

    def warm(self) -> None:
        """Reads the weights and hears something, so that the first turn need not wait."""
        for whisper in self._recognisers.values():
            if whisper is not None:
                whisper.transcribe(np.zeros(LOW, np.float32), Wanted(language="en", window=1.0, beam=1))

    def stop(self) -> None:
        """Ends the lane."""
        if self._lane is not None:
            self._lane.stop()

    # ---- the ability ----

    def init_state(self, rows: int) -> WhisperState:
        """Ears that have heard nothing."""
        return WhisperState(self.mini.init_state(rows), [_Turn() for _ in range(rows)])

    def begin(self, state: WhisperState, row: int, options: HearingOptions) -> None:
        """How the row's turn is to be heard. ConfigError when the ears or the language are not there."""
        self.check(options)
        state.turns[row] = _Turn(options)

    def step(self, pcm: Float[Tensor, "B N"], state: WhisperState, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """The words that are certain, and those that may follow them; before there are any, what the listener hears."""
        heard = self.mini.step(pcm, state.mini, active)
        for row, each in enumerate(heard):
            turn = state.turns[row]
            if each is not None and self._recogniser(turn.options) is not None:
                self._collect(turn)
                agreed = turn.agreed
                words = agreed.words + agreed.last
                heard[row] = replace(each, words=words or each.words, certain=len(agreed.words))
        if self._lane is not None and self._lane.idle:
            self._follow(state, heard)
        return heard

    def precede(self, state: WhisperState, row: int, pcm: Float32[np.ndarray, " N"]) -> None:
        """The row's turn began with these samples; it is heard as a whole then."""
        self.mini.precede(state.mini, row, pcm)
        state.turns[row] = _Turn(state.turns[row].options, whole=True)

    def finish(self, state: WhisperState, row: int) -> Heard:
        """The turn as it is, heard as a whole."""
        return self.later(state, row)()

    def later(self, state: WhisperState, row: int) -> Callable[[], Heard]:
        """`finish` as of now; the work is done on the lane."""
        wave, turn = self.mini.sound(state.mini, row), state.turns[row]
        if wave is None:
            return Heard
        work: Callable[[], Heard]
        if self._recogniser(turn.options) is None:
            work = partial(self.mini.whole, wave)
        else:
            self._collect(turn)
            agreed = replace(turn.agreed, heard_to=round(wave.shape[1] * _UP))
            window = wave[:, round(agreed.start / _UP) :].numpy()
            work = partial(self.ended, window, turn.options, agreed, live=self._lane is not None and not turn.whole)
        lane = self._lane
        return work if lane is None else lambda: lane.submit(work).result()

    def sooner(self, state: WhisperState, row: int) -> Callable[[], Heard] | None:
        """What the listener makes of the turn, or of its end."""
        wave = self.mini.sound(state.mini, row)
        if wave is None or self._recogniser(state.turns[row].options) is None:
            return None
        return partial(self.mini.whole, wave[:, -_JUDGED_SECONDS * LOW :])

    # ---- following ----

    def _follow(self, state: WhisperState, heard: Sequence[Heard | None]) -> None:
        """Hears the row again that has the most that is new."""
        waiting: list[tuple[int, int]] = []
        for row, each in enumerate(heard):
            turn, past = state.turns[row], state.mini.turns[row]
            if each is None or past is None or turn.whole or each.speech < _SPOKEN:
                continue
            if self._recogniser(turn.options) is None:
                continue
            fresh = sum(piece.shape[1] for piece in past.sound) - turn.asked_to
            if fresh >= _EVERY:
                waiting.append((fresh, row))
        if not waiting or self._lane is None:
            return
        row = max(waiting)[1]
        wave, turn = self.mini.sound(state.mini, row), state.turns[row]
        assert wave is not None
        turn.asked_to = wave.shape[1]
        window = wave[:, round(turn.agreed.start / _UP) :].numpy()
        work = partial(self.recognise, window, turn.options, before=turn.agreed.before(), live=True, beam=1)
        turn.asked = self._lane.submit(work)

    def _collect(self, turn: _Turn) -> None:
        """Takes what the hearing that was going on has found."""
        asked = turn.asked
        if asked is None or not asked.done():
            return
        turn.asked = None
        if not asked.cancelled() and not asked.exception():  # the end of the turn will say what is wrong
            heard, start = asked.result(), turn.agreed.start
            turn.agreed.more(_moved(heard.words, start), round(turn.asked_to * _UP))
            turn.options = replace(turn.options, language=heard.language or turn.options.language)

    # ---- hearing ----

    def ended(
        self, window: Float32[np.ndarray, "1 N"], options: HearingOptions, agreed: Agreement, live: bool
    ) -> Heard:
        """A turn that seems over, from what is certain of it and the window behind that (16 kHz)."""
        heard = self.recognise(window, options, before=agreed.before(), live=live)
        words = agreed.words + agreed.rest(_moved(heard.words, agreed.start))
        if not agreed.words:
            return replace(heard, words=words)
        done = heard.done if heard.words else open_done([word.text for word in words])
        return replace(heard, words=words, done=done, backchannel=0.0, speech=max(heard.speech, words[-1].speech))

    def whole(self, wave: Float[Tensor, "1 N"], options: HearingOptions | None = None) -> Heard:
        """The words of a recording, 16 kHz, with all the care there is."""
        return self.recognise(wave.numpy(), options or HearingOptions())

    def recognise(
        self,
        wave: Float32[np.ndarray, "1 N"],
        options: HearingOptions,
        *,
        before: str = "",
        live: bool = False,
        beam: int = 5,
    ) -> Heard:
        """The words of a sound (16 kHz) of any length, with times from its beginning; ``before`` is what was said
        until then. ``live``: sooner rather than with all the care there is."""
        whisper = self._recogniser(options)
        sound = torch.from_numpy(wave)
        if whisper is None:
            return self.mini.whole(sound)
        listened = self.mini.listened(sound)
        heard = Heard((), 0.0, self.mini.aside(listened), listened.speech)
        seconds = wave.shape[1] / LOW
        stretches = [(0.0, seconds)] if listened.voice is None else _stretches(listened.voice, seconds)
        if not stretches:
            return heard
        wanted = Wanted(
            language="" if options.language == AUTO else options.language or "en",
            translate=options.translate,
            before=f"{options.prompt} {before}".strip(),
            keywords=options.keywords,
            clips=() if _all(stretches, seconds) else stretches,
            window=_window(seconds) if live else WINDOW_SECONDS,
            beam=beam,
            careful=not live,
        )
        found = whisper.transcribe(wave[0], wanted)
        words = within(_words(found.words, listened.voice, found.language in _UNSPACED), listened.samples)
        done = open_done([word.text for word in words], fall(sound[0], LOW) if words else 0.0)
        return replace(heard, words=words, done=done, language=found.language)

    def check(self, options: HearingOptions) -> None:
        """ConfigError says which ears and languages there are, when others are wanted."""
        whisper = self._recogniser(options)
        name, known = options.ears or self._first, ("en",) if whisper is None else whisper.languages
        if options.language not in ("", AUTO, *known):
            raise ConfigError(f"{name} does not know the language {options.language!r}, but {', '.join(known)}")
        if options.translate and len(known) == 1:
            raise ConfigError(f"{name} knows one language and does not translate; load ears of several languages")

    def _recogniser(self, options: HearingOptions) -> Whisper | None:
        name = options.ears or self._first
        if name not in self._recognisers:
            raise ConfigError(f"there are no ears {name!r}; loaded are {', '.join(self._recognisers)}")
        return self._recognisers[name]


def recognisers_of(choices: str | Sequence[str]) -> dict[str, Whisper | None]:
    """The recognisers of the choices by name, None for our own words; nothing where these are all that is wanted.

    Raises PartError where one was not fetched, is damaged, or is something else.
    """
    chosen = [choice or MINI for choice in ([choices] if isinstance(choices, str) else choices)]
    found = [None if choice == MINI else whisper_of(choice) for choice in chosen]
    named = {MINI if whisper is None else whisper.name: whisper for whisper in found}
    return {} if set(named) <= {MINI} else named


def _window(seconds: float) -> float:
    """Seconds that the recogniser is given for so much sound: what it hears has to end well before the window does."""
    return min(WINDOW_SECONDS, max(12.0, seconds + 4.0))


def _moved(words: Sequence[Word], by: int) -> tuple[Word, ...]:
    return tuple(replace(word, start=word.start + by, end=word.end + by) for word in words)


def _stretches(voice: Voice, seconds: float) -> list[tuple[float, float]]:
    """Where somebody speaks, in seconds, with what is around it and short gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], voice.spoken, [False])).astype(np.int8))).reshape(-1, 2)
    found: list[tuple[float, float]] = []
    for begin, end in edges.tolist():
        start, stop = max(0.0, begin / _FRAMES - _AROUND), min(seconds, end / _FRAMES + _AROUND)
        if found and start - found[-1][1] < _GAP:
            found[-1] = found[-1][0], stop
        elif start < stop:
            found.append((start, stop))
    return found


def _all(stretches: Sequence[tuple[float, float]], seconds: float) -> bool:
    """Whether what is left out is too little to matter."""
    return len(stretches) == 1 and stretches[0][0] < _GAP and stretches[0][1] > seconds - _GAP


def _words(found: Sequence[Spelled], voice: Voice | None, unspaced: bool) -> tuple[Word, ...]:
    """Words on the clock of the conversation, those where somebody speaks."""
    words: list[Word] = []
    for each in found:
        speech = 1.0
        if voice is not None:
            begin, end = int(each.start * _FRAMES), int(each.end * _FRAMES) + 1
            if not voice.spoken[begin:end].any():
                continue
            speech = voice.around(each.start * _FRAMES, each.end * _FRAMES)
        word = Word(each.text, round(each.start * RATE), round(each.end * RATE), round(each.confidence, 3), speech)
        if unspaced and each.glued and words:
            last = words[-1]
            sure = min(last.confidence, word.confidence)
            words[-1] = replace(last, text=last.text + word.text, end=word.end, confidence=sure)
        else:
            words.append(word)
    return tuple(words)
