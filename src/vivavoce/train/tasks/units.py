"""Learning units by recognition: a finite scalar quantiser inside a recogniser of phones (CosyVoice, arXiv:2407.05407).

Below stands a listener's trunk, which is not changed; above the quantiser a reader that sees one id at a time, so that
an id tells of its phones without its neighbours. What reaches the phones has to pass through the ids. The paper has
further blocks above the quantiser; these can mend what single ids leave out, so that ids need not tell it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.listener import SPLIT, Listener
from vivavoce.nn.finite_scalar import FiniteScalar, FiniteScalarConfig
from vivavoce.nn.quantize import Quantized, entropy
from vivavoce.train.task import Frozen, Losses, Task, Term

UNKNOWN = -100
"""A label where nobody knows which phone is spoken."""


class RecogniserBatch(NamedTuple):
    """Frames of a listener's trunk, the phones that are said in each row, and the one of every distribution."""

    frames: Float[Tensor, "B U D"]
    lengths: Int[Tensor, " B"]
    phones: Int[Tensor, "B P"]
    n_phones: Int[Tensor, " B"]
    labels: Int[Tensor, "B T"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserWeights:
    """How much the terms beside CTC count.

    ``frame`` is each frame's phone where it is known, ``teacher`` the distance to both of the listener's distributions.
    """

    frame: float = 1.0
    teacher: float = 1.0


class RecogniserOutputs(NamedTuple):
    """Log-probabilities of CTC and of each frame's phone, read from the ids alone."""

    ctc: Float[Tensor, "B T V"]
    frame: Float[Tensor, "B T V"]
    quantized: Quantized


@final
class UnitsRecogniser(Task[RecogniserBatch, RecogniserOutputs]):
    """The quantiser and its reader are learnt; the listener's heads are teachers."""

    def __init__(
        self, listener: Listener, quantizer: FiniteScalarConfig, weights: RecogniserWeights | None = None
    ) -> None:
        """``quantizer`` takes vectors of the trunk's width."""
        super().__init__()
        dim, self.symbols = quantizer.dim, listener.config.symbols
        self.weights = weights or RecogniserWeights()
        self.quantizer: FiniteScalar = quantizer.build()
        self.reader = nn.Sequential(
            nn.GELU(), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 2 * SPLIT * listener.config.symbols)
        )
        self.heads = Frozen(nn.ModuleList([listener.ctc, listener.frame]))

    def outputs(self, batch: RecogniserBatch) -> RecogniserOutputs:
        """What the ids tell."""
        quantized = self.quantizer(batch.frames.transpose(1, 2))
        ctc, frame = self.reader(quantized.values.transpose(1, 2)).chunk(2, dim=-1)
        return RecogniserOutputs(self._shares(ctc), self._shares(frame), quantized)

    def losses(self, phase: str, batch: RecogniserBatch, out: RecogniserOutputs) -> Losses:
        """CTC, frames, teachers, and the bits of the ids' distribution as a number."""
        lengths = SPLIT * batch.lengths
        summed = F.ctc_loss(
            out.ctc.transpose(0, 1), batch.phones, lengths, batch.n_phones, reduction="none", zero_infinity=True
        )
        inside = torch.arange(out.ctc.shape[1], device=lengths.device)[None] < lengths[:, None]
        terms = {"ctc": Term(summed.sum() / batch.n_phones.sum().clamp(min=1))}
        if self.weights.frame and bool((batch.labels != UNKNOWN).any()):
            known = F.nll_loss(out.frame.flatten(0, 1), batch.labels.flatten(), ignore_index=UNKNOWN)
            terms["frame"] = Term(known, self.weights.frame)
        if self.weights.teacher:
            far: Any = 0.0
            for shares, wanted in zip((out.ctc, out.frame), self.heard_by_teacher(batch), strict=True):
                far = far + F.kl_div(shares[inside], wanted[inside], reduction="batchmean", log_target=True)
            terms["teacher"] = Term(far, self.weights.teacher)
        rows = torch.arange(batch.frames.shape[1], device=lengths.device)[None] < batch.lengths[:, None]
        terms["bits"] = Term(entropy(out.quantized.codes, self.quantizer.config.size, rows)[0], 0.0)
        return terms

    @torch.no_grad()
    def heard_by_teacher(self, batch: RecogniserBatch) -> tuple[Float[Tensor, "B T V"], Float[Tensor, "B T V"]]:
        """What the listener's own two heads say."""
        ctc, frame = (self._shares(head(batch.frames)) for head in self.heads.module)
        return ctc, frame

    def _shares(self, scores: Float[Tensor, "B U S"]) -> Float[Tensor, "B T V"]:
        return scores.unflatten(-1, (SPLIT, self.symbols)).flatten(1, 2).float().log_softmax(-1)
