"""How the speaker is told to speak: what a description asks for, turned into numbers that its plan obeys."""

from dataclasses import dataclass

from vivavoce.core.description import Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """A way to speak.

    ``octaves`` moves the pitch, ``liveliness`` stretches the melody, ``rate`` divides lengths, ``effort`` is added to
    the level in log units, ``gain_db`` is to be applied to the finished sound; the rest are shares from 0 to 1.
    """

    octaves: float = 0.0
    liveliness: float = 1.0
    rate: float = 1.0
    effort: float = 0.0
    gain_db: float = 0.0
    roughness: float = 0.0
    breath: float = 0.0
    whisper: float = 0.0


def manner_of(traits: Traits, speed: float = 1.0) -> Manner:
    """What a description asks of whatever voice; ``speed`` comes on top."""
    whisper = float(traits.whisper > 0.5)
    return Manner(
        octaves=0.36 * traits.pitch + 0.08 * max(0.0, traits.loudness),
        liveliness=max(0.0, 1.0 + 0.6 * traits.liveliness if traits.liveliness > 0 else 1.0 + 0.8 * traits.liveliness),
        rate=speed * 1.38**traits.rate,
        effort=0.15 * traits.loudness,
        gain_db=(7.0 if traits.loudness > 0 else 10.0) * traits.loudness,
        roughness=min(1.0, max(0.0, traits.roughness)),
        breath=min(1.0, max(0.0, traits.breath)),
        whisper=whisper,
    )
