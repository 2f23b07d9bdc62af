"""Errors of a listener: words that sound alike, and never a change of what an order means."""

import numpy as np

from vivavoce.data.misheard import misheard, sound_alikes


def test_words_that_sound_alike_are_found() -> None:
    assert "late" in sound_alikes("latte")
    assert "smell" in sound_alikes("small")
    assert "latte" not in sound_alikes("latte")


def test_what_carries_the_meaning_is_neither_lost_nor_invented() -> None:
    draw = np.random.default_rng(0)
    words = "can i get a large latte with some milk and a lot of sugar".split()
    kept = {"large", "small", "latte", "mocha", "some", "milk", "a", "lot", "of", "sugar"}
    changed = 0
    for _ in range(200):
        heard = misheard(words, draw, rate=0.3, kept=kept)
        changed += heard != words
        for word in kept:
            assert heard.count(word) <= words.count(word)
        # A kept word may become another that sounds like it, so the kept places stay as many.
        assert len(heard) >= sum(word in kept for word in words)
    assert changed > 150
    assert misheard(words, draw, rate=0.0, kept=kept) == words
