"""Words of a turn that is heard again and again: what is shown is never taken back, and what is heard stays short."""

import random

from vivavoce.assistant.agreement import Agreement
from vivavoce.assistant.ending import open_done
from vivavoce.core.talk import Heard, Word
from vivavoce.runtime.listening import StableWords
from vivavoce.runtime.model import RATE


def said(text: str, start: float = 0.0, pace: float = 0.4) -> tuple[Word, ...]:
    """Words, so many seconds apart."""
    places = (start + pace * number for number in range(len(text.split())))
    return tuple(
        Word(word, round(at * RATE), round((at + pace) * RATE)) for at, word in zip(places, text.split(), strict=False)
    )


def texts(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)


def test_what_two_hearings_share_is_certain_but_for_what_stood_at_the_edge():
    agreed = Agreement()
    agreed.more(said("I would like a"), round(1.6 * RATE))
    assert not agreed.words
    agreed.more(said("I would like a coffee with"), round(2.4 * RATE))
    assert texts(agreed.words) == "I would like"
    agreed.more(said("I would like a coffee without"), round(2.6 * RATE))
    assert texts(agreed.words) == "I would like a coffee"


def test_the_end_of_a_turn_goes_on_behind_what_is_certain_whatever_it_makes_of_that():
    agreed = Agreement(words=said("I would like a"), heard_to=2 * RATE)
    assert texts(agreed.rest(said("I'd like a coffee please"))) == "coffee please"
    assert texts(agreed.rest(said("I wood like uh coffee please"))) == "coffee please"
    assert agreed.rest(said("I would like")) == ()


def test_certain_words_stay_as_they_are():
    draw = random.Random(3)
    for _ in range(30):
        agreed, known = Agreement(), ()
        words = [draw.choice("one two three. four, five".split()) for _ in range(90)]
        for count in range(2, 90, 3):
            heard = [word if draw.random() < 0.9 else draw.choice(("a", "b")) for word in words[:count]]
            window = [word for word in said(" ".join(heard)) if word.start >= agreed.start]
            agreed.more(window, round(0.4 * count * RATE))
            assert agreed.words[: len(known)] == known
            known = agreed.words
            assert agreed.heard_to - agreed.start < 28 * RATE


def test_a_window_begins_anew_behind_a_sentence_and_what_was_before_is_told():
    agreed = Agreement()
    text = "this is the first sentence of them all. " * 6
    for count in (40, 44):
        agreed.more(said(" ".join(text.split()[:count])), round(0.4 * count * RATE))
    assert agreed.start and agreed.before().endswith("all.")
    assert all(word.end <= agreed.start or word.start >= agreed.start for word in agreed.words)


def test_certain_words_are_shown_at_once():
    shown = StableWords()
    assert shown.more(Heard(said("one two three"), certain=2)) == "one two"
    assert shown.more(Heard(said("one two four"), certain=2)) == ""
    assert shown.more(Heard(said("one two four five"), certain=4)) == " four five"


def test_open_speech_is_over_after_a_sentence_and_not_after_and():
    over, open_, hanging = (open_done(text.split()) for text in ("I went home.", "I went home", "I went home and"))
    assert over > 0.7 > open_ > hanging and hanging < 0.2
    assert open_done(()) == 0.0
