"""A Whisper that can be given less than the 30 seconds that it was taught to hear at once, and stopped on its way.

Its encoder's work goes with the window, so that a short sound is heard in a third of the time. faster-whisper fills a
window with zeros, which in these features is no silence but a murmur; in a short window the model then does not notice
that the sound is over, and begins again. Here what follows the sound is as silent as the features can be.
"""

import logging
from collections.abc import Callable
from threading import local
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from jaxtyping import Float32

logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # it tells of every piece that it hears

WHOLE = 3000
"""Frames (100 a second) of the window that the model was taught."""


class Enough(Exception):
    """A call has had all the windows that it may take."""


class How(local):
    """How the calls of this thread are done.

    The encoder takes so many ``frames`` of every window; ``between`` is called before encoding, writing, and finding
    when the words were said. `Enough` ends the call when no ``windows`` are left, or when a window after the first has
    fewer than ``least`` frames of sound in it.
    """

    frames: int = WHOLE
    between: Callable[[], None] = staticmethod(lambda: None)
    windows: int | None = None
    least: int = 0
    first: bool = True
    """Whether no window has been heard yet."""


class ShortenedWhisper(WhisperModel):
    """faster-whisper's model, whose calls may differ in `How`."""

    def __init__(self, *folder: Any, **options: Any) -> None:
        """As faster-whisper's."""
        super().__init__(*folder, **options)
        self.how = How()

    def encode(self, features: np.ndarray) -> Any:
        """What the encoder makes of the beginning of a window, Float[80, T]."""
        self.how.between()
        if self.how.windows is not None:
            if not self.how.windows:
                raise Enough
            self.how.windows -= 1
        if not self.how.first and sounding(features) < self.how.least:
            raise Enough
        self.how.first = False
        if self.how.frames < WHOLE:
            features = silent_after(features[..., : self.how.frames])
        return super().encode(features)

    def generate_with_fallback(self, *given: Any, **more: Any) -> Any:
        """The tokens of a window."""
        self.how.between()
        return super().generate_with_fallback(*given, **more)

    def find_alignment(self, *given: Any, **more: Any) -> Any:
        """When they were said."""
        self.how.between()
        return super().find_alignment(*given, **more)


def sounding(features: Float32[np.ndarray, "M T"]) -> int:
    """How many frames there are before nothing but zeros follows."""
    heard = np.flatnonzero(features.any(axis=0))
    return int(heard[-1]) + 1 if len(heard) else 0


def silent_after(features: Float32[np.ndarray, "M T"]) -> Float32[np.ndarray, "M T"]:
    """The features with silence, which is their smallest value, where nothing but zeros follows."""
    made, end = np.array(features, order="C"), sounding(features)
    if end:
        made[:, end:] = made[:, :end].min()
    return made
