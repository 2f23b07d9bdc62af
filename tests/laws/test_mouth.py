"""Speaking: rows do not hear each other, a paused row waits, words come in order, long texts are cut at breaths."""

from itertools import pairwise

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
    codec.quantizer.start(torch.randn(1, codec.config.front.coarse.dim, 1100), rounds=1)
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


def test_words_know_their_place_in_the_written_text(mouth: Mouth) -> None:
    text = " It costs $4.50, at 3 p.m. Yes."
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    for char in text:
        mouth.feed(state, 0, char, last=False)
    mouth.feed(state, 0, "", last=True)
    words = []
    while (made := mouth.step(state, ONE)[0]) is not None and not made.done:
        words += made.words
    assert [text[slice(*word.span)] for word in words if word.span] == [
        "It", "costs", "$4.50", "$4.50", "$4.50", "$4.50", "$4.50", "at", "3 p.m.", "3 p.m.", "3 p.m.", "Yes",
    ]  # fmt: skip
    assert all(before.end <= after.start for before, after in pairwise(words))


def test_a_phrase_is_spoken_before_its_sentence_is_whole(mouth: Mouth) -> None:
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    mouth.feed(state, 0, "Sure, ", last=False)
    made = mouth.step(state, ONE)[0]
    assert made is not None and [word.text for word in made.words] in ([], ["sure"])


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_a_break_lasts_as_long_as_it_says(mouth: Mouth, seconds: float) -> None:
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    mouth.feed(state, 0, f'<speak>One <break time="{seconds}s"/> two.</speak>', last=True)
    words = []
    while (made := mouth.step(state, ONE)[0]) is not None and not made.done:
        words += made.words
    one, two = words
    assert abs((two.start - one.end) / 24_000 - seconds) <= 0.08


def test_what_cannot_be_said_is_told_and_the_rest_is_said(mouth: Mouth) -> None:
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    mouth.feed(state, 0, "One is fine. 日本語です. The end.", last=True)
    words, unsaid = [], ()
    while (made := mouth.step(state, ONE)[0]) is not None:
        words += [word.text for word in made.words]
        unsaid += made.unsaid
        if made.done:
            break
    assert words == ["one", "is", "fine", "the", "end"]
    assert len(unsaid) == 1 and "cjk script" in unsaid[0]
    with pytest.raises(TextError, match="cjk script"):
        spoken(mouth, "日本語です.")
