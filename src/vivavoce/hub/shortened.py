"""A Whisper that can be given less than the 30 seconds that it was taught to hear at once.

Its encoder's work goes with the window, so that a short sound is heard in a third of the time. The price: now and then
it does not notice that the sound is over and begins again; who shortens the window has to look for that.
"""

from typing import Any

import numpy as np
from faster_whisper import WhisperModel


class ShortenedWhisper(WhisperModel):
    """faster-whisper's model, whose encoder takes so many frames (100 a second) of every window."""

    frames = 3000

    def encode(self, features: np.ndarray) -> Any:
        """What the encoder makes of the beginning of a window, Float[80, T]."""
        return super().encode(np.ascontiguousarray(features[..., : self.frames]))
