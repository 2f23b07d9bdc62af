"""Learning what frame of tokens comes next, for an entropy coder."""

from typing import NamedTuple, final

from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.generate.entropy_lm import FrameLm
from vivavoce.train.task import Losses, Task, Term


class CodesBatch(NamedTuple):
    """Recordings side by side."""

    ids: Int[Tensor, "B K T"]
    lengths: Int[Tensor, " B"]


@final
class EntropyTask(Task[CodesBatch, Float[Tensor, ""]]):
    """The nats that an id costs."""

    def __init__(self, model: FrameLm) -> None:
        """Learns a model."""
        super().__init__()
        self.model = model

    def outputs(self, batch: CodesBatch) -> Float[Tensor, ""]:
        """The loss itself."""
        return self.model.loss(batch.ids, batch.lengths)

    def losses(self, phase: str, batch: CodesBatch, out: Float[Tensor, ""]) -> Losses:
        """Nats an id."""
        return {"nats": Term(out)}
