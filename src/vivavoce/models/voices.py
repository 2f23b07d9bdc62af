"""Who speaks when a voice is described: the prints that the part brings along, mixed as the description asks."""

from vivavoce.core.description import Traits
from vivavoce.models.speak import Speaker
from vivavoce.nn.style import VoicePrint

DEFAULT = "default"
NAMES = (DEFAULT, "woman", "man", "old woman", "old man", "child", "giant")


def cast(speaker: Speaker, traits: Traits) -> VoicePrint:
    """A print for these traits.

    What is not said is the default's, except that somebody low or huge is rather a man. Size mixes in the child or the
    giant, whose throats are short and long.
    """
    age = "old " if traits.age > 0.3 else ""
    low = traits.pitch + traits.roughness * -0.4 - traits.size * 0.5 < -0.9
    if traits.sex < -0.2 or (traits.sex <= 0.2 and low):
        who = speaker.preset(f"{age}man")
    elif traits.sex > 0.2 or age:
        who = speaker.preset(f"{age}woman")
    else:
        who = speaker.preset(DEFAULT)
    if traits.age < -0.7:
        who = speaker.preset("child")
    elif traits.size:
        share = min(1.0, 0.6 * abs(traits.size))
        who = who.towards(speaker.preset("giant" if traits.size > 0 else "child"), share)
    return who
