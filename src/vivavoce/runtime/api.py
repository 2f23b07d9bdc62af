"""What goes in and out of a live conversation.

`Session` and `Engine` know no transport: a conversation is a stream of inputs and a stream of outputs. The server
translates them to a wire, the Python interface hands them to the user. The seam below, what a model must be able to
do, is `model.py`. All times are samples at 24 kHz.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from vivavoce.core.talk import Call, Entry, Word
from vivavoce.runtime.model import Pcm
from vivavoce.runtime.settings import ReplyOptions as ReplyOptions
from vivavoce.runtime.settings import SessionConfig as SessionConfig
from vivavoce.runtime.settings import TurnConfig as TurnConfig
from vivavoce.runtime.settings import Window as Window

Why = Literal["completed", "turn_detected", "client_cancelled", "max_output_tokens", "failed"]


# ---- inputs ----


@dataclass(frozen=True, slots=True)
class AudioIn:
    """The next samples of the microphone."""

    pcm: Pcm


@dataclass(frozen=True, slots=True)
class TextIn:
    """Something the user wrote."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a called tool gave back."""

    call: str
    output: str


@dataclass(frozen=True, slots=True)
class Played:
    """The client has played so many samples of a turn. Overtakes sound that was not heard yet."""

    turn: int
    samples: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Be quiet: ends the given turn; without one, that of the conversation and every answer that was asked for before.

    Overtakes sound that was not heard yet.
    """

    turn: int | None = None
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Hush:
    """Play nothing more; only where the server itself plays the sound. Overtakes sound that was not heard yet."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What was heard so far is a whole turn of the user."""

    tag: Any = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget what was heard since the last turn."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer now."""

    options: ReplyOptions = ReplyOptions()


@dataclass(frozen=True, slots=True)
class Add:
    """A further entry of the conversation, at the end or after a given one (``root``: at the beginning)."""

    entry: Entry
    after: str | None = None
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget an entry."""

    entry: str
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Truncate:
    """The user heard only so much of a spoken reply."""

    entry: str
    samples: int
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Show an entry as it is remembered."""

    entry: str
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Configure:
    """New settings from here on."""

    config: SessionConfig


Input = (
    AudioIn | TextIn | ToolResult | Played | Stop | Hush | Commit | Clear | Respond
    | Add | Delete | Truncate | Retrieve | Configure
)  # fmt: skip


# ---- outputs ----


@dataclass(frozen=True, slots=True)
class UserSpeech:
    """The user began or ceased to speak; ``entry`` is what the turn will be called."""

    on: bool
    at: int
    entry: str


@dataclass(frozen=True, slots=True)
class UserText:
    """Words of the user that will not change any more; ``final`` carries the whole text, all words, and how likely it
    is that anybody spoke."""

    entry: str
    delta: str
    final: bool = False
    text: str = ""
    words: tuple[Word, ...] = ()
    samples: int = 0
    speech: float = 1.0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """The input became a turn of the user; its entry follows."""

    entry: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """The input was forgotten."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody has spoken for long."""

    start: int
    end: int
    entry: str


@dataclass(frozen=True, slots=True)
class EntryAdded:
    """An entry came into being; ``turn`` is the reply that makes it, if one does, ``place`` its position there."""

    entry: Entry
    previous: str | None
    turn: int | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class EntryDone:
    """An entry is whole; ``gone``: it was deleted while it was made, and is no part of the conversation any more."""

    entry: Entry
    previous: str | None
    turn: int | None = None
    place: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class EntryShown:
    """Answer to Retrieve."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class EntryDeleted:
    """Answer to Delete."""

    entry: str


@dataclass(frozen=True, slots=True)
class EntryTruncated:
    """A spoken reply was shortened to what the user heard of it."""

    entry: str
    samples: int


@dataclass(frozen=True, slots=True)
class Configured:
    """Answer to Configure: what comes after this follows these settings."""

    config: SessionConfig


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A reply begins; later outputs refer to it by ``turn``."""

    turn: int
    options: ReplyOptions
    config: SessionConfig


@dataclass(frozen=True, slots=True)
class TextOut:
    """More text of the reply."""

    turn: int
    entry: str
    delta: str


@dataclass(frozen=True, slots=True)
class AudioOut:
    """More sound of the reply; ``at`` is its first sample, counted from the beginning of the turn."""

    turn: int
    entry: str
    pcm: Pcm
    at: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The reply calls a function; ``call`` is what a ToolResult refers to."""

    turn: int
    entry: str
    call: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Sizes of one reply; audio counts one token per 40 ms, text one per four bytes."""

    input_text: int = 0
    input_audio: int = 0
    output_text: int = 0
    output_audio: int = 0


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The answer is over; ``heard`` is how many samples of it were played, as far as is known."""

    turn: int
    why: Why
    heard: int
    usage: Usage
    error: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """Hold the playback of the turn: perhaps somebody interrupts. Resumed, Silenced or the end of the turn follows."""

    turn: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was no interruption: play on where the turn was paused."""

    turn: int


@dataclass(frozen=True, slots=True)
class Silenced:
    """What was still to be played of a turn must not be played any more."""

    turn: int


@dataclass(frozen=True, slots=True)
class Framed:
    """The microphone was heard up to ``at``, a frame further (`SessionConfig.frames`); and what a duplex model says in
    that frame."""

    at: int
    pcm: Pcm | None = None
    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """An input that could not be followed, or a part of a reply that cannot be said; the session goes on. ``tag`` is
    the input's."""

    code: str
    message: str
    param: str | None = None
    tag: Any = None


Output = (
    UserSpeech
    | UserText
    | Committed
    | Cleared
    | IdleTimeout
    | EntryAdded
    | EntryDone
    | EntryShown
    | EntryDeleted
    | EntryTruncated
    | Configured
    | TurnStarted
    | TextOut
    | AudioOut
    | ToolCall
    | TurnEnded
    | Paused
    | Resumed
    | Silenced
    | Framed
    | Refused
)


@runtime_checkable
class Session(Protocol):
    """One conversation; ``send`` and ``events`` run at the same time and ``send`` never waits for the model."""

    async def send(self, event: Input) -> None:
        """Hands over an input."""
        ...

    def events(self) -> AsyncIterator[Output]:
        """The outputs in their order, until the session is closed."""
        ...

    async def close(self) -> None:
        """Gives the row back."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Weights on a device and a fixed number of rows stepped on one clock."""

    async def open(self, config: SessionConfig) -> Session:
        """A row for a new conversation; CapacityError when all are taken."""
        ...
