"""What turn-taking is told and what it wants done; all times are samples of the microphone at 24 kHz."""

from dataclasses import dataclass

# ---- what it is told ----


@dataclass(frozen=True, slots=True)
class MicFrame:
    """One frame of the microphone: how likely it is speech, how likely that is only what we are playing, how loud."""

    speech: float
    echo: float = 0.0
    level_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """The microphone gave nothing for so many samples of real time."""

    samples: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model makes of the user's turn: is the speaker done, how many words have a content, how likely is it
    no more than a backchannel (or a cough), how likely is it that anybody speaks at all.

    ``whole``: it was asked for by Judge, and is as good as it gets; ``early``: but for the words, which come later.
    """

    done: float
    content: int
    backchannel: float = 0.5
    whole: bool = False
    speech: float = 1.0
    early: bool = False


@dataclass(frozen=True, slots=True)
class InputTaken:
    """The input was committed or cleared by the client."""


Event = MicFrame | Gap | Judged | InputTaken


# ---- what it wants done ----


@dataclass(frozen=True, slots=True)
class Attend:
    """Begin to listen for words, from this sample on."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user has the floor since this sample."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user's turn ended at this sample."""

    at: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget what was heard since Attend: it was no speech."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Hear the turn as a whole and say what you make of it; what was heard counts until Discard."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Think of an answer to what was heard; perhaps it will be wanted."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Speech goes on: what was heard as a whole is out of date, and a prepared answer is not wanted."""


@dataclass(frozen=True, slots=True)
class CommitInput:
    """The user's turn is an entry now."""


@dataclass(frozen=True, slots=True)
class BeginReply:
    """Answer."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop playing this turn for the moment."""

    turn: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Play on."""

    turn: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop this turn; so much of it was heard."""

    turn: int
    heard: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Drop this turn, of which hardly anything was heard: what it answers goes on, and is one turn with the rest."""

    turn: int
    heard: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nobody has spoken since ``start``."""

    start: int
    end: int


Overture = Attend | SpeechStarted | SpeechStopped | Forget | Judge | Prepare | Discard
Action = Overture | CommitInput | BeginReply | Pause | Resume | Cut | Withdraw | TimedOut
