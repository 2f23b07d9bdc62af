"""Who speaks when a voice is described: the prints that the part brings along, mixed as the description asks."""

import math
from dataclasses import replace

from vivavoce.core import rng
from vivavoce.core.description import Traits
from vivavoce.models.speak import Speaker
from vivavoce.nn.style import VoicePrint

DEFAULT = "default"
NAMES = (DEFAULT, "woman", "man", "old woman", "old man", "child", "giant")


_AKIN = {
    DEFAULT: ("woman", "man"),
    "woman": (DEFAULT, "old woman", "child"),
    "man": (DEFAULT, "old man", "giant"),
    "old woman": ("woman", "old man"),
    "old man": ("man", "giant"),
    "child": ("woman", DEFAULT),
    "giant": ("man", "old man"),
}
"""Whose throats a person of each kind may have a share of."""
_SHARE, _OCTAVES, _LIVELIER = 0.35, 0.18, 0.2
"""How far people of one description differ at most: the share of their kin, pitch, and liveliness (as a ratio)."""


def cast(speaker: Speaker, traits: Traits, identity: int = 0) -> VoicePrint:
    """A print for these traits: of many people whom they fit the one with this number, 0 being the typical one.

    What is not said is the default's, except that somebody low or huge is rather a man. Size mixes in the child or the
    giant, whose throats are short and long.
    """
    age = "old " if traits.age > 0.3 else ""
    low = traits.pitch + traits.roughness * -0.4 - traits.size * 0.5 < -0.9
    name = DEFAULT
    if traits.sex < -0.2 or (traits.sex <= 0.2 and low):
        name = f"{age}man"
    elif traits.sex > 0.2 or age:
        name = f"{age}woman"
    if traits.age < -0.7:
        name = "child"
    who = _person(speaker, name, identity) if identity else speaker.preset(name)
    if name != "child" and traits.size:
        share = min(1.0, 0.6 * abs(traits.size))
        who = who.towards(speaker.preset("giant" if traits.size > 0 else "child"), share)
    return who


def _person(speaker: Speaker, name: str, identity: int) -> VoicePrint:
    """Somebody of this kind: a share of each kin, and a pitch and liveliness of their own."""
    draw = rng.stream(identity, "voice", name)
    who = speaker.preset(name)
    for kin, share in zip(_AKIN[name], draw.uniform(0, _SHARE, len(_AKIN[name])), strict=True):
        pitch = who.pitch
        who = who.towards(speaker.preset(kin), float(share))
        who = replace(who, pitch=pitch)
    octaves, livelier = draw.uniform(-1, 1, 2)
    return replace(
        who.shifted(float(octaves) * _OCTAVES), liveliness=who.liveliness * math.exp(float(livelier) * _LIVELIER)
    )
