"""Described voices: who is cast, and how they are told to speak."""

import pytest
import torch
from torch import nn

from vivavoce.core.description import traits_of
from vivavoce.models.manner import manner_of
from vivavoce.models.speak import Speaker, SpeakerConfig
from vivavoce.models.voices import NAMES, cast
from vivavoce.nn.style import ReferenceEncoder, ReferenceEncoderConfig, VoicePrint, change_of_voice


def speaker() -> Speaker:
    model = SpeakerConfig(
        text_width=8,
        text_blocks=1,
        width=8,
        blocks=1,
        voice=4,
        voices=NAMES,
        reference=ReferenceEncoderConfig(width=4, vector=3),
    ).build()
    with torch.no_grad():
        for number, name in enumerate(NAMES):
            who = VoicePrint(
                torch.ones(3), torch.zeros(100), torch.ones(100), torch.tensor(float(number)), torch.tensor(0.2)
            )
            model.bring(name, who)
    return model


def cast_as(words: str) -> float:
    return float(cast(speaker(), traits_of(words)).pitch)


def test_people_are_cast_by_sex_and_age() -> None:
    for name in ("woman", "man", "old woman", "old man", "child"):
        assert cast_as(f"a {name}") == NAMES.index(name)
    assert cast_as("fast") == NAMES.index("default")
    assert cast_as("very deep") == NAMES.index("man")
    assert NAMES.index("man") < cast_as("a huge giant") <= NAMES.index("giant")


def test_manner_follows_the_traits() -> None:
    assert manner_of(traits_of("slow")).rate < 1 < manner_of(traits_of("fast")).rate
    assert manner_of(traits_of("very slow")).rate < manner_of(traits_of("slow")).rate
    assert manner_of(traits_of("low")).octaves < 0 < manner_of(traits_of("high")).octaves
    assert manner_of(traits_of("quiet")).gain_db < -5 < 5 < manner_of(traits_of("loud")).gain_db
    assert manner_of(traits_of("whispering")).whisper == 1
    assert manner_of(traits_of("a robot")).liveliness == 0
    assert manner_of(traits_of(""), speed=1.5).rate == 1.5
    assert manner_of(traits_of("a grumpy dwarf")).roughness > 0.9


class Colour(ReferenceEncoder):
    """A voice's vector is the mean of the frames."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return mel.mean(1)


def test_a_change_of_voice_is_found_wherever_it_is_and_a_lively_voice_has_none() -> None:
    one, other = torch.tensor([[1.0, 0.0]]).expand(600, -1), torch.tensor([[0.0, 1.0]]).expand(600, -1)
    low, high = torch.full((600,), 110.0), torch.full((600,), 220.0)
    for before, after in ((600, 600), (600, 250), (250, 600)):
        mel = torch.cat((one[:before], other[:after]))
        assert change_of_voice(Colour(), mel, torch.zeros(len(mel))) > 0.6
        hz = torch.cat((low[:before], high[:after]))
        higher = change_of_voice(Colour(), one[:1].expand(len(hz), -1), hz)
        assert higher == pytest.approx(0.24, abs=1e-5)  # no more than .8 of an octave counts
    lively = torch.stack((one, other), dim=1).flatten(0, 1)
    assert change_of_voice(Colour(), lively, low.repeat(2)) < 0.05
    assert change_of_voice(Colour(), torch.cat((one[:200], other[:200])), low[:400]) == 0
