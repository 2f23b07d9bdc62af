"""What a speaker has to predict of an aligned recording: phones and their lengths, melody, level, and its spectrum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import conv1d, pad

from vivavoce.audio.stft import hz_of_mel, mel_of_hz
from vivavoce.data.features import Features
from vivavoce.data.manifest import Record
from vivavoce.models.script import MARK_IDS, place_of, stress_of
from vivavoce.nn.align import Span
from vivavoce.nn.style import spectrum_stats
from vivavoce.text.normalise import MARKS, read
from vivavoce.text.phones import PHONE_IDS, PHONES, SIL, Phone
from vivavoce.text.pronounce import pronunciations

LOW_BINS = 76
_SHORT_PAUSE = 5
_SILENCE = PHONE_IDS[SIL]


@dataclass(frozen=True, slots=True)
class Example:
    """One aligned clip."""

    clip: int
    speaker: int
    table: Int[Tensor, "P 4"]
    frames: Int[Tensor, " P"]
    begin: int  # frame of the clip at which the first phone starts
    octaves: Float[Tensor, " T"]
    points: Float[Tensor, "P 2"]
    pointed: Bool[Tensor, "P 2"]
    voicing: Float[Tensor, " P"]
    level: Float[Tensor, " P"]
    mean: Float[Tensor, " M"]
    spread: Float[Tensor, " M"]
    top_bin: int


def bin_of_hz(hz: float, bins: int, fmax: float = 12000.0) -> int:
    """The first mel bin that lies above a frequency."""
    mel = mel_of_hz(torch.tensor([hz, fmax]))
    return max(1, min(bins, int(float(mel[0] / mel[1]) * (bins + 1))))


def hz_of_bin(index: int, bins: int, fmax: float = 12000.0) -> float:
    """The inverse of `bin_of_hz`."""
    return float(hz_of_mel(mel_of_hz(torch.tensor(fmax)) * index / (bins + 1)))


def phone_rows(clip: Record, spans: Sequence[Span]) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Columns of the phones as they were spoken, and their lengths; very short pauses go to the phone before them."""
    forms: dict[int, list[int]] = {}
    for span in spans:
        if span.word >= 0:
            forms.setdefault(span.word, []).append(span.phone)
    words, after = _words_and_marks(clip)
    phrase = list(after)
    for index in range(len(phrase) - 2, -1, -1):
        phrase[index] = phrase[index] or phrase[index + 1]
    details = {
        index: [
            (stress_of(phone), place_of(place, len(form)), MARK_IDS[phrase[index]])
            for place, phone in enumerate(_with_stress(words[index], form))
        ]
        for index, form in forms.items()
        if words
    }
    rows: list[tuple[int, int, int, int]] = []
    lengths: list[int] = []
    taken: dict[int, int] = {}
    said = -1
    for number, span in enumerate(spans):
        size = span.end - span.begin
        if span.phone == _SILENCE:
            if 0 < number < len(spans) - 1 and size < _SHORT_PAUSE:
                lengths[-1] += size
                continue
            mark = (after[said] if said >= 0 else phrase[0]) if words else ""
            rows.append((span.phone, 0, 0, MARK_IDS[mark]))
        else:
            said = span.word
            place = taken.get(said, 0)
            taken[said] = place + 1
            stress, where, follows = details[said][place] if words else (0, 0, 0)
            rows.append((span.phone, stress, where, follows))
        lengths.append(size)
    return rows, lengths


def _words_and_marks(clip: Record) -> tuple[list[str], list[str]]:
    """The words of a clip and the mark after each; nothing when nobody has written them down."""
    words: list[str] = []
    after: list[str] = []
    for token in read(clip.text) if clip.text is not None else []:
        if token not in MARKS:
            words.append(token)
            after.append("")
        elif after and clip.punctuated:
            after[-1] = token
    if after and clip.punctuated:
        after[-1] = after[-1] or "."
    return words, after


def _with_stress(word: str, form: Sequence[int]) -> list[Phone]:
    names = [PHONES[i] for i in form]
    for known in pronunciations(word):
        if [phone.symbol for phone in known] == names:
            return list(known)
    return [Phone(name) for name in names]


def example_of(
    clip: Record,
    number: int,
    speaker: int,
    made: Features,
    spans: Sequence[Span],
    own_pitch: float,
    typical: tuple[Float[Tensor, " M"], Float[Tensor, " M"]],
) -> Example:
    """An aligned clip with what the speaker has to predict of it."""
    mel, hz = made.mel_of(number), made.hz_of(number)
    rows, lengths = phone_rows(clip, spans)
    frames = torch.tensor(lengths)
    top_bin = bin_of_hz(clip.trusted_hz, mel.shape[1])
    mean, spread = spectrum_stats(mel, top_bin, typical)
    octaves, voiced = melody(hz, own_pitch)
    loud = mel[:, :LOW_BINS].mean(dim=1) - mean[:LOW_BINS].mean()
    ends = frames.cumsum(0)
    points, pointed, voicing, level = [], [], [], []
    for begin, end in zip((ends - frames).tolist(), ends.tolist(), strict=True):
        middle = (begin + end) // 2
        halves = (slice(begin, max(middle, begin + 1)), slice(min(middle, end - 1), end))
        pointed.append([float(voiced[half].float().mean()) >= 0.5 for half in halves])
        points.append([float(octaves[half].mean()) - own_pitch for half in halves])
        voicing.append(float(voiced[begin:end].float().mean()))
        level.append(float(loud[begin:end].mean()))
    return Example(
        number,
        speaker,
        torch.tensor(rows),
        frames,
        spans[0].begin,
        octaves,
        torch.tensor(points),
        torch.tensor(pointed),
        torch.tensor(voicing),
        torch.tensor(level) / 2,
        mean,
        spread,
        top_bin,
    )


def melody(hz: Float[Tensor, " T"], own_pitch: float) -> tuple[Float[Tensor, " T"], Bool[Tensor, " T"]]:
    """Pitch in octaves, drawn through voiceless frames; octave errors are folded back towards the voice's own pitch."""
    voiced = hz > 0
    octaves = torch.where(voiced, hz.clamp(min=1).log2(), torch.zeros(()))
    octaves = torch.where(octaves - own_pitch > 0.75, octaves - 1, octaves)
    octaves = torch.where(voiced & (octaves - own_pitch < -0.75), octaves + 1, octaves)
    if not bool(voiced.any()):
        return torch.full_like(hz, own_pitch), voiced
    places = voiced.nonzero()[:, 0].double()
    known = octaves[voiced].double()
    filled = np.interp(np.arange(len(hz)), places.numpy(), known.numpy())
    smooth = conv1d(
        pad(torch.from_numpy(filled)[None, None], (1, 1), mode="replicate"), torch.full((1, 1, 3), 1 / 3).double()
    )
    return smooth[0, 0].float(), voiced


def pitch_stats(clips: Sequence[Record], made: Features) -> tuple[list[float], list[float]]:
    """For each clip its speaker's pitch (octaves above 1 Hz) and liveliness; a clip of nobody known stands alone."""
    groups: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        groups.setdefault(f"{number}" if clip.speaker.endswith("unknown") else clip.speaker, []).append(number)
    pitch, liveliness = [math.log2(150.0)] * len(clips), [0.2] * len(clips)
    for members in groups.values():
        hz = torch.cat([made.hz_of(number) for number in members[:60]])
        octaves = hz[hz > 0].log2()
        if len(octaves) < 10:
            continue
        middle = octaves.median()
        near = octaves[(octaves - middle).abs() < 0.6]
        for number in members:
            pitch[number], liveliness[number] = float(middle), float(near.std())
    return pitch, liveliness


def typical_spectrum(made: Features, clips: Sequence[int]) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
    """Mean and deviation of the bins over wide-band speech."""
    bins = made.mel.shape[1]
    flat = (torch.zeros(bins), torch.ones(bins))
    stats = [spectrum_stats(made.mel_of(number), bins, flat) for number in clips]
    return torch.stack([mean for mean, _ in stats]).mean(dim=0), torch.stack([spread for _, spread in stats]).mean(
        dim=0
    )
