"""Learning a whole codec against judges, as SoundStream, EnCodec, SpeechTokenizer and Mimi do; each is a set of values.

The books begin by k-means on the first batch. What the sound is measured by (its distance, α-weighted mel distances,
adversarial and feature terms) is weighed by EnCodec's balancer (arXiv:2210.13438 §3.4); commitment and the teacher's
term stay outside of it. Judges rest in a share of the steps, drawn by the number of the step.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core import rng
from vivavoce.losses.adversarial import Balancer, feature_matching, judge_hinge, maker_hinge
from vivavoce.losses.spectral import AlphaSpectral
from vivavoce.losses.vq import distillation, distillation_over_time
from vivavoce.models.codec import CodecConfig, Resynthesis
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.train.task import Losses, Task, Term
from vivavoce.train.tasks.codec import SoundBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialWeights:
    """Shares of the gradient at the sound, of terms that are 0 or more; weights of the terms beside them.

    Mimi's last stage is ``wave=0, mel=0``: judges alone. SpeechTokenizer's teacher is ``over_time``, Mimi's by frames.
    """

    wave: float = 0.1
    mel: float = 1.0
    adversarial: float = 3.0
    features: float = 3.0
    commitment: float = 1.0
    teacher: float = 1.0
    over_time: bool = True
    judged: float = 2 / 3
    """Share of the steps in which the judges learn."""


class Heard(NamedTuple):
    """One forward: the sound, aligned with what was heard."""

    real: Float[Tensor, "B N"]
    made: Float[Tensor, "B N"]
    passed: Resynthesis


@final
class CodecAdversarial(Task[SoundBatch, Heard]):
    """Front, quantiser and back learn together."""

    phases: ClassVar[tuple[str, ...]] = ("codec", "judges")

    def __init__(
        self,
        config: CodecConfig,
        judges: DiscriminatorConfig | None = None,
        weights: AdversarialWeights | None = None,
        *,
        seed: int = 1,
    ) -> None:
        """Fresh weights."""
        super().__init__()
        self.codec = config.build()
        self.judges = (judges or DiscriminatorConfig(sample_rate=config.sample_rate)).build()
        self.weights = weights or AdversarialWeights()
        self.spectral = AlphaSpectral(config.sample_rate)
        self.balancer = Balancer(4)
        self.seed = seed

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """The codec and the judges have an optimiser each."""
        return [p for p in (self.codec if phase == "codec" else self.judges).parameters() if p.requires_grad]

    def outputs(self, batch: SoundBatch) -> Heard:
        """The codec's forward, after its books were begun by the first batch."""
        if not self.codec.quantizer.started:
            with torch.no_grad():
                self.codec.quantizer.start(self.codec.front(batch.wave[:, None]), rounds=50)
        passed, delay = self.codec(batch.wave), self.codec.delay
        return Heard(batch.wave[:, : batch.wave.shape[1] - delay], passed.wave[:, delay:], passed)

    def losses(self, phase: str, batch: SoundBatch, out: Heard) -> Losses:
        """The balanced gradient with commitment and teacher for the codec, or the judges' hinge."""
        if phase == "judges":
            real, made = self.judges(out.real, batch.highest_hz), self.judges(out.made.detach(), batch.highest_hz)
            return {"judges": Term(judge_hinge([j.score for j in real], [j.score for j in made]))}
        weights, wave = self.weights, out.made.detach().requires_grad_()
        with torch.no_grad():
            theirs = self.judges(out.real, batch.highest_hz)
        ours = self.judges(wave, batch.highest_hz)
        seen = {
            "mel": (self.spectral(wave, out.real), weights.mel),
            "wave": ((wave - out.real).abs().mean(), weights.wave),
            "adversarial": (maker_hinge([j.score for j in ours]), weights.adversarial),
            "features": (feature_matching([j.features for j in theirs], [j.features for j in ours]), weights.features),
        }
        order = sorted(seen, key=lambda name: not seen[name][1])  # the balancer measures by the first, which counts
        pull = self.balancer([seen[name][0] for name in order], [seen[name][1] for name in order], wave)
        terms = {"pull": Term((out.made * pull).sum())}
        terms["commit"] = Term(out.passed.quantized.commitment, weights.commitment)
        if batch.teacher is not None and batch.teacher_known is not None and out.passed.meaning is not None:
            far = distillation_over_time if weights.over_time else distillation
            terms["teacher"] = Term(far(out.passed.meaning, batch.teacher, batch.teacher_known), weights.teacher)
        return terms | {name: Term(value.detach(), 0.0) for name, (value, _) in seen.items()}

    def skip(self, phase: str, step: int) -> bool:
        """Whether the judges rest."""
        return phase == "judges" and rng.stream(self.seed, "judges", step).random() >= self.weights.judged
