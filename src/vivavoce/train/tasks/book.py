"""Learning the later books of a codec, one book of every utterance at a time (VALL-E, arXiv:2301.02111 §4.2.2)."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.losses.tokens import next_token
from vivavoce.models.book import BookLM
from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class BookBatch:
    """Utterances padded at the end; the first ``prompt`` frames of each are known in all books, the rest is learnt."""

    text: Int[Tensor, "B P"]
    text_lengths: Int[Tensor, " B"]
    codes: Int[Tensor, "B K T"]
    lengths: Int[Tensor, " B"]
    prompt: Int[Tensor, " B"]
    stage: Int[Tensor, " B"]
    seconds: float = 0.0


@final
class BookTask(Task[BookBatch, Float[Tensor, "B T V"]]):
    """The loss is counted after the prompt."""

    def __init__(self, model: BookLM) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: BookBatch) -> Float[Tensor, "B T V"]:
        """Scores of each row's book."""
        b = batch
        return self.model(b.text, b.text_lengths, b.codes, b.lengths, b.prompt, b.stage)

    def losses(self, phase: str, batch: BookBatch, out: Float[Tensor, "B T V"]) -> Losses:
        """Cross-entropy, and the share of right guesses as a number."""
        frames = torch.arange(out.shape[1], device=out.device)
        counted = (frames >= batch.prompt[:, None]) & (frames < batch.lengths[:, None])
        wanted = batch.codes[torch.arange(len(batch.codes), device=out.device), batch.stage]
        # the loss of a sequence is counted one position on, so the frames are moved by one
        ids, weights = torch.nn.functional.pad(wanted, (1, 0)), torch.nn.functional.pad(counted.float(), (1, 0))
        loss, right = next_token(torch.nn.functional.pad(out, (0, 0, 0, 1)), ids, weights)
        return {"tokens": Term(loss), "right": Term(right, 0.0)}
