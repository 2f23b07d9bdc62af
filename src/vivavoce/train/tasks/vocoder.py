"""Learning to make a codec's tokens of units, and how long units are held."""

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.losses.tokens import next_token
from vivavoce.models.durations import Durations
from vivavoce.models.unit_vocoder import UnitVocoder
from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """Units without repeats and their frames, padded; ``voices`` are who speaks, by number."""

    units: Int[Tensor, "B U"]
    frames: Int[Tensor, "B U"]
    lengths: Int[Tensor, " B"]
    seconds: float = 0.0
    voices: Int[Tensor, " B"] | None = None


@dataclass(frozen=True, slots=True)
class VocoderBatch:
    """The same, with units placed on the codec's clock beside its tokens."""

    held: HeldBatch
    placed: Int[Tensor, "B T"]
    codes: Int[Tensor, "B K T"]
    lengths: Int[Tensor, " B"]
    seconds: float = 0.0


def held_loss(found: Float[Tensor, "B U"], batch: HeldBatch) -> Float[Tensor, ""]:
    """Mean squared error of log durations, as in FastSpeech."""
    valid = torch.arange(found.shape[1], device=found.device) < batch.lengths[:, None]
    error = (found - batch.frames.clamp(min=1).log()).square()
    return (error * valid).sum() / valid.sum().clamp(min=1)


@final
class DurationsTask(Task[HeldBatch, Float[Tensor, "B U"]]):
    """Durations alone."""

    def __init__(self, model: Durations) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: HeldBatch) -> Float[Tensor, "B U"]:
        """Log durations."""
        return self.model(batch.units, batch.lengths, batch.voices)

    def losses(self, phase: str, batch: HeldBatch, out: Float[Tensor, "B U"]) -> Losses:
        """Their error."""
        return {"durations": Term(held_loss(out, batch))}


@final
class VocoderTask(Task[VocoderBatch, tuple[Tensor, list[Tensor]]]):
    """Durations and tokens."""

    def __init__(self, model: UnitVocoder) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: VocoderBatch) -> tuple[Tensor, list[Tensor]]:
        """Log durations, and scores of every book."""
        voices = batch.held.voices
        held = self.model.durations(batch.held.units, batch.held.lengths, voices)
        return held, self.model(batch.placed, batch.lengths, batch.codes, voices)

    def losses(self, phase: str, batch: VocoderBatch, out: tuple[Tensor, list[Tensor]]) -> Losses:
        """The error of durations, cross-entropy over all books, and the share of right guesses."""
        counted = (torch.arange(batch.codes.shape[2], device=batch.codes.device) < batch.lengths[:, None]).float()
        # the loss of a sequence is counted one position on, so the frames are moved by one
        weights = F.pad(counted, (1, 0))
        found = [
            next_token(F.pad(book, (0, 0, 0, 1)), F.pad(batch.codes[:, n], (1, 0)), weights)
            for n, book in enumerate(out[1])
        ]
        return {
            "durations": Term(held_loss(out[0], batch.held)),
            "codes": Term(torch.stack([loss for loss, _ in found]).mean()),
            "right": Term(torch.stack([right for _, right in found]).mean(), 0.0),
        }
