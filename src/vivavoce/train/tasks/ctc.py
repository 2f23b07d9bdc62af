"""Fine-tuning: an encoder that learnt from sound alone learns to write (arXiv:2006.11477 §3.3, §4.3)."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from vivavoce.nn.masking import MaskConfig, span_mask
from vivavoce.systems.wav2vec2 import CtcModel, CtcModelConfig
from vivavoce.train.task import Losses, Task, Term

_TIME = MaskConfig(starts=0.05, span=10)
_SPANS = 6
"""Of channels, each a twelfth of them wide: 64 of 768 in the paper."""


@dataclass(frozen=True, slots=True)
class WrittenBatch:
    """Recordings and the symbols that they say, from 1 on, row after row filled up with 0."""

    wave: Float[Tensor, "B N"]
    lengths: Int[Tensor, " B"]
    symbols: Int[Tensor, "B S"]
    counts: Int[Tensor, " B"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Written:
    """Log-probabilities, and how many frames of each row are sound."""

    scores: Float[Tensor, "B T V"]
    frames: Int[Tensor, " B"]


@final
class CtcTask(Task[WrittenBatch, Written]):
    """CTC with spans of time and of channels hidden. A front that learnt before does not learn, the layers do after
    ``frozen`` updates; with ``fresh`` weights all of it learns from the first."""

    updates: Tensor

    def __init__(
        self,
        config: CtcModelConfig,
        *,
        frozen: int = 10000,
        fresh: bool = False,
        time: MaskConfig = _TIME,
        channels: MaskConfig | None = None,
    ) -> None:
        """Fresh weights; the encoder is given those that it learnt before, unless it stays ``fresh``."""
        super().__init__()
        frozen = 0 if fresh else frozen
        width = config.encoder.trunk.dim
        self.frozen, self.time = frozen, time
        self.channels = channels or MaskConfig(starts=_SPANS / width, span=max(1, width // 12))
        self.model: CtcModel = config.build()
        self.model.encoder.front.requires_grad_(fresh)
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def outputs(self, batch: WrittenBatch) -> Written:
        """A pass; in training with spans hidden."""
        encoder = self.model.encoder
        frames = int(encoder.config.front.frames(torch.tensor([batch.wave.shape[1]]))[0])
        mask = channels = None
        if self.training:
            mask = span_mask(encoder.config.front.frames(batch.lengths), frames, self.time)
            width = torch.full_like(batch.lengths, encoder.config.trunk.dim)
            channels = span_mask(width, encoder.config.trunk.dim, self.channels)
        learning = torch.is_grad_enabled() and int(self.updates) >= self.frozen
        with torch.set_grad_enabled(learning):
            heard = encoder(batch.wave, batch.lengths, mask=mask, channels=channels)
        return Written(self.model.head(heard.last), heard.lengths)

    def losses(self, phase: str, batch: WrittenBatch, out: Written) -> Losses:
        """CTC per symbol."""
        losses = F.ctc_loss(
            out.scores.transpose(0, 1), batch.symbols, out.frames, batch.counts, reduction="none", zero_infinity=True
        )
        return {"ctc": Term(losses.sum() / batch.counts.sum().clamp(min=1))}

    def after_step(self, step: int) -> None:
        """Counts."""
        self.updates.fill_(step + 1)
