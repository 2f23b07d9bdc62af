"""Learning a whole codec against judges; SoundStream, EnCodec, SpeechTokenizer, Mimi and FACodec are sets of values.

The books begin by k-means on the first batch. What the sound is measured by (its distance, α-weighted mel distances,
adversarial and feature terms) is weighed by EnCodec's balancer (arXiv:2210.13438 §3.4) or simply added; commitment and
what else a codec learns (`Passed.beside`) stay outside of it. Judges rest in a share of the steps, drawn by the number
of the step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core import rng
from vivavoce.losses.adversarial import (
    Balancer,
    feature_matching,
    judge_hinge,
    judge_squares,
    maker_hinge,
    maker_squares,
)
from vivavoce.losses.spectral import AlphaSpectral
from vivavoce.losses.vq import distillation, distillation_over_time
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.train.task import Losses, Task, Term
from vivavoce.train.tasks.codec import SoundBatch

_GAMES = {"hinge": (judge_hinge, maker_hinge), "squares": (judge_squares, maker_squares)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialWeights:
    """Shares of the gradient at the sound, of terms that are 0 or more; weights of the terms beside them.

    Not ``balanced``, they are plain weights. Mimi's last stage is ``wave=0, mel=0``: judges alone; ``adversarial=0,
    features=0`` is none of them, which takes half as long; all four 0 leave the sound out. SpeechTokenizer's teacher is
    ``over_time``, Mimi's by frames. ``read`` is what the heads of a FACodec count.
    """

    wave: float = 0.1
    mel: float = 1.0
    adversarial: float = 3.0
    features: float = 3.0
    commitment: float = 1.0
    teacher: float = 1.0
    over_time: bool = True
    read: float = 1.0
    balanced: bool = True
    game: Literal["hinge", "squares"] = "hinge"
    judged: float = 2 / 3
    """Share of the steps in which the judges learn."""

    @property
    def judged_at_all(self) -> bool:
        """Whether judges have a say."""
        return self.adversarial > 0 or self.features > 0

    @property
    def at_sound(self) -> bool:
        """Whether anything is learnt from the sound that is made."""
        return self.judged_at_all or self.wave > 0 or self.mel > 0


@runtime_checkable
class Trained(Protocol):
    """The configuration of something that is learnt so."""

    @property
    def sample_rate(self) -> int:
        """Of the sound."""
        ...

    def build(self) -> Any:
        """The module."""
        ...


class Passed(NamedTuple):
    """One forward: the sound that was heard and the one that was made of it, and what is learnt beside the sound."""

    real: Float[Tensor, "B N"]
    made: Float[Tensor, "B N"] | None
    commitment: Float[Tensor, ""]
    beside: Mapping[str, Term]


Pass = Callable[[Any, SoundBatch, AdversarialWeights], Passed]
"""A module's forward on a batch; it begins the books where they were not begun."""


def pass_codec(codec: Any, batch: SoundBatch, weights: AdversarialWeights) -> Passed:
    """Of a `Codec`: a teacher joins where the batch has one."""
    if not codec.quantizer.started:
        with torch.no_grad():
            codec.quantizer.start(codec.front(batch.wave[:, None]), rounds=50)
    out, delay, beside = codec(batch.wave), codec.delay, {}
    if batch.teacher is not None and batch.teacher_known is not None and out.meaning is not None:
        far = distillation_over_time if weights.over_time else distillation
        beside["teacher"] = Term(far(out.meaning, batch.teacher, batch.teacher_known), weights.teacher)
    heard = batch.wave[:, : batch.wave.shape[1] - delay]
    return Passed(heard, out.wave[:, delay:], out.quantized.commitment, beside)


@final
class CodecAdversarial(Task[SoundBatch, Passed]):
    """All of a codec learns together."""

    phases: ClassVar[tuple[str, ...]] = ("codec", "judges")

    def __init__(
        self,
        config: Trained,
        judges: DiscriminatorConfig | None = None,
        weights: AdversarialWeights | None = None,
        *,
        passes: Pass = pass_codec,
        after: Callable[[Any, int], None] = lambda _codec, _step: None,
        seed: int = 1,
    ) -> None:
        """Fresh weights; ``passes`` is the codec's forward, ``after`` is told the codec and the number of each step
        that was taken."""
        super().__init__()
        self.codec = config.build()
        self.judges = (judges or DiscriminatorConfig(sample_rate=config.sample_rate)).build()
        self.weights = weights or AdversarialWeights()
        self.spectral = AlphaSpectral(config.sample_rate)
        self.balancer = Balancer(4 if self.weights.judged_at_all else 2)
        self.passes, self.after, self.seed = passes, after, seed

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """The codec and the judges have an optimiser each."""
        return [p for p in (self.codec if phase == "codec" else self.judges).parameters() if p.requires_grad]

    def outputs(self, batch: SoundBatch) -> Passed:
        """The codec's forward, after its books were begun by the first batch."""
        return self.passes(self.codec, batch, self.weights)

    def losses(self, phase: str, batch: SoundBatch, out: Passed) -> Losses:
        """The gradient at the sound with commitment and what else is learnt for the codec, or the judges' side."""
        judging, making = _GAMES[self.weights.game]
        if out.made is None or not self.weights.at_sound:
            return {"commit": Term(out.commitment, self.weights.commitment), **out.beside}
        if phase == "judges":
            real, made = self.judges(out.real, batch.highest_hz), self.judges(out.made.detach(), batch.highest_hz)
            return {"judges": Term(judging([j.score for j in real], [j.score for j in made]))}
        weights, wave = self.weights, out.made.detach().requires_grad_()
        seen = {
            "mel": (self.spectral(wave, out.real), weights.mel),
            "wave": ((wave - out.real).abs().mean(), weights.wave),
        }
        if weights.judged_at_all:
            with torch.no_grad():
                theirs = self.judges(out.real, batch.highest_hz)
            ours = self.judges(wave, batch.highest_hz)
            alike = feature_matching([j.features for j in theirs], [j.features for j in ours])
            seen |= {
                "adversarial": (making([j.score for j in ours]), weights.adversarial),
                "features": (alike, weights.features),
            }
        pull = self._pull({name: pair for name, pair in seen.items() if weights.balanced or pair[1]}, wave)
        terms = {
            "pull": Term((out.made * pull).sum()),
            "commit": Term(out.commitment, weights.commitment),
            **out.beside,
        }
        return terms | {name: Term(value.detach(), 0.0) for name, (value, _) in seen.items()}

    def _pull(
        self, seen: Mapping[str, tuple[Float[Tensor, ""], float]], wave: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B N"]:
        """The gradient at the made sound."""
        if not self.weights.balanced:
            return torch.autograd.grad(torch.stack([weight * value for value, weight in seen.values()]).sum(), wave)[0]
        order = sorted(seen, key=lambda name: not seen[name][1])  # the balancer measures by the first, which counts
        return self.balancer([seen[name][0] for name in order], [seen[name][1] for name in order], wave)

    def after_step(self, step: int) -> None:
        """Says so."""
        self.after(self.codec, step)

    def skip(self, phase: str, step: int) -> bool:
        """Whether the judges rest."""
        if phase != "judges":
            return False
        return not self.weights.judged_at_all or rng.stream(self.seed, "judges", step).random() >= self.weights.judged
