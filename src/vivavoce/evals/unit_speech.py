"""What a vocoder makes of units alone: the words that others hear in it, beside what the codec makes of its tokens.

Recordings of dev people and of LibriSpeech test-clean, which is only reported, become units, and the vocoder speaks
them again in its own voice, with the durations that the units had and with those that it predicts. Controls are the
originals, all true tokens of the codec, its first book alone, and the same units in another order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.progress import Log
from vivavoce.core.streams import Stream, Tokens, sound
from vivavoce.data.choosing import in_turns, ranked
from vivavoce.data.manifest import Record, recordings
from vivavoce.evals import intervals, quality
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.token_sound import SPELLED, recogniser
from vivavoce.evals.word_errors import distance, plain
from vivavoce.generate.samplers import Sample
from vivavoce.models.codec import Codec
from vivavoce.models.unit_vocoder import Choose, UnitVocoder, likeliest
from vivavoce.models.units import Units, merged

RATE = 16_000
GROUPS = {"dev": "dev people", "test": "LibriSpeech test-clean"}
Samples = Float[Tensor, " N"]
Made = Float[Tensor, " M"]
Way = Callable[[Samples], Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpeechSuite:
    """So many recordings of each group; ``speaker`` is whose voice, ``ears`` who hears.

    ``temperature`` 0 takes the likeliest tokens; without ``history`` no frame knows those before it.
    """

    clips: int = 24
    ears: str = "whisper-base"
    speaker: str = ""
    temperature: float = 0.0
    top_p: float = 1.0
    history: bool = True
    groups: tuple[str, ...] = tuple(GROUPS)
    seed: int = 0


def run(folder: Path, units: Path, suite: UnitSpeechSuite, speech: Path, say: Log) -> Report:
    """Measures a folder with a vocoder and its codec.

    SpecError for units that it does not know; ConfigError where there is nothing to measure on, or nobody who hears.
    """
    vocoder, codec = load_part(folder, "vocoder"), load_part(folder, "codec")
    known: Units = load_part(units, "units")
    if known.tokens != vocoder.config.durations.units:
        raise SpecError(f"the vocoder speaks {vocoder.config.durations.units}, got {known.tokens}; give its own units")
    if (hear := recogniser(suite.ears, say)) is None:
        raise ConfigError("words are what this measures, and nobody hears; give --ears whisper-base, fetched before")
    ways = ways_of(vocoder, codec, known, suite)
    report = Report("unit speech", {"model": str(folder), "speaker": suite.speaker, "temperature": suite.temperature})
    for split in suite.groups:
        clips = _chosen(speech, split, suite.clips)
        if not clips:
            raise ConfigError(f"{speech} has no English recordings with texts in the split {split}")
        waves = [read_audio(clip.file, RATE)[0] for clip in clips]
        texts = [plain(clip.text or "") for clip in clips]
        table = Table(f"Spoken from units, {GROUPS[split]}")
        for name, way in ways.items():
            made = [way(wave) for wave in waves]
            wrong = [distance(text, plain(hear(one))) for text, one in zip(texts, made, strict=True)]
            table.rows.append(Row(name=f"word errors, {name}", value=intervals.ratio(wrong, list(map(len, texts)))))
            opinion = intervals.mean([quality.dnsmos(one, RATE) for one in made])
            table.rows.append(Row(name=f"DNSMOS, {name}", value=opinion, unit=""))
            if name == PREDICTED:
                lengths = intervals.ratio(list(map(len, made)), list(map(len, waves)))
                table.rows.append(Row(name="length, of the original's", value=lengths))
            say("; ".join(f"{row.name} {row.shown()}" for row in table.rows[-2:]))
        report.tables.append(table)
    return report


PREDICTED = "units, predicted durations"


def ways_of(vocoder: UnitVocoder, codec: Codec, units: Units, suite: UnitSpeechSuite) -> dict[str, Way]:
    """What is done to each recording at 16 kHz, by name."""

    lag = -(-codec.delay // codec.config.hop)

    def coded(wave: Samples) -> Stream[Tokens]:
        return codec.encode(sound(resample(wave, RATE, codec.config.sample_rate), codec.config.sample_rate))

    def decoded(codes: Stream[Tokens]) -> Made:
        return resample(codec.decode(codes).data[0, 0], codec.config.sample_rate, RATE)

    def choose(wave: Samples) -> Choose:
        if suite.temperature <= 0:
            return likeliest
        sampler = Sample(temperature=suite.temperature, top_p=suite.top_p)
        draw = rng.torch_stream(suite.seed, "unit speech", len(wave))
        return lambda scores: sampler(
            scores, torch.rand(len(scores), generator=draw), torch.zeros(len(scores), 0).long()
        )

    def spoken(wave: Samples, timed: bool, shuffle: bool = False) -> Made:
        ids = units.encode(sound(wave, RATE))
        asked = {"speaker": suite.speaker, "choose": choose(wave), "history": suite.history, "more": lag}
        if timed:
            return decoded(vocoder.render(ids, **asked))
        rows = merged(ids).units
        if shuffle:
            order = rng.stream(suite.seed, "shuffled", len(wave)).permutation(rows.data.shape[2])
            rows = replace(rows, data=rows.data[:, :, torch.from_numpy(order)])
        return decoded(vocoder.render(vocoder.timed(rows, suite.speaker), **asked))

    return {
        "originals": lambda wave: wave,
        "all true tokens": lambda wave: decoded(coded(wave)),
        "first book alone": lambda wave: decoded(coded(wave).part(0, 1)),
        "units, their durations": lambda wave: spoken(wave, timed=True),
        PREDICTED: lambda wave: spoken(wave, timed=False),
        "units in another order": lambda wave: spoken(wave, timed=False, shuffle=True),
    }


def _chosen(speech: Path, split: str, count: int) -> Sequence[Record]:
    """Recordings of 2 to 10 s with a text, one of each speaker before a second of any; none that is spelled."""
    found = recordings(speech, split, lang="en", least_rate=RATE, seconds=(2.0, 10.0), text=True)
    return in_turns(ranked(clip for clip in found if clip.source not in SPELLED))[:count]
