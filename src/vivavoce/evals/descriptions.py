"""Does a speaker do what a description says: what was asked beside what is measured, and shuffled descriptions.

Pitch and pace of what was said are measured by `evals.melody`, which no training uses. Pitch counts within the sex that
was asked for, since a high voice of a man is no high voice. The control pairs what was measured with what another
sentence was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivavoce.assistant.sentences import system_of
from vivavoce.core import rng
from vivavoce.core.errors import VoiceError
from vivavoce.core.progress import Log
from vivavoce.core.sentence import Sentence, SentenceSpeaker
from vivavoce.data.attributes import LEVELS, Kind
from vivavoce.data.descriptions import Asked, worded
from vivavoce.evals import intervals
from vivavoce.evals.melody import melody
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.voices import EVERYDAY
from vivavoce.text.phones import PHONE_IDS, SIL
from vivavoce.text.tokenizers import PhoneTokenizer

ASKED: Final[tuple[Kind, ...]] = ("pitch", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionSuite:
    """How many sentences, said as how many different descriptions ask; ``texts`` take turns."""

    sentences: int = 100
    seed: int = 0
    texts: tuple[str, ...] = EVERYDAY


@dataclass(frozen=True, slots=True)
class HeardVoice:
    """What was asked for and what came: octaves of pitch (NaN where nothing is voiced), octaves of phones a second."""

    description: str
    asked: Asked
    pitch: float
    rate: float


def run(folder: Path, suite: DescriptionSuite, say: Log = print) -> Report:
    """Measures the speaker in a folder; VoiceError for one that takes no descriptions."""
    made = system_of(folder)
    speaker = made(folder) if made is not None else None
    if speaker is None or "description" not in speaker.takes:
        raise VoiceError(f"there is no speaker in {folder} that can be described; train one: vivavoce train parler")
    about = {"speaker": str(folder), "sentences": suite.sentences, "seed": suite.seed}
    return Report("descriptions", about, [table(listen(speaker, suite, say), suite.seed)])


def listen(speaker: SentenceSpeaker, suite: DescriptionSuite, say: Log = print) -> list[HeardVoice]:
    """Says the texts as ever other descriptions ask, each level of each attribute equally often."""
    draw, tokenizer, found = rng.stream(suite.seed, "descriptions"), PhoneTokenizer(), []
    levels = {kind: draw.permutation(np.arange(suite.sentences) % LEVELS[kind]) for kind in ASKED}
    for number in range(suite.sentences):
        text = suite.texts[number % len(suite.texts)]
        asked = Asked(levels={kind: int(levels[kind][number]) for kind in ASKED}, sex="FM"[int(draw.integers(2))])
        description, phones = worded(asked, draw), tokenizer.encode([text])
        wanted = Sentence(text=text, phones=phones, description=description, seed=number)
        heard = melody(speaker.say(wanted).data[0, 0], speaker.sample_rate)
        count = int((phones.data != PHONE_IDS[SIL]).sum())
        rate = float(np.log2(count / heard.seconds)) if heard.seconds else float("nan")
        found.append(HeardVoice(description, asked, float(np.log2(heard.pitch_hz)), rate))
        say(f"{description!r}: {heard.pitch_hz:.0f} Hz, {2**rate:.1f} phones/s")
    return found


def table(found: Sequence[HeardVoice], seed: int = 0) -> Table:
    """Rank correlations of asked and measured, and those of shuffled descriptions."""
    rows = []
    for kind in ASKED:
        kept = [one for one in found if np.isfinite(one.pitch if kind == "pitch" else one.rate)]
        asked = [float(one.asked.levels[kind]) for one in kept]
        values = [one.pitch if kind == "pitch" else one.rate for one in kept]
        if kind == "pitch":
            values = _within(values, [one.asked.sex for one in kept])
        lost = f"; {len(found) - len(kept)} of {len(found)} had none" if len(kept) < len(found) else ""
        other = [asked[int(place)] for place in rng.stream(seed, "shuffled", kind).permutation(len(asked))]
        rows += [
            Row(
                name=f"{kind} asked and measured", value=intervals.spearman(asked, values, seed), unit="",
                remark=f"Spearman over {LEVELS[kind]} levels{lost}",
            ),
            Row(
                name=f"{kind}, shuffled descriptions", value=intervals.spearman(other, values, seed), unit="",
                remark="control",
            ),
        ]  # fmt: skip
    women = [one.pitch for one in found if one.asked.sex == "F" and np.isfinite(one.pitch)]
    men = [one.pitch for one in found if one.asked.sex == "M" and np.isfinite(one.pitch)]
    if women and men:
        above = intervals.mean([pitch - float(np.mean(men)) for pitch in women], seed)
        rows.append(Row(name="women above men", value=above, unit="octaves", remark="means of what was asked for"))
    return Table("What descriptions do", rows)


def _within(values: Sequence[float], groups: Sequence[str]) -> list[float]:
    """Values less the mean of their group."""
    means = {name: float(np.mean([v for v, own in zip(values, groups, strict=True) if own == name])) for name in groups}
    return [value - means[name] for value, name in zip(values, groups, strict=True)]
