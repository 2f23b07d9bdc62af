"""Learning NaturalSpeech 3: durations and the codes of each factor, where they are hidden (arXiv:2403.03100 §4.2)."""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.generate.masked import hide, linear_levels
from vivavoce.losses.tokens import weighted
from vivavoce.models.factors import FACTORS, FactorModels
from vivavoce.models.masked import MaskedLM
from vivavoce.models.predictors import held
from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class PrefixedBatch:
    """Utterances, padded; the first ``prompt`` phones of each, and their frames, are known."""

    phones: Int[Tensor, "B P"]
    phone_lengths: Int[Tensor, " B"]
    frames: Int[Tensor, "B P"]
    codes: Int[Tensor, "B K T"]
    lengths: Int[Tensor, " B"]
    prompt: Int[Tensor, " B"]
    seconds: float = 0.0


class Unhidden(NamedTuple):
    """What one model says of a book, what the book is, and what of it was hidden."""

    scores: Float[Tensor, "B T V"]
    wanted: Int[Tensor, "B T"]
    hidden: Bool[Tensor, "B T"]


@final
class Naturalspeech3Task(Task[PrefixedBatch, dict[str, Unhidden]]):
    """Every model learns from every batch, each at times and books of its own."""

    def __init__(self, model: FactorModels) -> None:
        super().__init__()
        self.model = model

    def outputs(self, batch: PrefixedBatch) -> dict[str, Unhidden]:
        """Scores of durations and of a book of each factor."""
        model, device = self.model, batch.phones.device
        places = torch.arange(batch.phones.shape[1], device=device)
        said = places < batch.phone_lengths[:, None]
        read = model.read(batch.phones, said)
        before = (batch.frames * (places < batch.prompt[:, None])).sum(1)
        long = batch.frames.clamp(max=model.config.longest)[:, None]
        found = {"durations": _one(model.durations, long, batch.prompt, read, batch.phone_lengths)}
        spread = held(read, batch.frames)
        for factor in FACTORS:
            generator: Any = model.factors[factor]
            codes = batch.codes[:, : generator.config.books]
            found[factor] = _one(generator, codes, before, spread, batch.lengths)
        return found

    def losses(self, phase: str, batch: PrefixedBatch, out: dict[str, Unhidden]) -> Losses:
        """Cross-entropy of what is hidden, and the share of right guesses as a number."""
        terms: dict[str, Term] = {}
        for name, one in out.items():
            loss, right = weighted(one.scores.flatten(0, 1), one.wanted.flatten(), one.hidden.flatten().float())
            terms |= {name: Term(loss), f"{name}_right": Term(right, 0.0)}
        return terms


def _one(
    generator: MaskedLM,
    codes: Int[Tensor, "B K T"],
    prompt: Int[Tensor, " B"],
    inputs: Float[Tensor, "B T D"],
    lengths: Int[Tensor, " B"],
) -> Unhidden:
    """A book per row, earlier ones more often; a time per row in (0, 1], and what is hidden at it."""
    rows, device, config = len(codes), codes.device, generator.config
    chances = linear_levels(config.books, config.first)
    level = torch.multinomial(chances, rows, replacement=True).to(device)
    time = (1 - torch.rand(rows)).to(device)
    places = torch.arange(codes.shape[2], device=device)
    hidden = hide((places >= prompt[:, None]) & (places < lengths[:, None]), time)
    scores = generator(codes, hidden, level, time, prompt, inputs, lengths)
    return Unhidden(scores, codes[torch.arange(rows, device=device), level], hidden)
