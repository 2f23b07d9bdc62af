"""Learning to spell: a bridge's vectors are pieces of a language model's words, by CTC and without the model."""

from dataclasses import dataclass
from typing import Final, final

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.models.bridge import Bridge
from vivavoce.nn.masking import MaskConfig, span_mask
from vivavoce.train.task import Losses, Task, Term

SPANS: Final = MaskConfig(starts=0.02, span=10, least=0)


@dataclass(frozen=True, slots=True)
class SpelledBatch:
    """Frames of one or two encoders, ``lengths`` of the first that are sound, and pieces (`models.bridge`)."""

    first: Float[Tensor, "B T D"]
    second: Float[Tensor, "B U E"] | None
    lengths: Int[Tensor, " B"]
    pieces: Int[Tensor, "B S"]
    counts: Int[Tensor, " B"]
    seconds: float = 0.0


def ctc(
    scores: Float[Tensor, "B P V"], lengths: Int[Tensor, " B"], pieces: Int[Tensor, "B S"], counts: Int[Tensor, " B"]
) -> Float[Tensor, ""]:
    """CTC per piece; rows that cannot be spelled in so few vectors count nothing."""
    each = F.ctc_loss(scores.transpose(0, 1), pieces, lengths, counts, reduction="none", zero_infinity=True)
    return each.sum() / counts.sum().clamp(min=1)


@final
class BridgeTask(Task[SpelledBatch, tuple[Float[Tensor, "B P V"], Int[Tensor, " B"]]]):
    """CTC, with spans of frames and single numbers of them hidden."""

    def __init__(self, model: Bridge, spans: MaskConfig = SPANS, numbers: float = 0.1) -> None:
        """``model`` spells; ``numbers`` is the share of those that are hidden."""
        super().__init__()
        self.model, self.spans, self.numbers = model, spans, numbers

    def outputs(self, batch: SpelledBatch) -> tuple[Float[Tensor, "B P V"], Int[Tensor, " B"]]:
        """Log-probabilities of pieces, and how many vectors of each row are sound."""
        frames = batch.first
        if self.training and self.spans.starts:
            frames = frames.masked_fill(span_mask(batch.lengths, frames.shape[1], self.spans)[..., None], 0.0)
        frames = F.dropout(frames, self.numbers, self.training)
        return self.model.spelled(frames, batch.second, batch.lengths)

    def losses(self, phase: str, batch: SpelledBatch, out: tuple[Float[Tensor, "B P V"], Int[Tensor, " B"]]) -> Losses:
        """CTC per piece."""
        return {"ctc": Term(ctc(*out, batch.pieces, batch.counts))}
