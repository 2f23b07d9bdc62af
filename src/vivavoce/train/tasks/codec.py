"""Learning a codec: spectral distances and the quantiser's own terms.

The quantiser is bypassed for the first steps, until the encoder says something worth clustering; then its books are
begun by k-means on the latest latents. The first book may have a teacher, whose features come with the batch.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.losses.spectral import MultiSpectralConfig
from vivavoce.losses.vq import distillation
from vivavoce.models.codec import Codec, CodecConfig, Resynthesis
from vivavoce.models.front import MelFront, without_highs
from vivavoce.train.task import Losses, Task, Term

_PER_ENTRY = 12  # latents that k-means gets for each entry of a book


class Labels(NamedTuple):
    """What is known of crops beside their sound (FACodec)."""

    height: Float[Tensor, "B T"]  # of the melody: octaves from the recording's median
    voiced: Float[Tensor, "B T"]  # 1 where there is a pitch
    phones: Int[Tensor, "B T"]  # -1 where nobody knows
    speakers: Int[Tensor, " B"]
    whole: Float[Tensor, "B 1 W"] | None  # a longer stretch of the recording, of which the voice is taken


class SoundBatch(NamedTuple):
    """Crops of sound."""

    wave: Float[Tensor, "B N"]
    mel_bins: Int[Tensor, " B"]  # mel bins the encoder may see; the rest looks like a narrow-band recording's
    highest_hz: Float[Tensor, " B"]  # above it the recording says nothing
    seconds: float
    teacher: Float[Tensor, "B D T"] | None = None
    teacher_known: Bool[Tensor, "B T"] | None = None
    codes: Int[Tensor, "R K T"] | None = None  # tokens of spectra that a speaker drew
    drawn: Float[Tensor, "R M S"] | None = None  # those spectra
    labels: Labels | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecWeights:
    """How much each term counts."""

    mel: float = 1.0
    linear: float = 0.5
    commitment: float = 0.02
    teacher: float = 0.5
    drawn: float = 0.3


def latents(codec: Codec, batch: SoundBatch) -> Float[Tensor, "B D T"]:
    """What the front makes of a batch; a mel front gets the bins it may see."""
    mel = visible(codec, batch)
    return codec.front(batch.wave[:, None]) if mel is None else codec.mel_front.of_mel(mel)


def visible(codec: Codec, batch: SoundBatch) -> Float[Tensor, "B M S"] | None:
    """Mel frames of the batch as far as a mel front may see them; None for other fronts."""
    if not isinstance(codec.front, MelFront):
        return None
    with torch.no_grad():
        mel = codec.front.mel(batch.wave)
        for bins in batch.mel_bins.unique().tolist():
            if bins < mel.shape[1]:
                rows = batch.mel_bins == bins
                mel[rows] = without_highs(mel[rows], bins)
    return mel


def heard(codec: Codec, batch: SoundBatch) -> Resynthesis:
    """The forward of the first stage: the encoder gets the mel bins it may see."""
    return codec(batch.wave, visible(codec, batch))


def quantizer_terms(batch: SoundBatch, out: Resynthesis, weights: CodecWeights) -> dict[str, Term]:
    """Commitment, and the teacher's term where there is a teacher."""
    terms = {"commit": Term(out.quantized.commitment, weights.commitment)}
    if batch.teacher is not None and batch.teacher_known is not None and out.meaning is not None:
        terms["teacher"] = Term(distillation(out.meaning, batch.teacher, batch.teacher_known), weights.teacher)
    return terms


@final
class CodecSpectral(Task[SoundBatch, Resynthesis]):
    """First stage: no adversary."""

    pool: Tensor

    def __init__(self, config: CodecConfig, weights: CodecWeights | None = None, *, bypass_steps: int = 300) -> None:
        """``bypass_steps`` steps pass before the books are begun."""
        super().__init__()
        self.codec = config.build()
        self.weights = weights or CodecWeights()
        self.spectral = MultiSpectralConfig(sample_rate=config.sample_rate).build()
        self.bypass_steps = bypass_steps
        self.register_buffer("pool", torch.zeros(_PER_ENTRY * config.size, config.front.dim))

    def outputs(self, batch: SoundBatch) -> Resynthesis:
        """The codec's forward; keeps latents while the books wait for their beginning."""
        out = heard(self.codec, batch)
        if not self.codec.quantizer.started:
            latest = out.latents.detach().float().transpose(1, 2).flatten(0, 1)[: len(self.pool)]
            self.pool.copy_(torch.cat((self.pool[len(latest) :], latest)))
        return out

    def losses(self, phase: str, batch: SoundBatch, out: Resynthesis) -> Losses:
        """Spectral distances between input and delayed output, and the quantiser's terms."""
        delay = self.codec.delay
        real = batch.wave[:, : batch.wave.shape[1] - delay]
        mel, linear = self.spectral(out.wave[:, delay:], real, batch.highest_hz)
        terms = {"mel": Term(mel, self.weights.mel), "linear": Term(linear, self.weights.linear)}
        return terms | quantizer_terms(batch, out, self.weights)

    def after_step(self, step: int) -> None:
        """Begins the books when the encoder has had its time and the pool is full."""
        full = bool(self.pool[0].any())
        if step + 1 >= self.bypass_steps and full and not self.codec.quantizer.started:
            self.codec.quantizer.start(self.pool.T[None])
