"""Characters by name, and people of one description who stay the same."""

import torch

from vivavoce.core.description import traits_of
from vivavoce.core.gallery import GALLERY
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.voice import Voice
from vivavoce.models.speak import Speaker
from vivavoce.models.voices import NAMES, cast


def test_characters_ask_for_different_things_in_words_that_are_known() -> None:
    asked = {name: traits_of(portrait.description) for name, portrait in GALLERY.items()}
    assert len(asked) >= 20 and all(asked.values())
    assert len(set(asked.values())) == len(asked)
    assert Voice.preset("dwarf").description == GALLERY["dwarf"].description and Voice.preset("alloy").name == "alloy"


def test_the_same_number_is_the_same_person_and_another_is_somebody_else_of_that_kind() -> None:
    speaker: Speaker = load_part(BUNDLED, "speaker")
    for words in ("", "a man", "an old woman", "a child", "a huge man"):
        traits = traits_of(words)
        typical, one, again, other = (cast(speaker, traits, identity) for identity in (0, 7, 7, 8))
        assert torch.equal(one.vector, again.vector) and torch.equal(one.pitch, again.pitch)
        assert not torch.equal(one.vector, other.vector) and not torch.equal(one.vector, typical.vector)
        assert abs(float(one.pitch - typical.pitch)) < 0.5  # of an octave: still of that kind
    men, women = (
        [float(cast(speaker, traits_of(who), number).pitch) for number in range(9)] for who in ("man", "woman")
    )
    assert max(men) < min(women)
    assert set(NAMES) == set(speaker.config.voices)
