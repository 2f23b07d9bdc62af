"""Recordings in, sound files out: whatever people bring is read, and what is wrong is said in one sentence."""

import io
import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.decode import Damage, blocks, recognised, stated_seconds
from vivavoce.audio.resample import Resampler
from vivavoce.audio.source import Part, Source
from vivavoce.core.atomic import atomic_write, check_writable
from vivavoce.core.errors import AudioError

log = logging.getLogger(__name__)

_SILENT_PEAK = 1e-4  # -80 dB: below the last bit of telephone sound
_LOUDEST_PEAK = 1e3  # beyond this, samples are no floats of full scale 1
_MOST_SAMPLES = 1 << 30
"""What is kept of one recording, 4 GiB: twelve hours at 24 kHz."""
_MOST_PIPED = 1 << 31
SYNTHETIC = "synthetic speech, made by vivavoce"
"""The comment of every file with sound that nobody said."""
SYNTHETIC_SOUND = "synthetic sound, made by vivavoce"
"""The same for what is no speech."""
_SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".opus": "OGG", ".mp3": "MP3"}


@dataclass(frozen=True, slots=True)
class Recording:
    """What was read: one channel of floats in [-1, 1]; ``warning`` is a sentence when not all of it was there."""

    wave: Float[Tensor, " N"]
    sample_rate: int
    warning: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.wave) / self.sample_rate


def read_recording(
    recording: str | Path | bytes,
    sample_rate: int | None = None,
    *,
    name: str = "",
    allow_silent: bool = False,
    limit_seconds: int | float | None = None,
    first_seconds: int | float | None = None,
) -> Recording:
    """A recording (a path, or the bytes of a file) as one channel, resampled when ``sample_rate`` is given.

    The bytes decide what it is, not its name. Recordings that are joined (chained Ogg, MP3 end to end) follow each
    other. One that breaks off is read to there, and ``warning`` says so. Channels are averaged, or the loudest is
    taken where they cancel each other out. ``first_seconds`` reads only the beginning. ``name`` is what sentences call
    it, by default its path.

    Raises AudioError when there is no such file, no audio in it, none of it can be read, it is empty, not finite,
    longer than ``limit_seconds``, or silent (unless ``allow_silent``), and MissingExtra when only PyAV could read it.
    """
    with _source(recording, name) as source:
        sound = _Sound(source, sample_rate, limit_seconds, first_seconds)
        trouble = Damage()
        for part in recognised(source):
            if not sound.enough:
                sound.take(part, trouble)
        wave = sound.finish()
        if not len(wave):
            raise AudioError(
                f"{source.name} contains no sound (0 samples{_reasons(trouble)}); record it again or copy it again"
            )
        if not allow_silent and sound.peak < _SILENT_PEAK:
            raise AudioError(f"{source.name} is silent; check the microphone or its level and record it again")
        warning = ""
        if trouble.found:
            seconds = len(wave) / sound.to
            warning = f"the recording is not whole, {seconds:.2f} s of it were read{_reasons(trouble)}; copy it again"
        return Recording(torch.from_numpy(wave), sound.to, warning)


def read_audio(
    recording: str | Path,
    sample_rate: int | None = None,
    *,
    allow_silent: bool = False,
    limit_seconds: int | float | None = None,
) -> tuple[Float[Tensor, " N"], int]:
    """`read_recording` for those who want samples and rate alone; a warning goes to the log."""
    read = read_recording(recording, sample_rate, allow_silent=allow_silent, limit_seconds=limit_seconds)
    if read.warning:
        log.warning("%s: %s", recording, read.warning)
    return read.wave, read.sample_rate


def length_of(recording: str | Path | bytes, *, name: str = "") -> tuple[float, str]:
    """Seconds of a recording and what is wrong with it (or nothing), by its header where that can be trusted.

    Raises AudioError as `read_recording` does.
    """
    with _source(recording, name) as source:
        parts = recognised(source)
        stated = [stated_seconds(source, part) for part in parts]
        if all(seconds is not None for seconds in stated) and not any(part.missing for part in parts):
            return sum(seconds for seconds in stated if seconds is not None), ""
    read = read_recording(recording, name=name, allow_silent=True)
    return read.seconds, read.warning


class _Sound:
    """One channel of the parts of a recording at one rate, as they are decoded."""

    def __init__(self, source: Source, rate: int | None, limit: int | float | None, first: int | float | None) -> None:
        self.source, self.rate, self.limit, self.first = source, rate, limit, first
        self.to = rate or 0
        self.peak = 0.0
        self._seconds = 0.0
        self._pieces: list[np.ndarray] = []
        self._kept = 0

    @property
    def enough(self) -> bool:
        """Whether all that was asked for is there."""
        return self.first is not None and self._seconds >= self.first

    def take(self, part: Part, trouble: Damage) -> None:
        """Reads a part; once more with its loudest channel alone if its channels cancel each other out."""
        before = len(self._pieces), self._kept, self._seconds
        mixed, energies = self._read(part, trouble, None)
        if len(energies) > 1 and mixed < 0.01 * energies.max():
            del self._pieces[before[0] :]
            _, self._kept, self._seconds = before
            self._read(part, trouble, int(energies.argmax()))

    def finish(self) -> np.ndarray:
        """All of it."""
        wave = self._pieces[0] if len(self._pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *self._pieces])
        return wave if self.first is None else wave[: round(self.first * self.to)]

    def _read(self, part: Part, trouble: Damage, channel: int | None) -> tuple[float, np.ndarray]:
        """The energy of what was kept, and that of each channel."""
        kept, energies = 0.0, np.zeros(1)
        resampler: Resampler | None = None
        for block, rate in blocks(self.source, part, trouble):
            self._check_values(block)
            self.to = self.to or rate
            if resampler is None or resampler.rate != rate:
                self._flush(resampler)
                resampler = Resampler(rate, self.to)
            if block.shape[1] == 1:
                wave = block[:, 0].copy()
            else:
                each = np.einsum("nc,nc->c", block, block, dtype=np.float64)
                energies = each + (energies if len(energies) == len(each) else 0)
                wave = block.mean(axis=1) if channel is None else block[:, min(channel, block.shape[1] - 1)].copy()
                kept += float(np.dot(wave, wave))
            self._seconds += len(wave) / rate
            self._check_length(self._seconds)
            self._keep(resampler.step(torch.from_numpy(wave)).numpy())
            if self.enough:
                break
        self._flush(resampler)
        return kept, energies

    def _flush(self, resampler: Resampler | None) -> None:
        if resampler is not None and resampler.rate != resampler.to:
            self._keep(resampler.flush().numpy())

    def _keep(self, wave: np.ndarray) -> None:
        self._kept += len(wave)
        if self._kept > _MOST_SAMPLES:
            hours = _MOST_SAMPLES / self.to / 3600
            raise AudioError(f"{self.source.name} is longer than {hours:.0f} h, which is too much at once; cut it up")
        self._pieces.append(wave)

    def _check_length(self, seconds: float) -> None:
        if self.limit is not None and seconds > self.limit:
            raise AudioError(f"{self.source.name} is too long: at most {self.limit:g} s are taken; cut it up")

    def _check_values(self, block: np.ndarray) -> None:
        peak = max(float(block.max()), -float(block.min()))  # NaN where there is one
        if not peak < np.inf:
            raise AudioError(
                f"{self.source.name} contains values that are not numbers (NaN or infinity); export it again"
            )
        if peak > _LOUDEST_PEAK:
            raise AudioError(f"{self.source.name} has samples of {peak:g} where full scale is 1; divide them by 32768")
        self.peak = max(self.peak, peak)


def _reasons(trouble: Damage) -> str:
    return f": {', '.join(trouble.found)}" if trouble.found else ""


@contextmanager
def _source(recording: str | Path | bytes, name: str) -> Iterator[Source]:
    """The bytes of a recording; a pipe is read to its end first."""
    if isinstance(recording, bytes):
        name = name or "the recording"
        if not recording:
            raise AudioError(f"{name} is empty (0 bytes); record or copy it again")
        yield Source(io.BytesIO(recording), name)
        return
    path = Path(recording)
    name = name or str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"there is no file {path}, it is a folder; give the recording itself")
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed below)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise AudioError(
            f"{name} cannot be read ({getattr(error, 'strerror', None) or error}); check the path and the permissions"
        ) from error
    with file:
        if stat.S_ISREG(mode):
            source = Source(file, name)
        else:
            with io.BufferedReader(file) as reader:
                piped = reader.read(_MOST_PIPED + 1)
            if len(piped) > _MOST_PIPED:
                raise AudioError(f"{name} gives more than {_MOST_PIPED >> 30} GiB; cut it up")
            source = Source(io.BytesIO(piped), name)
        if not source.size:
            raise AudioError(f"{name} is an empty file; record or copy it again")
        yield source


def check_target(path: str | Path) -> None:
    """Raises what `write_audio` would for this path, as far as it can be known before there is any sound."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise AudioError(f"cannot write {Path(path).name}: {suffix or 'no suffix'} is none of {', '.join(_FORMATS)}")
    check_writable(path)


def write_audio(
    path: str | Path, wave: Float[Tensor, "C N"] | Float[Tensor, " N"], sample_rate: int, *, comment: str = ""
) -> None:
    """Writes floats in [-1, 1] (what is beyond is clipped) in the format of the suffix; whole or not at all.

    WAV and FLAC are 16-bit; ``comment`` is kept beside the sound, `SYNTHETIC` for what nobody said. Calls in this
    package always give one, an empty one for what is not synthetic, so that none is forgotten. Raises AudioError for an
    unknown suffix or a rate that the format does not know, and StorageError when nothing can be written.
    """
    path = Path(path)
    check_target(path)
    suffix = path.suffix.lower()
    data = wave.detach().to("cpu", torch.float32).reshape(-1, wave.shape[-1]).clamp(-1, 1).numpy().T
    encoded = io.BytesIO()  # libsndfile does not say why it cannot write a file, the system does
    try:
        with soundfile.SoundFile(
            encoded, "w", sample_rate, data.shape[1], _SUBTYPES[suffix], format=_FORMATS[suffix]
        ) as file:
            if comment:
                file.comment = comment
            file.write(data)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"cannot write {path.name} at {sample_rate} Hz: {_reason(error)}; choose another format"
        ) from error
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _reason(error: Exception) -> str:
    return str(error).rsplit(":", 1)[-1].strip().rstrip(".") or type(error).__name__
