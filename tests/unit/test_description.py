"""Descriptions of voices: what words ask for, how they are scaled and turned around, and what is said of unknown
ones."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.description import KNOWN, Traits, contradiction, traits_of, understood
from vivavoce.core.errors import VoiceError
from vivavoce.core.gallery import GALLERY
from vivavoce.core.voice import STOCK, Voice


@pytest.mark.parametrize(
    ("words", "trait", "sign"),
    [
        ("a high voice", "pitch", 1),
        ("a gruff old innkeeper, slow and low", "pitch", -1),
        ("a gruff old innkeeper, slow and low", "rate", -1),
        ("a gruff old innkeeper, slow and low", "roughness", 1),
        ("like a grumpy dwarf", "pitch", -1),
        ("like a grumpy dwarf", "roughness", 1),
        ("Speak FASTER, please", "rate", 1),
        ("low volume", "loudness", -1),
        ("a low-pitched man", "sex", -1),
        ("an old woman", "age", 1),
        ("an old woman", "sex", 1),
        ("a little girl", "age", -1),
        ("whispering", "whisper", 1),
        ("a robot", "liveliness", -1),
        ("deep-voiced", "pitch", -1),
        ("not fast", "rate", -1),
        ("not too loud", "loudness", -1),
        ("less rough", "roughness", -1),
    ],
)
def test_words_ask_for(words: str, trait: str, sign: int) -> None:
    assert getattr(traits_of(words), trait) * sign > 0.1


def test_intensity_scales() -> None:
    weak, plain, strong = (traits_of(f"{how} slow voice").rate for how in ("a bit", "a", "a very"))
    assert strong < plain < weak < 0
    assert traits_of("a little slower").rate == weak
    assert traits_of("a bit slow but very high").pitch > traits_of("high").pitch


def test_negation_reaches_one_word() -> None:
    traits = traits_of("not a man but a fast speaker")
    assert traits.sex > 0
    assert traits.rate > 0


def test_unknown_description_warns_once_and_asks_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert understood("purple zebra") == Traits()
    assert len(caplog.records) == 1
    assert "slow" in caplog.text
    caplog.clear()
    assert understood("a slow zebra")
    assert understood("") == Traits()
    assert not caplog.records


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        ("a deep high voice", ("deep", "high")),
        ("fast, loud and very slow", ("fast", "slow")),
        ("a rough but smooth man", ("rough", "smooth")),
        ("not low but deep", ("low", "deep")),
        ("low voice at a high volume", None),
        ("not high, low", None),
        ("a high dwarf", None),
        ("an old child", None),
        ("a young old woman", ("young", "old")),
        ("a man and a woman", ("man", "woman")),
        ("a whispering, shouting man", ("whispering", "shouting")),
        ("a huge tiny giant", ("huge", "tiny")),
        ("not a man but a woman", None),
        ("a woman, not an old but a young one", None),
        ("a loud whisper", None),
        ("a woman like a king", None),
    ],
)
def test_what_contradicts_itself_is_refused(words: str, pair: tuple[str, str] | None) -> None:
    assert contradiction(words) == pair
    if pair:
        with pytest.raises(VoiceError, match=f"{pair[0]} and {pair[1]}, which contradict each other; leave one"):
            Voice.described(words)


def test_what_no_voice_has_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert understood("a dwarf with a Scottish accent") == traits_of("a dwarf")
    assert [record.getMessage() for record in caplog.records] == [
        "the voice 'a dwarf with a Scottish accent' asks for 'accent', which none has; the rest is heeded"
    ]


def test_no_voice_that_comes_along_contradicts_itself(caplog: pytest.LogCaptureFixture) -> None:
    assert not any(map(contradiction, (*STOCK.values(), *(one.description for one in GALLERY.values()))))
    understood("louder | quieter")  # asked one after the other of a voice that speaks
    assert not caplog.records


@given(st.lists(st.sampled_from([*KNOWN, "very", "not", "a", "bit", "volume"]), max_size=12), st.text(max_size=20))
def test_any_description_stays_in_bounds(words: list[str], rest: str) -> None:
    traits = traits_of(" ".join(words) + " " + rest)
    assert all(-1.7 <= getattr(traits, name) <= 1.7 for name in Traits.__dataclass_fields__)
