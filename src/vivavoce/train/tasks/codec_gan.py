"""Learning a codec, second stage: judges compare real and made sound; EnCodec's balancer weighs them with the spectra.

Front and books stay as they are, so that tokens keep their meaning and whatever was trained on them stays valid: only
what makes sound of tokens learns. Some rows may be tokens that a speaker's spectra gave (`SoundBatch.codes`): nobody
said them, so the judges alone know how they should sound, and the spectrum that was drawn holds them in place.

Departure: the balancer weighs two gradients, that of the spectral terms and that of the judges (adversarial plus
feature matching), rather than each term's; this saves a backward pass through the judges.
"""

from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.losses.adversarial import Balancer, feature_matching, judge_hinge, maker_hinge
from vivavoce.losses.spectral import MultiSpectralConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.train.task import Losses, Task, Term
from vivavoce.train.tasks.codec import CodecWeights, SoundBatch, latents


class GanOut(NamedTuple):
    """Sound made from the tokens of real sound, then of drawn spectra; and the pieces that the judges see."""

    real: Float[Tensor, "B N"]
    made: Float[Tensor, "R N"]
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
        share: tuple[float, float] = (0.3, 0.3),
        over: int = 1,
        seen_samples: int = 10240,
        judges_alone: int = 100,
        judged_every: int = 2,
        features: float = 2.0,
        fewer_books: float = 0.0,
    ) -> None:
        """``share`` is the judges' gradient relative to the spectra's at the first step and after ``over`` of them.

        ``features`` is the weight of feature matching beside the adversarial term; ``seen_samples`` of each crop,
        drawn anew in each step, go to the judges, who learn in every ``judged_every``-th step. A ``fewer_books`` part
        of the rows is made of their first books only, as many as chance gives.
        """
        super().__init__()
        self.codec = config.build()
        self.judges = (judges or DiscriminatorConfig(sample_rate=config.sample_rate)).build()
        self.weights = weights or CodecWeights()
        self.spectral = MultiSpectralConfig(sample_rate=config.sample_rate).build()
        self.balancer = Balancer(2)
        self.share, self.over = share, over
        self.seen_samples = seen_samples
        self.judges_alone = judges_alone
        self.judged_every = judged_every
        self.features = features
        self.fewer_books = fewer_books
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))
        for name, parameter in self.codec.named_parameters():
            parameter.requires_grad_(name.startswith("back."))

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """The back and the judges have an optimiser each."""
        return [p for p in (self.codec if phase == "codec" else self.judges).parameters() if p.requires_grad]

    def outputs(self, batch: SoundBatch) -> GanOut:
        """Sound from tokens, aligned, and where the judges look."""
        self.codec.quantizer.eval()
        with torch.no_grad(), torch.autocast(batch.wave.device.type, enabled=False):
            codes = self.codec.quantizer.encode(latents(self.codec, batch))
            if batch.codes is not None:
                codes = torch.cat((codes, batch.codes.long()))
            values = self._decoded(codes)
        delay = self.codec.delay
        made, real = self.codec.back(values)[:, 0, delay:], batch.wave[:, : batch.wave.shape[1] - delay]
        first = int(torch.randint(max(1, made.shape[1] - self.seen_samples), ()))
        return GanOut(real, made, first, first + self.seen_samples)

    def _decoded(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """Vectors of the codes; some rows keep their first books only."""
        values, books = self.codec.quantizer.decode(codes), codes.shape[1]
        rows = torch.rand(len(codes)) < self.fewer_books
        if not self.training or books < 2 or not bool(rows.any()):
            return values
        kept = torch.where(rows, torch.randint(1, books, (len(codes),)), books)
        for count in kept[rows].unique().tolist():
            some = (kept == count).to(codes.device)
            values[some] = self.codec.quantizer.decode(codes[some, :count])
        return values

    def losses(self, phase: str, batch: SoundBatch, out: GanOut) -> Losses:
        """The balanced gradient for the codec, or the judges' hinge."""
        real, rows = out.real[:, out.first : out.last], len(out.real)
        # a drawn sound is judged by as much of its spectrum as the real ones beside it
        highest = torch.cat((batch.highest_hz, batch.highest_hz.roll(1)))[: len(out.made)]
        if phase == "judges":
            made = out.made[:, out.first : out.last].detach()
            both = self.judges(torch.cat((real, made)), torch.cat((batch.highest_hz, highest)))
            return {"judges": Term(judge_hinge([j.score[:rows] for j in both], [j.score[rows:] for j in both]))}
        wave = out.made.detach().requires_grad_()
        mel, linear = self.spectral(wave[:rows], out.real, batch.highest_hz)
        with torch.no_grad():
            theirs = self.judges(real, batch.highest_hz)
        ours = self.judges(wave[:, out.first : out.last], highest)
        adversarial = maker_hinge([judgement.score for judgement in ours])
        features = feature_matching([j.features for j in theirs], [[f[:rows] for f in j.features] for j in ours])
        seen = {"mel": mel, "linear": linear, "adversarial": adversarial, "features": features}
        spectra = self.weights.mel * mel + self.weights.linear * linear
        if batch.drawn is not None:
            with torch.autocast(wave.device.type, enabled=False):
                drawn = self.codec.mel_front.mel(wave[rows:])
            seen["drawn"] = (drawn - batch.drawn[:, :, : drawn.shape[2]]).abs().mean()
            spectra = spectra + self.weights.drawn * seen["drawn"]
        begin, end = self.share
        done = int(self.steps_done)
        share = begin + (end - begin) * min(done / self.over, 1.0) if done >= self.judges_alone else 0.0
        pull = self.balancer((spectra, adversarial + self.features * features), (1.0, share), wave)
        reported = {name: Term(value.detach(), 0.0) for name, value in seen.items()}
        return {"pull": Term((out.made * pull).sum()), **reported}

    def skip(self, phase: str, step: int) -> bool:
        """Whether the judges rest."""
        return phase == "judges" and step % self.judged_every > 0

    def after_step(self, step: int) -> None:
        """Counts the steps of this stage."""
        self.steps_done += 1
