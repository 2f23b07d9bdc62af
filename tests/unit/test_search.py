"""Words from phones: the word model sums to one, the search finds what was said, and times are kept."""

import itertools

import numpy as np
import pytest

from vivavoce.generate.search import SearchConfig
from vivavoce.models.word_slots import SlotWords
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


def test_what_is_left_out_leaves_its_share_to_shorter_histories():
    lines = ["open the door"] * 8 + ["open the box", "open the lid"]
    model = WordModel(estimate([(line.split(), 1.0) for line in lines], order=3, least=1.0, discount=0.6))
    state = model.start
    for word in ("open", "the"):
        state = int(model.score(np.array([state]), np.array([model.index[word]]))[1][0])
    assert np.exp(model.back_off[state]) == pytest.approx((0.6 + 2) / 10)
    everything = np.arange(len(model.vocabulary))
    assert np.exp(model.score(np.full(len(everything), state), everything)[0]).sum() == pytest.approx(1.0, abs=1e-3)


def test_looking_ahead_tells_the_likeliest_word_below_a_node_after_the_word_before(model: WordModel):
    tree = Tree(model)
    for word in ("can", "a", "latte"):
        history = model.score(np.zeros(1, np.int64), np.array([model.index[word]]))[1]
        below = {0: list(range(1, len(model.vocabulary)))}  # words whose forms go through a node
        for node in range(len(tree.phone)):
            inside = [node]
            for one in inside:
                inside += tree.child[tree.child_begin[one] : tree.child_begin[one + 1]].tolist()
            below[node] = [int(w) for one in inside for w in tree.end[tree.end_begin[one] : tree.end_begin[one + 1]]]
        for node in range(1, len(tree.phone)):
            words = np.array(below[node])
            best = model.score(np.full(len(words), history[0]), words)[0].max()
            assert tree.ahead(history, np.array([node]))[0] == pytest.approx(best, abs=1e-4)


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
    search = SearchConfig().build(model, Tree(model))
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
    search = SearchConfig(beam=30.0).build(model, Tree(model))
    state = search.init_state()
    search.advance(spoken("can i have a large latte", noise=1.0), state)
    lines = [" ".join(w.word for w in words) for words, _ in search.several(state, 4, final=True)]
    assert len(lines) > 1 and len(set(lines)) == len(lines)


def test_doubt_lets_the_words_overrule_a_phone_that_the_listener_is_sure_of() -> None:
    model = WordModel(estimate([(line.split(), 1.0) for line in ("a green boat", "a brown boat")]))
    heard = spoken("a green boat", frames_each=4)
    sure = heard[:, ids(pronunciations("green")[0])[0]].argmax() + np.arange(2)
    heard[sure] = -40.0
    heard[sure, ids(pronunciations("brown")[0])[0]] = 0.0
    found = {}
    for doubt in (0.0, 0.01):
        search = SearchConfig(doubt=doubt, beam=100.0).build(model, Tree(model))
        state = search.init_state()
        search.advance(heard, state)
        found[doubt] = " ".join(word.word for word in search.best(state, final=True)[0])
    assert found[0.01] == "a green boat" != found[0.0]


def test_the_search_goes_through_slots_word_by_word() -> None:
    slots = (
        SlotWords(token="<nights>", phrases=("for {value}",), forms=("two nights", "one night")),
        SlotWords(token="<day>", phrases=("for {value}",), forms=("may first", "may twenty first")),
    )
    lines = ["a suite for two nights for may first", "a suite for may first please"]
    model = WordModel(estimate([(line.split(), 1.0) for line in lines], slots=slots))
    search = SearchConfig(model_scale=1.0).build(model, Tree(model))
    for line in ("a suite for one night for may twenty first", "a suite for may twenty first please"):
        state = search.init_state()
        search.advance(spoken(line, noise=1.0), state)
        assert " ".join(word.word for word in search.best(state, final=True)[0]) == line
