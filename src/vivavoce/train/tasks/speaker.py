"""Learning to speak: mel, lengths, melody and level by regression; the reference encoder also tells people apart."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from vivavoce.data.speaker import SpeakerBatch
from vivavoce.models.speak import Speaker
from vivavoce.nn.prosody import LENGTH_CENTRE
from vivavoce.nn.style import VoicePrint
from vivavoce.train.task import Losses, Task, Term


@final
class SpeakTask(Task[SpeakerBatch, dict[str, Tensor]]):
    """Mel, lengths, melody and level by regression; the reference encoder also learns to tell people apart."""

    def __init__(self, speaker: Speaker, people: int) -> None:
        """``people`` is the number of known speakers."""
        super().__init__()
        self.speaker = speaker
        self.people = nn.Parameter(torch.randn(people, speaker.config.reference.vector) * 0.1)

    def outputs(self, batch: SpeakerBatch) -> dict[str, Tensor]:
        """Everything predicted."""
        model = self.speaker
        who, phones = batch.speakers, batch.phones
        vector = model.reference(who.reference)
        voice = model.voice_of(VoicePrint(vector, who.mean, who.spread, who.pitch, who.liveliness))
        encoded = model.encode(phones.table, phones.mask)
        units = model.draw(encoded, voice, batch.frames)
        mel = units * who.spread[:, None] + who.mean[:, None]
        return {"mel": mel, "prosody": model.prosody(encoded, voice, phones.mask).float(), "vector": vector}

    def losses(self, phase: str, batch: SpeakerBatch, out: dict[str, Tensor]) -> Losses:
        """Named terms."""
        off = (out["mel"] - batch.mel) * batch.mel_mask
        count = batch.mel_mask.sum()
        phones, raw = batch.phones, out["prosody"]
        mask = phones.mask[:, :, 0]
        length = (raw[:, :, 0] + LENGTH_CENTRE - phones.frames.clamp(min=1).float().log()) * mask
        points = (raw[:, :, 1:3] - phones.points) * phones.pointed
        voicing = binary_cross_entropy_with_logits(raw[:, :, 3], phones.voicing.clamp(0, 1), reduction="none") * mask
        level = (raw[:, :, 4] - phones.level) * mask
        scores = 16 * normalize(out["vector"].float(), dim=1) @ normalize(self.people, dim=1).T
        return {
            "mel": Term(off.abs().sum() / count),
            "mel_square": Term(off.square().sum() / count, 0.15),
            "length": Term(length.square().sum() / mask.sum(), 0.5),
            "pitch": Term(points.abs().sum() / phones.pointed.sum().clamp(min=1), 1.0),
            "voicing": Term(voicing.sum() / mask.sum(), 0.3),
            "level": Term(level.abs().sum() / mask.sum(), 0.3),
            "people": Term(_classify(scores, batch.speakers.number), 0.05),
        }


def _classify(scores: Float[Tensor, "B S"], truth: Tensor) -> Float[Tensor, ""]:
    known = truth >= 0
    return cross_entropy(scores[known], truth[known]) if bool(known.any()) else scores.sum() * 0
