"""Hearing for the runtime by recognisers of open speech, beside our own listener.

The words are the recogniser's. Whether anybody speaks, whether a short sound is meant for us and when a turn is over
the listener says, as it does for its own words: what it takes for no speech never reaches the recogniser, or gives no
words. These ears hear whole turns and recordings; `following` has those that also follow what is being said.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from vivavoce.assistant.agreement import Agreement
from vivavoce.assistant.ending import fall, open_done
from vivavoce.assistant.gate import SpeechEvidence
from vivavoce.assistant.hearing import Ears, HearingState
from vivavoce.core.errors import ConfigError
from vivavoce.core.places import bundled_or_path
from vivavoce.core.streaming import State
from vivavoce.core.talk import Heard, Word, within
from vivavoce.hub.audiopalm import AudioPaLMRecogniser, is_audiopalm
from vivavoce.hub.salmonn import SalmonnRecogniser, is_salmonn
from vivavoce.hub.speechgpt import SpeechGPTRecogniser, is_speechgpt
from vivavoce.hub.whisper import RATE as LOW
from vivavoce.hub.whisper import WINDOW_SECONDS, Recogniser, Spelled, Wanted, whisper_of
from vivavoce.runtime.beside import go_on
from vivavoce.runtime.model import RATE, EarsInfo, HearingOptions

MINI = "mini"
AUTO = "auto"
"""A language that is to be found out."""
UP = RATE / LOW
_FRAMES = 25
"""Of the gate, a second."""
_GAP, _AROUND = 3.0, 0.4
"""Seconds without speech that are listened to all the same between speech, and around it: words need surroundings."""
_SURE, _CONFIDENT = 0.8, 0.2
"""Where the gate is less sure than that, the recogniser must be surer of a word than this."""
_CERTAIN = 0.98
"""Where the gate is less sure than this that a sound is speech, the recogniser is asked too."""
_JUDGED_SECONDS = 10
"""The end of a turn that the listener judges by."""


@dataclass
class HeardTurn:
    """How a row's turn is heard, and what is certain of it so far."""

    options: HearingOptions = HearingOptions()
    agreed: Agreement = field(default_factory=Agreement)
    asked: Future[Heard] | None = None
    """The hearing that is going on; how far it goes (samples at 16 kHz) and when it was asked for."""
    asked_to: int = 0
    asked_at: float = 0.0
    whole: bool = False
    """Whether it is heard as a whole only: its beginning was said before."""


@dataclass
class WhisperState(State):
    """The listener's state, and the turns beside it."""

    mini: HearingState
    turns: list[HeardTurn]

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Begins a new turn on these rows (or all)."""
        self.mini.reset(rows)
        for index in range(len(self.turns)):
            if rows is None or bool(rows[index]):
                self.turns[index] = HeardTurn()


class WhisperEars:
    """Our ears and any number of recognisers, by name; the first is heard with where none is asked for.

    ``None`` stands for our own words.
    """

    def __init__(self, mini: Ears, recognisers: Mapping[str, Recogniser | None]) -> None:
        """Reads nothing yet."""
        self.mini, self.recognisers = mini, dict(recognisers)
        self._first = next(iter(self.recognisers))

    @property
    def info(self) -> tuple[EarsInfo, ...]:
        """What can be chosen."""
        return tuple(
            EarsInfo(name=name)
            if whisper is None
            else EarsInfo(name=name, languages=whisper.languages, translates=whisper.multilingual)
            for name, whisper in self.recognisers.items()
        )

    @property
    def first(self) -> Recogniser | None:
        """The recogniser that is heard with where none is asked for."""
        return self.recognisers[self._first]

    def warm(self) -> None:
        """Reads the weights and hears something, so that the first turn need not wait."""
        for whisper in self.recognisers.values():
            if whisper is not None:
                whisper.transcribe(np.zeros(LOW, np.float32), Wanted(language="en", window=_window(1.0), beam=1))

    # ---- the ability ----

    def init_state(self, rows: int) -> WhisperState:
        """Ears that have heard nothing."""
        return WhisperState(self.mini.init_state(rows), [HeardTurn() for _ in range(rows)])

    def begin(self, state: WhisperState, row: int, options: HearingOptions) -> None:
        """How the row's turn is to be heard. ConfigError when the ears or the language are not there."""
        self.check(options)
        state.turns[row] = HeardTurn(options)

    def step(self, pcm: Float[Tensor, "B N"], state: WhisperState, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """What the listener hears."""
        return self.mini.step(pcm, state.mini, active)

    def precede(self, state: WhisperState, row: int, pcm: Float32[np.ndarray, " N"]) -> None:
        """The row's turn began with these samples; it is heard as a whole then."""
        self.mini.precede(state.mini, row, pcm)
        state.turns[row] = HeardTurn(state.turns[row].options, whole=True)

    def finish(self, state: WhisperState, row: int) -> Heard:
        """The turn as it is, heard as a whole."""
        return self.later(state, row)()

    def later(self, state: WhisperState, row: int) -> Callable[[], Heard]:
        """`finish` as of now."""
        wave, turn = self.mini.sound(state.mini, row), state.turns[row]
        return Heard if wave is None else partial(self.whole, wave, turn.options)

    def sooner(self, state: WhisperState, row: int) -> Callable[[], Heard] | None:
        """What the listener makes of the turn, or of its end."""
        wave = self.mini.sound(state.mini, row)
        if wave is None or self.recogniser(state.turns[row].options) is None:
            return None
        return partial(self.mini.whole, wave[:, -_JUDGED_SECONDS * LOW :])

    # ---- hearing ----

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
        whisper = self.recogniser(options)
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
            certain=listened.voice is None or listened.voice.chance() >= _CERTAIN,
        )
        found = whisper.transcribe(wave[0], wanted, go_on)
        words = within(believed(_words(found.words, listened.voice)), listened.samples)
        done = open_done([word.text for word in words], fall(sound[0], LOW) if words else 0.0)
        return replace(heard, words=words, done=done, language=found.language)

    def check(self, options: HearingOptions) -> None:
        """ConfigError says which ears and languages there are, when others are wanted."""
        whisper = self.recogniser(options)
        name, known = options.ears or self._first, ("en",) if whisper is None else whisper.languages
        if options.language not in ("", AUTO, *known):
            raise ConfigError(f"{name} does not know the language {options.language!r}, but {', '.join(known)}")
        if options.translate and len(known) == 1:
            raise ConfigError(f"{name} knows one language and does not translate; load ears of several languages")

    def recogniser(self, options: HearingOptions) -> Recogniser | None:
        """Who finds the words; None for our own. ConfigError for ears that are not there."""
        name = options.ears or self._first
        if name not in self.recognisers:
            raise ConfigError(f"there are no ears {name!r}; loaded are {', '.join(self.recognisers)}")
        return self.recognisers[name]


def recognisers_of(choices: str | Sequence[str]) -> dict[str, Recogniser | None]:
    """The recognisers of the choices by name, None for our own words; nothing where these are all that is wanted.

    Raises PartError where one was not fetched, is damaged, or is something else.
    """
    chosen = [choice or MINI for choice in ([choices] if isinstance(choices, str) else choices)]
    found = [_recogniser_of(choice) for choice in chosen]
    named = {MINI if whisper is None else whisper.name: whisper for whisper in found}
    return {} if set(named) <= {MINI} else named


def _recogniser_of(choice: str) -> Recogniser | None:
    if choice == MINI:
        return None
    if is_audiopalm(choice):
        return AudioPaLMRecogniser(Path(choice))
    if is_speechgpt(choice):
        return SpeechGPTRecogniser(Path(choice))
    return SalmonnRecogniser(bundled_or_path(choice)) if is_salmonn(choice) else whisper_of(choice)


def _window(seconds: float) -> float:
    """Seconds that the recogniser is given for so much sound: what it hears has to end well before the window does."""
    return min(WINDOW_SECONDS, max(8.0, seconds + 2.0))


def _stretches(voice: SpeechEvidence, seconds: float) -> list[tuple[float, float]]:
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


def believed(words: Sequence[Word]) -> tuple[Word, ...]:
    """The words without those that neither the gate nor the recogniser is sure of: of sounds that resemble speech a
    recogniser makes words, but these are not likely ones."""
    return tuple(word for word in words if word.speech >= _SURE or word.confidence >= _CONFIDENT)


def _words(found: Sequence[Spelled], voice: SpeechEvidence | None) -> tuple[Word, ...]:
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
        if each.glued and words:
            last = words[-1]
            sure = min(last.confidence, word.confidence)
            words[-1] = replace(last, text=last.text + word.text, end=word.end, confidence=sure)
        else:
            words.append(word)
    return tuple(words)
