"""Learning to write tokens that sound as a description says (Parler-TTS, arXiv:2402.01912)."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.models.text_encoder import Pieces
from vivavoce.train.task import Losses, Task
from vivavoce.train.tasks.grid import GridBatch, lane_losses


@dataclass(frozen=True, slots=True)
class DescribedBatch:
    """Grids, and a description of each."""

    grids: GridBatch
    pieces: Pieces
    seconds: float = 0.0


@final
class DescribedTask(Task[DescribedBatch, list[Float[Tensor, "B S _"]]]):
    """A module from grids and descriptions to each lane's scores of the next column."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: DescribedBatch) -> list[Float[Tensor, "B S _"]]:
        """Scores, lane by lane."""
        return self.model(batch.grids.ids, batch.pieces)

    def losses(self, phase: str, batch: DescribedBatch, out: list[Float[Tensor, "B S _"]]) -> Losses:
        """Cross-entropy of the lanes by their weights."""
        return lane_losses(batch.grids, out)
