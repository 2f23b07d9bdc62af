"""What is decided about a sentence before it sounds: lengths, melody, levels, and so the times of its words."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.models.manner import Manner
from vivavoce.models.script import Script
from vivavoce.nn.prosody import ANCHORS, LENGTH_CENTRE, FrameTable, curve, frame_table
from vivavoce.nn.style import VoicePrint

STACK = 2
"""Mel frames that are drawn at a time."""
PLAIN = Manner()
_PITCH_RANGE = (6.05, 8.75)  # 66 to 430 Hz
_SHORTEST, _LONGEST = 2, 40
FIRST_PAUSE, LAST_PAUSE = 4, 16
"""Frames of silence that every plan begins and ends with."""
_PAUSES = {0: (6, 30), 1: (12, 40), 2: (28, 60), 3: (28, 60), 4: (28, 60)}  # by the mark that stands there


class WordTime(NamedTuple):
    """A word, when it is said, in mel frames, and where in the written text it comes from, if it comes from one."""

    word: str
    begin: int
    end: int
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A sentence that has been decided on but not drawn."""

    script: Script
    who: VoicePrint
    manner: Manner
    encoded: Float[Tensor, "1 P D"]
    voice: Float[Tensor, "1 E"]
    frames: Int[Tensor, " P"]
    table: FrameTable

    @property
    def steps(self) -> int:
        """Steps that draw it."""
        return int(self.frames.sum()) // STACK

    @property
    def gain_db(self) -> float:
        """By how much the finished sound is to be raised or lowered."""
        return self.manner.gain_db

    def word_times(self) -> tuple[WordTime, ...]:
        """Each word with its first frame and the frame after its last."""
        ends = self.frames.cumsum(0)
        times = []
        for index, word in enumerate(self.script.words):
            own = (self.script.word == index).nonzero()[:, 0]
            span = self.script.spans[index] if self.script.spans else None
            times.append(WordTime(word, int((ends - self.frames)[own[0]]), int(ends[own[-1]]), span))
        return tuple(times)


def decided(
    raw: Float[Tensor, "P N"], script: Script, who: VoicePrint, manner: Manner
) -> tuple[VoicePrint, Int[Tensor, " P"], FrameTable]:
    """What a voice does with what was predicted of a script's phones: its print, their lengths, and every frame."""
    frames = _whole_frames((raw[:, 0] + LENGTH_CENTRE).exp() / manner.rate, script)
    pitch = (who.pitch + manner.octaves).clamp(*_PITCH_RANGE)
    points = raw[:, 1 : 1 + ANCHORS].clamp(-0.6, 0.6) * manner.liveliness
    voicing = raw[:, 1 + ANCHORS].sigmoid()
    melody = curve(points, frames, int(frames.sum()), (voicing > 0.4).float())
    if manner.roughness:
        shake = torch.randn(len(melody), generator=torch.Generator().manual_seed(len(melody)))
        melody = melody + 0.05 * manner.roughness * shake
    octaves = (pitch + melody).clamp(*_PITCH_RANGE)
    whisper = max(manner.whisper, 0.3 * manner.breath)
    level = raw[:, 2 + ANCHORS] + manner.effort
    table = frame_table(frames, octaves, float(pitch), voicing, level, 0, len(octaves), whisper)
    return replace(who, pitch=pitch), frames, table


def _whole_frames(lengths: Float[Tensor, " P"], script: Script) -> Int[Tensor, " P"]:
    """Lengths in frames: what rounding takes from one phone goes to the next; pauses have bounds; the sum is even."""
    made: list[int] = []
    owed = 0.0
    last = len(script) - 1
    for index, length in enumerate(lengths.tolist()):
        if int(script.phone[index]) == 0:
            least, most = _PAUSES[int(script.mark[index])]
            bounds = (FIRST_PAUSE,) * 2 if index == 0 else (LAST_PAUSE,) * 2 if index == last else (least, most)
            made.append(round(min(max(length, bounds[0]), bounds[1])))
            continue
        wanted = min(length, _LONGEST) + owed
        made.append(max(_SHORTEST, round(wanted)))
        owed = wanted - made[-1]
    made[-1] += sum(made) % STACK
    return torch.tensor(made)
