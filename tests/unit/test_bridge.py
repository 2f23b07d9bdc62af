"""A bridge that spells: what it hands over, one vector for what was said once, and nothing for silence."""

from fractions import Fraction

import pytest
import torch

from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.streams import Latents
from vivavoce.hub.tokens import ChatTokenizer, byte_letters, tokenizer_json
from vivavoce.models.bridge import Bridge, Spelling, SpellingConfig, spelled_rows
from vivavoce.recipes.bridge import Shape
from vivavoce.recipes.heard_data import ByLength

FRAMES = Latents(name="frames", alphabet="test", dim=24, rate=Fraction(50))


def bridge(blank: float = 0.5) -> Bridge:
    torch.manual_seed(3)
    shape = Shape(dim=32, layers=1, dropout=0.0, spelling=SpellingConfig(pieces=7, blank=blank))
    made = shape.config(FRAMES, 16).build().eval()
    assert made.spelling is not None
    made.spelling.begin(torch.randn(11, 16))
    return made


def certain(*ids: int) -> torch.Tensor:
    """Log-probabilities of a row that is sure of these, blank first."""
    scores = torch.full((1, len(ids), 8), -30.0)
    scores[0, torch.arange(len(ids)), list(ids)] = 0.0
    return scores


def test_a_run_of_a_piece_is_one_vector_and_silence_none() -> None:
    spelling = bridge().spelling
    assert spelling is not None
    scores = certain(0, 3, 3, 0, 3, 5, 0, 0)
    vectors, counts = spelling.handed(torch.randn(1, 8, 32), scores, torch.tensor([8]))
    assert counts.tolist() == [3]
    torch.testing.assert_close(vectors[0], spelling.table[[2, 2, 4]])
    assert Spelling.greedy(scores, torch.tensor([8])) == [[2, 2, 4]]
    _, counts = spelling.handed(torch.randn(1, 8, 32), scores, torch.tensor([4]))
    assert counts.tolist() == [1] and Spelling.greedy(scores, torch.tensor([4])) == [[2]]
    _, none = spelling.handed(torch.randn(1, 2, 32), certain(0, 0), torch.tensor([2]))
    assert none.tolist() == [0]


def test_a_half_precision_pass_hands_over_the_same() -> None:
    model = bridge(blank=0.98)
    frames = torch.randn(2, 60, 24)
    with torch.no_grad():
        wanted = model(frames, None, torch.tensor([60, 36]))
        with torch.autocast("cpu", torch.bfloat16):
            made = model(frames, None, torch.tensor([60, 36]))
    assert made.counts.tolist() == wanted.counts.tolist()
    torch.testing.assert_close(made.vectors.float(), wanted.vectors, rtol=0.1, atol=0.1)


def test_rows_beside_each_other_are_heard_as_by_themselves() -> None:
    model = bridge(blank=0.98)
    frames = torch.randn(2, 60, 24)
    with torch.no_grad():
        both = model(frames, None, torch.tensor([60, 36]))
        for row, length in enumerate((60, 36)):
            alone = model(frames[row : row + 1, :length])
            count = int(alone.counts[0])
            assert count == int(both.counts[row]) and alone.lengths is not None
            torch.testing.assert_close(both.vectors[row, :count], alone.vectors[0, :count], rtol=1e-4, atol=1e-5)
    assert both.lengths is not None and both.lengths.tolist() == [15, 9]


def test_what_is_handed_over_is_learnt_through_scores_and_vectors() -> None:
    model = bridge(blank=0.98).train()
    heard = model(torch.randn(1, 60, 24))
    assert heard.counts[0] > 0 and heard.scores is not None
    heard.vectors.square().sum().backward()
    learnt = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {"spelling.enter.weight", "spelling.beside.weight", "qformer.queries", "first_norm.weight"} <= learnt


def test_a_text_is_spelled_with_the_first_ids_only() -> None:
    tokens = [*byte_letters(), "th", "the", "<|end|>"]
    described = tokenizer_json("gpt2", tokens, [("t", "h"), ("th", "e")], ["<|end|>"], [])
    assert described is not None
    tokenizer = ChatTokenizer(described)
    for below, count in ((258, 1), (257, 2), (256, 3)):
        ids = tokenizer.spelled("the", below)
        assert len(ids) == count and max(ids) < below
        assert b"".join(tokenizer.pieces[id] for id in ids) == b"the"
    with pytest.raises(PartError, match="not among the first 80 ids"):
        tokenizer.spelled("the", 80)
    pieces, counts = spelled_rows([[0, 4], [2]])
    assert pieces.tolist() == [[1, 5], [3, 0]] and counts.tolist() == [2, 1]


def test_a_bridge_that_does_not_fit_is_refused() -> None:
    spelling = bridge().spelling
    assert spelling is not None
    with pytest.raises(ConfigError, match="the bridge spells with 7"):
        spelling.begin(torch.randn(5, 16))


def test_batches_are_of_one_length_and_leave_nothing_out() -> None:
    lengths = torch.rand(200, generator=torch.Generator().manual_seed(1)).mul(15).add(1).numpy()
    batches = ByLength(lengths, 60.0, 1)
    for turn in range(2):
        some = [batches(turn * batches.count + place) for place in range(batches.count)]
        assert sorted(row for rows in some for row in rows) == list(range(200))
        assert max(lengths[rows].max() / lengths[rows].min() for rows in some[1:]) < 16
        assert sum(lengths[rows].max() * len(rows) for rows in some) < 1.4 * lengths.sum()
    assert (
        [batches(n) for n in range(3)]
        == [batches(n) for n in range(3)]
        != [batches(n + batches.count) for n in range(3)]
    )
