"""What a model must be able to do to hold live conversations, batched over rows: four abilities by turns, or one.

`Activity` tells speech from everything else, `Hearing` gives words while they are said, `Thinking` decides what to
say, `Speaking` makes it sound. `Duplex` is all of that in one step (`runtime.duplex`). The engine owns their states and
calls all but `Thinking`, and the functions that `Hearing.later` gives, from one thread, all rows at once. All times are
samples at 24 kHz.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from vivavoce.core.streaming import State, Timing
from vivavoce.core.talk import Entry, Frame, Heard, Thought, Tool, Word
from vivavoce.core.voice import Voice

RATE = 24_000
FRAME = 960
"""Samples of one step of the engine's clock: 40 ms."""

Pcm = Float32[np.ndarray, " _"]
"""Sound between -1 and 1 at 24 kHz, one channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingOptions:
    """How the ears are to hear somebody; ears without a choice ignore it.

    ``ears`` chooses among those that are there, by name, the first if empty; ``language`` is a code, empty to find out;
    ``translate``: the words are wanted in English; ``prompt`` shows the style and spelling of what may be said,
    ``keywords`` are words that are likely.
    """

    ears: str = ""
    language: str = ""
    translate: bool = False
    prompt: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EarsInfo:
    """Ears that can be chosen: their name, the codes of their languages, and whether they translate into English."""

    name: str
    languages: tuple[str, ...] = ("en",)
    translates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """All that a reply may depend on."""

    entries: tuple[Entry, ...]
    instructions: str = ""
    request: str = ""
    """What was asked for this reply alone, beyond the session's instructions; ``instructions`` has it too."""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    voice: Voice = field(default_factory=Voice)
    seed: int = 0
    conversation: str = ""
    """Which one it is, for minds that remember what they have read of it."""
    mind: str = ""
    """Who is to think, where there are several; the first if empty."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """New sound, the words that begin in it (times from the beginning of the reply), and whether that was all.

    ``unsaid``: a sentence for each piece of text that could not be said, with the reason. ``trouble`` says why there
    is no more sound although there was more to say: the text stands, and whoever runs the conversation is told.
    """

    pcm: Pcm
    words: tuple[Word, ...] = ()
    done: bool = False
    unsaid: tuple[str, ...] = ()
    trouble: str = ""


StateT = TypeVar("StateT", bound=State)


@runtime_checkable
class Activity(Protocol[StateT]):
    """Tells speech from everything else, row by row."""

    def init_state(self, rows: int) -> StateT:
        """A fresh state; all zeros."""
        ...

    def step(self, pcm: Float[Tensor, "B N"], state: StateT, active: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Probability that somebody speaks in this frame (N = FRAME); rows that are not active keep their state."""
        ...


@runtime_checkable
class Hearing(Protocol[StateT]):
    """Words while they are being said."""

    def init_state(self, rows: int) -> StateT:
        """A fresh state; ``state.reset(rows)`` begins a new turn on those rows."""
        ...

    def begin(self, state: StateT, row: int, options: HearingOptions) -> None:
        """The row's turn is to be heard like this; called before anything of it is."""
        ...

    def step(self, pcm: Float[Tensor, "B N"], state: StateT, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """Takes N samples (a multiple of FRAME) of every active row; gives what each row's turn sounds like now."""
        ...

    def precede(self, state: StateT, row: int, pcm: Pcm) -> None:
        """These samples came before all that was stepped: they are the beginning of the row's turn, for `finish` and
        `later`."""
        ...

    def finish(self, state: StateT, row: int) -> Heard:
        """What the turn sounds like if nothing more comes; changes nothing."""
        ...

    def later(self, state: StateT, row: int) -> Callable[[], Heard]:
        """`finish` as of now, to be called on any thread while the steps go on."""
        ...

    def sooner(self, state: StateT, row: int) -> Callable[[], Heard] | None:
        """As `later`, but quick: everything except the words is right. None where `later` is as quick."""
        ...


@runtime_checkable
class HearingBeside(Hearing[StateT], Protocol[StateT]):
    """Slow ears: recognising a whole turn takes longer than the silence that ends it, so it runs beside the clock, and
    a turn ends only once its words are there."""

    @property
    def alone(self) -> Hearing[Any]:
        """The same ears where nobody speaks live: they find words in the process and thread that ask them to."""
        ...

    def begun(self, state: StateT, row: int) -> Future[Heard]:
        """`finish` as of now, which may be cancelled until it is there."""
        ...


@runtime_checkable
class Thinking(Protocol):
    """Decides what to say; called from worker threads or processes, several at once.

    All that a reply depends on is in its `Context`; what is kept between calls only saves work.

    It may have a ``name``, by which clients choose it, and ``tools``, which it was taught and are declared by default.
    """

    def respond(self, context: Context) -> Iterator[Thought]:
        """The reply, piece by piece; closing the iterator cancels it. An empty `Say` is a chance to do so."""
        ...


@runtime_checkable
class ReadingAhead(Protocol):
    """A `Thinking` that can read ahead."""

    def read(self, context: Context) -> Iterator[None]:
        """Reads what every reply to a next turn of this conversation begins with, step by step, so that such a reply
        need not; closing the iterator ends it."""
        ...


@runtime_checkable
class Speaking(Protocol[StateT]):
    """Text to sound, while it is being written."""

    def init_state(self, rows: int) -> StateT:
        """A fresh state for so many rows."""
        ...

    def begin(self, state: StateT, row: int, voice: Voice, seed: int) -> None:
        """A new reply on this row, in this voice; whatever was on the row is dropped."""
        ...

    def feed(self, state: StateT, row: int, text: str, last: bool) -> None:
        """More text to say; ``last``: nothing follows (the text may be empty)."""
        ...

    def step(self, state: StateT, active: Bool[Tensor, " B"]) -> list[Spoken | None]:
        """A little more sound (40 to 200 ms is best) of every active row; None while a row waits for text."""
        ...

    def stop(self, state: StateT, row: int) -> None:
        """Drops the rest of the reply."""
        ...


@runtime_checkable
class Waking(Protocol):
    """A state of something that works beside the clock: ``wake`` is called, from any thread, when there is more of it.

    Where nobody has set it nothing works beside, and a step waits for what it needs.
    """

    wake: Callable[[], None] | None


@runtime_checkable
class FixedVoices(Protocol):
    """A `Speaking` that has a few voices and can be given no others."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Their names."""
        ...

    def check(self, voice: Voice) -> None:
        """Raises VoiceError, which says what there is, for a voice that it does not have."""
        ...


@runtime_checkable
class Duplex(Protocol[StateT]):
    """Hears and speaks at the same time, and decides itself when."""

    @property
    def timing(self) -> Timing:
        """``hop`` is the samples of a step at ``rate``."""
        ...

    def init_state(self, rows: int) -> StateT:
        """A fresh state for so many rows."""
        ...

    def begin(self, state: StateT, row: int, seed: int) -> None:
        """A new conversation on this row."""
        ...

    def step(self, heard: Float[Tensor, "B N"], state: StateT, active: Bool[Tensor, " B"] | None = None) -> list[Frame]:
        """What is heard in whole frames in, what is said meanwhile out; rows that are not active keep their state."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Who hears, thinks or speaks: its name, licence and makers; ``own``: it is one of our parts."""

    role: Literal["ears", "mind", "speaker"]
    name: str
    licence: str = ""
    credit: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """The abilities of one model, as the engine drives them."""

    activity: Activity[Any]
    hearing: Hearing[Any]
    thinking: Thinking
    speaking: Speaking[Any]
    name: str = "model"
    used: tuple[Used, ...] = ()
    """Whose models these are, to be shown."""
    minds: tuple[str, ...] = ("mini",)
    """What `Context.mind` can choose among; the first thinks where nothing is chosen."""
    thinks_elsewhere: frozenset[str] = frozenset()
    """Minds that wait for another machine and compute nothing here, so they need no process of their own."""
    ears: tuple[EarsInfo, ...] = (EarsInfo(name="mini"),)
    """What `HearingOptions` can choose among; the first is heard with where nothing is chosen."""
