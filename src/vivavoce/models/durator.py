"""From phones to a memory on a clock: how long each is, and an upsampler that is learnt with whatever looks at it.

VoiceLDM's durator (arXiv:2309.13664 §3.2) with the upsampler of Parallel Tacotron 2 (arXiv:2103.14574 §3.2): where in
a phone a place lies decides what it takes from all of them, so that durations get a gradient from what is made.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.nn.transformer import TransformerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DuratorConfig:
    """How many phones there are, a trunk that looks both ways, and the width of what a place knows of a phone.

    ``usual`` is how many places a phone has before anything is learnt; ``heads`` look at phones in their own ways.
    """

    phones: int
    trunk: TransformerConfig = TransformerConfig(
        dim=256, layers=4, heads=4, kv_heads=4, hidden=704, window=600, causal=False
    )
    inner: int = 16
    heads: int = 4
    usual: float = 2.0

    def build(self) -> "Durator":
        """The module with fresh weights."""
        return Durator(self)


class Placed(NamedTuple):
    """A memory on the clock, what of it is there, and how many places each row has."""

    memory: Float[Tensor, "B T D"]
    seen: Bool[Tensor, "B T"]
    places: Float[Tensor, " B"]


@final
class Durator(nn.Module):
    """See the file's text."""

    def __init__(self, config: DuratorConfig) -> None:
        """Every phone begins with the usual duration."""
        super().__init__()
        self.config = config
        dim, inner = config.trunk.dim, config.inner
        self.embed = nn.Embedding(config.phones, dim)
        self.trunk = config.trunk.build()
        self.duration = nn.Linear(dim, 1)
        nn.init.zeros_(self.duration.weight)
        nn.init.constant_(self.duration.bias, float(torch.expm1(torch.tensor(config.usual)).log()))
        self.local = nn.Conv1d(dim, inner, 3, padding=1)
        self.weigh = nn.Sequential(
            nn.Linear(inner + 2, inner), nn.SiLU(), nn.Linear(inner, inner), nn.SiLU(), nn.Linear(inner, config.heads)
        )
        self.place = nn.Sequential(nn.Linear(inner + 2, inner), nn.SiLU(), nn.Linear(inner, inner))
        self.out = nn.Linear(config.heads * (dim + inner), dim)

    def forward(self, phones: Int[Tensor, "B P"], lengths: Int[Tensor, " B"], places: int | None = None) -> Placed:
        """The memory of so many places, by default of as many as the longest row needs."""
        valid = torch.arange(phones.shape[1], device=phones.device) < lengths[:, None]
        hidden = self.trunk(self.embed(phones), valid)
        durations = F.softplus(self.duration(hidden))[..., 0] * valid
        ends = durations.cumsum(1)
        total = ends[:, -1]
        if places is None:
            places = max(1, int(total.detach().max().ceil()))
        middle = torch.arange(places, device=phones.device) + 0.5
        after = middle[None, :, None] - (ends - durations)[:, None]
        left = ends[:, None] - middle[None, :, None]
        near = self.local((hidden * valid[..., None]).transpose(1, 2)).transpose(1, 2)
        known = torch.cat((torch.stack((after, left), -1), near[:, None].expand(-1, places, -1, -1)), -1)
        scores = self.weigh(known).masked_fill(~valid[:, None, :, None], -torch.inf)
        # a place begins with the phone that it lies in, and learns what else to take
        inside = -torch.relu(-torch.minimum(after, left))[..., None]
        shares = (scores + inside).softmax(2)
        taken = torch.einsum("btph,bpd->bthd", shares, hidden)
        where = torch.einsum("btph,btpi->bthi", shares, self.place(known))
        memory = self.out(torch.cat((taken, where), -1).flatten(2))
        return Placed(memory, middle[None] - 0.5 < total[:, None].clamp(min=1), total)
