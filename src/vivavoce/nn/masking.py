"""Spans of frames that are hidden from a model, which then has to say what is there (arXiv:2006.11477 §3.1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """Each frame begins a span of ``span`` frames with the probability ``starts``; spans may overlap.

    A share of 0.065 with spans of ten hides about half of all frames. ``least`` spans begin in every row.
    """

    starts: float = 0.065
    span: int = 10
    least: int = 1


def span_mask(lengths: Int[Tensor, " B"], frames: int, config: MaskConfig) -> Bool[Tensor, "B T"]:
    """What is hidden; never anything behind the length of a row. Drawn from torch's own generator.

    Spans begin where they still fit; in a row that is shorter than a span all of it is hidden.
    """
    places = torch.arange(frames, device=lengths.device)
    room = (lengths - config.span + 1).clamp(min=1)
    wanted = config.starts * lengths + torch.rand(len(lengths), device=lengths.device)  # rounded by chance
    count = torch.minimum(wanted.long().clamp(min=config.least), room)
    # without replacement: the places with the smallest random numbers
    order = torch.rand(len(lengths), frames, device=lengths.device).masked_fill(places[None] >= room[:, None], 2.0)
    ranks = order.argsort(dim=1).argsort(dim=1)
    begins = ranks < count[:, None]
    since = torch.where(begins, places[None], -config.span).cummax(dim=1).values
    return (places[None] - since < config.span) & (places[None] < lengths[:, None])
