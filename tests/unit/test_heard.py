"""What is left of an answer that was cut is exactly what was heard of it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import TextError
from vivavoce.core.talk import Entry, Word
from vivavoce.text.normalise import Reader, normalise

SECOND = 24_000
MENU = "Coffee is two dollars and a latte is $4.50. What can I get you? We have coffee too."

PARTS = "Coffee|coffee,|is $4.50|on 2024-05-17.|Mr. Smith|the U.S.|“Well…”|1,234|(or 3 p.m.)|no!|**so**|5 µm".split("|")


def spoken(text: str) -> Entry:
    """An answer whose words take a second each."""
    said = [word for phrase in Reader().feed(text, last=True) for word in phrase.words]
    words = tuple(
        Word(word.text.rstrip("."), n * SECOND, (n + 1) * SECOND, span=(word.begin, word.end))
        for n, word in enumerate(said)
    )
    return Entry(id="a", role="assistant", text=text, spoken=True, samples=len(words) * SECOND, words=words)


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        (0, ""),
        (1, "Coffee"),
        (2, "Coffee is"),
        (8, "Coffee is two dollars and a latte is"),
        (9, "Coffee is two dollars and a latte is four"),
        (10, "Coffee is two dollars and a latte is four dollars"),
        (13, "Coffee is two dollars and a latte is $4.50."),
        (14, "Coffee is two dollars and a latte is $4.50. What"),
        (18, "Coffee is two dollars and a latte is $4.50. What can I get you?"),
        (22, MENU),
    ],
)
def test_a_cut_answer_ends_where_the_ear_did(seconds: int, left: str):
    assert spoken(MENU).cut(seconds * SECOND).text == left


def test_a_word_counts_once_half_of_it_was_played():
    entry = spoken("One two.")
    assert entry.cut(SECOND // 2 - 1).text == ""
    assert entry.cut(SECOND // 2).text == "One"


def test_without_places_the_words_themselves_are_left():
    entry = spoken("Coffee at $4.")
    bare = replace(entry, words=tuple(replace(word, span=None) for word in entry.words))
    assert bare.cut(3 * SECOND).text == "coffee at four"


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(PARTS),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 40),
)
def test_what_is_left_reads_as_what_was_heard(parts: list[str], seconds: int):
    entry = spoken(" ".join(parts))
    cut = entry.cut(seconds * SECOND)
    heard = [word.text for word in entry.words[:seconds]]
    assert [word.text for word in cut.words] == heard
    try:
        assert normalise(cut.text) == heard
    except TextError:
        assert not heard
