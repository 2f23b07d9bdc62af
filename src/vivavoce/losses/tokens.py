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
    guessed, wanted, weights = logits[:, :-1], ids[:, 1:], weights[:, 1:].float()
    losses = F.cross_entropy(guessed.flatten(0, 1).float(), wanted.flatten(), reduction="none").view_as(wanted)
    total = weights.sum().clamp(min=1e-8)
    with torch.no_grad():
        right = ((guessed.argmax(-1) == wanted) * weights).sum() / total
    return (losses * weights).sum() / total, right
