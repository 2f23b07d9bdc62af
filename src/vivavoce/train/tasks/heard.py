"""Learning to answer about what is heard: predict the next word of answers (SALMONN)."""

from typing import final

from vivavoce.losses.tokens import weighted
from vivavoce.systems.salmonn import Answered, HeardBatch, SalmonnModel
from vivavoce.train.task import Losses, Task, Term
from vivavoce.train.tasks.bridge import ctc


@final
class HeardTask(Task[HeardBatch, Answered]):
    """The loss is counted on answers only; a bridge that spells goes on spelling, by the weight ``spell``."""

    def __init__(self, model: SalmonnModel, spell: float = 0.0) -> None:
        super().__init__()
        self.model, self.spell = model, spell

    def outputs(self, batch: HeardBatch) -> Answered:
        """Scores of the words of answers."""
        return self.model(batch)

    def losses(self, phase: str, batch: HeardBatch, out: Answered) -> Losses:
        """Cross-entropy, and the share of right guesses as a number."""
        loss, right = weighted(out.scores, out.wanted, out.weights)
        found = {"tokens": Term(loss), "right": Term(right, 0.0)}
        heard = out.heard
        if self.spell and batch.pieces is not None and batch.counts is not None and heard.scores is not None:
            assert heard.lengths is not None
            found["ctc"] = Term(ctc(heard.scores, heard.lengths, batch.pieces, batch.counts), self.spell)
        return found
