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
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import at_level
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.errors import TextError
from vivavoce.core.parts import load_part
from vivavoce.data import manifest
from vivavoce.data.aligned import LEVEL_DB, labels_of
from vivavoce.data.choosing import named, of_each, shuffled
from vivavoce.data.examples import bin_of_hz
from vivavoce.data.features import Features, features
from vivavoce.data.manifest import Record
from vivavoce.data.packed import Packed, PhoneUtterance, pack
from vivavoce.data.sheet import Sheet
from vivavoce.models.codec import Codec
from vivavoce.models.listener import MEL
from vivavoce.models.manner import Manner
from vivavoce.models.plan import Plan
from vivavoce.models.script import script_of
from vivavoce.models.speak import Speaker
from vivavoce.nn.style import VoicePrint
from vivavoce.recipes.codec_data import DrawnSpectra
from vivavoce.recipes.listener_data import texts_of_a_day, texts_of_anything, texts_of_orders

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


def fit_translation(clips: Sequence[Record], made: Features, count: int = 60, seed: int = 0) -> Translation:
    """Least squares over wide-band recordings, whose spectra the speaker was taught to draw whole."""
    wide = [number for number, clip in enumerate(clips) if clip.wide]
    chosen = rng.stream(seed, "translation").permutation(wide)[:count]
    inputs, outputs = [], []
    front = MEL.build()
    for number in chosen.tolist():
        wave, _ = read_audio(clips[number].file, MEL.sample_rate)
        ours = front(at_level(wave, MEL.sample_rate, LEVEL_DB)[None])[0].T
        mel = made.mel_of(number)
        length = min(len(mel), len(ours))
        inputs.append(_neighbours(mel[:length]))
        outputs.append(ours[:length])
    x, y = torch.cat(inputs), torch.cat(outputs)
    gram = x.T @ x + _RIDGE * len(x) * torch.eye(x.shape[1])
    return Translation(torch.linalg.solve(gram, x.T @ y))


def some_of_each(clips: Sequence[Record], each: int = 3, nameless: int = 400, seed: int = 0) -> list[Record]:
    """So many recordings of every person, and so many by people whose names nobody knows."""
    chosen = set(of_each(shuffled(clips, rng.stream(seed, "some of each")), each, nameless))
    return [clip for clip in clips if clip in chosen]


def people(speaker: Speaker, clips: Sequence[Record], made: Features, limit: int = 12) -> dict[str, list[VoicePrint]]:
    """Prints of every person, one for each of some clips that are long enough; a clip without a name is a person."""
    found: dict[str, list[VoicePrint]] = {}
    for number, clip in enumerate(clips):
        mel = made.mel_of(number)
        who = clip.speaker if named(clip) else clip.id
        if len(mel) < _LEAST_FRAMES or len(found.get(who, ())) >= limit:
            continue
        top = bin_of_hz(clip.trusted_hz, mel.shape[1])
        found.setdefault(who, []).append(speaker.listen(mel, made.hz_of(number), top))
    return found


@torch.inference_mode()
def spoken(
    speaker: Speaker, translate: Translation, voices: dict[str, list[VoicePrint]], texts: Sequence[str], seed: int
) -> Iterator[PhoneUtterance]:
    """Each text in somebody's voice, at a rate and pitch near theirs."""
    for mel, plan in drawn(speaker, voices, texts, seed):
        yield _utterance(translate(mel.T), plan)


@torch.inference_mode()
def heard(
    speaker: Speaker, codec: Codec, voices: dict[str, list[VoicePrint]], texts: Sequence[str], seed: int
) -> Iterator[tuple[PhoneUtterance, Float[Tensor, "S M"], Int[Tensor, "T K"]]]:
    """The same as the codec makes it sound; with the spectra and the tokens, whole token frames of them."""
    front = MEL.build()
    for mel, plan in drawn(speaker, voices, texts, seed):
        stride = codec.mel_front.config.stride
        whole = mel[:, : mel.shape[1] // stride * stride]
        codes = codec.quantizer.encode(codec.mel_front.of_mel(whole[None]))
        late = torch.cat((codes, codes[:, :, -1:]), dim=2)  # what sounds after the last frame would be cut
        wave = codec.back(codec.quantizer.decode(late))[0, 0, codec.delay :]
        low = at_level(resample(wave, codec.config.sample_rate, MEL.sample_rate), MEL.sample_rate, LEVEL_DB)
        yield _utterance(front(low[None])[0], plan), whole.T, codes[0].T


def drawn(
    speaker: Speaker, voices: dict[str, list[VoicePrint]], texts: Sequence[str], seed: int
) -> Iterator[tuple[Float[Tensor, "M T"], Plan]]:
    """Spectra of texts in voices of people, every third between two of them, and their plans."""
    draw = rng.stream(seed, "flywheel")
    names = sorted(voices)

    def somebody() -> VoicePrint:
        own = voices[names[int(draw.integers(len(names)))]]
        return own[int(draw.integers(len(own)))]

    for text in texts:
        who = somebody()
        if draw.random() < 1 / 3:
            who = who.towards(somebody(), float(draw.uniform(0, 0.6)))
        manner = Manner(
            octaves=float(draw.normal(0, 0.06)),
            rate=float(np.exp(draw.uniform(-0.25, 0.3))),
            liveliness=float(draw.uniform(0.6, 1.3)),
        )
        try:
            plan = speaker.plan(script_of(text), who, manner)
        except TextError:
            continue
        yield speaker.speak(plan), plan


def _utterance(mel: Float[Tensor, "M T"], plan: Plan) -> PhoneUtterance:
    ends = plan.frames.cumsum(0)
    spans = zip(plan.script.phone.tolist(), (ends - plan.frames).tolist(), ends.tolist(), strict=True)
    labels = labels_of([(phone, (a - 1) / 100, (b - 1) / 100) for phone, a, b in spans], mel.shape[1])
    return PhoneUtterance(mel, [p for p in plan.script.phone.tolist() if p], labels)


def turn(
    speech: Path, cache: Path, part: Path, count: int, seed: int = 21, sheet: Sheet | None = None
) -> tuple[Packed, DrawnSpectra]:
    """Sentences in the voices of the training recordings of ``speech``, spoken by the part ``speaker`` in a folder.

    Nearly half are orders and talk of customers, the others are of any kind. A third goes through the part ``codec``
    of that folder; their spectra and tokens come along, for the codec's second stage.
    """
    speaker: Speaker = load_part(part, "speaker")
    codec: Codec = load_part(part, "codec")
    everyone = manifest.recordings(speech, "train", lang="en")
    clips = some_of_each(everyone, 12)
    made = features(clips, cache, speaker.config.mel)
    translate = fit_translation(clips, made)
    with torch.inference_mode():
        voices = people(speaker, clips, made)
    read = [clip.text for clip in everyone if clip.text and len(clip.text) > 20]
    texts = texts_of_orders(round(count * 0.45), seed, sheet) + texts_of_a_day(round(count * 0.28), seed)
    texts += texts_of_anything(count - len(texts), seed, read)
    texts = [texts[index] for index in rng.stream(seed, "order of sentences").permutation(len(texts))]
    sounded = len(texts) // 3
    utterances, mels, codes = [], [], []
    for one, mel, tokens in heard(speaker, codec, voices, texts[:sounded], seed):
        utterances.append(one)
        mels.append(mel.half())
        codes.append(tokens.short())
    utterances += spoken(speaker, translate, voices, texts[sounded:], seed + 1)
    begins = torch.tensor([0, *(len(own) for own in codes)]).cumsum(0)
    return pack(utterances), DrawnSpectra(torch.cat(mels), torch.cat(codes), begins)
