"""How something should sound: a preset, a description in words, somebody's clip, or a clip and a description."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vivavoce.core.description import contradiction
from vivavoce.core.errors import ConsentError, VoiceError
from vivavoce.core.gallery import GALLERY

STOCK: Final[Mapping[str, str]] = {
    "alloy": "a calm voice of medium pitch",
    "ash": "a low, clear voice of a man",
    "ballad": "a soft, slow voice of a man",
    "coral": "a bright, high voice of a woman",
    "echo": "a low, calm voice of a man",
    "sage": "a calm, low voice of a woman",
    "shimmer": "a soft, high voice of a woman",
    "verse": "a lively voice of a man",
    "marin": "a friendly voice of a woman",
    "cedar": "a warm, low voice of a man",
    "fable": "a lively, high voice",
    "onyx": "a very low voice of a man",
    "nova": "a bright, fast voice of a woman",
    "default": "",
}
"""Names of voices that OpenAI's clients use, and how each sounds."""


@dataclass(frozen=True, slots=True)
class Consent:
    """Who agreed that their voice is imitated, and where that is written down."""

    who: str
    record: str = ""

    def __post_init__(self) -> None:
        """Refuses a consent of nobody."""
        if not self.who.strip():
            raise ConsentError("A consent came without a name; say who agreed that their voice is imitated.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One way to sound; every system that speaks takes this and nothing else.

    Many people fit a description: ``identity`` says which of them, always the same one by the same number.
    """

    name: str = "default"
    description: str = ""
    clip: bytes = b""
    consent: Consent | None = None
    speed: float = 1.0
    identity: int = 0

    def __post_init__(self) -> None:
        """Refuses what may not be spoken: somebody's voice without consent."""
        if self.clip and self.consent is None:
            raise ConsentError(
                "A clip of a voice came without consent; ask whose voice it is, and pass consent=Consent(who) "
                "(--consent WHO on the command line)."
            )
        if not 0.25 <= self.speed <= 4:
            raise VoiceError(f"A speed of {self.speed} was asked for; choose one from 0.25 to 4.")

    @staticmethod
    def preset(name: str) -> "Voice":
        """A character of the gallery (`core.gallery`), or one of the voices that the model brings along."""
        known = GALLERY.get(name)
        return Voice.described(known.description, known.identity) if known else Voice(name=name)

    @staticmethod
    def described(words: str, identity: int = 0) -> "Voice":
        """A voice from a description alone; VoiceError for one that contradicts itself."""
        _check(words)
        return Voice(name="described", description=words, identity=identity)

    @staticmethod
    def like(clip: str | Path | bytes, consent: Consent | None = None, description: str = "") -> "Voice":
        """Somebody's voice from a recording (a path, or the bytes of an audio file).

        ``description`` is how they are to speak. Raises VoiceError for a file that cannot be read or is empty and for a
        description that contradicts itself, ConsentError where nobody agreed.
        """
        _check(description)
        name = "The clip" if isinstance(clip, bytes) else f"The clip {clip}"
        if not isinstance(clip, bytes):
            try:
                clip = Path(clip).read_bytes()
            except OSError as error:
                raise VoiceError(f"{name} cannot be read ({error.strerror}); give an audio file.") from error
        if not clip:
            raise VoiceError(f"{name} is empty (0 bytes); record it or copy it again.")
        return Voice(name="clip", clip=clip, consent=consent, description=description)

    def at(self, speed: float) -> "Voice":
        """The same voice, faster or slower."""
        return replace(self, speed=speed)


def _check(words: str) -> None:
    """Raises VoiceError for a description that contradicts itself."""
    if pair := contradiction(words):
        raise VoiceError(
            f"The voice {words[:80]!r} is asked to be {pair[0]} and {pair[1]}, which contradict each other; "
            "leave one of them out."
        )
