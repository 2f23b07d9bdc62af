"""Learning to write: predict the next token of lines, where they count."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.losses.tokens import next_token
from vivavoce.train.task import Losses, Task, Term


class LineBatch(NamedTuple):
    """Lines padded at the end; padding has weight 0."""

    ids: Int[Tensor, "B S"]
    weights: Float[Tensor, "B S"]


class NextToken(Task[LineBatch, Float[Tensor, "B S V"]]):
    """Any module from ids to the scores of what follows each of them."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def outputs(self, batch: LineBatch) -> Float[Tensor, "B S V"]:
        """Scores."""
        return self.model(batch.ids)

    def losses(self, phase: str, batch: LineBatch, out: Float[Tensor, "B S V"]) -> Losses:
        """Cross-entropy, and the share of right guesses as a number."""
        loss, right = next_token(out, batch.ids, batch.weights)
        return {"text": Term(loss), "right": Term(right, 0.0)}
