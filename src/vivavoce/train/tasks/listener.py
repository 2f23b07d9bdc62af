"""Learning to hear phones: CTC at the top and half-way up (arXiv:2102.03216), and each frame's phone where known."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from vivavoce.data.mixture import PhoneBatch
from vivavoce.data.packed import UNKNOWN
from vivavoce.models.listener import Listener, ListenerConfig, ListenerOutputs
from vivavoce.train.task import Losses, Task, Term

_CHUNKS = (0, 0, 4, 8)


@final
class ListenerTask(Task[PhoneBatch, ListenerOutputs]):
    """CTC and framewise recognition with one trunk, which hears each batch as a whole or in chunks."""

    def __init__(self, config: ListenerConfig, *, early: float = 0.3, framewise: float = 0.4) -> None:
        """``early`` and ``framewise`` are the weights of these terms beside the CTC at the top."""
        super().__init__()
        self.early, self.framewise = early, framewise
        self.listener: Listener = config.build()

    def outputs(self, batch: PhoneBatch) -> ListenerOutputs:
        """Distributions under a chunk size drawn for this batch."""
        chunk = _CHUNKS[int(torch.randint(len(_CHUNKS), ()))]
        return self.listener(batch.mel, batch.lengths, chunk)

    def losses(self, phase: str, batch: PhoneBatch, out: ListenerOutputs) -> Losses:
        """CTC per phone, early CTC, framewise cross-entropy and the share of right frames as a number."""
        lengths = (-(-batch.lengths // 2)).clamp(max=out.ctc.shape[1])
        terms = {"ctc": Term(_ctc(out.ctc, lengths, batch))}
        if out.early is not None:
            terms["early"] = Term(_ctc(out.early, lengths, batch), self.early)
        labels = batch.labels[:, : out.frame.shape[1]]
        known = labels != UNKNOWN
        if known.any():
            chosen = out.frame[:, : labels.shape[1]][known]
            terms["frame"] = Term(F.nll_loss(chosen, labels[known].long()), self.framewise)
            terms["right"] = Term((chosen.argmax(-1) == labels[known]).float().mean(), 0.0)
        return terms


def _ctc(log_probs: Float[Tensor, "B U P"], lengths: Int[Tensor, " B"], batch: PhoneBatch) -> Float[Tensor, ""]:
    losses = F.ctc_loss(
        log_probs.transpose(0, 1),
        batch.phones,
        lengths,
        batch.n_phones,
        reduction="none",
        zero_infinity=True,
    )
    return losses.sum() / batch.n_phones.sum().clamp(min=len(losses))
