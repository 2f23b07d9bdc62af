"""What teaches an encoder: telling targets from distractors, naming clusters, or writing symbols."""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.losses.pretraining import contrastive, distractors, diversity
from vivavoce.nn.gumbel import GumbelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveConfig:
    """``dim`` is where context and target meet; ``others`` distractors are drawn for each masked frame."""

    quantizer: GumbelConfig = GumbelConfig()
    context: int = 768
    dim: int = 256
    others: int = 100
    temperature: float = 0.1

    def build(self) -> "ContrastiveHead":
        """The module."""
        return ContrastiveHead(self)


class Contrasted(NamedTuple):
    """Losses, how often the own target was nearest, entries in use per group, and the targets' likeliest ids."""

    loss: Float[Tensor, ""]
    diversity: Float[Tensor, ""]
    right: Float[Tensor, ""]
    used: Float[Tensor, ""]
    ids: Int[Tensor, "N G"]


@final
class ContrastiveHead(nn.Module):
    """wav2vec 2.0's objective: the quantised front frame against those of other masked frames of the utterance."""

    def __init__(self, config: ContrastiveConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        self.quantizer = config.quantizer.build()
        self.context = nn.Linear(config.context, config.dim)
        self.target = nn.Linear(config.quantizer.code_dim, config.dim)

    def forward(
        self, front: Float[Tensor, "B T F"], context: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> Contrasted:
        """``front`` is what was never masked, ``context`` what the layers made of the rest."""
        chosen = self.quantizer(front[mask])
        others = distractors(mask, self.config.others)
        same = (chosen.ids[others] == chosen.ids[:, None]).all(-1)
        loss, right = contrastive(
            self.context(context[mask]), self.target(chosen.vectors), others, same, self.config.temperature
        )
        spread = diversity(chosen.soft, self.config.quantizer.size)
        return Contrasted(loss, spread, right, chosen.hard.mean(), chosen.likeliest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Names of clusters, one set or several: ``sizes`` counts the clusters of each."""

    sizes: tuple[int, ...] = (500,)
    context: int = 768
    dim: int = 256
    temperature: float = 0.1

    def build(self) -> "ClusterHead":
        """The module."""
        return ClusterHead(self)


@final
class ClusterHead(nn.Module):
    """HuBERT's objective: cosines to a learnt vector per cluster; every label set has a projection of its own."""

    projections: Any  # nn.ModuleList of nn.Linear, whose stub knows only modules
    names: Any  # nn.ParameterList

    def __init__(self, config: ClusterConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        self.projections = nn.ModuleList(nn.Linear(config.context, config.dim) for _ in config.sizes)
        self.names = nn.ParameterList(torch.rand(size, config.dim) for size in config.sizes)

    def forward(self, x: Float[Tensor, "B T D"], labels: int = 0) -> Float[Tensor, "B T V"]:
        """Scores of the clusters of a label set."""
        query = F.normalize(self.projections[labels](x).float(), dim=-1)
        return query @ F.normalize(self.names[labels].float(), dim=-1).T / self.config.temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcConfig:
    """``symbols`` counts the blank, which is 0."""

    context: int = 768
    symbols: int = 40
    dropout: float = 0.1

    def build(self) -> "CtcHead":
        """The module."""
        return CtcHead(self)


@final
class CtcHead(nn.Module):
    """Log-probabilities of symbols, frame by frame."""

    def __init__(self, config: CtcConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.context, config.symbols)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T V"]:
        """One distribution per frame."""
        return self.out(self.drop(x)).float().log_softmax(-1)
