"""Learning to tell two kinds apart with a head over features that stay as they are."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class BinaryBatch:
    """Features, and 1 or 0 for each row."""

    features: Float[Tensor, "B D"]
    truth: Float[Tensor, " B"]
    seconds: float = 0.0


@final
class BinaryTask(Task[BinaryBatch, Float[Tensor, " B"]]):
    """Logistic regression through a head; ``blur`` is Gaussian noise on what it sees, for few examples."""

    def __init__(self, head: nn.Module, blur: float = 0.0) -> None:
        super().__init__()
        self.head, self.blur = head, blur

    def outputs(self, batch: BinaryBatch) -> Float[Tensor, " B"]:
        """Log-odds."""
        if self.blur:
            return self.head(batch.features + self.blur * torch.randn_like(batch.features))
        return self.head(batch.features)

    def losses(self, phase: str, batch: BinaryBatch, out: Float[Tensor, " B"]) -> Losses:
        """Cross-entropy, and the share of right guesses as a number."""
        right = ((out > 0) == (batch.truth > 0.5)).float().mean()
        return {"binary": Term(F.binary_cross_entropy_with_logits(out.float(), batch.truth)), "right": Term(right, 0.0)}
