"""Speech from espeak-ng, flite and festival, each run as a program of its own: many voices, rates and pitches.

Where a program tells when it says which phone (flite, festival), the times come with the sound. Words are handed to
flite and festival with our dictionary's pronunciation, since theirs lack some (flite says "latte" like "lat").
"""

import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from vivavoce.audio.files import read_audio
from vivavoce.core import rng
from vivavoce.core.errors import AudioError, MissingExtra, VoiceError
from vivavoce.data.voices import ENGINES, training_voices, unseen_voices
from vivavoce.text.normalise import MARKS, read
from vivavoce.text.phones import PHONE_IDS, SIL, VOWELS, Phone
from vivavoce.text.pronounce import pronunciations

LISTENING_RATE: Final = 16_000
SPEAKING_RATE: Final = 24_000
INSTALL: Final = "apt-get install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"

TEACHERS: Final[Mapping[str, float]] = MappingProxyType({"espeak-ng": 0.7, "flite": 0.3})

_TIMEOUT: Final = 60.0  # seconds for one program call; a sentence takes hundredths
# words that the programs say well, and whose weak forms in a sentence are theirs to choose
_TRUSTED: Final = frozenset(
    """
    a an and are as at be but by can could do for from had has have he her him his i if in is it me my not of
    on or our she some so than that the their them then there they this to up us was we were what will with
    would you your
    """.split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A text and how it is to be read; rate and pitch are factors of the voice's own (about, and where it can)."""

    text: str
    engine: str
    voice: str
    rate: float = 1.0
    pitch: float = 1.0


@dataclass(frozen=True, slots=True)
class TimedPhone:
    """A phone of ``PHONES`` with its stress, and when it sounds, in seconds."""

    phone: Phone
    start: float
    end: float


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticSpeech:
    """What a program made of a reading; ``phones`` is None where the program does not tell them."""

    reading: Reading
    wave: np.ndarray
    sample_rate: int
    phones: tuple[TimedPhone, ...] | None

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.wave) / self.sample_rate


def require(engine: str) -> str:
    """The program's path; MissingExtra with the line that installs it, VoiceError for an engine that is not known."""
    if engine not in ENGINES:
        raise VoiceError(f"there is no synthesis engine {engine!r}; the engines are {', '.join(ENGINES)}")
    path = shutil.which(engine)
    if path is None:
        raise MissingExtra(f"the program {engine} is not installed and synthetic speech needs it; run: {INSTALL}")
    return path


def readings(
    texts: Iterable[str], seed: int, *, engines: Mapping[str, float] = TEACHERS, unseen: bool = False
) -> list[Reading]:
    """A voice, rate and pitch for each text, drawn from the seed; ``engines`` gives each program's share.

    ``unseen`` draws the voices kept for testing. Raises VoiceError for an engine without such voices.
    """
    draw = rng.stream(seed, "readings", unseen, *engines)
    names = list(engines)
    pool = {engine: (unseen_voices if unseen else training_voices)(engine) for engine in names}
    for engine, voices in pool.items():
        if engine not in ENGINES:
            raise VoiceError(f"there is no synthesis engine {engine!r}; the engines are {', '.join(ENGINES)}")
        if not voices:
            raise VoiceError(f"{engine} has no voices for training: it is held out for testing; ask for unseen voices")
    shares = np.array(list(engines.values())) / sum(engines.values())
    made = []
    for text in texts:
        engine = names[int(draw.choice(len(names), p=shares))]
        voice = pool[engine][int(draw.integers(len(pool[engine])))]
        rate = float(np.exp(draw.uniform(math.log(0.72), math.log(1.4))))
        pitch = float(np.exp(draw.uniform(math.log(0.78), math.log(1.35))))
        made.append(Reading(text=text, engine=engine, voice=voice.name, rate=round(rate, 3), pitch=round(pitch, 3)))
    return made


def speak(
    wanted: Iterable[Reading], *, sample_rate: int = LISTENING_RATE, workers: int = 2, batch: int = 64
) -> Iterator[SyntheticSpeech]:
    """Speaks the readings in their order, ``workers`` programs at a time.

    Festival starts slowly and so reads whole batches in one process. Raises MissingExtra for a program that is not
    installed, TextError for a text that cannot be read, AudioError for a program that fails.
    """
    remaining = iter(wanted)
    with ThreadPoolExecutor(workers) as pool, tempfile.TemporaryDirectory(prefix="vivavoce-") as folder:
        while group := list(islice(remaining, batch)):
            for engine in {reading.engine for reading in group}:
                require(engine)
            yield from _speak_group(group, Path(folder), sample_rate, pool, workers)


def _speak_group(
    group: list[Reading], folder: Path, sample_rate: int, pool: ThreadPoolExecutor, workers: int
) -> list[SyntheticSpeech]:
    singles = [index for index, reading in enumerate(group) if reading.engine != "festival"]
    together = [index for index, reading in enumerate(group) if reading.engine == "festival"]
    parts = [together[start::workers] for start in range(workers) if together[start::workers]]
    jobs = [pool.submit(_speak_one, group[index], folder / f"{index}.wav", sample_rate) for index in singles]
    scripts = [pool.submit(_festival, [group[i] for i in part], part, folder, sample_rate) for part in parts]
    made = {index: job.result() for index, job in zip(singles, jobs, strict=True)}
    for part, script in zip(parts, scripts, strict=True):
        made.update(zip(part, script.result(), strict=True))
    return [made[index] for index in range(len(group))]


def sayable(text: str) -> str:
    """The text as words and marks that every program reads alike; numbers and symbols are written out."""
    said = " ".join(word[:-1].upper() if word == "a." else word for word in read(text))
    return re.sub(r" ([,.?!])", r"\1", said)


def _run(command: list[str], reading: Reading, given: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise AudioError(
            f"{reading.engine} did not finish reading {reading.text[:40]!r}; try a shorter text"
        ) from error
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise AudioError(f"{reading.engine} could not read {reading.text[:40]!r} with voice {reading.voice!r}: {why}")
    return done.stdout


def _load(path: Path, reading: Reading, sample_rate: int) -> np.ndarray:
    try:
        wave, _ = read_audio(path, sample_rate)
    except AudioError as error:
        raise AudioError(f"{reading.engine} wrote no sound for {reading.text[:40]!r}; try another voice") from error
    path.unlink()
    return wave.numpy()


def _speak_one(reading: Reading, path: Path, sample_rate: int) -> SyntheticSpeech:
    text = sayable(reading.text)
    phones = None
    if reading.engine == "espeak-ng":
        _run(
            [
                "espeak-ng", "-v", reading.voice, "-s", str(round(175 * reading.rate)),
                "-p", str(_espeak_pitch(reading.pitch)), "-w", str(path), "--", text,
            ],
            reading,
        )  # fmt: skip
    else:
        lexicon = path.with_suffix(".lex")
        lexicon.write_text("".join(f"{word} nn : {_flite_form(word)}\n" for word in _explained(text)))
        printed = _run(
            ["flite", "-add_lex", str(lexicon), "-voice", reading.voice, *_flite_settings(reading), "-psdur",
             "-t", text, "-o", str(path)],
            reading,
        )  # fmt: skip
        lexicon.unlink()
        pairs = [mark.rsplit(":", 1) for mark in printed.split() if ":" in mark]
        phones = _timed([(name, float(end)) for name, end in pairs])
    return SyntheticSpeech(reading, _load(path, reading, sample_rate), sample_rate, phones)


def _espeak_pitch(factor: float) -> int:
    """The 0-99 of its -p, whose table runs from 38 to 254 Hz in even steps of pitch and has 1.0 at 50."""
    return min(max(round(50 + 100 * math.log(factor) / math.log(254 / 38)), 0), 99)


def _flite_settings(reading: Reading) -> list[str]:
    settings = ["--setf", f"duration_stretch={1 / reading.rate:.3f}"]
    if reading.voice in {"slt", "awb"}:  # statistical voices shift their own melody; rms leaves it as it is
        settings += ["--setf", f"f0_shift={reading.pitch:.3f}"]
    elif reading.voice == "kal16":
        settings += ["--setf", f"int_f0_target_mean={95 * reading.pitch:.1f}"]
    return settings


def _explained(text: str) -> list[str]:
    """The words of a text whose pronunciation is handed over."""
    return sorted({word for word in read(text) if word not in MARKS and word not in _TRUSTED and word.isalpha()})


def _foreign(phone: Phone) -> str:
    """The programs' name of a phone: lower case, and a schwa for the unstressed AH."""
    return "ax" if phone.symbol == "AH" and phone.stress == 0 else phone.symbol.lower()


def _flite_form(word: str) -> str:
    return " ".join(
        f"{_foreign(phone)}{min(phone.stress, 1)}" if phone.symbol in VOWELS else _foreign(phone)
        for phone in pronunciations(word)[0]
    )


def _festival_form(word: str) -> str:
    """Syllables as festival wants them: each vowel with the consonants before it, the last with what follows too."""
    phones = pronunciations(word)[0]
    syllables: list[tuple[list[str], int]] = []
    waiting: list[str] = []
    for phone in phones:
        waiting.append(_foreign(phone))
        if phone.symbol in VOWELS:
            syllables.append((waiting, min(phone.stress, 1)))
            waiting = []
    if not syllables:
        return f'("{word}" nil ((({" ".join(waiting)}) 0)))'
    syllables[-1][0].extend(waiting)
    return f'("{word}" nil ({" ".join(f"(({chr(32).join(names)}) {stress})" for names, stress in syllables)}))'


def _festival(group: list[Reading], names: list[int], folder: Path, sample_rate: int) -> list[SyntheticSpeech]:
    """Reads several texts in one process; each segment is printed with its reading's place in the group."""
    lines = []
    for place, (reading, name) in enumerate(zip(group, names, strict=True)):
        text = sayable(reading.text)
        lines.append(f"(voice_{reading.voice})")
        lines += [f"(lex.add.entry '{_festival_form(word)})" for word in _explained(text)]
        lines.append(f"(Parameter.set 'Duration_Stretch {1 / reading.rate:.3f})")
        if reading.voice.endswith("_diphone"):
            lines.append(
                f"(set! int_lr_params '((target_f0_mean {105 * reading.pitch:.1f}) (target_f0_std 14) "
                "(model_f0_mean 170) (model_f0_std 34)))"
            )
        lines.append(f'(set! u (utt.synth (Utterance Text "{text}")))')
        lines.append(f'(utt.save.wave u "{folder / f"{name}.wav"}" \'riff)')
        lines.append(
            f'(mapcar (lambda (s) (format t "{place} %s %f\\n" (item.name s) (item.feat s \'end))) '
            "(utt.relation.items u 'Segment))"
        )
    script = folder / f"{names[0]}.scm"
    script.write_text("\n".join(lines) + "\n")
    marks: list[list[tuple[str, float]]] = [[] for _ in group]
    for line in _run(["festival", "-b", str(script)], group[0]).splitlines():
        found = re.fullmatch(r"(\d+) (\S+) ([\d.]+)", line.strip())
        if found:
            marks[int(found[1])].append((found[2], float(found[3])))
    script.unlink()
    return [
        SyntheticSpeech(reading, _load(folder / f"{name}.wav", reading, sample_rate), sample_rate, _timed(ends))
        for reading, name, ends in zip(group, names, marks, strict=True)
    ]


def _timed(ends: Sequence[tuple[str, float]]) -> tuple[TimedPhone, ...]:
    """The programs' phones, each given by its end, in our alphabet; silences that follow each other are one."""
    timed: list[TimedPhone] = []
    start = 0.0
    for name, end in ends:
        phone = _ours(name)
        if timed and phone.symbol == SIL == timed[-1].phone.symbol:
            timed[-1] = TimedPhone(phone, timed[-1].start, end)
        else:
            timed.append(TimedPhone(phone, start, end))
        start = end
    return tuple(timed)


def _ours(name: str) -> Phone:
    bare = name.rstrip("012")
    symbol = {
        "pau": SIL,
        "h#": SIL,
        "brth": SIL,
        "ax": "AH",
        "axr": "ER",
        "ix": "IH",
        "el": "L",
        "en": "N",
        "dx": "T",
    }.get(bare, bare.upper())
    if symbol not in PHONE_IDS:
        raise AudioError(f"a synthesis program says the phone {name!r}, which has no place among ours; report the text")
    return Phone(symbol)
