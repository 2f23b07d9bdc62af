"""Two-channel conversations that a duplex model learns from, simulated from recordings of single utterances.

One side asks, the other, which the model is to be, answers. In between happens what makes conversations hard: pauses
inside a question, signs of listening from either side, answers that begin before the question is over, questions that
interrupt an answer, and a room that brings our own voice back to our ears.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core import rng
from vivavoce.evals.scenes import REAL, Scene, hum, pause_within, room, trimmed
from vivavoce.runtime.model import Pcm

_GAP, _REACTION = 0.3, 0.3
"""Seconds until an answer begins, and until it ends when somebody interrupts, in a scene."""
_FADE = 0.02
_LONG = 2.0
"""Seconds of a question from which on its listener may give a sign of listening."""


@dataclass(frozen=True, slots=True)
class TwoChannels:
    """Two channels of equal length at the codec's rate, and our words with the samples at which they begin."""

    heard: Float[Tensor, " N"]
    own: Float[Tensor, " N"]
    words: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording and its words with the samples at which they begin."""

    pcm: Pcm
    words: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How often each thing happens, as shares of the questions or answers (``echo``: of the conversations)."""

    pause: float = 0.3
    listening: float = 0.15
    overlap: float = 0.15
    backchannel: float = 0.25
    interruption: float = 0.25
    echo: float = 0.3
    turns: int = 3
    """Questions in a conversation."""


class _Timeline:
    """Sound that is placed on two channels, whose length is known at the end."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Pcm]] = []
        self.own: list[tuple[int, Pcm]] = []
        self.words: list[tuple[str, int]] = []

    def channels(self, rest: int) -> tuple[Pcm, Pcm]:
        """Both, ``rest`` samples longer than what is on them."""
        size = max((at + len(pcm) for at, pcm in self.heard + self.own), default=0) + rest
        made = np.zeros((2, size), np.float32)
        for channel, placed in zip(made, (self.heard, self.own), strict=True):
            for at, pcm in placed:
                channel[at : at + len(pcm)] += pcm
        return made[0], made[1]


def dialogue(
    exchanges: Sequence[tuple[Utterance, Utterance]], rate: int, draw: np.random.Generator, mix: Mix | None = None
) -> TwoChannels:
    """Questions and answers one after the other, with what `Mix` says; always the same for the same numbers."""
    mix, line = mix or Mix(), _Timeline()

    def seconds(low: float, high: float) -> int:
        return int(draw.uniform(low, high) * rate)

    now = seconds(0.2, 1.0)
    for number, (asked, answered) in enumerate(exchanges):
        question, answer = asked.pcm, answered.pcm
        if draw.random() < mix.pause:
            cut = pause_within(question)
            silence = np.zeros(seconds(0.5, 1.0), np.float32)
            question = np.concatenate([trimmed(question[:cut]), silence, trimmed(question[cut:])])
        line.heard.append((now, question))
        end = now + len(question)
        if len(question) > _LONG * rate and draw.random() < mix.listening:
            line.own.append((now + int(len(question) * draw.uniform(0.3, 0.6)), hum(draw)))
        begin = end + (-seconds(0.05, 0.2) if draw.random() < mix.overlap else seconds(0.1, 0.6))
        happens, last = draw.random(), number + 1 == len(exchanges)
        now = begin + len(answer) + seconds(0.2, 0.8)
        said = len(answer)
        if happens < mix.backchannel:
            line.heard.append((begin + int(len(answer) * draw.uniform(0.3, 0.8)), hum(draw)))
        elif happens < mix.backchannel + mix.interruption and not last:
            now = begin + int(len(answer) * draw.uniform(0.3, 0.7))
            said = min(said, now - begin + seconds(0.2, 0.4))
        line.own.append((begin, _faded(answer[:said], int(_FADE * rate)) if said < len(answer) else answer))
        line.words += [(word, begin + at) for word, at in answered.words if at < said]
    heard, own = line.channels(seconds(0.3, 1.0))
    if draw.random() < mix.echo:
        heard = heard + echo(own, draw)
    return TwoChannels(torch.from_numpy(np.clip(heard, -1, 1)), torch.from_numpy(own), tuple(line.words))


def echo(own: Pcm, draw: np.random.Generator) -> Pcm:
    """What a microphone hears of a loudspeaker in some room."""
    place = room(draw)
    size = 1 << (len(own) + len(place.impulse)).bit_length()
    response = np.fft.rfft(place.impulse, size)
    return np.fft.irfft(np.fft.rfft(place.speaker(own), size) * response, size)[: len(own)].astype(np.float32)


def _faded(pcm: Pcm, fade: int) -> Pcm:
    made, fade = pcm.copy(), min(fade, len(pcm))
    made[len(made) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return made


def dialogues(
    utterances: Sequence[Utterance], rate: int, count: int, seed: int, mix: Mix | None = None
) -> Iterator[TwoChannels]:
    """So many conversations of drawn utterances, one at a time; whoever asked before may answer now."""
    mix = mix or Mix()
    for number in range(count):
        draw = rng.stream(seed, "dialogues", number)
        chosen = draw.choice(len(utterances), 2 * mix.turns, replace=len(utterances) < 2 * mix.turns)
        drawn = [utterances[int(one)] for one in chosen]
        yield dialogue(list(zip(drawn[::2], drawn[1::2], strict=True)), rate, draw, mix)


def channels(scene: Scene, rate: int, words: Sequence[tuple[str, int]] = ()) -> TwoChannels:
    """A scene as two channels; ``words`` are those of the answer with the samples from its beginning."""
    line, asked = _Timeline(), scene.question
    if scene.rest is not None:
        asked = np.concatenate([asked, np.zeros(scene.pause, np.float32), scene.rest])
    begin, end = len(asked) + int(_GAP * rate), len(scene.answer)
    line.heard.append((0, asked))
    if scene.intrusion is not None:
        line.heard.append((begin + scene.after, scene.intrusion))
        if scene.kind in REAL:
            end = min(end, scene.after + int(_REACTION * rate))
    line.own.append((begin, scene.answer[:end]))
    heard, own = line.channels(int(_GAP * rate))
    said = tuple((word, begin + at) for word, at in words if at < end)
    return TwoChannels(torch.from_numpy(heard), torch.from_numpy(own), said)
