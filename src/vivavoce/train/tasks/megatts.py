"""Learning Mega-TTS: first to draw speech again from its factors, against judges; then to write prosody and lengths.

Mega-TTS, arXiv:2306.03509 §3: the factors are kept apart by what each may see, no loss pulls them apart. The second
stage learns from whole conversations' worth of sentences of one speaker, end to end (arXiv:2307.07218 §3.3), so that
prompts of many sentences are nothing new; the factors stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.losses.adversarial import feature_matching, judge_squares, maker_squares
from vivavoce.losses.tokens import weighted
from vivavoce.nn.mel_judges import MelJudgesConfig
from vivavoce.nn.multi_reference import References
from vivavoce.systems.megatts import Drawn, MegaModel, TimedSpeech
from vivavoce.train.task import Frozen, Losses, Task, Term


@dataclass(frozen=True, slots=True)
class MegaBatch:
    """Utterances, and other recordings of who speaks in each."""

    spoken: TimedSpeech
    references: References
    rows: tuple[int, ...] = ()
    """How many of the utterances, one after the other, each row of the second stage has; one each where empty."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MegaWeights:
    """What counts how much; judges count from step ``judged_from`` on."""

    mel: float = 1.0
    commitment: float = 0.15
    adversarial: float = 0.1
    features: float = 0.2
    judged_from: int = 1000


@final
class MegaTask(Task[MegaBatch, Drawn]):
    """The first stage."""

    phases: ClassVar[tuple[str, ...]] = ("maker", "judges")

    def __init__(self, model: MegaModel, judges: MelJudgesConfig, weights: MegaWeights) -> None:
        """Judges begin anew."""
        super().__init__()
        self.model, self.judges, self.weights = model, judges.build(), weights
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Lengths and the language model are not learnt here."""
        if phase == "judges":
            return list(self.judges.parameters())
        later = ("durations.", "lm.")
        return [value for name, value in self.model.named_parameters() if not name.startswith(later)]

    def outputs(self, batch: MegaBatch) -> Drawn:
        """Speech drawn again; the book is begun by the first batch."""
        prosody = self.model.prosody
        if not prosody.quantizer.started:
            prosody.start(batch.spoken.mel, prosody.config.places(batch.spoken.frames))
        return self.model(batch.spoken, batch.references)

    def losses(self, phase: str, batch: MegaBatch, out: Drawn) -> Losses:
        """Distance, commitment and the judges' side, or the judges' own."""
        real, lengths, weights = batch.spoken.mel, batch.spoken.frames.sum(1), self.weights
        there = (torch.arange(real.shape[2], device=real.device) < lengths[:, None])[:, None]
        made, real = out.mel * there, real * there
        places = self.judges.places(lengths)
        counts = float(self.done >= weights.judged_from)
        if phase == "judges":
            theirs, ours = self.judges(real, places), self.judges(made.detach(), places)
            return {"judges": Term(judge_squares([j.score for j in theirs], [j.score for j in ours]), counts)}
        with torch.no_grad():
            theirs = self.judges(real, places)
        ours = self.judges(made, places)
        return {
            "mel": Term((made - real).abs().sum() / (there.sum() * real.shape[1]), weights.mel),
            "commitment": Term(out.coded.commitment, weights.commitment),
            "adversarial": Term(maker_squares([j.score for j in ours]), counts * weights.adversarial),
            "features": Term(
                feature_matching([j.features for j in theirs], [j.features for j in ours]), counts * weights.features
            ),
        }

    def skip(self, phase: str, step: int) -> bool:
        """Whether the judges rest."""
        return phase == "judges" and step < self.weights.judged_from

    def after_step(self, step: int) -> None:
        """Counts the steps."""
        self.done += 1


def joined(
    x: Shaped[Tensor, "N L *D"], kept: Bool[Tensor, "N L"], rows: Sequence[int]
) -> tuple[Shaped[Tensor, "B S *D"], Bool[Tensor, "B S"]]:
    """What is kept of utterances, so many of them to a row and end to end, and where there is any."""
    whole = [torch.cat([x[n][kept[n]] for n in group]) for group in torch.arange(len(x)).split(list(rows))]
    lengths = torch.tensor([len(one) for one in whole], device=x.device)
    return pad_sequence(whole, batch_first=True), torch.arange(int(lengths.max()), device=x.device) < lengths[:, None]


class Planned(NamedTuple):
    """Logits of each prosody code, the codes, where there are any, and how far lengths are off."""

    logits: Float[Tensor, "B Q V"]
    codes: Int[Tensor, "B Q"]
    kept: Bool[Tensor, "B Q"]
    lengths: Float[Tensor, ""]


@final
class PlanTask(Task[MegaBatch, Planned]):
    """The second stage: a row is several sentences of one speaker, one after the other."""

    def __init__(self, model: MegaModel) -> None:
        """The factors stay as they are."""
        super().__init__()
        self.factors = Frozen(model)
        self.durations, self.lm = model.durations.requires_grad_(True).train(), model.lm.requires_grad_(True).train()

    def outputs(self, batch: MegaBatch) -> Planned:
        """What both expect of each place from those before it."""
        model: MegaModel = self.factors.module
        spoken = batch.spoken
        counts = model.config.prosody.places(spoken.frames)
        with torch.no_grad():
            said = model.said(spoken.phones, spoken.there, batch.references)
            codes = model.prosody(spoken.mel, counts).codes
            condition = model.conditions(said, spoken.frames)
        rows = batch.rows or (1,) * len(counts)
        codes, kept = joined(codes, counts > 0, rows)
        condition, _ = joined(condition, counts > 0, rows)
        said, there = joined(said, spoken.there, rows)
        frames, _ = joined(spoken.frames, spoken.there, rows)
        return Planned(self.lm(codes, condition), codes, kept, self.durations.loss(said, frames, there))

    def losses(self, phase: str, batch: MegaBatch, out: Planned) -> Losses:
        """Cross-entropy of codes with the share of right guesses, and the distance of lengths."""
        loss, right = weighted(out.logits.flatten(0, 1), out.codes.flatten(), out.kept.flatten().float())
        return {"codes": Term(loss), "right": Term(right, 0.0), "lengths": Term(out.lengths)}
