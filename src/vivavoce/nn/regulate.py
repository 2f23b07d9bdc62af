"""Length regulation: what is known of places (phones, pieces of time) on the frames that they take, and back.

FastSpeech (arXiv:1905.09263 §3.2). No loop over frames: every frame has an owner, found by binary search.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def owners(counts: Int[Tensor, "B P"], frames: int | None = None) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """The place that each frame belongs to, and whether there is one; ``counts`` are the frames of each place."""
    ends = counts.cumsum(1)
    size = int(ends[:, -1].max()) if frames is None else frames
    at = torch.arange(size, device=counts.device).expand(len(counts), -1).contiguous()
    found = torch.searchsorted(ends.contiguous(), at, right=True)
    return found.clamp(max=counts.shape[1] - 1), at < ends[:, -1:]


def spread(x: Float[Tensor, "B P D"], counts: Int[Tensor, "B P"], frames: int | None = None) -> Float[Tensor, "B T D"]:
    """Each place's vector at all of its frames; zeros behind the last."""
    found, there = owners(counts, frames)
    return x.gather(1, found[..., None].expand(-1, -1, x.shape[2])) * there[..., None]


def pooled(
    x: Float[Tensor, "B T D"], counts: Int[Tensor, "B P"], how: Literal["mean", "amax"] = "mean"
) -> Float[Tensor, "B P D"]:
    """The mean (or the greatest) of each place's frames; zeros where it has none."""
    found, there = owners(counts, x.shape[1])
    ignored = torch.where(there, found, counts.shape[1])[..., None].expand(-1, -1, x.shape[2])
    made = x.new_zeros(len(x), counts.shape[1] + 1, x.shape[2])
    return made.scatter_reduce(1, ignored, x, how, include_self=False)[:, :-1]


def pieces(frames: Int[Tensor, " B"], size: int) -> Int[Tensor, "B P"]:
    """So many frames of each row cut into pieces of ``size``, as the frames of each piece."""
    most = -(-int(frames.max()) // size)
    return (frames[:, None] - size * torch.arange(most, device=frames.device)).clamp(0, size)
