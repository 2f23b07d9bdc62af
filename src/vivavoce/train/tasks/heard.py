"""Learning to answer about what is heard: predict the next word of answers (SALMONN)."""

from typing import final

from jaxtyping import Float
from torch import Tensor

from vivavoce.losses.tokens import next_token
from vivavoce.systems.salmonn import HeardBatch, SalmonnModel
from vivavoce.train.task import Losses, Task, Term


@final
class HeardTask(Task[HeardBatch, Float[Tensor, "B S V"]]):
    """The loss is counted on answers only."""

    def __init__(self, model: SalmonnModel) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: HeardBatch) -> Float[Tensor, "B S V"]:
        """Scores of the next word."""
        return self.model(batch)

    def losses(self, phase: str, batch: HeardBatch, out: Float[Tensor, "B S V"]) -> Losses:
        """Cross-entropy, and the share of right guesses as a number."""
        loss, right = next_token(out, batch.ids, batch.weights)
        return {"tokens": Term(loss), "right": Term(right, 0.0)}
