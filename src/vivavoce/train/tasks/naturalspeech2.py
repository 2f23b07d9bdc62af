"""Learning NaturalSpeech 2: what is clean, what its codes are, how long and how high (arXiv:2304.09116 §3.2-3.3)."""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.losses.tokens import weighted
from vivavoce.models.latents import Books
from vivavoce.models.predictors import held, inside
from vivavoce.nn.diffusion import by_row
from vivavoce.systems.naturalspeech2 import SCHEDULE, Naturalspeech2Model
from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Utterances out of which a stretch was cut as the prompt; the phones and codes are those of the rest. Padded."""

    phones: Int[Tensor, "B P"]
    phone_lengths: Int[Tensor, " B"]
    frames: Int[Tensor, "B P"]
    pitch: Float[Tensor, "B T"]
    codes: Int[Tensor, "B K T"]
    lengths: Int[Tensor, " B"]
    prompt: Int[Tensor, "B K M"]
    prompt_lengths: Int[Tensor, " B"]
    seconds: float = 0.0


class Diffused(NamedTuple):
    """One pass: what was predicted, and what of."""

    log_frames: Float[Tensor, "B P"]
    log_pitch: Float[Tensor, "B T"]
    clean: Float[Tensor, "B D T"]
    vectors: Float[Tensor, "B D T"]
    noisy: Float[Tensor, "B D T"]
    noise: Float[Tensor, "B D T"]
    time: Float[Tensor, " B"]
    valid: Bool[Tensor, "B T"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Naturalspeech2Weights:
    """Of the terms; those of the released code."""

    clean: float = 1.0
    score: float = 1.0
    codes: float = 0.5
    durations: float = 1.0
    pitch: float = 1.0


@final
class Naturalspeech2Task(Task[CutBatch, Diffused]):
    """Distances are absolute ones, as in the released code."""

    base: Tensor
    tables: Tensor
    refines: Tensor

    def __init__(self, model: Naturalspeech2Model, books: Books, weights: Naturalspeech2Weights) -> None:
        """``books`` are the codec's as they are."""
        super().__init__()
        self.model, self.weights = model, weights
        scaled = books.scaled(model.mean, model.spread)
        for name, value in zip(Books._fields, scaled, strict=True):
            self.register_buffer(name, value, persistent=False)

    @property
    def books(self) -> Books:
        """The codec's books of normalised vectors."""
        return Books(self.base, self.tables, self.refines)

    def outputs(self, batch: CutBatch) -> Diffused:
        """At one time for each row, drawn evenly."""
        model, books = self.model, self.books
        prompt = model.listen(books.vectors(batch.prompt), inside(batch.prompt_lengths, batch.prompt.shape[2]))
        said = inside(batch.phone_lengths, batch.phones.shape[1])
        read = model.read(batch.phones, said)
        valid, spread = inside(batch.lengths, batch.codes.shape[2]), held(read, batch.frames)
        vectors = books.vectors(batch.codes)
        time = SCHEDULE.draw(len(vectors)).to(vectors.device)
        noise = torch.randn_like(vectors)
        noisy = SCHEDULE.mix(vectors, noise, time)
        clean = model.clean(noisy, time, model.condition(spread, batch.pitch), prompt.tokens, valid)
        return Diffused(
            model.how_long(read, said, prompt), model.how_high(spread, valid, prompt), clean, vectors, noisy, noise,
            time, valid,
        )  # fmt: skip

    def losses(self, phase: str, batch: CutBatch, out: Diffused) -> Losses:
        """What is clean, the noise that this implies (the score), its codes, durations and pitch."""
        weights, counted = self.weights, out.valid.float()
        total = counted.sum().clamp(min=1)
        implied = (out.noisy - by_row(SCHEDULE.alpha(out.time), out.clean) * out.clean) / by_row(
            SCHEDULE.sigma(out.time), out.clean
        )
        scores = self.books.scores(out.clean, batch.codes)
        each = counted[:, None].expand(-1, scores.shape[1], -1)
        codes, right = weighted(scores.flatten(0, 2), batch.codes.flatten(), each.flatten())
        said = inside(batch.phone_lengths, batch.phones.shape[1]).float()
        long = ((out.log_frames - batch.frames.float().log1p()).abs() * said).sum() / said.sum()
        high = ((out.log_pitch - batch.pitch.clamp(min=1).log()).abs() * counted).sum() / total
        return {
            "clean": Term(((out.clean - out.vectors).abs().mean(1) * counted).sum() / total, weights.clean),
            "score": Term(((implied - out.noise).abs().mean(1) * counted).sum() / total, weights.score),
            "codes": Term(codes, weights.codes),
            "right": Term(right, 0.0),
            "durations": Term(long, weights.durations),
            "pitch": Term(high, weights.pitch),
        }
