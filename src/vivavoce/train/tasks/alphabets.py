"""Learning to write on one lane: the next id among those that can stand there, which are marks and one alphabet's.

A cursor (`core.layout`) lets nothing else be written, so nothing else has to be told apart: where units follow, the
fifty thousand scores of a text's ids are not computed. What has no weight is read and not scored at all.
"""

from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.layout import Layout
from vivavoce.losses.tokens import weighted
from vivavoce.train.task import Losses, Task, Term
from vivavoce.train.tasks.grid import GridBatch


def followed_by(layout: Layout) -> Int[Tensor, " V"]:
    """The number of the alphabet that goes on after each id of a lane: its own, after a mark that of the mark's block.

    ConfigError for a layout of several lanes.
    """
    vocabs = layout.vocabs
    if len(vocabs) != 1:
        raise ConfigError(f"ids are told apart by their alphabets on one lane, this layout has {len(vocabs)}; use one")
    names = [name for name, _ in vocabs[0].parts[1:]]
    found = torch.zeros(vocabs[0].size, dtype=torch.long)
    for number, name in enumerate(names):
        ids = vocabs[0].range(name)
        found[ids.start : ids.stop] = number
    for number, block in enumerate(layout.blocks):
        found[layout.mark(number)] = names.index(block.segments[0].alphabet(0))
    return found


@final
class AlphabetTask(Task[GridBatch, Float[Tensor, "N D"]]):
    """A model with a language model ``lm`` of one lane, whose ids are those of a layout."""

    followed: Tensor

    def __init__(self, model: Any, layout: Layout) -> None:
        """ConfigError for a layout of several lanes."""
        super().__init__()
        self.model: nn.Module = model
        self.register_buffer("followed", followed_by(layout), persistent=False)
        parts = layout.vocabs[0].parts
        self.marks = parts[0][1]
        self.ids = tuple(layout.vocabs[0].range(name) for name, _ in parts[1:])

    def outputs(self, batch: GridBatch) -> Float[Tensor, "N D"]:
        """The model's vectors before what is learnt."""
        lm: Any = self.model.lm
        return lm.hidden(batch.ids)[:, :-1][batch.weights[:, 0, 1:] > 0]

    def losses(self, phase: str, batch: GridBatch, out: Float[Tensor, "N D"]) -> Losses:
        """Cross-entropy by weight, and as numbers the share of right guesses and each alphabet's own cross-entropy."""
        lm: Any = self.model.lm
        weights = batch.weights[:, 0, 1:]
        chosen = weights > 0
        before, wanted, weights = batch.ids[:, 0, :-1][chosen], batch.ids[:, 0, 1:][chosen], weights[chosen]
        sums: list[Tensor] = []
        rights: list[Tensor] = []
        own: dict[str, Term] = {}
        for number, ids in enumerate(self.ids):
            here = (self.followed[before] == number).nonzero()[:, 0]
            if not len(here):
                continue
            targets = wanted[here]
            targets = torch.where(targets < self.marks, targets, targets - ids.start + self.marks)
            loss, right = weighted(lm.among(out[here], (range(self.marks), ids)), targets, weights[here])
            total = weights[here].sum()
            sums.append(loss * total)
            rights.append(right * total)
            own[f"tokens_{number}"] = Term(loss.detach(), 0.0)
        total = weights.sum().clamp(min=1e-8)
        if not sums:
            sums, rights = [out.sum() * 0.0], [out.sum().detach() * 0.0]
        return {
            "tokens": Term(torch.stack(sums).sum() / total),
            "right": Term(torch.stack(rights).sum() / total, 0.0),
            **own,
        }
