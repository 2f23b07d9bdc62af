"""Language models that hear: word errors on people, beside what their bridge spells alone and Whisper by itself.

Those that hear and speak units are measured by `evals.speech_units`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vivavoce.assistant.model import load
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError
from vivavoce.core.places import bundled_or_path
from vivavoce.core.progress import Log
from vivavoce.core.streams import sound
from vivavoce.data.synthesis import LISTENING_RATE
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.drive import asked
from vivavoce.evals.listening import Clip, some_with_text
from vivavoce.evals.obedience import obedience_table
from vivavoce.evals.open_ears import by_itself
from vivavoce.evals.people import measured_on
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.speech_units import UnitsSuite, units_tables
from vivavoce.evals.spoken_orders import Answers, audiopalm_table
from vivavoce.hub.audiopalm import is_audiopalm, load_audiopalm
from vivavoce.hub.salmonn import is_salmonn, load_salmonn
from vivavoce.hub.speechgpt import check_stage, is_speechgpt, load_speechgpt
from vivavoce.hub.whisper import whisper_of
from vivavoce.models.bridge import Bridged, Spelling
from vivavoce.nn.lora import scale_lora
from vivavoce.systems.salmonn import Salmonn

_ROWS, _ROWS_JOINT = 16, 6
_MOST = 120
"""Words of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechLmSuite:
    """So many recordings; ``scales`` are shares of the small maps' own scale; ``ears`` a Whisper to compare with.

    So many recordings are also asked about with other ``instructions`` (`evals.obedience`).
    ``text`` are lines to read before and after, and the chat model that was begun with, ``orders`` so many spoken ones
    to understand and to answer (`evals.speech_units`).
    """

    clips: int = 300
    scales: tuple[float, ...] = (1.0, 0.5, 0.0)
    ears: str = ""
    instructions: int = 0
    text: tuple[Path, str] | None = None
    orders: int = 0


def run(folder: Path, suite: SpeechLmSuite, speech: Path, say: Log) -> Report:
    """Measures a model on the transcribed English dev recordings of a folder. ConfigError where there is none."""
    folder = bundled_or_path(folder)
    if is_audiopalm(folder):
        return Report("speech-lm", {"model": str(folder), "orders": suite.orders}, [_audiopalm(folder, suite, say)])
    spoken = is_speechgpt(folder)
    if not spoken and not is_salmonn(folder):
        raise ConfigError(f"{folder} has no language model that hears; train one with `vivavoce train salmonn`")
    units = load_speechgpt(folder) if spoken else None
    if units is not None:
        check_stage(units.model.config.stage, folder)
    clips = some_with_text(measured_on(speech), suite.clips)
    if not clips:
        raise ConfigError(f"{speech} has no English dev recordings with texts to measure on")
    seconds = sum(len(clip.wave) / clip.sample_rate for clip in clips)
    about = {"model": str(folder), "recordings": len(clips), "seconds": round(seconds, 1), "scales": suite.scales}
    if units is not None:
        cascade = _default() if suite.orders else None
        wanted = UnitsSuite(ears=suite.ears, text=suite.text, orders=suite.orders, cascade=cascade)
        tables = units_tables(units, clips, wanted, say)
    else:
        system = load_salmonn(folder)
        tables = [words_table(system, clips, suite, say)]
        if suite.instructions:
            tables.append(obedience_table(system, clips[: suite.instructions], suite.scales, say))
    return Report("speech-lm", about, tables)


def _default() -> Answers:
    default = load()
    return lambda wave: asked(default, wave, LISTENING_RATE)


def _audiopalm(folder: Path, suite: SpeechLmSuite, say: Log) -> Table:
    if not suite.orders:
        raise ConfigError("of an AudioPaLM spoken orders are counted: --orders 100")
    return audiopalm_table(load_audiopalm(folder), suite.orders, _default(), say)


def words_table(system: Salmonn, clips: Sequence[Clip], suite: SpeechLmSuite, say: Log) -> Table:
    """Word errors of the same recordings by every route."""
    table = Table("Words of people (dev speech)")
    heard = [system.heard(sound(clip.wave, clip.sample_rate)) for clip in clips]

    def add(name: str, write: Callable[[int], str], remark: str = "") -> None:
        wrong, total = [], []
        for number, clip in enumerate(clips):
            wanted = word_errors.plain(clip.text)
            wrong.append(word_errors.distance(wanted, word_errors.plain(write(number))))
            total.append(len(wanted))
        table.rows.append(Row(name=name, value=intervals.ratio(wrong, total), remark=remark))
        say(f"{name}: {table.rows[-1].shown()}")

    if system.model.bridge.spelling is not None:
        spelled = [
            Spelling.greedy(one.scores, one.lengths)[0] if one.scores is not None and one.lengths is not None else []
            for one in heard
        ]
        add("— what the bridge spells, without the language model", lambda number: system.text.read(spelled[number]))
    if system.model.config.joint is not None:
        found = transcripts(system, heard, joint=True)
        for number in range(min(5, len(clips))):
            say(f"  {clips[number].text}\n  → {found[number]}")
        add("word errors, written jointly", found.__getitem__, f"{system.model.config.joint}")
    own = system.scale
    for scale in suite.scales:
        system.scale = own * scale
        scale_lora(system.model, system.scale)
        found = transcripts(system, heard, joint=False)
        for number in range(min(5, len(clips))):
            say(f"  {clips[number].text}\n  → {found[number]}")
        name = "word errors" if scale == 1 else f"— small maps at {scale:g} of their scale"
        add(name, found.__getitem__, "" if scale else "the language model as it was published")
    system.scale = own
    scale_lora(system.model, own)
    if suite.ears:
        whisper = whisper_of(suite.ears)

        def by_whisper(number: int) -> str:
            clip = clips[number]
            return by_itself(whisper, resample(clip.wave[None], clip.sample_rate, LISTENING_RATE)[0].numpy())

        add(f"— {suite.ears} by itself", by_whisper, "encoder and decoder")
    return table


def transcripts(system: Salmonn, heard: Sequence[Bridged], *, joint: bool) -> list[str]:
    """What the model writes down of recordings that its bridge has heard, many at a time."""
    rows = _ROWS_JOINT if joint else _ROWS
    order = sorted(range(len(heard)), key=lambda number: int(heard[number].counts[0]))
    found = [""] * len(heard)
    for begin in range(0, len(order), rows):
        some = order[begin : begin + rows]
        texts = system.transcripts([heard[number] for number in some], joint=joint, most=_MOST)
        for number, text in zip(some, texts, strict=True):
            found[number] = text
    return found
