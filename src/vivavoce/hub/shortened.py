"""A Whisper that can be given less than the 30 seconds that it was taught to hear at once, and stopped on its way.

Its encoder's work goes with the window, so that a short sound is heard in a third of the time. The price: now and then
it does not notice that the sound is over and begins again; who shortens the window has to look for that.
"""

from collections.abc import Callable
from threading import local
from typing import Any

import numpy as np
from faster_whisper import WhisperModel


class How(local):
    """How the calls of this thread are done: the encoder takes so many frames (100 a second) of every window, and
    ``between`` is called between encoding, writing and finding when the words were said."""

    frames: int = 3000
    between: Callable[[], None] = staticmethod(lambda: None)


class ShortenedWhisper(WhisperModel):
    """faster-whisper's model, whose calls may differ in `How`."""

    def __init__(self, *folder: Any, **options: Any) -> None:
        """As faster-whisper's."""
        super().__init__(*folder, **options)
        self.how = How()

    def encode(self, features: np.ndarray) -> Any:
        """What the encoder makes of the beginning of a window, Float[80, T]."""
        self.how.between()
        return super().encode(np.ascontiguousarray(features[..., : self.how.frames]))

    def generate_with_fallback(self, *given: Any, **more: Any) -> Any:
        """The tokens of a window."""
        self.how.between()
        return super().generate_with_fallback(*given, **more)

    def find_alignment(self, *given: Any, **more: Any) -> Any:
        """When they were said."""
        self.how.between()
        return super().find_alignment(*given, **more)
