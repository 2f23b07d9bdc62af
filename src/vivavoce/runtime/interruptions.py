"""Is it an interruption? When the user speaks while we do, it is decided by how long, how loud, and how much our own
echo.

Pure rules on what `stretch` holds, with the times and probabilities that were chosen by `vivavoce eval turns`.
"""

from dataclasses import dataclass

from vivavoce.runtime.model import FRAME
from vivavoce.runtime.stretch import LONG_VOICE, MS, SETTLED, Judgement, MeasuredVoice

FAINT = 0.2
"""While we speak, a frame with this share of the threshold may begin an interruption; the next frame has to reach the
whole threshold, or be loud."""
JUDGE = 400 * MS
"""Age of a suspected interruption at which its words are asked for, so that they are there when it is decided."""
DECIDE = 480 * MS
"""Age at which it is decided; the detector notices speech up to 80 ms after it began."""
DECIDE_AT_LAST = 520 * MS
"""Age at which a suspected interruption is decided at the latest, even if the user has just fallen silent or begun
again; whoever still speaks then is taken to interrupt."""
LONGEST_HUM = 1000 * MS
"""Whoever speaks longer than this wants the floor, whatever it sounds like."""
LONGEST_BURST = 600 * MS
"""Whoever spoke briefly and goes on to this wants the floor, unless it sounds like a sign of listening."""
ANOTHER = 120 * MS
"""So does whoever speaks for so long after a pause that is longer than any in a word."""
RISEN_DB, RISING = 12.0, 240 * MS
"""A voice is taken to begin where the sound rose this far above the quietest moment lately, if that was at most so long
before the detector called it speech: the detector is slow to notice an F or an S."""
BACKCHANNEL, SURELY_BACKCHANNEL = 0.5, 0.75
"""Probabilities of a mere sign of listening ("mhm") from which on we speak on: the first where the user has fallen
silent again, the second where the user still speaks, as few signs last that long."""


@dataclass(slots=True)
class Rise:
    """How far the microphone is above the quietest lately."""

    quiet_db: float = 0.0
    loud: int = 0
    """Samples since it rose."""

    def take(self, level_db: float) -> None:
        """One frame more."""
        self.quiet_db = min(level_db, self.quiet_db + 0.2)
        self.loud = self.loud + FRAME if level_db > self.quiet_db + RISEN_DB else 0

    @property
    def fresh(self) -> int:
        """Samples since it rose, 0 where that is too long ago to be the beginning of this."""
        return self.loud if self.loud <= RISING else 0


def due(voice: MeasuredVoice, judgement: Judgement, age: int) -> bool:
    """Whether it is time to decide about a voice that began so many samples ago."""
    speaks_on = voice.speaks_on and judgement.backchannel < SURELY_BACKCHANNEL
    return age >= DECIDE_AT_LAST or (age >= DECIDE and (speaks_on or voice.silence >= SETTLED))


def wants_floor(voice: MeasuredVoice, judgement: Judgement) -> bool:
    """The decision."""
    return not voice.ours and not judgement.noise and (voice.speaks_on or judgement.backchannel < BACKCHANNEL)


def outgrown(voice: MeasuredVoice, judgement: Judgement) -> bool:
    """Whether what was let be has become more than a sign of listening."""
    longest = LONGEST_HUM if judgement.backchannel >= SURELY_BACKCHANNEL else LONGEST_BURST
    spoke_again = voice.again and voice.run >= ANOTHER and voice.clear >= LONG_VOICE
    return not judgement.noise and (voice.clear >= longest or spoke_again)


def has_content(judgement: Judgement) -> bool:
    """Whether its words are more than a sign of listening."""
    return judgement.content > 1 and judgement.backchannel < BACKCHANNEL
