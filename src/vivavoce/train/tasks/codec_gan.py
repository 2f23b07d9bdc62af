"""Learning a codec, second stage: judges compare real and made sound; EnCodec's balancer weighs them with the spectra.

Departure: the balancer weighs two gradients, that of the spectral terms and that of the judges (adversarial plus
feature matching), rather than each term's; this saves a backward pass through the judges.
"""

from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.losses.adversarial import Balancer, feature_matching, judge_hinge, maker_hinge
from vivavoce.losses.spectral import MultiSpectralConfig
from vivavoce.models.codec import CodecConfig, Resynthesis
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.train.task import Losses, Task, Term
from vivavoce.train.tasks.codec import CodecWeights, SoundBatch, heard, quantizer_terms


class GanOut(NamedTuple):
    """The codec's forward and the pieces that the judges see."""

    codec: Resynthesis
    real: Float[Tensor, "B N"]
    made: Float[Tensor, "B N"]
    first: int
    last: int


@final
class CodecGan(Task[SoundBatch, GanOut]):
    """Begins from a codec of the first stage; for ``judges_alone`` steps only the judges and the spectra count."""

    phases: ClassVar[tuple[str, ...]] = ("codec", "judges")

    def __init__(
        self,
        config: CodecConfig,
        judges: DiscriminatorConfig | None = None,
        weights: CodecWeights | None = None,
        *,
        share: float = 1.0,
        seen_samples: int = 10240,
        judges_alone: int = 100,
        features: float = 2.0,
    ) -> None:
        """``share`` is the judges' gradient relative to the spectra's.

        ``features`` is the weight of feature matching beside the adversarial term; ``seen_samples`` of each crop,
        drawn anew in each step, go to the judges.
        """
        super().__init__()
        self.codec = config.build()
        self.judges = (judges or DiscriminatorConfig(sample_rate=config.sample_rate)).build()
        self.weights = weights or CodecWeights()
        self.spectral = MultiSpectralConfig(sample_rate=config.sample_rate).build()
        self.balancer = Balancer(2)
        self.share = share
        self.seen_samples = seen_samples
        self.judges_alone = judges_alone
        self.features = features
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Codec and judges have an optimiser each."""
        return list((self.codec if phase == "codec" else self.judges).parameters())

    def outputs(self, batch: SoundBatch) -> GanOut:
        """The codec's forward, aligned, and where the judges look."""
        out = heard(self.codec, batch)
        delay = self.codec.delay
        made, real = out.wave[:, delay:], batch.wave[:, : batch.wave.shape[1] - delay]
        first = int(torch.randint(max(1, made.shape[1] - self.seen_samples), ()))
        return GanOut(out, real, made, first, first + self.seen_samples)

    def losses(self, phase: str, batch: SoundBatch, out: GanOut) -> Losses:
        """The balanced gradient for the codec, or the judges' hinge."""
        real = out.real[:, out.first : out.last]
        if phase == "judges":
            made = out.made[:, out.first : out.last].detach()
            both = self.judges(torch.cat((real, made)), batch.highest_hz.repeat(2))
            scores = [judgement.score.chunk(2) for judgement in both]
            return {"judges": Term(judge_hinge([a for a, _ in scores], [b for _, b in scores]))}
        wave = out.made.detach().requires_grad_()
        mel, linear = self.spectral(wave, out.real, batch.highest_hz)
        with torch.no_grad():
            theirs = self.judges(real, batch.highest_hz)
        ours = self.judges(wave[:, out.first : out.last], batch.highest_hz)
        adversarial = maker_hinge([judgement.score for judgement in ours])
        features = feature_matching([j.features for j in theirs], [j.features for j in ours])
        spectra = self.weights.mel * mel + self.weights.linear * linear
        share = self.share if int(self.steps_done) >= self.judges_alone else 0.0
        pull = self.balancer((spectra, adversarial + self.features * features), (1.0, share), wave)
        seen = {"mel": mel, "linear": linear, "adversarial": adversarial, "features": features}
        reported = {name: Term(value.detach(), 0.0) for name, value in seen.items()}
        terms = {"pull": Term((out.made * pull).sum()), **reported}
        return terms | quantizer_terms(batch, out.codec, self.weights)

    def skip(self, phase: str, step: int) -> bool:
        """The judges learn in every second step."""
        return phase == "judges" and step % 2 == 1

    def after_step(self, step: int) -> None:
        """Counts the steps of this stage."""
        self.steps_done += 1
