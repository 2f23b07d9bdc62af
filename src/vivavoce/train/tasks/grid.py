"""Learning to write: predict the next column of grids, where it counts. One task for every token language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.layout import Grid
from vivavoce.losses.tokens import next_token
from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class GridBatch:
    """Grids padded with fill at the end; what has no weight is only read."""

    ids: Int[Tensor, "B R S"]
    weights: Float[Tensor, "B R S"]
    seconds: float = 0.0


def collate(grids: Sequence[Grid], lanes: Sequence[float] = (), seconds: float = 0.0) -> GridBatch:
    """Grids as a batch; ``lanes`` is what each lane counts (1 where nothing is said)."""
    longest = max(grid.ids.shape[1] for grid in grids)
    ids = torch.zeros(len(grids), len(grids[0].ids), longest, dtype=torch.long)
    weights = torch.zeros(ids.shape)
    counts = torch.tensor([*lanes, *(1.0,) * (ids.shape[1] - len(lanes))])
    for row, grid in enumerate(grids):
        ids[row, :, : grid.ids.shape[1]] = grid.ids
        weights[row, :, : grid.ids.shape[1]] = grid.target * counts[:, None]
    return GridBatch(ids, weights, seconds)


def lane_losses(batch: GridBatch, out: list[Float[Tensor, "B S _"]]) -> Losses:
    """Cross-entropy over all lanes by their weights, and the share of right guesses as a number."""
    found = [next_token(lane, batch.ids[:, n], batch.weights[:, n]) for n, lane in enumerate(out)]
    if len(out) == 1:
        return {"tokens": Term(found[0][0]), "right": Term(found[0][1], 0.0)}
    counts = batch.weights[:, : len(out), 1:].sum((0, 2)).clamp(min=1e-8)
    shares = counts / counts.sum()
    terms = {"tokens": Term((torch.stack([loss for loss, _ in found]) * shares).sum())}
    terms["right"] = Term((torch.stack([right for _, right in found]) * shares).sum(), 0.0)
    return terms | {f"tokens_{n}": Term(loss.detach(), 0.0) for n, (loss, _) in enumerate(found)}


@final
class GridTask(Task[GridBatch, list[Float[Tensor, "B S _"]]]):
    """Any module from grids to each lane's scores of the next column."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: GridBatch) -> list[Float[Tensor, "B S _"]]:
        """Scores, lane by lane."""
        return self.model(batch.ids)

    def losses(self, phase: str, batch: GridBatch, out: list[Float[Tensor, "B S _"]]) -> Losses:
        """Those of the lanes."""
        return lane_losses(batch, out)
