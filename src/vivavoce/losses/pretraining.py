"""Losses of encoders that learn from sound alone."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def distractors(mask: Bool[Tensor, "B T"], count: int) -> Int[Tensor, "N K"]:
    """For every masked frame, row by row, ``count`` other masked frames of the same row, by their number among all
    masked ones; drawn evenly and with replacement.

    A frame that is the only one of its row gets itself, which `contrastive` never takes for a distractor.
    """
    each = mask.sum(1)
    total = torch.repeat_interleave(each, each)
    begin = torch.repeat_interleave(each.cumsum(0) - each, each)
    own = torch.arange(len(total), device=mask.device) - begin
    drawn = (torch.rand(len(total), count, device=mask.device) * (total - 1)[:, None]).long()
    drawn = drawn + (drawn >= own[:, None]).long()  # itself is left out
    return begin[:, None] + torch.minimum(drawn, (total - 1)[:, None])


def contrastive(
    context: Float[Tensor, "N D"],
    target: Float[Tensor, "N D"],
    others: Int[Tensor, "N K"],
    same: Bool[Tensor, "N K"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The mean of -log p(own target | own target and distractors) by cosines (arXiv:2006.11477 §3.2), and how often the
    own target is the nearest.

    Distractors that are the ``same`` as the target (the quantiser chose alike) count for nothing.
    """
    candidates = torch.cat((target[:, None], target[others]), dim=1)
    scores = F.cosine_similarity(context[:, None].float(), candidates.float(), dim=-1) / temperature
    scores = torch.cat((scores[:, :1], scores[:, 1:].masked_fill(same, -torch.inf)), dim=1)
    right = (scores[:, 1:] < scores[:, :1]).all(1)
    loss = F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device))
    return loss, right.float().mean()


def diversity(perplexity: Float[Tensor, " G"], size: int) -> Float[Tensor, ""]:
    """1 when every group uses a single entry, 0 when all are used alike (arXiv:2006.11477 §3.2)."""
    return 1 - perplexity.sum() / (len(perplexity) * size)


def masked_prediction(
    scores: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy over masked frames only, and the share of right ones among them (arXiv:2106.07447 §II).

    Labels below 0 are not known and left out.
    """
    chosen = mask & (labels >= 0)
    picked, wanted = scores[chosen].float(), labels[chosen]
    if not len(picked):
        return scores.sum() * 0, scores.new_zeros(())
    return F.cross_entropy(picked, wanted), (picked.argmax(-1) == wanted).float().mean()
