"""How the weights of `assistant.aside` are found: signs of listening, hums and coughs against what interrupts.

Words are spoken by the synthesis programs' training voices; people's sentences (training speakers) are cut after 0.3 to
0.6 s. Tested with the voices kept for that. ``python -m vivavoce.recipes.asides SPEECH`` prints the weights, and which
share of each kind of sound is taken for an aside; it takes a minute or two.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vivavoce.assistant.aside import INTERRUPTIONS, SIGNS, evidence
from vivavoce.assistant.hearing import Ears
from vivavoce.audio.files import mono, read_audio
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.data.manifest import read_manifest
from vivavoce.data.synthesis import readings, speak
from vivavoce.evals.scenes import cough, hum, level, trimmed
from vivavoce.recipes.endings import logistic
from vivavoce.runtime.model import RATE, Pcm

_BEFORE, _AFTER = RATE * 3 // 10, RATE // 10
"""Silence that is heard before and after."""
SHARES = {"word": 0.25, "hum": 0.2, "cough": 0.1, "interruption": 0.3, "sentence": 0.15}
ASIDES = ("word", "hum", "cough")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsidesRun:
    """How often each word is said, how many of the other sounds there are, and the seed."""

    times: int = 8
    others: int = 100
    restraint: float = 0.01
    seed: int = 3


def sounds(run: AsidesRun, speech: Path, *, unseen: bool) -> Iterator[tuple[str, Pcm]]:
    """Sounds at 24 kHz and what they are; ``unseen``: by the voices that were kept for testing."""
    dice = rng.stream(run.seed, "asides", unseen)
    for kind, texts in (("word", SIGNS), ("interruption", INTERRUPTIONS)):
        texts = [text for text in texts if text != "m m"] * run.times
        engines = {"espeak-ng": 0.5, "festival": 0.5} if unseen else {"espeak-ng": 0.6, "flite": 0.4}
        for spoken in speak(readings(texts, run.seed, engines=engines, unseen=unseen), sample_rate=RATE, workers=1):
            yield kind, level(trimmed(spoken.wave.astype(np.float32)))
    for _ in range(run.others):
        yield "hum", hum(dice)
        yield "cough", cough(dice)
    known = [r for r in read_manifest(speech / "manifest.jsonl") if r.split == "train" and r.lang == "en"]
    known = [record for record in known if record.seconds > 1.0 and record.quality == "lossless"]
    chosen = dice.permutation(len(known))[: 2 * run.others]
    for index in chosen[::2] if unseen else chosen[1::2]:
        wave, rate = read_audio(known[int(index)].file)
        whole = level(trimmed(resample(mono(wave)[None], rate, RATE)[0].numpy())[: 6 * RATE])
        yield "sentence", whole[: int(dice.integers(300, 600)) * 24]


def seen(ears: Ears, wave: Pcm, dice: np.random.Generator) -> tuple[float, ...]:
    """The evidence in a sound with hiss and some silence around it."""
    heard = np.concatenate((np.zeros(_BEFORE), wave, np.zeros(_AFTER)))
    heard = (heard + dice.standard_normal(len(heard)) * 0.001).astype(np.float32)
    low = resample(torch.from_numpy(heard)[None], RATE, 16_000)
    return evidence(ears.choice, ears.posteriors(low).ctc[0], low[0], 16_000, ears.whole(low).words)


def main(speech: Path, run: AsidesRun | None = None) -> None:
    """Prints the weights in the order of the file that they stand in."""
    import vivavoce

    run, ears = run or AsidesRun(), vivavoce.load().ears
    dice = rng.stream(run.seed, "hiss")
    with torch.inference_mode():
        known, kept = (
            [(kind, seen(ears, wave, dice)) for kind, wave in sounds(run, speech, unseen=unseen)]
            for unseen in (False, True)
        )
    count = {kind: sum(kind == other for other, _ in known) for kind in SHARES}
    *slopes, bias = logistic(
        np.array([inputs for _, inputs in known]),
        np.array([kind in ASIDES for kind, _ in known], float),
        np.array([SHARES[kind] / count[kind] for kind, _ in known]),
        run.restraint,
    )
    print("WEIGHTS =", tuple(round(weight, 3) for weight in (*slopes, bias)))
    for name, given in (("fitted on", known), ("kept", kept)):
        for kind in SHARES:
            scores = np.array([inputs for other, inputs in given if other == kind]) @ np.array(slopes) + bias
            shares = ", ".join(
                f"above {p:.2f} {np.mean(scores > np.log(p / (1 - p))):.0%}" for p in (0.25, 0.4, 0.5, 0.75)
            )
            print(f"{name}, {kind}: {shares}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
