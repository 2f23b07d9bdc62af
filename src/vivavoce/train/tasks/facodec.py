"""How a FACodec passes through the game with judges (`train.tasks.codec_adversarial`): what its heads read.

Heads read pitch, phones and speaker where they belong, and behind a reversed gradient where they do not. Weights of the
terms are those of the published configuration; a reversed gradient counts as much as its head.
"""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from vivavoce.core.errors import TrainingError
from vivavoce.systems.facodec import Facodec
from vivavoce.train.task import Term
from vivavoce.train.tasks.codec import Labels, SoundBatch
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights, Passed

_PITCH, _PHONES, _SPEAKER = 1.0, 5.0, 5.0


@final
class FacodecPass:
    """The forward of a batch; for the first steps of the heads alone, on vectors that are not quantised, as books that
    follow an encoder which says nothing yet make it say less.

    `after` begins the books when these steps have passed.
    """

    def __init__(self, heads_first: int = 0) -> None:
        """So many steps pass before the books are begun and sound is made."""
        self._heads_first = heads_first
        self._latest: Tensor | None = None

    def __call__(self, codec: Facodec, batch: SoundBatch, weights: AdversarialWeights) -> Passed:
        """TrainingError for a batch without labels."""
        labels = batch.labels
        if labels is None:
            raise TrainingError("a FACodec learns from crops with labels: pitch, phones, speakers")
        begun = bool(codec.begun)
        mel, whole = codec.mel_of(batch.wave), labels.whole if begun else None
        out = codec(batch.wave[:, None], mel, whole, sounding=begun and weights.at_sound)
        heads = codec.heads(out)
        found = {
            "pitch": (_pitch(heads.pitch, labels), _PITCH),
            "phones": (_phones(heads.phones, labels.phones), _PHONES),
        }
        if heads.speaker is not None:
            found["speaker"] = cross_entropy(heads.speaker.float(), labels.speakers), _SPEAKER
        if begun:
            found["hidden_pitch"] = _mean([_pitch(head, labels) for head in heads.hidden_pitch]), _PITCH
            found["hidden_phones"] = _mean([_phones(head, labels.phones) for head in heads.hidden_phones]), _PHONES
            if heads.hidden_speaker is not None:
                found["hidden_speaker"] = cross_entropy(heads.hidden_speaker.float(), labels.speakers), _SPEAKER
        else:
            self._latest = batch.wave
        beside = {name: Term(value, weights.read * weight) for name, (value, weight) in found.items()}
        learnt = out.prosody.commitment + out.content.commitment + out.detail.commitment
        made = None if out.wave is None else out.wave[:, 0, : batch.wave.shape[1]]
        return Passed(batch.wave, made, learnt, beside)

    def after(self, codec: Facodec, step: int) -> None:
        """Begins the books by what was heard last, when it is time."""
        if not codec.begun and step + 1 >= self._heads_first and self._latest is not None:
            codec.begin(self._latest[:, None], codec.mel_of(self._latest))
            self._latest = None


def _mean(losses: list[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    return torch.stack(losses).mean()


def _pitch(head: Float[Tensor, "B 2 T"], labels: Labels) -> Float[Tensor, ""]:
    """Height where there is any, and whether there is."""
    height, voiced = head.float().unbind(1)
    far = ((height - labels.height).abs() * labels.voiced).sum() / labels.voiced.sum().clamp(min=1)
    return far + binary_cross_entropy_with_logits(voiced, labels.voiced)


def _phones(head: Float[Tensor, "B V T"], phones: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Over the frames whose phone is known."""
    each = cross_entropy(head.float(), phones, ignore_index=-1, reduction="sum")
    return each / (phones >= 0).sum().clamp(min=1)
