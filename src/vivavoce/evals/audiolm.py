"""What AudioLM's tokens know: the voice of units alone and after a clip, words, and each stage beside counts.

After AudioLM (arXiv:2209.03143 §IV.C): units alone say what is spoken and hardly who speaks; a clip's acoustics in the
second stage bring the voice. A judge that shares nothing with the model names the nearest of the people in the test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.core.errors import ConfigError
from vivavoce.core.progress import Log
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.data.tokens import TokenCorpus
from vivavoce.evals import intervals
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.spoken_words import unit_score, voices_of_words, words_table
from vivavoce.evals.token_sound import recogniser, voice_judge
from vivavoce.evals.token_statistics import grams
from vivavoce.evals.tts import Trial, tasks
from vivavoce.evals.valle import audible
from vivavoce.evals.word_errors import distance, plain
from vivavoce.systems.audiolm import AudioLM
from vivavoce.train.tasks.grid import collate, lane_losses

STAGES = ("semantic", "coarse", "fine")
_RATE, _PROMPT_SECONDS = 16_000, 3.0
Make = Callable[[Trial], Float[Tensor, " N"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLMSuite:
    """How many recordings, the Whisper that writes them down, how many held-out utterances of a corpus are counted.

    What goes on after a clip does so for ``seconds``. ``words`` of training texts, and as many others, are set beside
    what is no word (`evals.spoken_words`).
    """

    recordings: int = 20
    whisper: str = "whisper-base"
    held: int = 200
    seconds: float = 4.0
    words: int = 0


def run(folder: Path, suite: AudioLMSuite, speech: Path, corpus: Path | None, say: Log = print) -> Report:
    """Measures the AudioLM in a folder on people of test and dev; ``corpus`` is the token corpus that it learnt from.

    ConfigError where there is no AudioLM.
    """
    if not (folder / "audiolm.json").exists():
        raise ConfigError(f"{folder} has no AudioLM; train one with `vivavoce train audiolm`")
    system, todo = AudioLM.load(folder), tasks(speech, suite.recordings) if suite.recordings else []
    tables = [voices(system, todo, suite, speech, say)] if todo else []
    report = Report("audiolm", {"model": str(folder), "recordings": len(todo)}, tables)
    if suite.words:
        score = unit_score(system.units, system.model.semantic, system.model.config.layouts[0], "units")
        report.tables.append(words_table(score, speech, voices_of_words(), suite.words, say))
    if corpus is not None:
        report.tables.append(losses(system, TokenCorpus(corpus), suite.held))
    return report


def voices(system: AudioLM, todo: Sequence[Trial], suite: AudioLMSuite, speech: Path, say: Log) -> Table:
    """Words and voices of recordings that went through units, with and without a clip, and of what goes on."""
    hear, people = recogniser(suite.whisper, say), voice_judge(speech)
    known = {one.target.speaker: None if people is None else people.vector(*read_audio(one.other.file)) for one in todo}
    table, chance = Table("Who is heard, and what is said"), f"by chance {100 / len(known):.0f} %"
    for name, (way, worded) in _ways(system, suite.seconds).items():
        wrong, words, nearest = [], [], []
        for task in todo:
            wave = audible(way(task), system.codec.config.sample_rate)
            if hear is not None:
                heard = plain(hear(wave))
                say(f"{name}: {' '.join(heard)!r} ({task.target.text!r})")
                wanted = plain(task.target.text or "")
                wrong.append(distance(wanted, heard))
                words.append(len(wanted))
            if people is not None:
                mine = people.vector(wave, _RATE)
                near = {who: float(mine @ other) for who, other in known.items()}
                nearest.append(max(near, key=lambda who: near[who]) == task.target.speaker)
        if wrong and worded:
            table.rows.append(Row(name=f"{name}: word errors, Whisper", value=intervals.ratio(wrong, words)))
        if nearest:
            row = Row(name=f"{name}: nearest to the person", value=intervals.share(nearest), remark=chance)
            table.rows.append(row)
    return table


def _ways(system: AudioLM, seconds: float) -> dict[str, tuple[Make, bool]]:
    """From a recording to sound, and whether its words are said then."""
    rate, books = system.codec.config.sample_rate, system.model.config.codes.books

    def opened(file: Path) -> Stream[Wave]:
        return sound(read_audio(file, rate)[0], rate)

    def begun(task: Trial) -> Stream[Wave]:
        return sound(read_audio(task.prompt.file, rate)[0][: int(_PROMPT_SECONDS * rate)], rate)

    def coded(task: Trial) -> Float[Tensor, " N"]:
        return system.codec.decode(system.codec.encode(opened(task.target.file)).part(0, books)).data[0, 0]

    def gone_on(task: Trial) -> Float[Tensor, " N"]:
        return system.go_on(begun(task), seconds).data[0, 0, int(_PROMPT_SECONDS * rate) :]

    return {
        "people": (lambda task: opened(task.target.file).data[0, 0], True),
        f"codec, {books} books": (coded, True),
        "units after a clip": (
            lambda task: system.resynthesised(opened(task.target.file), begun(task)).data[0, 0],
            True,
        ),
        "units alone": (lambda task: system.resynthesised(opened(task.target.file)).data[0, 0], True),
        "what goes on after 3 s": (gone_on, False),
    }


@torch.no_grad()
def losses(system: AudioLM, corpus: TokenCorpus, held: int) -> Table:
    """Nats per token of dev, by each stage and by counts of the same tokens in what was learnt from."""
    config, table = system.model.config, Table("Nats per token of held-out people")
    unheard = corpus.of("dev")[:: max(1, len(corpus.of("dev")) // held)][:held]
    for number, name in enumerate(STAGES):
        most = (30.0, 10.0, config.seconds)[number]

        def piece(index: int, number: int = number, most: float = most) -> dict[str, Tensor]:
            items = corpus.items(index)
            return config.piece(items, 0.0, min(most, config.seconds_of(items)))

        model, nats, weights = getattr(system.model, name), [], []
        for index in unheard:
            batch = collate([config.grid(number, piece(index))])
            nats.append(
                float(lane_losses(batch, model(batch.ids))["tokens"].value) * float(batch.weights[..., 1:].sum())
            )
            weights.append(float(batch.weights[..., 1:].sum()))

        def ids(index: int, number: int = number) -> np.ndarray:
            grid = config.grid(number, piece(index))
            return grid.ids[0][grid.target[0]].numpy()

        counted = grams(
            [ids(i) for i in corpus.of("train")], [ids(i) for i in unheard], config.layouts[number].sizes[0]
        )
        table.rows += [
            Row(name=f"{name}: the model", value=intervals.ratio(nats, weights), unit="nats"),
            Row(name=f"{name}: from the token before", value=_exactly(counted.bigram, len(unheard)), unit="nats"),
            Row(name=f"{name}: from nothing", value=_exactly(counted.unigram, len(unheard)), unit="nats"),
        ]
    return table


def _exactly(value: float, n: int) -> intervals.Estimate:
    return intervals.Estimate(value, value, value, n)
