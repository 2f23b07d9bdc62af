"""How the weights of `assistant.ending` are found: ends of speech against places inside it, by logistic regression.

Recordings of the training speakers and orders by the synthesis programs' training voices, each once whole and once cut
at its quietest place in the middle. People and orders count the same.
``python -m vivavoce.recipes.endings SPEECH [CHARACTER]`` prints the weights and how well they part what they were
fitted on, and how likely the words of whole utterances are, from which the bounds in `assistant.hearing` were read; it
takes a minute or two.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch.nn.functional import pad

from vivavoce.assistant.ending import evidence, fall
from vivavoce.assistant.hearing import Ears
from vivavoce.audio.files import read_audio
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.data import manifest
from vivavoce.data.character import Character
from vivavoce.data.choosing import shuffled
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.data.synthesis import readings, speak
from vivavoce.evals.scenes import level, pause_within, trimmed
from vivavoce.runtime.model import RATE, Pcm

_SILENCE = RATE // 8
"""What is heard of a silence before it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingsRun:
    """How many recordings and orders, how long at most, how strongly large weights are held back, and the seed."""

    people: int = 130
    orders: int = 80
    seconds: float = 6.0
    restraint: float = 0.01
    seed: int = 3
    character: str = "innkeeper"


@dataclass(frozen=True, slots=True)
class SilenceExample:
    """What is known at a silence, how likely its words are, whether it was the end, and what it counts."""

    evidence: tuple[float, float, float]
    likely: float
    over: bool
    weight: float = 1.0


def sounds(run: EndingsRun, speech: Path) -> Iterator[tuple[Pcm, float]]:
    """Whole utterances at 24 kHz with their weights, people first."""
    draw = rng.stream(run.seed, "endings")
    known = manifest.recordings(speech, "train", lang="en", seconds=(1.001, math.inf))
    for clip in shuffled(known, draw)[: run.people]:
        yield read_audio(clip.file, RATE)[0].numpy(), 1.0 / run.people
    character = Character(load_sheet(find_sheet(run.character)))
    texts = [turn.user for turn in character.orders(run.orders, run.seed)]
    for spoken in speak(readings(texts, run.seed), sample_rate=RATE):
        yield spoken.wave.astype(np.float32), 1.0 / run.orders


def examples(ears: Ears, waves: Iterable[tuple[Pcm, float]], run: EndingsRun) -> Iterator[SilenceExample]:
    """Each utterance's end, and the quietest place inside it."""
    draw = rng.stream(run.seed, "hiss")
    for wave, weight in waves:
        whole = level(trimmed(wave)[-int(run.seconds * RATE) :])
        for sound, over in ((whole, True), (trimmed(whole[: pause_within(whole)]), False)):
            hissing = (sound + draw.standard_normal(len(sound)) * 0.001).astype(np.float32)
            low = resample(pad(torch.from_numpy(hissing), (0, _SILENCE))[None], RATE, 16_000)
            words = ears.found(low)
            if words:
                sure = [word.confidence for word in words]
                seen = evidence(sure, *ears.expected(words), fall(low[0], 16_000))
                yield SilenceExample(seen, ears.likely(words), over, weight)


def fit(known: Iterable[SilenceExample], restraint: float = 0.01) -> tuple[float, float, float, float]:
    """Weights of the evidence and the constant."""
    known = list(known)
    sure, words, tail, bias = logistic(
        np.array([example.evidence for example in known]),
        np.array([example.over for example in known], float),
        np.array([example.weight for example in known]),
        restraint,
    )
    return sure, words, tail, bias


def logistic(
    inputs: Float[np.ndarray, "B D"], found: Float[np.ndarray, " B"], weight: Float[np.ndarray, " B"], restraint: float
) -> list[float]:
    """Slopes and constant of a weighted logistic regression with held-back slopes, by Newton's method."""
    weight, width = weight / weight.mean(), inputs.shape[1]
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    scaled = np.c_[(inputs - mean) / spread, np.ones(len(inputs))]
    held = restraint * len(inputs) * np.diag([1.0] * width + [0.0])
    at = np.zeros(width + 1)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-scaled @ at))
        curve = scaled.T @ (scaled * (weight * chance * (1 - chance) + 1e-9)[:, None]) + held
        at = at + np.linalg.solve(curve, scaled.T @ (weight * (found - chance)) - held @ at)
    slopes = at[:width] / spread
    return [*slopes.tolist(), float(at[width] - mean @ slopes)]


def parted(known: Iterable[SilenceExample], weights: tuple[float, float, float, float]) -> float:
    """How often an end scores above a place inside: 0.5 by chance, 1 at best."""
    known = list(known)
    scores = {over: [_score(e, weights) for e in known if e.over == over] for over in (True, False)}
    ends, inside = np.array(scores[True]), np.array(scores[False])
    return float((ends[:, None] > inside[None]).mean() + 0.5 * (ends[:, None] == inside[None]).mean())


def _score(example: SilenceExample, weights: tuple[float, float, float, float]) -> float:
    return float(np.dot(example.evidence, weights[:3]))


def main(speech: Path, run: EndingsRun | None = None) -> None:
    """Prints the weights in the order of the file that they stand in."""
    import vivavoce

    run, ears = run or EndingsRun(), vivavoce.load().ears
    assert isinstance(ears, Ears)
    known = list(examples(ears, sounds(run, speech), run))
    weights = fit(known, run.restraint)
    print("TRUST, WORDS, FALL, BIAS =", ", ".join(f"{weight:.3f}" for weight in weights))
    print(f"{len(known)} examples; an end scores above a place inside in {parted(known, weights):.0%} of all pairs")
    for name, weight in (("people", 1.0 / run.people), ("orders", 1.0 / run.orders)):
        likely = [example.likely for example in known if example.over and example.weight == weight]
        low, middle, high = np.quantile(likely, (0.02, 0.5, 0.98))
        print(f"log-probability per word, {name}: {low:.1f} to {high:.1f}, median {middle:.1f} (2 % to 98 %)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), EndingsRun(character=sys.argv[2]) if len(sys.argv) > 2 else None)
