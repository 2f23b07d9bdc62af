"""Speakers side by side on the same texts: are they understood, whom do they sound like, how fast, what fails.

After the protocol of Seed-TTS-eval (arXiv:2406.02430 §3.1), on people of our own: somebody's clip is the prompt, the
text of another recording of the same person is to be said, and that recording is what a perfect speaker would give. No
single number is quality: two recognisers, the share of the way from strangers to the same person's sound coded and
decoded, DNSMOS, and Fréchet's distance on Whisper's frames stand beside each other.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.assistant.saying import Streamer, together
from vivavoce.audio.files import SYNTHETIC, read_audio, write_audio
from vivavoce.audio.loudness import active_level_db
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ManifestError, VivavoceError
from vivavoce.core.streams import sound
from vivavoce.core.talk import Word
from vivavoce.core.voice import Consent, Voice
from vivavoce.data.choosing import in_turns, ranked
from vivavoce.data.manifest import Record, recordings
from vivavoce.data.synthesis import Reading, speak
from vivavoce.evals import intervals, quality
from vivavoce.evals.listening import Log
from vivavoce.evals.melody import melody
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.speakers import SpeakerSpace
from vivavoce.evals.sphinx import Sphinx
from vivavoce.evals.token_sound import SPELLED, recogniser, voice_judge
from vivavoce.evals.word_errors import distance, matched, plain
from vivavoce.hub.whisper_layer import whisper_layer
from vivavoce.models.codec import Codec
from vivavoce.runtime.model import RATE

Samples = Float[Tensor, " N"]
_RATE = 16_000
_MINUTE = 60 * RATE
_WORDS_A_MINUTE = 220  # what is read quickly
_SECONDS, _PROMPT_SECONDS = (2.0, 12.0), (3.0, 10.0)
_SKIPPED, _REPEATED, _CUT = 3, 1.3, 2
"""Words in a row that are missed, words heard for each that was to be said, words missed at the end: failures."""
_SILENT = 1e-3


@dataclass(frozen=True, slots=True)
class Trial:
    """Somebody's clip, what is to be said, and the person saying it; another recording is what voices are judged by."""

    prompt: Record
    target: Record
    other: Record


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a task; seconds until it began to sound where it was handed on while it was made."""

    wave: Samples
    rate: int
    first: float | None = None
    synthetic: bool = True


@dataclass(slots=True)
class Judged:
    """What one speaker made of the tasks, one entry for each."""

    whisper: list[int] = field(default_factory=list)
    sphinx: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    likeness: list[float] = field(default_factory=list)
    opinion: list[float] = field(default_factory=list)
    octaves: list[float] = field(default_factory=list)
    length: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)


def tasks(speech: Path, count: int) -> list[Trial]:
    """From people of no training with three recordings, one of each before a second of any; the same ones every time.

    Raises ManifestError where there are none.
    """
    by_person: dict[str, list[Record]] = {}
    for clip in (clip for split in ("test", "dev") for clip in recordings(speech, split, lang="en", text=True)):
        if clip.source not in SPELLED and _SECONDS[0] <= clip.seconds <= _SECONDS[1]:
            by_person.setdefault(clip.speaker, []).append(clip)
    made: list[Trial] = []
    targets = in_turns(ranked([clip for own in by_person.values() if len(own) > 2 for clip in own]))
    for target in targets:
        others = [clip for clip in ranked(by_person[target.speaker]) if clip is not target and clip.text != target.text]
        prompts = [clip for clip in others if _PROMPT_SECONDS[0] <= clip.seconds <= _PROMPT_SECONDS[1]]
        left = [clip for clip in others if prompts and clip is not prompts[0]]
        if left:
            made.append(Trial(prompts[0], target, left[0]))
    if not made:
        raise ManifestError(
            f"nobody of the splits test and dev of {speech} has three recordings with texts; give another folder"
        )
    return made[:count]


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges; nobody of them was trained with a speaker. Without a Whisper its rows are left out."""

    people: SpeakerSpace | None
    sphinx: Sphinx
    whisper: Callable[[Samples], str] | None
    frames: Callable[[Samples], np.ndarray] | None


def judges(speech: Path, whisper: str, say: Log = print) -> Judges:
    """Those that there are; ``speech`` teaches the judge of voices, from training people."""
    hear = recogniser(whisper, say)
    if hear is None:
        return Judges(voice_judge(speech), Sphinx(), None, None)
    encoder = whisper_layer(whisper, stride=1, fitted=True).build()
    return Judges(voice_judge(speech), Sphinx(), hear, lambda wave: encoder(wave[None, None])[0].T.numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class TtsSuite:
    """What is measured beyond the tasks.

    ``own``: speakers use their own voices, as those that imitate nobody always do. ``minutes`` is how long each reads
    at a stretch, not at all by default. ``sounds`` is a folder for what everybody said.
    """

    own: bool = False
    minutes: float = 0.0
    sounds: Path | None = None


_PLAIN = TtsSuite()


def run(
    speakers: Mapping[str, Streamer],
    codec: Codec,
    todo: Sequence[Trial],
    by: Judges,
    suite: TtsSuite = _PLAIN,
    say: Log = print,
) -> Report:
    """A table for each speaker, for flite and espeak-ng, and for the people themselves, whole and through a codec."""
    report = Report("tts", {"sentences": len(todo), "people": len({one.target.speaker for one in todo})})

    def real(task: Trial) -> Made:
        return Made(*read_audio(task.target.file), synthetic=False)

    def coded(task: Trial) -> Made:
        rate = codec.config.sample_rate
        wave = read_audio(task.target.file, rate)[0]
        return Made(codec.decode(codec.encode(sound(wave, rate))).data[0, 0, : len(wave)], rate, synthetic=False)

    def machine(engine: str, voice: str) -> Callable[[Trial], Made]:
        def way(task: Trial) -> Made:
            made = next(iter(speak([Reading(text=task.target.text or "", engine=engine, voice=voice)])))
            return Made(torch.as_tensor(made.wave).float(), made.sample_rate)

        return way

    ways: dict[str, Callable[[Trial], Made]] = {"people": real, "people, through the codec": coded}
    readers: dict[str, tuple[Streamer, bool]] = {}
    for name, stream in speakers.items():
        own = suite.own or not stream.imitates
        readers[f"{name}, its own voice" if own else name] = (stream, own)
    ways |= {name: _spoken(*reader) for name, reader in readers.items()}
    ways |= {"flite": machine("flite", "slt"), "espeak-ng": machine("espeak-ng", "en-us")}
    found = {name: _measured(name, way, todo, by, suite.sounds, say) for name, way in ways.items()}
    strangers, (people, through, *_) = _strangers(todo, by.people), found.values()
    for name, one in found.items():
        rows = _rows(one, people, through, strangers)
        if suite.minutes and (reader := readers.get(name)):
            try:
                rows += drift(*_read(*reader, todo, suite.minutes), by)
            except VivavoceError as error:
                say(f"{name}, reading: {error}")
        report.tables.append(Table(name, rows))
    return report


def _voice(task: Trial, own: bool) -> Voice:
    return Voice() if own else Voice.like(task.prompt.file, Consent("a corpus under an open licence"))


def _spoken(stream: Streamer, own: bool) -> Callable[[Trial], Made]:
    """What a speaker says, and when it begins to sound."""

    def said(task: Trial) -> Made:
        began, first, pieces = time.perf_counter(), None, []
        for pcm, words in stream(task.target.text or "", _voice(task, own), 0):
            if first is None and len(pcm):
                first = time.perf_counter() - began
            pieces.append((pcm, words))
        return Made(torch.from_numpy(together(pieces)[0]), RATE, first)

    return said


def _read(stream: Streamer, own: bool, todo: Sequence[Trial], minutes: float) -> tuple[Samples, Sequence[Word]]:
    """One reading of all texts, over and over, in the first task's voice, for so long."""
    words = " ".join(f"{(task.target.text or '').rstrip('.')}." for task in todo).split()
    wanted = int(minutes * _WORDS_A_MINUTE)
    text = " ".join((words * (1 + wanted // max(1, len(words))))[:wanted])
    pieces, samples = [], 0
    for pcm, said in stream(text, _voice(todo[0], own), 0):
        pieces.append((pcm, said))
        samples += len(pcm)
        if samples >= minutes * _MINUTE:
            break
    pcm, said = together(pieces)
    return torch.from_numpy(pcm), said


def drift(wave: Samples, words: Sequence[Word], by: Judges) -> list[Row]:
    """What the last minute of a reading at 24 kHz has become, beside the first one."""
    size = min(_MINUTE, len(wave) // 2)
    wrong, levels, heights, counts, voices = [], [], [], [], []
    for begin in (0, len(wave) - size):
        wanted = [one for word in words if begin <= word.start < begin + size for one in plain(word.text)]
        part = resample(wave[begin : begin + size], RATE, _RATE)
        heard = plain(by.whisper(part)) if by.whisper else by.sphinx.words(part, _RATE)
        wrong.append(intervals.ratio([distance(wanted, heard)], [len(wanted)]) if wanted else None)
        levels.append(active_level_db(part, _RATE))
        heights.append(melody(part, _RATE).pitch_hz)
        counts.append(len(wanted))
        voices += [] if by.people is None else [by.people.vector(part, _RATE)]
    found = {
        "louder by": (levels[1] - levels[0], "dB"),
        "higher by": (float(np.log2(heights[1] / heights[0])), "octaves"),
        "words in a minute, beside the first minute's": (counts[1] / max(1, counts[0]), ""),
    }
    if voices:
        found["likeness to the first minute (cosine)"] = (float(voices[0] @ voices[1]), "")
    after = f"of {len(wave) / _MINUTE:.1f} minutes at a stretch"
    return [
        Row(name="word errors, first minute", value=wrong[0], remark=after),
        Row(name="word errors, last minute", value=wrong[1], remark=after),
        *(
            Row(name=f"last minute: {name}", value=intervals.Estimate(value, value, value, 1), unit=unit, remark=after)
            for name, (value, unit) in found.items()
        ),
    ]


def _measured(
    name: str, way: Callable[[Trial], Made], todo: Sequence[Trial], by: Judges, sounds: Path | None, say: Log
) -> Judged:
    found = Judged()
    for number, task in enumerate(todo, 1):
        wanted = plain(task.target.text or "")
        began = _processor_seconds()
        try:
            made = way(task)
        except VivavoceError as error:
            say(f"{name}: {task.target.text!r}: {error}")
            made = Made(torch.zeros(_RATE // 10), _RATE)
        found.busy.append(_processor_seconds() - began)
        found.first += [] if made.first is None else [made.first]
        if sounds is not None:
            folder = sounds / "".join(sign if sign.isalnum() else "-" for sign in name)
            write_audio(folder / f"{number:02}.ogg", made.wave, made.rate, comment=SYNTHETIC if made.synthetic else "")
        wave = resample(made.wave.float(), made.rate, _RATE)
        heard = plain(by.whisper(wave)) if by.whisper else by.sphinx.words(wave, _RATE)
        why = failure(wanted, heard, wave)
        if why:
            say(f"{name}: {why}: {' '.join(wanted)!r} was heard as {' '.join(heard)!r}")
        found.words.append(len(wanted))
        found.whisper.append(distance(wanted, heard))
        found.sphinx.append(distance(wanted, by.sphinx.words(wave, _RATE)))
        found.opinion.append(quality.dnsmos(wave, _RATE))
        found.seconds.append(len(wave) / _RATE)
        found.length.append(len(wave) / _RATE / task.target.seconds)
        pitch = [melody(one, at).pitch_hz for one, at in ((wave, _RATE), read_audio(task.other.file))]
        found.octaves.append(abs(float(np.log2(pitch[0] / pitch[1]))) if min(pitch) > 0 else float("nan"))
        if by.people is not None:
            voice = by.people.vector(*read_audio(task.other.file))
            found.likeness.append(float(by.people.vector(wave, _RATE) @ voice))
        if by.frames is not None:
            found.frames.append(by.frames(wave))
        found.failed.append(bool(why))
    say(f"{name}: {sum(found.whisper)} of {sum(found.words)} words wrong, {sum(found.failed)} of {len(todo)} failed")
    return found


def _processor_seconds() -> float:
    """Of this process and of programs that it ran."""
    return sum(os.times()[:4])


def failure(wanted: Sequence[str], heard: Sequence[str], wave: Samples) -> str:
    """What is plainly wrong with a sentence: silence, an end that is cut, words skipped or repeated; else empty."""
    if not len(wave) or float(wave.abs().max()) < _SILENT:
        return "silence"
    right = matched(heard, wanted)
    if len(wanted) > _CUT and not any(right[-_CUT:]):
        return "a cut ending"
    missed = longest = 0
    for one in right:
        missed = 0 if one else missed + 1
        longest = max(longest, missed)
    if longest >= _SKIPPED:
        return "words skipped"
    return "words repeated" if len(heard) > _REPEATED * len(wanted) + 1 else ""


def frechet(first: Float[np.ndarray, "T D"], second: Float[np.ndarray, "U D"]) -> float:
    """Fréchet's distance of two clouds of frames, taken as Gaussian (Heusel 2017, arXiv:1706.08500 §1)."""
    means, spreads = zip(*((one.mean(0), np.cov(one, rowvar=False)) for one in (first, second)), strict=True)
    # the trace of the root of a product of two covariances: of the roots of its eigenvalues, which are no less than 0
    values = np.linalg.eigvals(spreads[0] @ spreads[1]).real.clip(min=0)
    away = float(((means[0] - means[1]) ** 2).sum())
    return max(0.0, away + float(np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * np.sqrt(values).sum()))


def _strangers(todo: Sequence[Trial], people: SpeakerSpace | None) -> float:
    """How alike recordings of different people are, on average."""
    if people is None:
        return float("nan")
    voices = {task.target.speaker: people.vector(*read_audio(task.other.file)) for task in todo}
    pairs = [float(a @ b) for who, a in voices.items() for other, b in voices.items() if who < other]
    return float(np.mean(pairs)) if pairs else float("nan")


def _rows(found: Judged, people: Judged, through: Judged, strangers: float) -> list[Row]:
    rows = []
    if found.frames:
        rows.append(Row(name="word errors, Whisper", value=intervals.ratio(found.whisper, found.words)))
    rows.append(Row(name="word errors, pocketsphinx", value=intervals.ratio(found.sphinx, found.words)))
    if found.likeness:
        way = [value - strangers for value in found.likeness]
        whole = [value - strangers for value in through.likeness]
        rows.append(Row(name="likeness (cosine)", value=intervals.mean(found.likeness), unit=""))
        rows.append(
            Row(
                name="likeness, from strangers to the same person's coded sound",
                value=intervals.ratio(way, whole) if sum(whole) > 0 else None,
            )
        )
    rows.append(Row(name="DNSMOS", value=intervals.mean(found.opinion), unit=""))
    if found.frames:
        away = frechet(np.concatenate(found.frames), np.concatenate(people.frames))
        rows.append(
            Row(
                name="Fréchet distance to people, Whisper's frames",
                value=intervals.Estimate(away, away, away, len(found.frames)),
                unit="",
            )
        )
    heights = [value for value in found.octaves if value == value]
    rows += [
        Row(name="pitch away from the person's (octaves)", value=intervals.mean(heights) if heights else None, unit=""),
        Row(name="length beside the person's", value=intervals.mean(found.length), unit=""),
        Row(
            name="time to the first sound",
            value=intervals.mean([1000 * value for value in found.first]) if found.first else None,
            unit="ms",
        ),
        Row(name="processor time for a second of sound", value=intervals.ratio(found.busy, found.seconds), unit="s"),
        Row(name="sentences that fail", value=intervals.share(found.failed), remark="silent, cut, skipped, repeated"),
    ]
    return rows
