"""A product quantiser whose choices are learnt: Gumbel softmax in groups (arXiv:2006.11477 §2, arXiv:1611.01144)."""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class GumbelConfig:
    """``groups`` books of ``size`` entries each choose a part of a vector of ``code_dim`` numbers.

    The temperature begins at ``begin``, is multiplied by ``anneal`` after every update, and ends at ``end``.
    """

    dim: int = 512
    groups: int = 2
    size: int = 320
    code_dim: int = 256
    begin: float = 2.0
    end: float = 0.5
    anneal: float = 0.999995

    def build(self) -> "GumbelQuantizer":
        """The module."""
        if self.code_dim % self.groups:
            raise ConfigError(f"vectors of {self.code_dim} cannot be divided among {self.groups} groups")
        return GumbelQuantizer(self)


class Chosen(NamedTuple):
    """Vectors of the chosen entries and their ids, which in training are drawn; the ``likeliest`` ids; and how evenly
    entries are used.

    ``soft`` is the perplexity of the mean distribution, per group, with a gradient; ``hard`` that of the choices.
    """

    vectors: Float[Tensor, "N C"]
    ids: Int[Tensor, "N G"]
    likeliest: Int[Tensor, "N G"]
    soft: Float[Tensor, " G"]
    hard: Float[Tensor, " G"]


@final
class GumbelQuantizer(nn.Module):
    """See the file's text."""

    temperature: Tensor

    def __init__(self, config: GumbelConfig) -> None:
        """Entries spread evenly, a projection that chooses with confidence."""
        super().__init__()
        self.config = config
        self.choose = nn.Linear(config.dim, config.groups * config.size)
        nn.init.normal_(self.choose.weight)
        nn.init.zeros_(self.choose.bias)
        self.entries = nn.Parameter(torch.rand(config.groups, config.size, config.code_dim // config.groups))
        self.register_buffer("temperature", torch.tensor(config.begin))

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N D"]) -> None:
        """Fits fresh weights to vectors such as these: what they differ by chooses, not what they have in common.

        Vectors of a fresh net hardly differ beside their mean; all would choose the same entry, and nothing would be
        left to tell apart. Nor are entries told apart that lie on one side of nought.
        """
        self.entries.sub_(self.entries.mean(1, keepdim=True))
        self.entries.div_(self.entries.std())
        centre = x.mean(0)
        spread = ((x - centre) @ self.choose.weight.T).std().clamp(min=1e-6)
        self.choose.weight.mul_(self.config.dim**0.5 / spread)
        self.choose.bias.copy_(-self.choose.weight @ centre)

    def scores(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N G V"]:
        """How much each entry is wanted."""
        return self.choose(x).unflatten(-1, (self.config.groups, self.config.size)).float()

    def forward(self, x: Float[Tensor, "N D"]) -> Chosen:
        """In training entries are drawn, hard forwards and soft backwards; else the most wanted ones are taken."""
        scores = self.scores(x)
        if self.training:
            taken = F.gumbel_softmax(scores, tau=float(self.temperature), hard=True)
        else:
            taken = F.one_hot(scores.argmax(-1), self.config.size).to(scores.dtype)
        vectors = torch.einsum("ngv,gvc->ngc", taken, self.entries.float()).flatten(1)
        likeliest = scores.argmax(-1)
        hard = F.one_hot(likeliest, self.config.size).float().mean(0)
        return Chosen(vectors, taken.argmax(-1), likeliest, perplexity(scores.softmax(-1).mean(0)), perplexity(hard))

    def annealed(self, updates: int) -> float:
        """The temperature after so many updates."""
        return max(self.config.begin * self.config.anneal**updates, self.config.end)


def perplexity(shares: Float[Tensor, "G V"]) -> Float[Tensor, " G"]:
    """How many entries are in use: the exponential of the entropy."""
    return torch.exp(-(shares * shares.clamp(min=1e-9).log()).sum(-1))  # a share of 0 has a gradient too
