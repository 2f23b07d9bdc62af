"""Samplers: pure functions of scores, one uniform number and what went before."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.generate.samplers import GREEDY, RepetitionAware, Sample, Sampler

NONE = torch.full((1, 8), -1)
scores = st.lists(st.integers(-12, 12), min_size=2, max_size=8).map(lambda row: torch.tensor([row]) / 2)
uniforms = st.floats(0, 1, exclude_max=True)


def one(sampler: Sampler, logits: torch.Tensor, uniform: float, history: torch.Tensor = NONE) -> int:
    return int(sampler(logits, torch.tensor([uniform]), history))


@settings(deadline=None, max_examples=40)
@given(logits=scores, uniform=uniforms, k=st.integers(1, 8), p=st.floats(0.05, 1), t=st.floats(0.1, 2))
def test_only_what_is_allowed_is_chosen(logits: torch.Tensor, uniform: float, k: int, p: float, t: float) -> None:
    chosen = one(Sample(temperature=t, top_k=k, top_p=p), logits, uniform)
    chances = (logits[0] / t).softmax(-1)
    better = chances[chances > chances[chosen]]
    assert len(better) < k
    kept = chances.sort(descending=True).values[:k]
    assert float(better.sum() / kept.sum()) < p + 1e-5


@settings(deadline=None, max_examples=40)
@given(logits=scores, uniform=uniforms)
def test_greedy_takes_the_likeliest(logits: torch.Tensor, uniform: float) -> None:
    assert one(GREEDY, logits, uniform) == int(logits.argmax())
    assert one(Sample(top_k=1), logits, uniform) == int(logits.argmax())


@settings(deadline=None, max_examples=40)
@given(logits=scores, uniform=uniforms, mask=st.lists(st.booleans(), min_size=8, max_size=8))
def test_what_is_masked_never_comes(logits: torch.Tensor, uniform: float, mask: list[bool]) -> None:
    hidden = torch.tensor(mask[: logits.shape[1]])
    hidden[0] = False
    masked = logits.masked_fill(hidden, -torch.inf)
    for sampler in (Sample(), Sample(top_k=5, top_p=0.9), RepetitionAware(), GREEDY):
        assert not hidden[one(sampler, masked, uniform)]


def test_frequencies_follow_the_distribution() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, -1.0]])
    places = (torch.arange(4000) + 0.5) / 4000
    ids = Sample()(logits.expand(4000, -1), places, NONE.expand(4000, -1))
    counts = torch.bincount(ids, minlength=4) / 4000
    torch.testing.assert_close(counts, logits[0].softmax(-1), atol=1e-3, rtol=0)


def test_rows_do_not_see_each_other() -> None:
    logits, uniform = torch.randn(6, 9), torch.rand(6)
    history = torch.randint(9, (6, 12))
    for sampler in (Sample(top_p=0.7), RepetitionAware()):
        together = sampler(logits, uniform, history)
        alone = [sampler(logits[n : n + 1], uniform[n : n + 1], history[n : n + 1]) for n in range(6)]
        assert torch.equal(together, torch.cat(alone))


def test_repetition_is_drawn_again_from_everything() -> None:
    logits = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    often, seldom = torch.zeros(1, 10, dtype=torch.long), torch.full((1, 10), 3)
    sampler = RepetitionAware(first=Sample(top_k=1), window=10, ratio=0.1)
    places = (torch.arange(2000) + 0.5) / 2000
    many = (logits.expand(2000, -1), places)
    assert set(sampler(*many, seldom.expand(2000, -1)).tolist()) == {0}
    counts = torch.bincount(sampler(*many, often.expand(2000, -1)), minlength=4) / 2000
    # The second draw is uniform given the first, so the frequencies are those of the whole distribution.
    torch.testing.assert_close(counts, logits[0].softmax(-1), atol=2e-3, rtol=0)
