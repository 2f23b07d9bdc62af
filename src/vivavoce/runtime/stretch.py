"""A stretch of the user's voice: what is measured of it, what its words are, and in which phase it is."""

from dataclasses import dataclass, field

from vivavoce.runtime.model import FRAME
from vivavoce.runtime.turn_events import Judged, MicFrame

MS = 24
LONG_VOICE = 400 * MS
"""Whoever still speaks when it is decided has spoken so long; a "mhm" is over."""
SETTLED = 2 * FRAME
"""A gap inside a word is shorter; it delays the decision."""
FADED_DB = 26.0
"""So much quieter than the loudest frame of a stretch of voice is not voice."""
SPOKEN = 0.5
"""Probability of speech below which nobody spoke, whatever the activity detector took for a voice."""
OURS = 0.5
"""Probability from which on a frame, or the voice lately, counts as our own echo."""


@dataclass(slots=True)
class MeasuredVoice:
    """What is measured of a stretch, frame by frame; lengths in samples at 24 kHz."""

    onset: int
    loudest_db: float
    echo: float
    """How much of the voice lately was our own, 0 to 1."""
    clear: int
    """Voice since the last frame that was our own."""
    voiced: int = FRAME
    run: int = FRAME
    silence: int = 0
    again: bool = False
    """Whether it has come back after a pause."""

    @classmethod
    def begun(cls, onset: int, frame: MicFrame) -> "MeasuredVoice":
        """The first frame of it."""
        return cls(onset, frame.level_db, frame.echo, 0 if frame.echo > OURS else FRAME)

    def more(self, frame: MicFrame, speech: bool) -> None:
        """One frame more; what has faded is silence whatever it is taken for."""
        if not speech or frame.level_db <= self.loudest_db - FADED_DB:
            self.run = 0
            self.silence += FRAME
            return
        self.voiced += FRAME
        self.run += FRAME
        self.again |= self.silence >= SETTLED
        self.silence = 0
        self.loudest_db = max(self.loudest_db, frame.level_db)
        self.echo += 0.4 * (frame.echo - self.echo)
        self.clear = 0 if frame.echo > OURS else self.clear + FRAME

    @property
    def speaks_on(self) -> bool:
        """Whether somebody still speaks who has done so for long, or who has begun again."""
        return self.silence == 0 and (self.voiced >= LONG_VOICE or self.again)

    @property
    def ours(self) -> bool:
        """Whether it is our own echo."""
        return self.echo > OURS


@dataclass(slots=True)
class Judgement:
    """What the model makes of a stretch: whether the speaker is done, means us, or is no more than a noise."""

    done: float = 0.0
    content: int = 0
    backchannel: float = 0.5
    noise: bool = False
    """Whether it was no speech when it was last heard as a whole, and nothing since then says otherwise."""
    asked: bool = False
    """Whether Judge was said since the voice was last heard."""
    whole: bool = False
    """Whether the words are those that Judge asked for."""

    def judged(self, judged: Judged) -> None:
        """The model's newest opinion."""
        self.done, self.content, self.backchannel = judged.done, judged.content, judged.backchannel
        self.noise = judged.speech < SPOKEN and (judged.whole or self.noise)

    def begin_again(self) -> None:
        """What was heard so far was not the user."""
        self.content, self.backchannel, self.noise = 0, 0.5, False


@dataclass(slots=True)
class Maybe:
    """A click, or the beginning of something."""


@dataclass(slots=True)
class Suspect:
    """We have paused, because it may be an interruption."""


@dataclass(slots=True)
class Tolerated:
    """We speak on over it; ``echo``: because it is our own voice, so that the words may be ours too."""

    echo: bool = False


@dataclass(slots=True)
class Floor:
    """It is the user's turn; ``prepared``: an answer is being thought of already."""

    prepared: bool = False


@dataclass(slots=True)
class Stretch:
    """A stretch of voice that is being followed."""

    voice: MeasuredVoice
    judgement: Judgement = field(default_factory=Judgement)
    phase: Maybe | Suspect | Tolerated | Floor = field(default_factory=Maybe)
