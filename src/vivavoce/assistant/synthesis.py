"""Speaking with a voice that makes whole phrases: beside the clock, one breath after the other, given out in steps.

The first breath is short, so that it sounds early; while it is heard the next ones are made, never more than a few
seconds ahead.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from vivavoce.assistant.reading import Breath, Breathing
from vivavoce.core.errors import VivavoceError, VoiceError
from vivavoce.core.stop import StopSignal
from vivavoce.core.streaming import State
from vivavoce.core.talk import Word
from vivavoce.core.voice import STOCK, Voice
from vivavoce.runtime.model import RATE, Pcm, Spoken

_STEP = 2 * RATE // 25
"""Samples of one step: 80 ms."""
_AHEAD = 6 * RATE
"""Samples that are made before they are wanted."""


class BreathSound(NamedTuple):
    """Sound, and the words that are over in it, at samples from the beginning of its breath."""

    pcm: Pcm
    words: tuple[Word, ...] = ()


@runtime_checkable
class Synthesiser(Protocol):
    """Makes the sound of one breath at a time."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def lengths(self) -> tuple[int, ...]:
        """Characters that the first breath of a reply, the second, … and every further one have at most, or about."""
        ...

    @property
    def at_once(self) -> int:
        """How many breaths are made at a time."""
        ...

    @property
    def reads(self) -> bool:
        """Whether it says the words as they were read; else it reads the text itself, in whatever script."""
        ...

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of its voices."""
        ...

    def style(self, voice: Voice) -> str:
        """Which of its voices is meant; VoiceError says which there are."""
        ...

    def sound(self, text: str, breath: Breath, voice: Voice, stop: StopSignal) -> Iterator[BreathSound]:
        """The sound of a breath, which stands as ``text`` in the reply; called on a thread of its own.

        Raises VivavoceError where it fails.
        """
        ...


class _Job:
    """One breath in the making; what is made is taken on another thread."""

    def __init__(self, work: Callable[[StopSignal], Iterator[BreathSound]], wake: Callable[[], None] | None) -> None:
        self.stop = StopSignal()
        self._work, self._wake = work, wake
        self._made: deque[BreathSound] = deque()
        self._over = False
        self.error: Exception | None = None

    def run(self) -> None:
        """Makes it."""
        try:
            if not self.stop:
                for sound in self._work(self.stop):
                    if self.stop:
                        break
                    self._made.append(sound)
                    if self._wake:
                        self._wake()
        except Exception as error:  # raised again where the sound is taken
            self.error = error
        self._over = True
        if self._wake:
            self._wake()

    def take(self) -> tuple[list[BreathSound], bool]:
        """What was made since the last time, and whether that is all."""
        over = self._over  # before the sound is taken, as more may come in between
        return [self._made.popleft() for _ in range(len(self._made))], over


@dataclass
class SayingRow(Breathing):
    """What one row is saying."""

    voice: Voice = field(kw_only=True)
    text: str = ""
    breaths: int = 0
    job: _Job | None = None
    base: int = 0
    """Samples made before the breath that is being made."""
    pause: float = 0.0
    """Seconds of silence after that breath."""
    total: int = 0
    sound: deque[Pcm] = field(default_factory=deque)
    words: list[Word] = field(default_factory=list)
    """Found and not given out yet."""
    given: int = 0
    trouble: str = ""

    @property
    def ahead(self) -> int:
        """Samples that were made and not given out."""
        return self.total - self.given

    @property
    def finished(self) -> bool:
        """Whether no breath follows."""
        return bool(self.trouble) or (self.last and not self.phrases)

    def add(self, pcm: Pcm) -> None:
        """More sound."""
        if len(pcm):
            self.sound.append(pcm)
            self.total += len(pcm)

    def next(self) -> Pcm:
        """Takes the samples of a step, or what there is."""
        taken: list[Pcm] = []
        missing = _STEP
        while missing and self.sound:
            piece = self.sound.popleft()
            taken.append(piece[:missing])
            if len(piece) > missing:
                self.sound.appendleft(piece[missing:])
            missing -= len(taken[-1])
        pcm = np.concatenate(taken) if taken else np.zeros(0, np.float32)
        self.given += len(pcm)
        return pcm

    def due(self) -> tuple[Word, ...]:
        """Takes the words that have begun."""
        count = sum(word.start < self.given for word in self.words)
        due, self.words = self.words[:count], self.words[count:]
        return tuple(due)


@dataclass
class SayingState(State):
    """What each row is saying."""

    rows_: list[SayingRow | None]
    wake: Callable[[], None] | None = None
    """Called when more was made; where it is None a step makes what it gives out."""

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Falls silent on these rows (or all)."""
        for index, saying in enumerate(self.rows_):
            if rows is None or bool(rows[index]):
                if saying is not None and saying.job is not None:
                    saying.job.stop.set()
                self.rows_[index] = None


class PhraseMouth:
    """Speaking for the runtime, with a synthesiser of whole phrases."""

    def __init__(self, synthesiser: Synthesiser) -> None:
        """Begins a thread when there is something to say beside a clock."""
        self.synthesiser = synthesiser
        self._pool = ThreadPoolExecutor(synthesiser.at_once, thread_name_prefix="vivavoce-speak")

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the voices that there are."""
        return self.synthesiser.voices

    def check(self, voice: Voice) -> None:
        """Raises VoiceError for a voice that there is not."""
        self.synthesiser.style(voice)

    def init_state(self, rows: int) -> SayingState:
        """Silent rows."""
        return SayingState([None] * rows)

    def begin(self, state: SayingState, row: int, voice: Voice, seed: int) -> None:
        """A new reply on this row. Raises VoiceError for a voice that there is not."""
        del seed  # nothing is drawn
        self.stop(state, row)
        self.synthesiser.style(voice)
        state.rows_[row] = SayingRow(voice=voice)

    def feed(self, state: SayingState, row: int, text: str, last: bool) -> None:
        """More text."""
        saying = state.rows_[row]
        if saying is not None and not saying.last:
            saying.text += text
            saying.read(text, last)

    def stop(self, state: SayingState, row: int) -> None:
        """Drops the rest of the reply; what is being made for it is ended."""
        saying, state.rows_[row] = state.rows_[row], None
        if saying is not None and saying.job is not None:
            saying.job.stop.set()

    def step(self, state: SayingState, active: Bool[Tensor, " B"]) -> list[Spoken | None]:
        """80 ms of sound of every active row that has some."""
        return [self._give(state, row) if on else None for row, on in enumerate(active.tolist())]

    def _give(self, state: SayingState, row: int) -> Spoken | None:
        saying = state.rows_[row]
        if saying is None:
            return None
        while True:
            self._collect(saying)
            enough = _STEP if state.wake is None else _AHEAD
            if saying.job is None and not saying.trouble and saying.ahead < enough and self._go_on(saying, state):
                continue
            break
        if not saying.ahead and saying.job is not None:
            return None
        pcm = saying.next()
        over = not saying.ahead and saying.job is None and saying.finished
        if not len(pcm) and not over and not saying.unsaid:
            return None
        words = (*saying.due(), *(saying.words if over else ()))
        if over:
            state.rows_[row] = None
            if not saying.given and not saying.trouble and saying.written:
                raise saying.nothing()
        return Spoken(pcm, words, over, saying.refusals(), saying.trouble if over else "")

    def _go_on(self, saying: SayingRow, state: SayingState) -> bool:
        """Begins the next breath, where there is one; whether something may have been made by now."""
        lengths = self.synthesiser.lengths
        breath = saying.breath(lengths[min(saying.breaths, len(lengths) - 1)], hungry=not saying.ahead)
        if breath is None:
            return False
        text = saying.text[breath.begin : breath.end]
        if not self.synthesiser.reads:
            saying.unsaid.clear()  # it may be able to say what we cannot read
        if not (breath.words if self.synthesiser.reads else text.strip()):
            saying.add(_silence(breath.pause))
            return True
        saying.base, saying.pause = saying.total, breath.pause
        saying.breaths += 1
        speak, voice = self.synthesiser.sound, saying.voice
        saying.job = _Job(lambda stop: speak(text, breath, voice, stop), state.wake)
        if state.wake is None:
            saying.job.run()
            return True
        self._pool.submit(saying.job.run)
        return False

    def _collect(self, saying: SayingRow) -> None:
        """Takes what was made of the breath."""
        if saying.job is None:
            return
        made, over = saying.job.take()
        for sound in made:
            saying.add(sound.pcm)
            at = saying.base
            saying.words += [replace(word, start=word.start + at, end=word.end + at) for word in sound.words]
        if not over:
            return
        error, saying.job = saying.job.error, None
        if isinstance(error, VivavoceError):
            saying.trouble = str(error)
        elif error is not None:
            raise error
        else:
            saying.add(_silence(saying.pause))


def _silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.float32)


def named(voice: Voice) -> Voice:
    """What was asked for in words as the voice of this name, since these speakers have no others; what was asked of it
    since then is its description."""
    if voice.name != "described":
        return voice
    name, _, asked = voice.description.partition(" | ")
    return replace(voice, name=name, description=asked)


def manner(voice: Voice) -> str:
    """What is asked of a voice in words beyond who it is."""
    voice = named(voice)
    return voice.description.removeprefix(STOCK.get(voice.name, "")).strip(" |,")


def no_voice(name: str, asked: Voice, voices: tuple[str, ...]) -> VoiceError:
    """What to say where a voice is asked for that a synthesiser does not have."""
    have = f"its voices are {', '.join(voices)}" if voices else "it says nothing about its voices"
    if asked.clip:
        return VoiceError(f"{name} cannot imitate a recording; {have}. The speaker mini can (--speaker mini).")
    wanted = named(asked).name[:80]
    return VoiceError(
        f"{name} has no voice {wanted!r}; {have}. The speaker mini can be described in words (--speaker mini)."
    )
