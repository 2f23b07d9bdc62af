"""How the weights of `runtime.echo` are found: frames of an echo alone against frames in which a person speaks over it.

Recordings of the training speakers in rooms as the simulator of turn-taking makes them, every second one with somebody
who begins to speak, is followed for a third of a second, and should be noticed; half of these people wear headphones.
``python -m vivavoce.recipes.echoes SPEECH`` prints the weights, what share of frames they get wrong in other rooms, and
how long a frame takes.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce.audio.files import read_audio
from vivavoce.core import rng
from vivavoce.data import manifest
from vivavoce.data.choosing import shuffled
from vivavoce.evals.scenes import Loudspeaker, level, room, trimmed
from vivavoce.recipes.endings import logistic
from vivavoce.runtime.echo import Echo
from vivavoce.runtime.model import FRAME, RATE, Pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoesRun:
    """How many recordings and rooms, how long each is listened to, and the seed."""

    recordings: int = 200
    rooms: int = 300
    seconds: float = 4.0
    restraint: float = 1e-5
    seed: int = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """The evidence in a frame, and whether it is nothing but an echo."""

    evidence: tuple[float, float, float]
    alone: bool


def sounds(run: EchoesRun, speech: Path) -> list[Pcm]:
    """Recordings at 24 kHz."""
    draw = rng.stream(run.seed, "echoes")
    known = manifest.recordings(speech, "train", lang="en", seconds=(1.501, math.inf), lossless=True)
    chosen = shuffled(known, draw)[: run.recordings]
    return [level(trimmed(read_audio(clip.file, RATE)[0].numpy())[: 6 * RATE]) for clip in chosen]


def frames(clips: list[Pcm], run: EchoesRun, seed: int) -> Iterator[Seen]:
    """What is seen of echoes, and of the first third of a second of people who speak over them."""
    dice = rng.stream(seed, "rooms")
    length = int(run.seconds * RATE) // FRAME * FRAME

    def pick() -> Pcm:
        return clips[int(dice.integers(len(clips)))]

    for number in range(run.rooms):
        ours = np.resize(np.concatenate((pick(), pick(), pick())), length)
        onset = int(dice.integers(RATE // 3, length - RATE)) if number % 2 else length
        person = np.concatenate((np.zeros(onset, np.float32), pick(), np.zeros(length, np.float32)))
        speaker, echo, heard = Loudspeaker(room(dice)), Echo(), number % 4 < 3
        for begin in range(0, min(length, onset + RATE // 3), FRAME):
            played = ours[begin : begin + FRAME]
            mic = (
                speaker.play(played) * heard
                + person[begin : begin + FRAME]
                + dice.standard_normal(FRAME).astype(np.float32) * 0.001
            )
            echo.listen(mic, played)
            over = begin >= onset + FRAME
            if np.square(mic).mean() > 1e-5 and (over or begin + FRAME <= onset):
                yield Seen(echo.evidence(), not over)


def main(speech: Path, run: EchoesRun | None = None) -> None:
    """Prints the weights in the order of the file that they stand in."""
    run = run or EchoesRun()
    clips = sounds(run, speech)
    known = list(frames(clips, run, run.seed))
    alone = np.array([seen.alone for seen in known])
    weight = np.where(alone, 1 / alone.sum(), 1 / (~alone).sum())
    *slopes, bias = logistic(np.array([seen.evidence for seen in known]), alone.astype(float), weight, run.restraint)
    print("WEIGHTS =", tuple(round(w, 3) for w in (*slopes, bias)))
    others = list(frames(clips, run, run.seed + 1))
    scores = np.array([seen.evidence for seen in others]) @ np.array(slopes) + bias
    alone = np.array([seen.alone for seen in others])
    print(f"taken for a person: {np.mean(scores[alone] < 0):.1%} of {alone.sum()} frames of echo")
    print(
        f"taken for an echo: {np.mean(scores[~alone] > 0):.1%} of {(~alone).sum()} frames of people who speak over it"
    )
    echo, started = Echo(), time.process_time()
    for begin in range(0, 100 * FRAME, FRAME):
        echo.listen(clips[0][begin % RATE :][:FRAME], clips[1][begin % RATE :][:FRAME])
        echo.chance()
    print(f"a frame takes {10 * (time.process_time() - started):.2f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
