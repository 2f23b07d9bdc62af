"""Voices of one's choice, side by side: are they understood, how fast and how soon do they sound, what do they take.

What is timed is timed by the clock of the machine, so nothing else should run on it.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core.progress import Log
from vivavoce.core.voice import Voice
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.report import Row, Table
from vivavoce.hub.whisper import RATE as LOW
from vivavoce.hub.whisper import Wanted, Whisper
from vivavoce.runtime.model import RATE, Speaking
from vivavoce.text.normalise import normalise

EVERYDAY = (
    "Good morning, did you sleep well?",
    "The bus to the station leaves every ten minutes.",
    "Please remember to buy bread and a bottle of milk.",
    "I think it is going to rain this afternoon.",
    "Could you turn the music down a little?",
    "My sister works in a small hospital near the river.",
    "The children are playing football behind the school.",
    "We should leave before it gets dark.",
    "There is a letter for you on the kitchen table.",
    "He forgot his keys and had to wait outside.",
    "The soup needs more salt and a bit of pepper.",
    "Our train was late because of the heavy snow.",
    "She has been learning to play the piano since March.",
    "Put the blue box on the top shelf, next to the lamp.",
    "Thank you very much for your help today.",
)
"""What is read; nothing of it is said in a tavern."""
_ON = torch.ones(1, dtype=torch.bool)


def resident() -> float:
    """Megabytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def voice_table(
    name: str,
    speaking: Speaking[Any],
    recogniser: Whisper,
    memory_mb: Callable[[], float],
    voice: Voice | None = None,
    texts: Sequence[str] = EVERYDAY,
    say: Log = print,
) -> Table:
    """Word errors by a recogniser, real-time factor and first sound of a speaker.

    ``memory_mb`` tells what it takes, once it has spoken.
    """
    table = Table(f"The voice {name}")
    spoken(speaking, "One two three.", voice)  # what is read once is not counted
    memory = memory_mb()
    wrong: list[int] = []
    total: list[int] = []
    busy: list[float] = []
    sounding: list[float] = []
    first: list[float] = []
    for text in texts:
        sound, took, began = spoken(speaking, text, voice)
        busy.append(took)
        sounding.append(len(sound) / RATE)
        first.append(1000 * began)
        wanted, heard = normalise(text), _heard(recogniser, sound)
        wrong.append(word_errors.distance(wanted, heard))
        total.append(len(wanted))
        if wrong[-1]:
            say(f"{name}: {text!r} was heard as {' '.join(heard)!r}")
    table.rows += [
        Row(
            name=f"word errors of {recogniser.name}", value=intervals.ratio(wrong, total), remark=f"{len(texts)} texts"
        ),
        Row(name="real-time factor", value=intervals.ratio(busy, sounding), unit="", remark="one after the other"),
        Row(name="first sound of a reply", value=intervals.median(first), unit="ms", remark="after its text is there"),
        Row(
            name="memory it adds",
            value=intervals.Estimate(memory, memory, memory, 1),
            unit="MB",
        ),
    ]
    return table


def _heard(recogniser: Whisper, sound: Tensor) -> list[str]:
    wave = resample(torch.nn.functional.pad(sound, (RATE // 4, RATE // 2))[None], RATE, LOW)[0].numpy()
    found = recogniser.transcribe(wave, Wanted(language="en", beam=1))
    text = " ".join(word.text for word in found.words).strip()
    return normalise(text) if any(sign.isalnum() for sign in text) else []


def spoken(speaking: Speaking[Any], text: str, voice: Voice | None = None) -> tuple[Tensor, float, float]:
    """The sound of a text, the seconds that it took, and those until the first of it that is no silence."""
    state = speaking.init_state(1)
    began = time.perf_counter()
    speaking.begin(state, 0, voice or Voice(), 0)
    speaking.feed(state, 0, text, True)
    pieces: list[np.ndarray] = []
    first = 0.0
    with torch.inference_mode():
        while (step := speaking.step(state, _ON)[0]) is not None:
            pieces.append(step.pcm)
            loud = np.flatnonzero(np.abs(step.pcm) > 1e-3)
            if not first and len(loud):
                first = time.perf_counter() - began + int(loud[0]) / RATE
            if step.done:
                break
    return torch.from_numpy(np.concatenate(pieces)), time.perf_counter() - began, first
