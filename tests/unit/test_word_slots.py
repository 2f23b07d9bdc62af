"""Slots in a word model: fillings count as one word, and a search still goes word by word."""

from collections.abc import Sequence

import numpy as np
import pytest

from vivavoce.core.config import dump, load
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.models.word_slots import Fillings, SlotWords, words_of
from vivavoce.models.words import Tree, WordModel, estimate
from vivavoce.recipes.words import slots_of

SLOTS = (
    SlotWords(
        token="<nights in its phrase>", phrases=("for {value}", "staying {value}"), forms=("two nights", "one night")
    ),
    SlotWords(
        token="<day in its phrase>", phrases=("for {value}",), forms=("may first", "may twenty", "may twenty first")
    ),
    SlotWords(token="<name in its phrase>", phrases=("under {value}",), forms=("lee l e e", "l e e"), open=True),
)
TEXTS = [
    "a suite for two nights under l e e", "a suite for may twenty under lee l e e for one night",
    "a suite staying one night for may first", "a suite under k a y for two nights please", "a suite please",
    "a suite under lee l e e", "a suite under l e e please",
]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> WordModel:
    """A model of a few sentences."""
    return WordModel(estimate([(text.split(), 3.0) for text in TEXTS], order=4, slots=SLOTS))


def _steps(model: WordModel, words: Sequence[str]) -> list[float]:
    state, found = model.start, []
    for word in words:
        score, follow = model.score(np.array([state]), np.array([model.index[word]]))
        state = int(follow[0])
        found.append(float(score[0]))
    return found


def test_a_sentence_is_told_with_its_longest_fillings_as_one_word_each() -> None:
    index = {word: n for n, word in enumerate([*(s.token for s in SLOTS), *words_of(SLOTS)])}
    told = Fillings(SLOTS, index).tokens_of("a suite for may twenty first for two days under lee l e e".split())
    assert told == ["a", "suite", "<day in its phrase>", "for", "two", "days", "<name in its phrase>"]


def test_equal_fillings_are_equally_likely_however_often_they_were_counted(model: WordModel) -> None:
    often = model.sentence("a suite for two nights please".split())
    never = model.sentence("a suite staying two nights please".split())
    assert often == pytest.approx(never, abs=1e-4)


def test_words_of_a_slot_share_its_chance_and_leave_nothing_over(model: WordModel) -> None:
    steps = _steps(model, "a suite staying one".split())
    both = _steps(model, "a suite staying two".split())
    assert np.exp(steps[-1]) + np.exp(both[-1]) == pytest.approx(1.0, abs=1e-6)


def test_a_filling_that_ends_inside_another_may_end_or_go_on(model: WordModel) -> None:
    ended, longer = (model.sentence(f"a suite for may {day}".split()) for day in ("twenty", "twenty first"))
    assert ended == pytest.approx(longer, abs=1e-4)


def test_what_was_filled_in_is_remembered_over_a_long_filling(model: WordModel) -> None:
    after_name = _steps(model, "a suite under lee l e e for".split())[-1]
    again = _steps(model, "a suite under lee l e e under".split())[-1]
    assert after_name > again + 0.5


def test_a_name_that_is_not_listed_costs_little_and_a_wrong_date_much(model: WordModel) -> None:
    name, date = model.sentence("a suite under l a y".split()), model.sentence("a suite for may night".split())
    assert name > date + 5.0


def test_the_tree_looks_ahead_inside_fillings_and_never_says_a_token(model: WordModel) -> None:
    tree = Tree(model)
    state = model.start
    for word in "a suite staying two".split():
        state = int(model.score(np.array([state]), np.array([model.index[word]]))[1][0])
    firsts = tree.child[tree.child_begin[0] : tree.child_begin[1]]
    ahead = tree.ahead(np.full(len(firsts), state), firsts)
    assert ahead.max() == pytest.approx(0.0, abs=1e-5)  # nothing but "nights" can follow
    assert not model.tokens & set(tree.end.tolist())
    assert model.states == len(model.back_off) * len(model.slots.fillings if model.slots else ())


def test_a_model_without_slots_is_as_it_was_and_one_with_slots_survives_its_folder() -> None:
    plain = estimate([(text.split(), 1.0) for text in TEXTS])
    assert WordModel(plain).slots is None
    config = estimate([(text.split(), 1.0) for text in TEXTS], slots=SLOTS).config
    assert load(dump(config)) == config


def test_slots_of_a_sheet_hold_every_way_to_say_every_value() -> None:
    slots = {slot.token: slot for slot in slots_of(load_sheet(find_sheet("porter")))}
    arrival = slots["<arrival in its phrase>"]
    assert len(arrival.forms) == 366 * 3 and "from {value}" in arrival.phrases
    assert "under the name {value}" in slots["<name in its phrase>"].phrases and slots["<name>"].open
