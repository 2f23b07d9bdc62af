"""When somebody who fell silent counts as done: by words, by pitch, and by how well the words were heard."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.ending import UNDECIDED, done, fall, sureness
from vivavoce.recipes.endings import SilenceExample, fit, parted

CHANCES = st.floats(0, 1)
SURE = st.lists(CHANCES, min_size=1, max_size=8)
TEXT = st.floats(-80, 0)


@given(SURE, TEXT, CHANCES, CHANCES, st.floats(-1, 1))
def test_the_likelier_the_sentence_is_over_the_likelier_the_speaker_is_done(sure, text, one, other, pitch):
    less, more = sorted((one, other))
    assert 0 <= done(sure, text, less, pitch) <= done(sure, text, more, pitch) <= 1
    assert done(sure, text, one, abs(pitch)) <= done(sure, text, one, -abs(pitch))


@given(CHANCES, CHANCES, st.floats(-1, 1))
def test_words_that_no_customer_says_end_no_turn_early(one, other, pitch):
    assert done([0.9] * 4, -40.0, one, pitch) <= UNDECIDED
    assert abs(done([0.9] * 4, -40.0, one) - done([0.9] * 4, -40.0, other)) < 0.02


def test_an_open_phrase_is_not_done_and_a_complete_order_is():
    assert done([0.95] * 4, -6.0, 0.001) < 0.2
    assert done([0.95] * 4, -6.0, 0.5) > 0.7
    assert done([], 0.0, 0.9) == 0.0


def test_a_falling_voice_is_heard_to_fall():
    t = np.arange(48_000) / 16_000
    hz = np.where(t < 2.4, 200.0, 130.0)
    wave = torch.from_numpy((0.3 * np.sign(np.sin(2 * np.pi * np.cumsum(hz) / 16_000))).astype(np.float32))
    assert -0.75 < fall(wave, 16_000) < -0.5
    assert abs(fall(wave[:32_000], 16_000)) < 0.05
    assert fall(torch.zeros(16_000), 16_000) == 0.0


def test_the_recipe_finds_what_parts_ends_from_pauses():
    dice = np.random.default_rng(0)
    known = []
    for number in range(200):
        over = bool(number % 2)
        words = float(dice.normal(1.5 if over else -1.5, 1.0))
        known.append(SilenceExample((0.9, words, float(dice.normal(-0.2 * over, 0.1))), -1.5, over))
    weights = fit(known)
    assert weights[1] > 0 > weights[2]
    assert parted(known, weights) > 0.95


def test_how_sure_words_are_is_their_geometric_mean():
    assert sureness([0.25, 1.0]) == pytest.approx(0.5)
    assert sureness([]) == 0
