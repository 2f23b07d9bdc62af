"""Learning StyleTTS in two stages (arXiv:2205.15439 §3.3): to draw what was said, then to say when and how.

First, text and aligner, style and decoder draw a recording's frames again, against a judge. The text is held along the
aligner's soft attention in half of the steps and along the hard path in the others, and the two are pulled together.
Then all of it is kept as it is, and durations, pitch and loudness are learnt.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.losses.adversarial import feature_matching, gradient_penalty, judge_logistic, maker_logistic
from vivavoce.models.aligner import Aligned, aligner_losses
from vivavoce.models.style_encoder import StyleEncoderConfig
from vivavoce.nn.monotonic import path_of
from vivavoce.systems.styletts import StylettsModel, levelled, loudness_of
from vivavoce.train.task import Losses, Task, Term


@dataclass(frozen=True, slots=True)
class StyleBatch:
    """Recordings with their phones, padded, an even number of frames each."""

    phones: Int[Tensor, "B P"]
    lengths: Int[Tensor, " B"]
    mel: Float[Tensor, "B M T"]
    pitch: Float[Tensor, "B T"]
    """Hundreds of hertz, 0 where voiceless."""
    frames: Int[Tensor, " B"]
    wave: Float[Tensor, "B N"]
    reference: Float[Tensor, "B M R"]
    """Frames of the same speaker, as a rule of another recording."""
    seconds: float = 0.0
    unseen: tuple[Int[Tensor, "B Q"], Int[Tensor, " B"]] | None = None
    """Phones of texts that nobody read, and their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleWeights:
    """What each term counts (the authors' numbers); ``soft`` is the share of steps along the soft alignment."""

    mel: float = 5.0
    adversarial: float = 1.0
    features: float = 0.1
    penalty: float = 1.0
    spelled: float = 1.0
    heard: float = 1.0
    monotonic: float = 1.0
    soft: float = 0.5
    pitch: float = 1.0
    loudness: float = 1.0
    durations: float = 1.0


def chosen(found: Aligned, soft: float) -> Float[Tensor, "B P S"]:
    """Soft attention or the hard path, drawn for the batch."""
    return found.soft if float(torch.rand(())) < soft else found.hard


def cut(x: Float[Tensor, "B *D T"], begins: Int[Tensor, " B"], size: int) -> Float[Tensor, "B *D S"]:
    """``size`` ticks of the last axis of every row, from a begin of its own."""
    places = begins[:, None] + torch.arange(size, device=x.device)
    places = places.view(len(x), *(1,) * (x.ndim - 2), size).expand(*x.shape[:-1], size)
    return x.gather(-1, places)


def pieces(frames: Int[Tensor, " B"], most: int) -> tuple[Int[Tensor, " B"], int]:
    """Where crops of equal length begin on the slow clock, drawn per row, and how long they are there."""
    size = min(most, int(frames.min())) // 2
    room = frames // 2 - size
    return (torch.rand(len(frames), device=frames.device) * (room + 1)).long().clamp(max=room), size


class Drawn(NamedTuple):
    """A crop, as it is and as it was drawn."""

    real: Float[Tensor, "B M S"]
    made: Float[Tensor, "B M S"]
    found: Aligned


@final
class StylettsDraw(Task[StyleBatch, Drawn]):
    """The first stage."""

    phases: ClassVar[tuple[str, ...]] = ("voice", "judges")

    def __init__(
        self, model: StylettsModel, judge: StyleEncoderConfig, weights: StyleWeights, *, crop: int = 80
    ) -> None:
        """``crop`` frames of every recording are drawn in a step."""
        super().__init__()
        self.model, self.judge = model, judge.build()
        self.weights, self.crop = weights, crop

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Everything but prosody; the judge."""
        if phase == "judges":
            return list(self.judge.parameters())
        return [p for name, p in self.model.named_parameters() if not name.startswith("prosody.")]

    def outputs(self, batch: StyleBatch) -> Drawn:
        """Aligns, holds, draws."""
        model, mel = self.model, levelled(batch.mel)
        found = model.aligner(mel, batch.frames, batch.phones, batch.lengths)
        text = model.text(batch.phones, batch.lengths)
        begins, size = pieces(batch.frames, self.crop)
        path = cut(chosen(found, self.weights.soft), begins, size)
        pitch, loudness = (cut(x, 2 * begins, 2 * size) for x in (batch.pitch, loudness_of(batch.mel)))
        made = model.drawn(text, path, pitch, loudness, model.style(levelled(batch.reference)))
        return Drawn(cut(mel, 2 * begins, 2 * size), made, found)

    def losses(self, phase: str, batch: StyleBatch, out: Drawn) -> Losses:
        """The judge with R1, or all that the voice is pulled by."""
        weights = self.weights
        if phase == "judges":
            real = out.real.detach().requires_grad_()
            score, made = self.judge(real), self.judge(out.made.detach())
            return {
                "judges": Term(judge_logistic(score, made)),
                "penalty": Term(gradient_penalty(score, real), weights.penalty),
            }
        with torch.no_grad():
            theirs = self.judge.features(out.real)
        score, ours = self.judge.judged(out.made)
        aligned = aligner_losses(out.found, batch.frames, batch.phones, batch.lengths)
        return {
            "mel": Term((out.made - out.real).abs().mean(), weights.mel),
            "adversarial": Term(maker_logistic(score), weights.adversarial),
            "features": Term(feature_matching([theirs], [ours]), weights.features),
            **{name: Term(value, getattr(weights, name)) for name, value in aligned.items()},
        }


def duration_loss(
    presence: Float[Tensor, "B P K"], durations: Int[Tensor, "B P"], valid: Bool[Tensor, "B P"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean distance of durations in frames, and the cross-entropy of every frame's presence."""
    far = (presence.sigmoid().sum(2) - durations).abs()
    there = (torch.arange(presence.shape[2], device=presence.device) < durations[..., None]).float()
    entropy = F.binary_cross_entropy_with_logits(presence, there, reduction="none").mean(2)
    return far[valid].mean(), entropy[valid].mean()


def stretched(
    durations: Int[Tensor, "B P"], pitch: Float[Tensor, "B T"], loudness: Float[Tensor, "B T"], factor: float
) -> tuple[Int[Tensor, "B P"], Float[Tensor, "B S"], Float[Tensor, "B S"]]:
    """The same said slower (factor above 1) or faster: prosody shall not depend on how long it takes.

    Phones keep at least a frame; curves are stretched with them, row by row.
    """
    longer = torch.where(durations > 0, (durations * factor).round().clamp(min=1).long(), 0)
    length = 2 * int(longer.sum(1).max())
    curves = [torch.zeros(len(durations), length, device=pitch.device) for _ in range(2)]
    for row, (before, after) in enumerate(zip(durations.sum(1).tolist(), longer.sum(1).tolist(), strict=True)):
        for curve, source in zip(curves, (pitch, loudness), strict=True):
            curve[row, : 2 * after] = F.interpolate(source[None, None, row, : 2 * before], 2 * after)[0, 0]
    return longer, curves[0], curves[1]


class Predicted(NamedTuple):
    """Prosody beside what it was."""

    presence: Float[Tensor, "B P K"]
    durations: Int[Tensor, "B P"]
    pitch: tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]
    loudness: tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]
    drawn: tuple[Float[Tensor, "B M S"], Float[Tensor, "B M S"]]


@final
class StylettsPredict(Task[StyleBatch, Predicted]):
    """The second stage: prosody alone is learnt; what drew the frames stays as it is."""

    def __init__(
        self, model: StylettsModel, weights: StyleWeights, *, crop: int = 80, stretch: tuple[float, float] = (0.7, 1.4)
    ) -> None:
        """``stretch`` is by how much recordings are played slower or faster, in half of the steps."""
        super().__init__()
        self.model, self.weights, self.crop, self.stretch = model, weights, crop, stretch

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Those of prosody."""
        return list(self.model.prosody.parameters())

    def outputs(self, batch: StyleBatch) -> Predicted:
        """Prosody in the style of another piece of the same speaker."""
        model, prosody = self.model, self.model.prosody
        for kept in (model.text, model.style, model.aligner, model.decoder, model.frames):
            kept.eval()
        with torch.no_grad():
            mel = levelled(batch.mel)
            found = model.aligner(mel, batch.frames, batch.phones, batch.lengths)
            text = model.text(batch.phones, batch.lengths)
            style = model.style(levelled(batch.reference))
            durations, pitch, loudness = found.durations, batch.pitch, loudness_of(batch.mel)
            if float(torch.rand(())) < 0.5:
                low, high = self.stretch
                factor = low + (high - low) * float(torch.rand(()))
                durations, pitch, loudness = stretched(durations, pitch, loudness, factor)
        encoded = prosody.encode(text, batch.lengths, style)
        presence = prosody.presence(encoded, batch.lengths)
        begins, size = pieces(2 * durations.sum(1), self.crop)
        path = cut(path_of(durations, pitch.shape[1] // 2).float(), begins, size)
        curves = prosody.curves(encoded, path, style)
        wanted = cut(pitch, 2 * begins, 2 * size), cut(loudness, 2 * begins, 2 * size)
        with torch.no_grad():
            real = model.drawn(text, path, *wanted, style)
        made = model.drawn(text, path, *curves, style)
        return Predicted(presence, found.durations, (curves[0], wanted[0]), (curves[1], wanted[1]), (made, real))

    def losses(self, phase: str, batch: StyleBatch, out: Predicted) -> Losses:
        """Distances of durations, pitch, loudness, and of what is drawn with them."""
        valid = torch.arange(batch.phones.shape[1], device=batch.phones.device) < batch.lengths[:, None]
        far, entropy = duration_loss(out.presence, out.durations, valid)
        weights = self.weights
        return {
            "durations": Term(far, weights.durations),
            "present": Term(entropy, weights.durations),
            "pitch": Term(F.smooth_l1_loss(*out.pitch), weights.pitch),
            "loudness": Term(F.smooth_l1_loss(*out.loudness), weights.loudness),
            "drawn": Term((out.drawn[0] - out.drawn[1]).abs().mean(), weights.mel),
        }
