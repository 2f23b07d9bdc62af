"""Next-token loss: counts what it is told to, and nothing else."""

import torch

from vivavoce.losses.tokens import next_token


def test_only_weighted_positions_count() -> None:
    ids = torch.tensor([[0, 1, 2, 3]])
    weights = torch.tensor([[1.0, 0.0, 2.0, 1.0]])
    logits = torch.zeros(1, 4, 5)
    logits[0, 1, 2] = 50.0  # right, weight 2
    logits[0, 2, 4] = 3.0  # wrong, weight 1
    loss, right = next_token(logits, ids, weights)
    wrong = -float(torch.log_softmax(logits[0, 2], -1)[3])
    assert abs(float(loss) - wrong / 3) < 1e-5
    assert abs(float(right) - 2 / 3) < 1e-6
    logits[0, 0] = torch.randn(5)  # what has no weight changes nothing
    assert torch.equal(next_token(logits, ids, weights)[0], loss)


def test_nothing_to_count_is_no_nan() -> None:
    assert float(next_token(torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3))[0]) == 0
