"""What comes back out of tokens: quality, intelligibility, the voice, and the words that others hear in it.

On lossless recordings of dev people and on LibriSpeech test-clean, which is only ever reported. Opus stands beside the
codecs where libopus can be reached, and Codec 2 where its programs are installed.
"""

import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.audio.resample import resample
from vivavoce.core.errors import PartError
from vivavoce.data.choosing import in_turns, named, of_each, ranked
from vivavoce.data.manifest import Record, recordings
from vivavoce.evals import intervals, quality
from vivavoce.evals.report import Row
from vivavoce.evals.speakers import SpeakerSpace, cepstra
from vivavoce.evals.tokenizers import Tokenizer
from vivavoce.evals.word_errors import distance, plain

Samples = Float[Tensor, " N"]
GROUPS = {"dev": "dev people, lossless", "test": "LibriSpeech test-clean"}
SPELLED = ("an4",)
"""Sources of letters and figures, which recognisers do not write as they are said: words are not compared there."""
OPUS_KBITS = (6, 12)
CODEC2_BITS = (1200, 3200)
"""A second: two of the rates that its programs know."""
_CODEC2_RATE, _CODEC2_DELAY = 8_000, 160
"""Samples a second, and by how many of them its sound lags (loudness and STOI agree best there)."""
_RATE = 16_000
_MEL = LogMelConfig(sample_rate=_RATE, bins=80, hop=160, window=400, n_fft=512, fmax=8000.0)


def sound_rows(todo: Sequence[Tokenizer], suite: Any, speech: Path, say: Callable[[str], None]) -> dict[str, list[Row]]:
    """Rows by tokenizer; the originals, Opus and Codec 2 have tables of their own."""
    judge = voice_judge(speech)
    hear = recogniser(suite.ears, say)
    ways: dict[str, Callable[[Samples, int], Samples] | None] = {"originals": None}
    ways |= {one.name: one.resynthesize for one in todo}
    ways |= {f"Opus at {kbits} kbit/s": opus for kbits in OPUS_KBITS if (opus := opus_at(kbits)) is not None}
    ways |= {f"Codec 2 at {b / 1000:g} kbit/s": low for b in CODEC2_BITS if (low := codec2_at(b)) is not None}
    found: dict[str, list[Row]] = {name: [] for name in ways}
    for name, bits in (
        *((f"Opus at {kbits} kbit/s", float(kbits)) for kbits in OPUS_KBITS),
        *((f"Codec 2 at {b / 1000:g} kbit/s", b / 1000) for b in CODEC2_BITS),
    ):
        if name in found:
            found[name].append(Row(name="bit rate", value=intervals.Estimate(bits, bits, bits, 1), unit="kbit/s"))
    for split, group in GROUPS.items():
        clips = chosen(speech, split, suite.clips)
        for name, way in ways.items():
            found[name] += _rows(clips, way, group, judge, hear)
            shown = "; ".join(f"{row.name} {row.shown()}" for row in found[name][-8:] if row.value is not None)
            say(f"{name}: {shown}")
    return found


def chosen(speech: Path, split: str, count: int) -> list[Record]:
    """Lossless recordings of 2 to 10 s with a text, one of each speaker before a second of any."""
    clips = recordings(speech, split, lang="en", least_rate=_RATE, seconds=(2.0, 10.0), text=True, lossless=True)
    return in_turns(ranked(clips))[:count]


def _rows(
    clips: Sequence[Record],
    way: Callable[[Samples, int], Samples] | None,
    group: str,
    judge: SpeakerSpace | None,
    hear: Callable[[Samples], str] | None,
) -> list[Row]:
    """Measured on one group; what only compares with an original is left out for originals."""
    columns: dict[str, list[float]] = {}
    wrong, totals = [], []
    for clip in clips:
        wave = read_audio(clip.file, _RATE)[0]
        made = wave if way is None else way(wave, _RATE)[: len(wave)]
        made = torch.nn.functional.pad(made, (0, len(wave) - len(made)))
        values = {"DNSMOS": quality.dnsmos(made, _RATE)}
        if way is not None:
            values |= {
                "PESQ-WB": quality.pesq(wave, made, _RATE),
                "STOI": quality.stoi(wave, made, _RATE),
                "mel distance": mel_distance(wave, made),
                "SI-SDR, dB": si_sdr(wave, made),
            }
            if judge is not None:
                values["speaker similarity"] = float(judge.vector(wave, _RATE) @ judge.vector(made, _RATE))
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
        if hear is not None and clip.source not in SPELLED:
            said = plain(clip.text or "")
            wrong.append(distance(said, plain(hear(made))))
            totals.append(len(said))
    rows = [Row(name=f"{name}, {group}", value=intervals.mean(values), unit="") for name, values in columns.items()]
    heard = intervals.ratio(wrong, totals) if totals else None
    return [*rows, Row(name=f"word errors, {group}", value=heard)]


def mel_distance(wave: Samples, made: Samples) -> float:
    """Mean absolute difference of log-mel frames (nats)."""
    front = _MEL.build()
    return float((front(wave[None]) - front(made[None])).abs().mean())


def si_sdr(wave: Samples, made: Samples) -> float:
    """Scale-invariant ratio of signal and distortion in dB (Le Roux 2019); far below 0 where phases are not kept."""
    wave, made = wave - wave.mean(), made - made.mean()
    part = (made @ wave) / (wave @ wave).clamp(min=1e-12) * wave
    return float(10 * torch.log10((part @ part).clamp(min=1e-12) / ((made - part) @ (made - part)).clamp(min=1e-12)))


def opus_at(kbits: int) -> Callable[[Samples, int], Samples] | None:
    """There and back through Opus; None where PyAV or libopus is missing."""
    try:
        import av
        from av.codec import Codec as Known

        Known("libopus", "w")
    except Exception:  # what is missing is said by many kinds of errors
        return None

    def way(wave: Samples, rate: int) -> Samples:
        high = resample(wave, rate, 48_000).clamp(-1, 1)
        pcm = np.pad(to_int16(high.numpy()), (0, -len(high) % 960))[None]
        file = io.BytesIO()
        with av.open(file, "w", format="ogg") as made:
            stream = made.add_stream("libopus", rate=48_000, layout="mono")
            stream.bit_rate = kbits * 1000
            stream.options = {"application": "voip", "vbr": "off", "frame_duration": "20"}
            for begin in range(0, pcm.shape[1], 960):
                piece = np.ascontiguousarray(
                    np.pad(pcm[:, begin : begin + 960], ((0, 0), (0, max(0, begin + 960 - pcm.shape[1]))))
                )
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts = 48_000, begin
                made.mux(stream.encode(frame))
            made.mux(stream.encode(None))
        file.seek(0)
        with av.open(file, "r") as read:
            parts = [frame.to_ndarray() for frame in read.decode(audio=0)]
        sound = np.concatenate(parts, axis=1)[0]
        sound = to_float(sound) if sound.dtype == np.int16 else sound
        return resample(torch.from_numpy(sound), 48_000, rate)[: len(wave)]

    return way


def codec2_at(bits: int) -> Callable[[Samples, int], Samples] | None:
    """There and back through Codec 2 at so many bits a second; None where c2enc and c2dec are not installed.

    It is of telephone bandwidth, and its sound is not the wave again: waves compare badly.
    """
    hearing, speaking = shutil.which("c2enc"), shutil.which("c2dec")
    if hearing is None or speaking is None:
        return None

    def way(wave: Samples, rate: int) -> Samples:
        low = resample(wave, rate, _CODEC2_RATE).clamp(-1, 1)
        given = to_int16(np.pad(low.numpy(), (0, _CODEC2_RATE // 10))).astype("<i2").tobytes()
        for program in (hearing, speaking):
            given = subprocess.run([program, str(bits), "-", "-"], input=given, capture_output=True, check=True).stdout
        made = to_float(np.frombuffer(given, "<i2"))[_CODEC2_DELAY:]
        return resample(torch.from_numpy(made), _CODEC2_RATE, rate)[: len(wave)]

    return way


def voice_judge(speech: Path) -> SpeakerSpace | None:
    """A judge of voices that learnt from training people; None where there are too few."""
    seen: set[str] = set()
    taught = []
    for clip in of_each(filter(named, recordings(speech, "train", lang="en", seconds=(3.0, 12.0))), 4):
        seen.add(clip.speaker)
        if len(seen) <= 120:
            taught.append((clip.speaker, cepstra(*read_audio(clip.file))))
    return SpeakerSpace(taught) if len(seen) >= 20 else None


def recogniser(name: str, say: Callable[[str], None]) -> Callable[[Samples], str] | None:
    """What a Whisper hears in sound at 16 kHz."""
    if not name:
        return None
    from vivavoce.hub.whisper import Wanted, whisper_of

    try:
        whisper = whisper_of(name)
    except PartError as error:
        say(f"word errors are not measured: {error}")
        return None

    def hear(wave: Samples) -> str:
        heard = whisper.transcribe(wave.numpy(), Wanted(language="en", beam=1, careful=False))
        return " ".join(word.text for word in heard.words)

    return hear
