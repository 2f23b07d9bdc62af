"""Encoders that learn from sound alone: wav2vec 2.0, HuBERT and w2v-BERT."""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.core.errors import TrainingError
from vivavoce.losses.pretraining import masked_prediction
from vivavoce.models.encoder import Encoded, Encoder
from vivavoce.models.encoder_heads import Contrasted, ContrastiveHead
from vivavoce.nn.masking import MaskConfig, span_mask
from vivavoce.systems.hubert import HubertConfig, HubertModel
from vivavoce.systems.w2vbert import W2vBertConfig, W2vBertModel
from vivavoce.systems.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from vivavoce.train.task import Losses, Task, Term

_COLLAPSED, _PATIENCE = 1.05, 100
"""Entries per group in use, and for how many updates in a row."""


@dataclass(frozen=True, slots=True)
class WaveBatch:
    """Crops of recordings and, where there are teachers, each frame's cluster per label set; -1: there is none."""

    wave: Float[Tensor, "B N"]
    lengths: Int[Tensor, " B"]
    labels: tuple[Int[Tensor, "B T"], ...] = ()
    seconds: float = 0.0


class Hidden(NamedTuple):
    """What the encoder heard, and which of its frames were hidden from the layers."""

    heard: Encoded
    mask: Bool[Tensor, "B T"]


def hide(batch: WaveBatch, encoder: Encoder, config: MaskConfig) -> Hidden:
    """A pass in which spans are hidden."""
    front = encoder.config.front
    frames = int(front.frames(torch.tensor([batch.wave.shape[1]]))[0])
    mask = span_mask(front.frames(batch.lengths), frames, config)
    return Hidden(encoder(batch.wave, batch.lengths, mask=mask), mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveWeights:
    """The weights of the terms beside the contrastive one; ``masked`` is w2v-BERT's."""

    diversity: float = 0.1
    penalty: float = 10.0
    masked: float = 1.0


class _Books:
    """Watches a quantiser: anneals it, tells how much of it is in use, and ends a run in which it has collapsed."""

    def __init__(self, head: ContrastiveHead) -> None:
        self.quantizer, self.alone = head.quantizer, 0

    def terms(self, found: Contrasted, weights: ContrastiveWeights, training: bool) -> dict[str, Term]:
        """The contrastive terms; as numbers how often the target was nearest, and the entries in use and their share.

        Raises TrainingError when a single entry was in use for a hundred updates: the contrastive loss is then low and
        means nothing.
        """
        size = self.quantizer.config.size
        if training:
            self.alone = self.alone + 1 if float(found.used) < _COLLAPSED else 0
            if self.alone >= _PATIENCE:
                raise TrainingError(
                    f"the quantiser's books have collapsed to {float(found.used):.1f} of {size} entries; begin again "
                    "with a lower learning rate or a larger weights.diversity"
                )
        return {
            "contrastive": Term(found.loss),
            "diversity": Term(found.diversity, weights.diversity),
            "right": Term(found.right, 0.0),
            "entries": Term(found.used, 0.0),
            "used": Term(found.used / size, 0.0),
            "temperature": Term(self.quantizer.temperature, 0.0),
        }

    @torch.no_grad()
    def begin(self, hidden: Hidden) -> None:
        """Fits a fresh quantiser to the frames that it will choose entries for."""
        self.quantizer.start(hidden.heard.front.float().flatten(0, 1))

    def anneal(self, updates: int) -> None:
        """Sets the temperature that belongs to so many updates."""
        self.quantizer.temperature.fill_(self.quantizer.annealed(updates))


@final
class Wav2Vec2Task(Task[WaveBatch, Hidden]):
    """Telling hidden frames from distractors; the quantiser's temperature falls with every update."""

    def __init__(self, config: Wav2Vec2Config, weights: ContrastiveWeights = ContrastiveWeights()) -> None:
        """Fresh weights."""
        super().__init__()
        self.config, self.weights = config, weights
        self.model: Wav2Vec2Model = config.build()
        self._books = _Books(self.model.head)

    def outputs(self, batch: WaveBatch) -> Hidden:
        """A pass in which half of the frames are hidden."""
        return hide(batch, self.model.encoder, self.config.mask)

    def losses(self, phase: str, batch: WaveBatch, out: Hidden) -> Losses:
        """The contrastive terms, and the front's mean square."""
        found = self.model.head(out.heard.front, out.heard.last, out.mask)
        terms = self._books.terms(found, self.weights, self.training)
        return terms | {"penalty": Term(out.heard.penalty, self.weights.penalty)}

    def begin(self, batch: WaveBatch) -> None:
        """Fits fresh weights to some sound."""
        self._books.begin(self.outputs(batch))

    def after_step(self, step: int) -> None:
        """Anneals."""
        self._books.anneal(step + 1)


@final
class W2vBertTask(Task[WaveBatch, Hidden]):
    """Contrastive half-way up, and at the top the names that the same quantiser gives; it learns from neither name."""

    def __init__(self, config: W2vBertConfig, weights: ContrastiveWeights = ContrastiveWeights()) -> None:
        """Fresh weights. ``weights.penalty`` is not used: the paper has none."""
        super().__init__()
        self.config, self.weights = config, weights
        self.model: W2vBertModel = config.build()
        self._books = _Books(self.model.head)

    def outputs(self, batch: WaveBatch) -> Hidden:
        """A pass in which half of the frames are replaced by noise."""
        return hide(batch, self.model.encoder, self.config.mask)

    def losses(self, phase: str, batch: WaveBatch, out: Hidden) -> Losses:
        """The contrastive terms from below, cross-entropy from above and its share of right names."""
        found = self.model.head(out.heard.front, out.heard.layers[self.config.below], out.mask)
        labels = torch.full(out.mask.shape, -1, device=out.mask.device)
        labels[out.mask] = found.ids[:, 0]
        loss, named = masked_prediction(self.model.names(out.heard.last), labels, out.mask)
        terms = self._books.terms(found, self.weights, self.training)
        return terms | {"masked": Term(loss, self.weights.masked), "named": Term(named, 0.0)}

    def begin(self, batch: WaveBatch) -> None:
        """Fits fresh weights to some sound."""
        self._books.begin(self.outputs(batch))

    def after_step(self, step: int) -> None:
        """Anneals."""
        self._books.anneal(step + 1)


@final
class HubertTask(Task[WaveBatch, Hidden]):
    """Naming the clusters of hidden frames; those in sight count for nothing."""

    def __init__(self, config: HubertConfig, penalty: float = 10.0) -> None:
        """``penalty`` is the weight of the front's mean square."""
        super().__init__()
        self.config, self.penalty = config, penalty
        self.model: HubertModel = config.build()

    def outputs(self, batch: WaveBatch) -> Hidden:
        """A pass in which half of the frames are hidden."""
        return hide(batch, self.model.encoder, self.config.mask)

    def losses(self, phase: str, batch: WaveBatch, out: Hidden) -> Losses:
        """Cross-entropy per label set, the front's mean square, and the share of right names as a number."""
        terms = {"penalty": Term(out.heard.penalty, self.penalty)}
        frames = out.mask.shape[1]
        for number, labels in enumerate(batch.labels):
            scores = self.model.head(out.heard.last, number)
            loss, right = masked_prediction(scores, labels[:, :frames].long(), out.mask)
            suffix = f"_{number}" if number else ""
            terms |= {f"masked{suffix}": Term(loss), f"right{suffix}": Term(right, 0.0)}
        return terms
