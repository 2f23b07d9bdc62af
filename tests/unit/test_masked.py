"""Masked generation: what is hidden when, what is kept, and that nothing stays hidden."""

import math

import pytest
import torch
from torch import Tensor

from vivavoce.core.errors import ConfigError
from vivavoce.core.rng import torch_stream
from vivavoce.generate.masked import Unmasking, hidden_share, hide, linear_levels, unmask

MASK = 99


def test_what_is_hidden_follows_a_sine_and_stays_in_its_places() -> None:
    draw = torch.Generator().manual_seed(1)
    free = torch.ones(400, 200, dtype=torch.bool)
    free[:, :20] = False
    for time in (0.1, 0.5, 0.9):
        share = hide(free, torch.full((400,), time), draw).float().sum() / free.sum()
        assert abs(float(share) - math.sin(math.pi * time / 2)) < 0.01
    assert torch.equal(hide(free, torch.ones(400), draw), free)
    least = hide(free, torch.zeros(400), draw)
    assert torch.equal(least.sum(1), torch.ones(400, dtype=torch.long)) and not bool((least & ~free).any())
    assert not bool(hide(torch.zeros_like(free), torch.ones(400), draw).any())


def test_levels_are_learnt_in_proportion_to_those_that_are_left() -> None:
    assert torch.allclose(linear_levels(4), torch.tensor([4.0, 3, 2, 1]) / 10)
    assert torch.allclose(linear_levels(5, 3), torch.tensor([0.0, 0, 0, 2, 1]) / 3)


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("how", [Unmasking(), Unmasking(temperature=0.0, noise=0.0), Unmasking(noise=50.0)])
def test_nothing_stays_hidden_and_what_is_given_stays(steps: int, how: Unmasking) -> None:
    asked: list[Tensor] = []
    how = Unmasking(steps=steps, temperature=how.temperature, noise=how.noise)

    def score(ids: Tensor, hidden: Tensor, time: float) -> Tensor:
        assert bool((ids[hidden & (ids == MASK)] == MASK).all()) and not bool((ids[~hidden] == MASK).any())
        assert time == 1 - len(asked) / steps
        asked.append(hidden.sum(1))
        return torch.zeros(*ids.shape, 7)

    ids = torch.full((3, 40), MASK)
    free = torch.ones(3, 40, dtype=torch.bool)
    free[0, :5], free[1, 30:], free[2] = False, False, False
    ids[~free] = 3
    made = unmask(score, ids, free, how, [torch_stream(row, "masked") for row in range(3)])
    assert int(made.max()) < 7 and bool((made[~free] == 3).all()) and bool((ids[free] == MASK).all())
    left = torch.stack(asked)
    wanted = hidden_share(torch.arange(steps, 0, -1) / steps)[:, None] * free.sum(1)
    assert left.shape[0] == steps and torch.equal(left, wanted.long())


def test_the_surest_are_written_first() -> None:
    sure = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    order: list[Tensor] = []

    def score(ids: Tensor, hidden: Tensor, time: float) -> Tensor:
        order.append(hidden[0].clone())
        return torch.nn.functional.one_hot(torch.full((1, 30), 2), 5) * sure[None, :, None] / 5

    made = unmask(score, torch.full((1, 30), MASK), torch.ones(1, 30, dtype=torch.bool), Unmasking(
        steps=6, temperature=0.0, noise=0.0
    ), [torch_stream(0, "masked")])  # fmt: skip
    assert int((made[0, sure > 0] != 2).sum()) == 0
    for hidden in order[1:]:
        assert int(sure[hidden].max()) < int(sure[~hidden].min())


def test_a_row_does_not_depend_on_the_others() -> None:
    scores = torch.randn(2, 25, 11, generator=torch.Generator().manual_seed(3))
    free = torch.ones(2, 25, dtype=torch.bool)
    free[1, 20:] = False
    ids = torch.zeros(2, 25, dtype=torch.long)
    together = unmask(lambda i, h, t: scores, ids, free, Unmasking(), [torch_stream(5, "m"), torch_stream(6, "m")])
    alone = unmask(lambda i, h, t: scores[1:, :20], ids[1:, :20], free[1:, :20], Unmasking(), [torch_stream(6, "m")])
    assert torch.equal(together[1, :20], alone[0])
    again = unmask(lambda i, h, t: scores, ids, free, Unmasking(), [torch_stream(7, "m"), torch_stream(8, "m")])
    assert not torch.equal(again[0], together[0])


def test_ids_are_drawn_among_the_likeliest_only() -> None:
    scores = torch.arange(20.0)[None, None].expand(1, 500, 20) / 100
    made = unmask(
        lambda i, h, t: scores, torch.zeros(1, 500, dtype=torch.long), torch.ones(1, 500, dtype=torch.bool),
        Unmasking(steps=3, top_share=0.2), [torch_stream(1, "m")],
    )  # fmt: skip
    assert set(made[0].tolist()) == {16, 17, 18, 19}


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"temperature": -1.0}, {"top_share": 0.0}, {"noise": -0.1}])
def test_numbers_that_write_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="at least one pass"):
        Unmasking(**wrong)  # type: ignore[arg-type]
