"""A turn of the flywheel: our own speaker says orders in real people's voices, for the listener to learn from.

The order words were recorded by nobody, but hundreds of people were recorded saying something else. The speaker
imitates them, and since it draws spectra, no sound has to be made: a linear map, fitted on recordings where both are
known, turns its spectra into the listener's features. Lengths of phones are known, so every frame has a label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import at_level
from vivavoce.core import rng
from vivavoce.core.errors import TextError
from vivavoce.core.parts import load_part
from vivavoce.data.packed import Packed, Utterance, pack
from vivavoce.models.listener import MEL
from vivavoce.models.manner import Manner
from vivavoce.models.script import script_of
from vivavoce.models.speak import Speaker
from vivavoce.nn.style import VoicePrint
from vivavoce.recipes.listener_data import LEVEL_DB, labels_of, texts_of_orders
from vivavoce.recipes.speaker_corpus import Clip, Features, features, read_clips
from vivavoce.recipes.speaker_data import bin_of_hz

_CONTEXT: Final = (-1, 0, 1)
_LEAST_FRAMES: Final = 250
_RIDGE: Final = 1e-2


@dataclass(frozen=True, slots=True)
class Translation:
    """Spectra of the speaker to features of the listener: a matrix over neighbouring frames."""

    matrix: Float[Tensor, "C M"]

    def __call__(self, mel: Float[Tensor, "T S"]) -> Float[Tensor, "M T"]:
        """Features for every frame."""
        return (_neighbours(mel) @ self.matrix).T


def _neighbours(mel: Float[Tensor, "T S"]) -> Float[Tensor, "T C"]:
    frames = torch.arange(len(mel))
    shifted = [mel[(frames + shift).clamp(0, len(mel) - 1)] for shift in _CONTEXT]
    return torch.cat((*shifted, torch.ones(len(mel), 1)), dim=1)


def fit_translation(clips: Sequence[Clip], made: Features, count: int = 60, seed: int = 0) -> Translation:
    """Least squares over wide-band recordings, whose spectra the speaker was taught to draw whole."""
    wide = [number for number, clip in enumerate(clips) if clip.top_hz > 11000]
    chosen = rng.stream(seed, "translation").permutation(wide)[:count]
    inputs, outputs = [], []
    front = MEL.build()
    for number in chosen.tolist():
        wave, _ = read_audio(clips[number].path, MEL.sample_rate)
        ours = front(at_level(wave, MEL.sample_rate, LEVEL_DB)[None])[0].T
        mel = made.mel_of(number)
        length = min(len(mel), len(ours))
        inputs.append(_neighbours(mel[:length]))
        outputs.append(ours[:length])
    x, y = torch.cat(inputs), torch.cat(outputs)
    gram = x.T @ x + _RIDGE * len(x) * torch.eye(x.shape[1])
    return Translation(torch.linalg.solve(gram, x.T @ y))


def people(speaker: Speaker, clips: Sequence[Clip], made: Features, limit: int = 12) -> dict[str, list[VoicePrint]]:
    """Prints of every person, one for each of some clips that are long enough."""
    found: dict[str, list[VoicePrint]] = {}
    for number, clip in enumerate(clips):
        mel = made.mel_of(number)
        if len(mel) < _LEAST_FRAMES or len(found.get(clip.speaker, ())) >= limit:
            continue
        top = bin_of_hz(clip.top_hz, mel.shape[1])
        found.setdefault(clip.speaker, []).append(speaker.listen(mel, made.hz_of(number), top))
    return found


@torch.inference_mode()
def spoken(
    speaker: Speaker, translate: Translation, voices: dict[str, list[VoicePrint]], texts: Sequence[str], seed: int
) -> Iterator[Utterance]:
    """Each text in somebody's voice, at a rate and pitch near theirs."""
    draw = rng.stream(seed, "flywheel")
    names = sorted(voices)
    for text in texts:
        own = voices[names[int(draw.integers(len(names)))]]
        who = own[int(draw.integers(len(own)))]
        manner = Manner(
            octaves=float(draw.normal(0, 0.06)),
            rate=float(np.exp(draw.uniform(-0.25, 0.3))),
            liveliness=float(draw.uniform(0.6, 1.3)),
        )
        try:
            plan = speaker.plan(script_of(text), who, manner)
        except TextError:
            continue
        mel = translate(speaker.speak(plan).T)
        ends = plan.frames.cumsum(0)
        spans = zip(plan.script.phone.tolist(), (ends - plan.frames).tolist(), ends.tolist(), strict=True)
        labels = labels_of([(phone, (a - 1) / 100, (b - 1) / 100) for phone, a, b in spans], mel.shape[1])
        yield Utterance(mel, [p for p in plan.script.phone.tolist() if p], labels)


def turn(speech: Path, cache: Path, part: Path, count: int, seed: int = 21) -> Packed:
    """Orders in the voices of the training recordings of ``speech``, spoken by the part ``speaker`` in a folder."""
    speaker: Speaker = load_part(part, "speaker")
    clips = read_clips(speech)
    made = features(clips, cache, speaker.config.mel)
    translate = fit_translation(clips, made)
    with torch.inference_mode():
        voices = people(speaker, clips, made)
    return pack(spoken(speaker, translate, voices, texts_of_orders(count, seed), seed))
