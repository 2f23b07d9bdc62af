"""Byte-pair encoding: any text comes back unchanged, and what is frequent is one id."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ConfigError
from vivavoce.text.bpe import Bpe, BpeConfig, learn

TEXTS = [
    "can i get a large latte with soy milk",
    '{" coffeeDrink": " latte", " size": " large"}',
    "I'd like a latte, please.",
] * 3


@pytest.fixture(scope="module")
def bpe() -> Bpe:
    return learn(TEXTS, 300).build()


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back(bpe: Bpe, text: str) -> None:
    assert bpe.decode(bpe.encode(text)) == text


@settings(deadline=None)
@given(words=st.lists(st.sampled_from(["large", "latte", "with", "soy", "xylophone", "i'd"]), min_size=1))
def test_words_have_the_same_ids_wherever_they_stand(bpe: Bpe, words: list[str]) -> None:
    assert bpe.encode("".join(f" {word}" for word in words)) == [id for word in words for id in bpe.encode(f" {word}")]


def test_frequent_words_are_one_id(bpe: Bpe) -> None:
    assert len(bpe.encode(" latte")) == 1
    assert bpe.size == 300


def test_learning_is_deterministic_and_ends_when_nothing_is_left() -> None:
    assert learn(TEXTS, 290) == learn(list(reversed(TEXTS)), 290)
    assert learn(["aa"], 999).merges == ("97 97",)


def test_impossible_vocabularies_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 256"):
        learn(TEXTS, 100)
    with pytest.raises(ConfigError, match="does not exist yet"):
        BpeConfig(merges=("97 300",)).build()


def test_a_lone_surrogate_is_no_crash(bpe: Bpe) -> None:
    assert bpe.decode(bpe.encode("a\ud800b")) == "a?b"
