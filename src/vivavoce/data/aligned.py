"""Where the phones of a recording are: a listener's frames, and the best path through what its text may sound like."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import at_level
from vivavoce.core.errors import VivavoceError
from vivavoce.data.manifest import Record
from vivavoce.data.packed import PhoneUtterance
from vivavoce.models.listener import MEL, Listener
from vivavoce.nn.align import Span, align, lattice
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations

log = logging.getLogger(__name__)
LEVEL_DB: Final = -23.0
LEAST_RATIO: Final = -1.5
"""What aligns worse says something else than its text."""
_PRIOR: Final = 0.3
HALF: Final = 2
"""Mel frames per label."""


def labels_of(spans: Iterable[tuple[int, float, float]], frames: int) -> Tensor:
    """The phone of every 20 ms from (phone, begin, end) in seconds; what nobody claims is silence."""
    labels = torch.zeros(-(-frames // HALF), dtype=torch.uint8)
    rate = float(MEL.rate) / HALF
    for phone, begin, end in spans:
        labels[int(begin * rate + 0.5) : int(end * rate + 0.5)] = phone
    return labels


def mel_of(wave: Float[Tensor, " N"]) -> Float[Tensor, "M T"]:
    """Log-mel frames as the listener gets them, of sound at 16 kHz, at one level."""
    return MEL.build()(at_level(wave, MEL.sample_rate, LEVEL_DB)[None])[0]


def levelled(clip: Record, rate: int) -> Float[Tensor, " N"]:
    """A recording at the one level that everything is taught and measured at."""
    return at_level(read_audio(clip.file, rate, allow_silent=True)[0], rate, LEVEL_DB)


def phones_of(listener: Listener, clip: Record, say: Callable[[str], None] = log.info) -> dict[str, np.ndarray]:
    """The ``labels`` of a recording, one for every 20 ms, and its ``phones``; both empty where they cannot be told."""
    try:
        found, score = aligned(listener, read_audio(clip.file, MEL.sample_rate)[0], clip.text or "")
    except VivavoceError as error:
        say(f"{clip.id}: {error}")
    else:
        if score >= LEAST_RATIO:
            return {"labels": found.labels.numpy(), "phones": np.array(found.phones, np.uint8)}
    return {"labels": np.zeros(0, np.uint8), "phones": np.zeros(0, np.uint8)}


@torch.inference_mode()
def spans_of(
    listener: Listener, mel: Float[Tensor, "M T"], words: Sequence[Sequence[Sequence[int]]]
) -> tuple[list[Span], float]:
    """Where words are spoken, each given as its pronunciations, in mel frames, and how well they fit.

    The score is the mean log-likelihood ratio of a frame, about 0 where the words fit, under -1.5 where they do not.
    Raises SpecError for more words than there is time for.
    """
    scores = listener(mel[None], None, 0).frame[0].float()
    prior = scores.exp().mean(0).clamp(min=1e-3).log()
    return align((scores - _PRIOR * prior).repeat_interleave(HALF, 0), lattice(words))


def aligned(listener: Listener, wave: Float[Tensor, " N"], text: str) -> tuple[PhoneUtterance, float]:
    """A recording at 16 kHz with the phones and times that an earlier listener finds for its text, and how they fit.

    The score is that of `spans_of`. Raises TextError for a text that cannot be read and SpecError for one that is too
    long.
    """
    mel = mel_of(wave)
    spans, score = spans_of(listener, mel, forms_of(text))
    rate = float(MEL.rate)
    labels = labels_of([(s.phone, s.begin / rate, s.end / rate) for s in spans], mel.shape[1])
    return PhoneUtterance(mel, [s.phone for s in spans if s.phone], labels), score


def forms_of(text: str) -> list[list[list[int]]]:
    """Each word's pronunciations as phone ids."""
    return [[ids(form) for form in pronunciations(word)] for word in normalise(text)]
