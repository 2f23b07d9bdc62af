"""Losses of two encoders that are to find each other's partners."""

from jaxtyping import Bool, Float
from torch import Tensor


def paired(scores: Float[Tensor, "B B"], same: Bool[Tensor, "B B"]) -> Float[Tensor, ""]:
    """The loss of both encoders: each text is to find its sound among all, and the other way round.

    ``same`` marks the pairs that fit, the diagonal among them; where several do, they share (arXiv:2004.11362).
    """
    wanted = same.float()
    rows = -(wanted * scores.log_softmax(1)).sum(1) / wanted.sum(1)
    columns = -(wanted * scores.log_softmax(0)).sum(0) / wanted.sum(0)
    return (rows.mean() + columns.mean()) / 2
