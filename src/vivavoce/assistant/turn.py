"""What a spoken turn leaves behind, and what happens while it is going on."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vivavoce.core.talk import Heard, Word
from vivavoce.runtime.model import RATE


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words that were heard, with times in samples at 24 kHz, and how likely it is that anybody spoke.

    ``warning`` is a sentence when not all of the recording was there.
    """

    transcript: str
    words: tuple[Word, ...] = ()
    speech: float = 1.0
    warning: str = ""

    @staticmethod
    def of(heard: Heard) -> "Transcript":
        """The transcript of what ears have made of a sound."""
        return Transcript(" ".join(word.text for word in heard.words), heard.words, heard.speech)

    def json(self) -> dict[str, Any]:
        """As plain values; times in seconds."""
        words = [timed(word) for word in self.words]
        warned = {"warning": self.warning} if self.warning else {}
        return {"transcript": self.transcript, "words": words, "no_speech_prob": round(1 - self.speech, 4), **warned}


@dataclass(slots=True, kw_only=True)
class Turn:
    """A question and its answer: what was heard, what was called, said and spoken, and how long it took.

    ``speech`` is how likely it is that anybody spoke. ``audio`` is Float[N] at 24 kHz. ``first_audio_ms`` counts from
    the last sample of the question to the first sample of the answer that is not silent; ``rtf`` is compute per second
    of answer. ``warning`` is a sentence when not all of the question's recording was there; ``unsaid`` tells why parts
    of the reply could not be spoken.
    """

    transcript: str = ""
    words: tuple[Word, ...] = ()
    speech: float = 1.0
    reply: str = ""
    reply_words: tuple[Word, ...] = ()
    calls: list[dict[str, Any]] = field(default_factory=list)
    audio: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    first_audio_ms: float | None = None
    rtf: float | None = None
    seconds: float = 0.0
    warning: str = ""
    unsaid: tuple[str, ...] = ()

    def json(self, **more: Any) -> dict[str, Any]:
        """As plain values without the sound; times in seconds."""
        return {
            "transcript": self.transcript,
            "words": [timed(word) for word in self.words],
            "no_speech_prob": round(1 - self.speech, 4),
            "reply": self.reply,
            "calls": self.calls,
            "first_audio_ms": None if self.first_audio_ms is None else round(self.first_audio_ms, 1),
            "rtf": None if self.rtf is None else round(self.rtf, 4),
            **({"warning": self.warning} if self.warning else {}),
            **({"unsaid": list(self.unsaid)} if self.unsaid else {}),
            **more,
        }


def timed(word: Word) -> dict[str, Any]:
    """A word with its times in seconds."""
    return {
        "word": word.text,
        "start": round(word.start / RATE, 3),
        "end": round(word.end / RATE, 3),
        "confidence": word.confidence,
    }


# ---- what happens during a turn ----


@dataclass(frozen=True, slots=True)
class Partial:
    """The words so far, while the question is still going on."""

    text: str


@dataclass(frozen=True, slots=True)
class Understood:
    """The whole question."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Called:
    """A tool was called; ``arguments`` is the JSON object."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Saying:
    """More text of the answer."""

    delta: str


@dataclass(frozen=True, slots=True)
class Sound:
    """More sound of the answer, Float[N] at 24 kHz."""

    pcm: np.ndarray


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over."""

    turn: Turn


Happening = Partial | Understood | Called | Saying | Sound | Finished
