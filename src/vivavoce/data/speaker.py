"""Batches for the speaker: pieces of aligned recordings, each with another clip of the same person to sound like."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from vivavoce.audio.formants import warp, whispered
from vivavoce.core.rng import stream
from vivavoce.data.examples import Example, bin_of_hz, example_of, hz_of_bin, pitch_stats, typical_spectrum
from vivavoce.data.features import Features
from vivavoce.data.manifest import Record
from vivavoce.nn.align import Span
from vivavoce.nn.prosody import FrameTable, frame_table

PIECE = 256
REFERENCE = 240
"""Mel frames of a piece and of the clip to sound like."""
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
_MARGIN = 9  # phones on each side of a piece that the text encoder still sees


@dataclass(frozen=True, slots=True)
class PhoneRows:
    """The phones of pieces, and what has to be predicted of each, padded to one length."""

    table: Int[Tensor, "B P 4"]
    mask: Float[Tensor, "B P 1"]
    frames: Int[Tensor, "B P"]
    points: Float[Tensor, "B P 2"]
    pointed: Float[Tensor, "B P 2"]
    voicing: Float[Tensor, "B P"]
    level: Float[Tensor, "B P"]


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks: what the voice is like, a clip of it, and its number (-1 where that does not count)."""

    reference: Float[Tensor, "B R M"]
    mean: Float[Tensor, "B M"]
    spread: Float[Tensor, "B M"]
    pitch: Float[Tensor, " B"]
    liveliness: Float[Tensor, " B"]
    number: Int[Tensor, " B"]


@dataclass(frozen=True, slots=True)
class SpeakerBatch:
    """Pieces with their phones, frames and speakers; ``mel_mask`` is 1 where the mel is real and can be trusted."""

    phones: PhoneRows
    frames: FrameTable
    mel: Float[Tensor, "B T M"]
    mel_mask: Float[Tensor, "B T M"]
    speakers: Speakers
    seconds: float


class _Voicing(NamedTuple):
    """How a piece is heard: which frames of the clip, by a throat how much shorter, and whether whispered."""

    first: int
    real: int
    factor: float
    whisper: float


class _Piece(NamedTuple):
    """One row of a batch: fields of `PhoneRows` and of `Speakers` by name, the frames, the mel and where it counts."""

    phones: dict[str, Tensor]
    frames: FrameTable
    mel: Float[Tensor, "T M"]
    mask: Float[Tensor, "T M"]
    speaker: dict[str, Tensor]
    seconds: float


def _score_floors(clips: Sequence[Record], scores: Sequence[float]) -> dict[str, float]:
    """The score below which a clip of a source is taken to be mislabelled: its lowest 3 %."""
    by_source: dict[str, list[float]] = {}
    for clip, score in zip(clips, scores, strict=True):
        if clip.text is not None:
            by_source.setdefault(clip.source, []).append(score)
    return {source: float(np.quantile(values, 0.03)) for source, values in by_source.items()}


def _weights(examples: Sequence[Example], clips: Sequence[Record]) -> np.ndarray:
    """How often each clip is drawn: the sources by their shares, within a source by length."""
    groups = [_group(clips[example.clip]) for example in examples]
    lengths = np.array([min(int(example.frames.sum()), 800) for example in examples], dtype=float)
    weights = np.zeros(len(examples))
    for group in set(groups):
        inside = np.array([g == group for g in groups])
        weights[inside] = lengths[inside] / lengths[inside].sum() * SHARES.get(group, 0.05)
    return weights / weights.sum()


def _group(clip: Record) -> str:
    return clip.source if clip.text is not None else f"{clip.source} without text"


@final
class SpeakerBatches:
    """``batches(step)``: random pieces, drawn by speaker group; always the same for the same step."""

    def __init__(
        self,
        clips: Sequence[Record],
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
        wide = [n for n, clip in enumerate(clips) if clip.wide]
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
        pieces = [self._piece(example, random, plain) for example in examples]
        longest = max(len(piece.phones["frames"]) for piece in pieces)

        def padded(name: str) -> Tensor:
            values = [piece.phones[name] for piece in pieces]
            return torch.stack([pad(v, (0, 0) * (v.dim() - 1) + (0, longest - len(v))) for v in values])

        tables = {f.name: torch.stack([getattr(piece.frames, f.name) for piece in pieces]) for f in fields(FrameTable)}
        speakers = {f.name: torch.stack([piece.speaker[f.name] for piece in pieces]) for f in fields(Speakers)}
        return SpeakerBatch(
            PhoneRows(**{field.name: padded(field.name) for field in fields(PhoneRows)}),
            FrameTable(**tables),
            torch.stack([piece.mel for piece in pieces]),
            torch.stack([piece.mask for piece in pieces]),
            Speakers(**speakers),
            float(sum(piece.seconds for piece in pieces)),
        )

    def _piece(self, example: Example, random: np.random.Generator, plain: bool) -> _Piece:
        """A piece that is drawn from an example."""
        source = self._source(example, random)
        how = self._voicing(example, random, plain)
        total, lift = int(example.frames.sum()), float(np.log2(how.factor))
        own = self.own_pitch[example.clip] + lift
        octaves = example.octaves[example.begin : example.begin + total] + lift
        table = frame_table(example.frames, octaves, own, example.voicing, example.level, how.first, PIECE, how.whisper)
        phones = slice(max(0, int(table.phone[0]) - _MARGIN), int(table.later[-1]) + 1 + _MARGIN)
        rows = {
            "table": example.table[phones],
            "mask": torch.ones(len(example.frames[phones]), 1),
            "frames": example.frames[phones],
            "points": example.points[phones],
            "pointed": example.pointed[phones].float(),
            "voicing": example.voicing[phones],
            "level": example.level[phones],
        }
        mel, mask = self._mel(example, how, table)
        known = example.speaker not in self.unnamed and how.factor == 1.0
        speaker = {
            "reference": warp(self._reference(source, random), how.factor),
            "mean": warp(source.mean, how.factor),
            "spread": warp(source.spread, how.factor),
            "pitch": torch.tensor(own, dtype=torch.float32),
            "liveliness": torch.tensor(self.liveliness[example.clip], dtype=torch.float32),
            "number": torch.tensor(example.speaker if known else -1),
        }
        frames = replace(table, phone=table.phone - phones.start, later=table.later - phones.start)
        return _Piece(rows, frames, mel, mask, speaker, how.real / 100)

    def _source(self, example: Example, random: np.random.Generator) -> Example:
        """Another example of the same person, where there is one."""
        others = self.of_speaker.get(example.speaker, [])
        if len(others) > 1 and example.speaker not in self.unnamed:
            return self.examples[others[int(random.integers(len(others)))]]
        return example

    def _voicing(self, example: Example, random: np.random.Generator, plain: bool) -> _Voicing:
        factor = 1.0 if plain or random.random() < 0.5 else round(float(random.uniform(0.87, 1.15)), 2)
        whisper = float(not plain and random.random() < self.whisper)
        total = int(example.frames.sum())
        first = int(random.integers(0, max(1, total - PIECE + 1))) // 2 * 2
        return _Voicing(first, min(PIECE, total - first), factor, whisper)

    def _mel(self, example: Example, how: _Voicing, table: FrameTable) -> tuple[Tensor, Tensor]:
        """The spectrum as it is to be drawn, and where it counts."""
        begin = example.begin + how.first
        mel = warp(self.made.mel_of(example.clip)[begin : begin + how.real], how.factor)
        if how.whisper:
            mel = whispered(mel, example.voicing[table.phone[: how.real], None])
        bins, top = mel.shape[1], example.top_bin
        if how.factor != 1.0:
            top = bin_of_hz(hz_of_bin(top, bins) * how.factor, bins)
        mask = torch.zeros(PIECE, bins)
        mask[: how.real, :top] = 1.0
        return pad(mel, (0, 0, 0, PIECE - how.real)), mask

    def _reference(self, source: Example, random: np.random.Generator) -> Float[Tensor, "R M"]:
        """A part of a clip, again and again where it is short."""
        heard = self.made.mel_of(source.clip)
        begin = int(random.integers(0, max(1, len(heard) - REFERENCE + 1)))
        reference = heard[begin : begin + REFERENCE]
        while len(reference) < REFERENCE:
            reference = torch.cat((reference, heard))[:REFERENCE]
        return reference
