"""Words from phones: the word model sums to one, the search finds what was said, and times are kept."""

import itertools

import numpy as np
import pytest

from vivavoce.generate.search import SearchConfig
from vivavoce.models.words import Tree, WordModel, estimate
from vivavoce.text.phones import PHONES, ids
from vivavoce.text.pronounce import pronunciations

SENTENCES = ["can i have a large latte", "can i have a small mocha", "i want a latte with some milk", "hello there"]


@pytest.fixture(scope="module")
def model() -> WordModel:
    return WordModel(estimate([(line.split(), 1.0) for line in SENTENCES], order=3))


def test_probabilities_after_any_history_sum_to_one(model: WordModel) -> None:
    everything = np.arange(len(model.vocabulary))
    for history in range(len(model.back_off)):
        scores, _ = model.score(np.full(len(everything), history), everything)
        assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-3)


def test_likely_sentences_score_higher_and_ends_are_known(model: WordModel) -> None:
    assert model.sentence("can i have a latte".split()) > model.sentence("have can a i latte".split())
    assert model.over("can i have a large latte".split()) > 0.5
    assert model.over("can i have a".split()) < 0.1


def spoken(line: str, frames_each: int = 3, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Log-probabilities as a good listener gives them: each phone for some frames, blanks between."""
    draw = np.random.default_rng(seed)
    rows = []
    for word in line.split():
        for phone in ids(pronunciations(word)[0]):
            rows += [phone] * frames_each + [0]
    scores = draw.normal(0, noise, (len(rows) + 4, len(PHONES)))
    scores[np.arange(len(rows)), rows] += 6
    scores[len(rows) :, 0] += 6
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


@pytest.mark.parametrize("noise", [0.0, 1.5])
@pytest.mark.parametrize("line", SENTENCES)
def test_the_search_finds_the_words(model: WordModel, line: str, noise: float) -> None:
    search = SearchConfig().build(model, Tree(model.vocabulary, model.unigrams()))
    state = search.init_state()
    heard = spoken(line, noise=noise)
    for piece in np.array_split(heard, 5):
        search.advance(piece, state)
    words, _ = search.best(state, final=True)
    assert [word.word for word in words] == line.split()
    assert all(a.end <= b.start + 1 for a, b in itertools.pairwise(words))
    assert all(0 < word.confidence <= 1 for word in words)
    first = len(ids(pronunciations(words[0].word)[0])) * 4
    assert abs(words[0].end - first) <= 2


def test_several_gives_different_lines(model: WordModel) -> None:
    search = SearchConfig(beam=30.0).build(model, Tree(model.vocabulary, model.unigrams()))
    state = search.init_state()
    search.advance(spoken("can i have a large latte", noise=1.0), state)
    lines = [" ".join(w.word for w in words) for words, _ in search.several(state, 4, final=True)]
    assert len(lines) > 1 and len(set(lines)) == len(lines)
