"""Sound files in and out through libsndfile: whatever it reads goes in, and what is wrong is said in one sentence."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import AudioError

_SILENT_PEAK = 1e-4  # -80 dB: below the last bit of telephone sound
_STREAMED = (0, 0xFFFFFFFF, 0x7FFFFFFF)  # sizes that programs write into a WAV header when they cannot seek back
_SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".opus": "OGG", ".mp3": "MP3"}


def read_audio(
    path: str | Path,
    sample_rate: int | None = None,
    *,
    allow_silent: bool = False,
    limit_seconds: int | float | None = None,
) -> tuple[Float[Tensor, "C N"], int]:
    """A sound file as floats in [-1, 1] and its rate, resampled when ``sample_rate`` is given.

    Raises AudioError when the file is missing, no audio, empty, cut off, not finite, longer than ``limit_seconds``, or
    silent (unless ``allow_silent``).
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"there is no file {path}; check the path")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is an empty file; record or copy it again")
    missing = _wav_bytes_missing(path)
    if missing:
        raise AudioError(f"{path} is cut off: {missing} bytes of sound are missing at its end; copy it again")
    try:
        with soundfile.SoundFile(path) as file:
            rate, frames = file.samplerate, file.frames
            if limit_seconds is not None and frames > limit_seconds * rate:
                raise AudioError(
                    f"{path} is {frames / rate:.0f} s long and at most {limit_seconds:g} s are taken; cut it up"
                )
            data = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"{path} is not audio that can be read ({_reason(error)}); wanted WAV, FLAC, Ogg or MP3"
        ) from error
    if len(data) == 0:
        raise AudioError(f"{path} contains no sound (0 samples); record it again")
    if len(data) < frames:
        raise AudioError(f"{path} is cut off: {len(data)} of {frames} samples are there; copy it again")
    if not np.isfinite(data).all():
        raise AudioError(f"{path} contains values that are not numbers (NaN or infinity); export it again")
    if not allow_silent and float(np.abs(data).max()) < _SILENT_PEAK:
        raise AudioError(f"{path} is silent; check the microphone or its level and record it again")
    wave = torch.from_numpy(np.ascontiguousarray(data.T))
    if sample_rate is not None and sample_rate != rate:
        return resample(wave, rate, sample_rate), sample_rate
    return wave, rate


def write_audio(path: str | Path, wave: Float[Tensor, "C N"] | Float[Tensor, " N"], sample_rate: int) -> None:
    """Writes floats in [-1, 1] (what is beyond is clipped) in the format of the suffix; whole or not at all.

    WAV and FLAC are 16-bit. Raises AudioError for an unknown suffix or a rate that the format does not know, and
    StorageError when nothing can be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise AudioError(f"cannot write {path.name}: {suffix or 'no suffix'} is none of {', '.join(_FORMATS)}")
    data = wave.detach().to("cpu", torch.float32).reshape(-1, wave.shape[-1]).clamp(-1, 1).numpy().T
    encoded = io.BytesIO()  # libsndfile does not say why it cannot write a file, the system does
    try:
        soundfile.write(encoded, data, sample_rate, format=_FORMATS[suffix], subtype=_SUBTYPES[suffix])
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"cannot write {path.name} at {sample_rate} Hz: {_reason(error)}; choose another format"
        ) from error
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def mono(wave: Float[Tensor, "C N"]) -> Float[Tensor, " N"]:
    """The mean of the channels, or the loudest one where they cancel each other out."""
    mixed = wave.mean(dim=0)
    energies = wave.square().sum(dim=1)
    if mixed.square().sum() < 0.01 * energies.max():
        return wave[int(energies.argmax())]
    return mixed


def pad_to(wave: Float[Tensor, "*B N"], multiple: int) -> Float[Tensor, "*B M"]:
    """The wave with zeros behind it, up to the next multiple of a hop."""
    return torch.nn.functional.pad(wave, (0, -wave.shape[-1] % multiple))


def _wav_bytes_missing(path: Path) -> int:
    """How many bytes the data chunk of a RIFF file promises beyond the end of the file; libsndfile does not say."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return 0 if length in _STREAMED else max(0, file.tell() + length - size)
            file.seek(length + length % 2, 1)
    return 0


def _reason(error: Exception) -> str:
    return str(error).rsplit(":", 1)[-1].strip().rstrip(".") or type(error).__name__
