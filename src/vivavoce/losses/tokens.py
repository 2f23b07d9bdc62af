"""Losses over tokens."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def next_token(
    logits: Float[Tensor, "B S V"], ids: Int[Tensor, "B S"], weights: Float[Tensor, "B S"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy of each id from the scores at the position before it, and how often the likeliest is right.

    Both are means by ``weights``; ids of weight 0 may be anything that is in the vocabulary.
    """
    after, counted = F.pad(ids[:, 1:], (0, 1)), F.pad(weights[:, 1:], (0, 1))
    return weighted(logits.flatten(0, 1), after.flatten(), counted.flatten())  # cut, all scores would be copied


def weighted(
    scores: Float[Tensor, "N V"], wanted: Int[Tensor, " N"], weights: Float[Tensor, " N"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """As `next_token`, where the scores of each id are its own."""
    losses = F.cross_entropy(scores.float(), wanted, reduction="none")
    weights = weights.float()
    total = weights.sum().clamp(min=1e-8)
    with torch.no_grad():
        right = ((scores.argmax(-1) == wanted) * weights).sum() / total
    return (losses * weights).sum() / total, right
