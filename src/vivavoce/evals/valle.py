"""What VALL-E says after somebody's clip, beside what its two halves can do: words, and whose voice it is.

Ways between a recording and a sentence that is made of phones alone: the codec with all of its books, with those that
were learnt, with the true first book and all others by the second model, and with both models. Prompts are clips of the
person whose other recording the voice is compared with; somebody else's clip is the control. What a clip says is known
here, so that errors of listening do not count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vivavoce.audio.files import read_audio
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError
from vivavoce.core.progress import Log
from vivavoce.core.sentence import Sentence
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.evals import intervals
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.token_sound import recogniser, voice_judge
from vivavoce.evals.tts import Trial, tasks
from vivavoce.evals.word_errors import distance, plain
from vivavoce.systems.valle import Valle
from vivavoce.text.tokenizers import PhoneTokenizer

_RATE = 16_000
CLOSE = "nearest to the person, of all who are asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValleSuite:
    """How many sentences, and the Whisper that writes them down; ``means`` as for `Valle`."""

    sentences: int = 20
    whisper: str = "whisper-base"
    means: bool = False


def run(folder: Path, suite: ValleSuite, speech: Path, say: Log = print) -> Report:
    """Measures the VALL-E in a folder on people of the splits test and dev. ConfigError where there is none."""
    if not (folder / "valle.json").exists():
        raise ConfigError(f"{folder} has no VALL-E; train one with `vivavoce train valle`")
    speaker, todo = Valle.load(folder, means=suite.means), tasks(speech, suite.sentences)
    hear, people = recogniser(suite.whisper, say), voice_judge(speech)
    known = {one.target.speaker: None if people is None else people.vector(*read_audio(one.other.file)) for one in todo}
    table = Table("VALL-E and what lies between it and a recording")
    for name, way in ways(speaker, todo).items():
        wrong, words, alike, nearest = [], [], [], []
        for number, task in enumerate(todo):
            wave = audible(way(number, task), speaker.sample_rate)
            wanted = plain(task.target.text or "")
            heard = plain(hear(wave)) if hear is not None else []
            wrong.append(distance(wanted, heard))
            words.append(len(wanted))
            if people is not None:
                mine = people.vector(wave, _RATE)
                likeness = {who: float(mine @ other) for who, other in known.items()}
                alike.append(likeness[task.target.speaker])
                nearest.append(max(likeness, key=lambda who: likeness[who]) == task.target.speaker)
            say(f"{name}: {' '.join(wanted)!r} was heard as {' '.join(heard)!r}")
        if hear is not None:
            table.rows.append(Row(name=f"{name}: word errors, Whisper", value=intervals.ratio(wrong, words)))
        if people is not None:
            table.rows.append(Row(name=f"{name}: likeness (cosine)", value=intervals.mean(alike), unit=""))
            chance = f"by chance {100 / len(known):.0f} %"
            table.rows.append(Row(name=f"{name}: {CLOSE}", value=intervals.share(nearest), remark=chance))
    about = {"model": str(folder), "sentences": len(todo), "people": len(known), "means": suite.means}
    return Report("valle", about, [table])


def audible(wave: Float[Tensor, " N"], rate: int) -> Float[Tensor, " M"]:
    """A sentence as judges hear it; one that ended at once is a moment of silence."""
    return pad(resample(wave, rate, _RATE), (0, max(0, _RATE // 10 - len(wave) * _RATE // rate)))


def ways(speaker: Valle, todo: Sequence[Trial]) -> dict[str, Callable[[int, Trial], Float[Tensor, " N"]]]:
    """From a recording to a sentence of phones alone."""
    codec, tokenizer = speaker.codec, PhoneTokenizer()
    books = speaker.model.config.codes.books

    def opened(file: Path) -> Stream[Wave]:
        return sound(read_audio(file, codec.config.sample_rate)[0], codec.config.sample_rate)

    def asked(task: Trial, prompt: Trial) -> Sentence:
        text, said = task.target.text or "", prompt.prompt.text or ""
        return Sentence(
            text=text, phones=tokenizer.encode([text]), prompt=opened(prompt.prompt.file), prompt_text=said,
            prompt_phones=tokenizer.encode([said]), seed=1,
        )  # fmt: skip

    def decoded(count: int) -> Callable[[int, Trial], Float[Tensor, " N"]]:
        def way(_: int, task: Trial) -> Float[Tensor, " N"]:
            return codec.decode(codec.encode(opened(task.target.file)).part(0, count)).data[0, 0]

        return way

    def refined(_: int, task: Trial) -> Float[Tensor, " N"]:
        codes = codec.encode(opened(task.target.file)).part(0, 1)
        return speaker.refined(asked(task, task).all_phones, codes, opened(task.prompt.file)).data[0, 0]

    def cloned(_: int, task: Trial) -> Float[Tensor, " N"]:
        return speaker.say(asked(task, task)).data[0, 0]

    def another(number: int, task: Trial) -> Float[Tensor, " N"]:
        others = [one for one in (*todo[number:], *todo[:number]) if one.target.speaker != task.target.speaker]
        return speaker.say(asked(task, (others or [task])[0])).data[0, 0]

    return {
        "people": lambda _, task: opened(task.target.file).data[0, 0],
        f"codec, {codec.config.books} books": decoded(codec.config.books),
        f"codec, {books} books": decoded(books),
        "codec, 1 book": decoded(1),
        "true first book, the others made": refined,
        "all made": cloned,
        "all made, somebody else's clip": another,
    }
