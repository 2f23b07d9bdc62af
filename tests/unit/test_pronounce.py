"""Every word has a pronunciation; those that no dictionary has are guessed well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.errors import TextError
from vivavoce.text.dictionary import known, listed_forms
from vivavoce.text.letters import LetterToSound
from vivavoce.text.phones import PHONES, SIL, VOWELS, Phone, ids, parse
from vivavoce.text.pronounce import pronounce, pronunciations


def _said(word: str) -> set[str]:
    return {" ".join(phone.symbol for phone in form) for form in pronunciations(word)}


def test_the_alphabet_is_silence_and_39_phones():
    assert PHONES[0] == SIL
    assert len(PHONES) == len(set(PHONES)) == 40


def test_stress_is_kept_apart():
    assert pronounce(["latte"]) == [[Phone("L"), Phone("AA", 1), Phone("T"), Phone("EY", 2)]]
    assert ids(pronounce(["a"])[0]) == ids(["AH"])


def test_words_have_the_ways_people_say_them():
    assert {"L AA T EY", "L AE T EY"} <= _said("latte")
    assert {"K AE N", "K AH N"} <= _said("can")
    assert {"AH", "EY"} <= _said("a")
    assert len(_said("espresso")) >= 2


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("barista's", "B AA R IY S T AH Z"),
        ("moonberry", "M UW N B EH R IY"),
        ("teapotless", "T IY P AA T L AH S"),
        ("goblins'", "G AA B L IH N Z"),
        ("quaffing", "K W AA F IH NG"),
    ],
)
def test_unlisted_words_are_taken_apart(word: str, said: str):
    assert not known(word)
    assert said in _said(word)


def test_guessed_words_are_mostly_right():
    """The table has seen these words; without the dictionary it still has to find them from their letters."""
    guess = LetterToSound.load()
    words = [(word, form) for word, form in listed_forms() if word.isalpha()][::400]
    right = sum([p.symbol for p in guess(word)] == [p.symbol for p in parse(form)] for word, form in words)
    assert right / len(words) > 0.5


def test_the_table_learns_from_pairs():
    pairs = [("cat", "K AE1 T"), ("cot", "K AA1 T"), ("tac", "T AE1 K"), ("oct", "AA1 K T")] * 5
    learnt = LetterToSound.learn(pairs, least=1)
    assert [phone.symbol for phone in learnt("taco")] == ["T", "AE", "K", "AA"]


@given(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=15).filter(lambda word: word.strip("'")))
def test_any_word_can_be_said(word: str):
    for form in pronunciations(word):
        assert form
        assert all(phone.symbol in PHONES and phone.symbol != SIL for phone in form)
        assert all(phone.stress == 0 or phone.symbol in VOWELS for phone in form)


def test_an_unknown_phone_is_an_error():
    with pytest.raises(TextError, match="QQ"):
        parse("K QQ T")
