"""Batches for the speaker: pieces of aligned recordings, each with another clip of the same person to sound like."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import conv1d, pad

from vivavoce.audio.formants import warp, whispered
from vivavoce.audio.stft import hz_of_mel, mel_of_hz
from vivavoce.core.rng import stream
from vivavoce.models.script import MARK_IDS, place_of, stress_of
from vivavoce.nn.align import Span
from vivavoce.nn.prosody import frame_table
from vivavoce.nn.style import spectrum_stats
from vivavoce.recipes.speaker_corpus import Clip, Features
from vivavoce.text.normalise import MARKS, read
from vivavoce.text.phones import PHONE_IDS, PHONES, SIL, Phone
from vivavoce.text.pronounce import pronunciations

PIECE = 256
SHARES = {
    "ljspeech": 0.22,
    "kathleen": 0.30,
    "librispeech": 0.10,
    "librispeech-mp3": 0.15,
    "an4": 0.05,
    "librispeech without text": 0.13,
    "librispeech-mp3 without text": 0.02,
    "picovoice-wakewords": 0.02,
}
"""How much of the training each source is."""
REFERENCE = 240
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


@dataclass(frozen=True, slots=True)
class SpeakerBatch:
    """See `Batches`; everything is padded to one length, masks are 1 where it is real."""

    table: Int[Tensor, "B P 4"]
    phone_mask: Float[Tensor, "B P 1"]
    frames: Int[Tensor, "B P"]
    points: Float[Tensor, "B P 2"]
    pointed: Float[Tensor, "B P 2"]
    voicing: Float[Tensor, "B P"]
    level: Float[Tensor, "B P"]
    phone: Int[Tensor, "B T"]
    later: Int[Tensor, "B T"]
    features: Float[Tensor, "B T F"]
    octaves: Float[Tensor, "B T"]
    mel: Float[Tensor, "B T M"]
    mel_mask: Float[Tensor, "B T M"]
    reference: Float[Tensor, "B R M"]
    mean: Float[Tensor, "B M"]
    spread: Float[Tensor, "B M"]
    pitch: Float[Tensor, " B"]
    liveliness: Float[Tensor, " B"]
    speaker: Int[Tensor, " B"]
    seconds: float


def bin_of_hz(hz: float, bins: int, fmax: float = 12000.0) -> int:
    """The first mel bin that lies above a frequency."""
    mel = mel_of_hz(torch.tensor([hz, fmax]))
    return max(1, min(bins, int(float(mel[0] / mel[1]) * (bins + 1))))


def hz_of_bin(index: int, bins: int, fmax: float = 12000.0) -> float:
    """The inverse of `bin_of_hz`."""
    return float(hz_of_mel(mel_of_hz(torch.tensor(fmax)) * index / (bins + 1)))


def phone_rows(clip: Clip, spans: Sequence[Span]) -> tuple[list[tuple[int, int, int, int]], list[int]]:
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


def _words_and_marks(clip: Clip) -> tuple[list[str], list[str]]:
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
    clip: Clip,
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
    top_bin = bin_of_hz(clip.top_hz, mel.shape[1])
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


def pitch_stats(clips: Sequence[Clip], made: Features) -> tuple[list[float], list[float]]:
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


def _score_floors(clips: Sequence[Clip], scores: Sequence[float]) -> dict[str, float]:
    """The score below which a clip of a source is taken to be mislabelled: its lowest 3 %."""
    by_source: dict[str, list[float]] = {}
    for clip, score in zip(clips, scores, strict=True):
        if clip.text is not None:
            by_source.setdefault(clip.source, []).append(score)
    return {source: float(np.quantile(values, 0.03)) for source, values in by_source.items()}


def _weights(examples: Sequence[Example], clips: Sequence[Clip]) -> np.ndarray:
    """How often each clip is drawn: the sources by their shares, within a source by length."""
    groups = [_group(clips[example.clip]) for example in examples]
    lengths = np.array([min(int(example.frames.sum()), 800) for example in examples], dtype=float)
    weights = np.zeros(len(examples))
    for group in set(groups):
        inside = np.array([g == group for g in groups])
        weights[inside] = lengths[inside] / lengths[inside].sum() * SHARES.get(group, 0.05)
    return weights / weights.sum()


def _group(clip: Clip) -> str:
    return clip.source if clip.text is not None else f"{clip.source} without text"


_PER_PHONE = {"table", "phone_mask", "frames", "points", "pointed", "voicing", "level"}
_MARGIN = 9  # phones on each side of a piece that the text encoder still sees


@final
class Batches:
    """``batches(step)``: random pieces, drawn by speaker group; always the same for the same step."""

    def __init__(
        self,
        clips: Sequence[Clip],
        made: Features,
        spans: Sequence[Sequence[Span]],
        scores: Sequence[float],
        *,
        size: int = 20,
        seed: int = 0,
        whisper: float = 0.06,
        held_out: int = 60,
    ) -> None:
        """Leaves out every ``held_out``-th clip, and clips that fit their text badly."""
        self.made, self.size, self.seed, self.whisper = made, size, seed, whisper
        names = sorted({clip.speaker for clip in clips})
        self.speakers = names
        self.own_pitch, self.liveliness = pitch_stats(clips, made)
        wide = [n for n, clip in enumerate(clips) if clip.top_hz >= 12000]
        self.typical = typical = typical_spectrum(made, wide[:: max(1, len(wide) // 200)] or range(len(clips)))
        floors = _score_floors(clips, scores)
        self.examples: list[Example] = []
        self.held_out: list[Example] = []
        for number, clip in enumerate(clips):
            if not spans[number] or (clip.text is not None and scores[number] < floors[clip.source]):
                continue
            example = example_of(
                clip, number, names.index(clip.speaker), made, spans[number], self.own_pitch[number], typical
            )
            if int(example.frames.sum()) < 60:
                continue
            (self.held_out if number % held_out == 7 and clip.text else self.examples).append(example)
        self.weights = _weights(self.examples, clips)
        self.unnamed = {names.index(clip.speaker) for clip in clips if clip.speaker.endswith("unknown")}
        self.of_speaker: dict[int, list[int]] = {}
        for place, example in enumerate(self.examples):
            self.of_speaker.setdefault(example.speaker, []).append(place)

    def __call__(self, step: int) -> SpeakerBatch:
        """The batch of a step."""
        random = stream(self.seed, "batch", step)
        chosen = random.choice(len(self.examples), self.size, p=self.weights)
        return self.collate([self.examples[i] for i in chosen], random)

    def collate(self, examples: Sequence[Example], random: np.random.Generator, plain: bool = False) -> SpeakerBatch:
        """A batch of these examples; ``plain`` leaves out warping and whispering."""
        rows = [self._piece(example, random, plain) for example in examples]
        longest = max(len(row["frames"]) for row in rows)

        def stacked(name: str, values: list[Any]) -> Any:
            if name == "seconds":
                return float(sum(values))
            if name in _PER_PHONE:
                return torch.stack([pad(v, (0, 0) * (v.dim() - 1) + (0, longest - len(v))) for v in values])
            return torch.stack(values)

        return SpeakerBatch(**{name: stacked(name, [row[name] for row in rows]) for name in rows[0]})

    def _piece(self, example: Example, random: np.random.Generator, plain: bool) -> dict[str, Any]:
        clip = example.clip
        others = self.of_speaker.get(example.speaker, [])
        source = example
        if len(others) > 1 and example.speaker not in self.unnamed:
            source = self.examples[others[int(random.integers(len(others)))]]
        factor = 1.0 if plain or random.random() < 0.5 else round(float(random.uniform(0.87, 1.15)), 2)
        whisper = float(not plain and random.random() < self.whisper)
        total = int(example.frames.sum())
        first = int(random.integers(0, max(1, total - PIECE + 1))) // 2 * 2
        real = min(PIECE, total - first)
        lift = float(np.log2(factor))
        own = self.own_pitch[clip] + lift
        table = frame_table(
            example.frames,
            example.octaves[example.begin : example.begin + total] + lift,
            own,
            example.voicing,
            example.level,
            first,
            PIECE,
            whisper,
        )
        mel = warp(self.made.mel_of(clip)[example.begin + first : example.begin + first + real], factor)
        if whisper:
            mel = whispered(mel, example.voicing[table.phone[:real], None])
        mask = torch.zeros(PIECE, mel.shape[1])
        top = (
            example.top_bin
            if factor == 1.0
            else bin_of_hz(hz_of_bin(example.top_bin, mel.shape[1]) * factor, mel.shape[1])
        )
        mask[:real, :top] = 1.0
        heard = self.made.mel_of(source.clip)
        begin = int(random.integers(0, max(1, len(heard) - REFERENCE + 1)))
        reference = heard[begin : begin + REFERENCE]
        while len(reference) < REFERENCE:
            reference = torch.cat((reference, heard))[:REFERENCE]
        known = example.speaker not in self.unnamed and factor == 1.0
        phones = slice(max(0, int(table.phone[0]) - _MARGIN), int(table.later[-1]) + 1 + _MARGIN)
        return {
            "table": example.table[phones],
            "phone_mask": torch.ones(len(example.frames[phones]), 1),
            "frames": example.frames[phones],
            "points": example.points[phones],
            "pointed": example.pointed[phones].float(),
            "voicing": example.voicing[phones],
            "level": example.level[phones],
            "phone": table.phone - phones.start,
            "later": table.later - phones.start,
            "features": table.features,
            "octaves": table.octaves,
            "mel": pad(mel, (0, 0, 0, PIECE - real)),
            "mel_mask": mask,
            "reference": warp(reference, factor),
            "mean": warp(source.mean, factor),
            "spread": warp(source.spread, factor),
            "pitch": torch.tensor(own, dtype=torch.float32),
            "liveliness": torch.tensor(self.liveliness[clip], dtype=torch.float32),
            "speaker": torch.tensor(example.speaker if known else -1),
            "seconds": real / 100,
        }
