"""Several codes of one book as one step of a language model, which is as much shorter for it.

Grouped code modelling (VALL-E 2, arXiv:2406.05370 §3): the embeddings of a group stand one after the other and a
matrix makes the step's vector of them; another matrix makes of the model's vector one for each place in the group, and
one head, the same for all places, scores their codes. The places of a group do not see each other.
"""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.nn.few import Linear


@final
class Groups(nn.Module):
    """From the vectors of a group to that of a step, and back."""

    def __init__(self, width: int, count: int) -> None:
        """For groups of ``count`` codes."""
        super().__init__()
        self.count = count
        self.enter = Linear(count * width, width, bias=False)
        self.leave = Linear(width, count * width, bias=False)

    def joined(self, places: Float[Tensor, "B G S D"], whole: Bool[Tensor, "B S"]) -> Float[Tensor, "B S D"]:
        """The vector of each step; what is no group (text, a mark) is what stands at its first place."""
        together = self.enter(places.transpose(1, 2).flatten(2))
        return torch.where(whole[..., None], together, places[:, 0])

    def parted(self, hidden: Float[Tensor, "*S D"]) -> Float[Tensor, "*S G D"]:
        """One vector for each place of the step's group."""
        return self.leave(hidden).unflatten(-1, (self.count, -1))
