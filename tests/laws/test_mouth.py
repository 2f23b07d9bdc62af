"""Speaking: rows do not hear each other, a paused row waits, words come in order, long texts are cut at breaths."""

import numpy as np
import pytest
import torch

from vivavoce.assistant.speaking import Mouth
from vivavoce.core.errors import TextError, VoiceError
from vivavoce.core.voice import Consent, Voice
from vivavoce.models.codec import CodecConfig
from vivavoce.models.speak import SpeakerConfig

ONE = torch.ones(1, dtype=torch.bool)


@pytest.fixture(scope="module")
def mouth() -> Mouth:
    torch.manual_seed(0)
    speaker = SpeakerConfig(text_width=32, text_blocks=1, width=32, blocks=2, voice=16, voices=("default",)).build()
    codec = CodecConfig().build()
    # fresh books are the identity to which every sound is alike: they hold vectors of noise, as different spectra need
    codec.quantizer.start(torch.randn(1, codec.config.encode_coarse.dim, 1100), rounds=1)
    return Mouth(speaker.eval(), codec.eval())


def spoken(mouth: Mouth, text: str, pieces: int = 1) -> tuple[np.ndarray, list[str]]:
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    size = -(-len(text) // pieces)
    for at in range(0, len(text), size):
        mouth.feed(state, 0, text[at : at + size], last=at + size >= len(text))
    sound, words = [], []
    while (made := mouth.step(state, ONE)[0]) is not None:
        sound.append(made.pcm)
        words += [word.text for word in made.words]
        if made.done:
            break
    return np.concatenate(sound), words


def test_it_does_not_matter_how_the_text_arrives(mouth: Mouth) -> None:
    text = "Good evening, traveller. What will it be?"
    whole, words = spoken(mouth, text)
    assert words == "good evening traveller what will it be".split()
    pieces, same = spoken(mouth, text, pieces=5)
    assert same == words
    assert np.allclose(whole, pieces, atol=1e-4)


def test_other_words_sound_different(mouth: Mouth) -> None:
    one, _ = spoken(mouth, "Good evening, traveller.")
    same, _ = spoken(mouth, "Good evening, traveller.")
    other, _ = spoken(mouth, "No more mead tonight.")
    shared = min(len(one), len(other))
    assert np.array_equal(one, same)
    assert np.abs(one[:shared] - other[:shared]).max() > 0.01 * np.abs(one).max() > 0


def test_rows_are_alone_and_a_paused_row_waits(mouth: Mouth) -> None:
    alone, _ = spoken(mouth, "One latte.")
    state = mouth.init_state(3)
    for row, text in ((0, "Nothing at all to drink?"), (2, "One latte.")):
        mouth.begin(state, row, Voice(), 0)
        mouth.feed(state, row, text, last=True)
    sound = []
    for step in range(200):
        active = torch.tensor([True, True, step % 3 != 1])
        made = mouth.step(state, active)
        assert made[1] is None
        if step % 3 == 1:
            assert made[2] is None
        elif made[2] is not None:
            sound.append(made[2].pcm)
    together = np.concatenate(sound)
    assert together.shape == alone.shape and np.allclose(together, alone, atol=1e-4)


def test_a_row_that_waits_for_text_gives_nothing(mouth: Mouth) -> None:
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    assert mouth.step(state, ONE) == [None]
    mouth.feed(state, 0, "Wel", last=False)
    assert mouth.step(state, ONE) == [None]
    mouth.stop(state, 0)
    mouth.feed(state, 0, "come.", last=True)
    assert mouth.step(state, ONE) == [None]


def test_text_without_words_is_an_error(mouth: Mouth) -> None:
    with pytest.raises(TextError):
        spoken(mouth, "...")


def test_clips_that_cannot_be_imitated(mouth: Mouth) -> None:
    with pytest.raises(VoiceError, match="is not audio"):
        mouth.cast(Voice.like(b"not a sound", Consent("me")))
