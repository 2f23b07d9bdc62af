"""Where words lie in a sound whose text is known."""

import numpy as np
import pytest
import torch

import vivavoce
from vivavoce.assistant.timing import WordTiming, spread
from vivavoce.text.normalise import phrases

TEXT = "The quick brown fox jumps over the lazy dog, and then it goes home."


@pytest.fixture(scope="module")
def said():
    """What our own speaker says, which knows when it says each word."""
    model = vivavoce.load()
    mouth, on = model.mouth, torch.ones(1, dtype=torch.bool)
    state = mouth.init_state(1)
    mouth.begin(state, 0, vivavoce.Voice(), 0)
    mouth.feed(state, 0, TEXT, last=True)
    steps = []
    while (step := mouth.step(state, on)[0]) is not None and not (steps and steps[-1].done):
        steps.append(step)
    pcm = np.concatenate([step.pcm for step in steps])
    return WordTiming(lambda: model.listener), pcm, [word for step in steps for word in step.words]


def test_every_word_is_found_where_it_was_said(said):
    timing, pcm, known = said
    read = [word for phrase in phrases(TEXT) for word in phrase.words]
    found = timing.words(pcm, read)
    assert [(word.text, word.span) for word in found] == [(word.text, word.span) for word in known]
    off = [abs(a.start - b.start) + abs(a.end - b.end) for a, b in zip(found, known, strict=True)]
    assert np.median(off) / 2 < 0.05 * 24_000 and max(off) / 2 < 0.25 * 24_000


def test_of_a_sound_that_goes_on_what_is_certain_is_told(said):
    timing, pcm, _ = said
    read = [word for phrase in phrases(TEXT) for word in phrase.words]
    whole = timing.words(pcm, read)
    for part in (0.3, 0.6, 0.9):
        cut = int(part * len(pcm))
        early = timing.words(pcm[:cut], read, whole=False)
        assert [w.text for w in early] == [w.text for w in whole[: len(early)]]
        assert all(abs(a.end - b.end) < 0.15 * 24_000 for a, b in zip(early, whole, strict=False))
        assert len(early) >= sum(word.end < cut - 24_000 for word in whole)


def test_words_that_do_not_fit_are_spread_over_the_sound(said):
    timing, pcm, _ = said
    read = [word for phrase in phrases(TEXT) for word in phrase.words]
    found = timing.words(pcm[:4800], read)
    assert found == spread(4800, read) and found[-1].end == 4800
    assert timing.words(pcm[:0], read) == () == timing.words(pcm, ())
