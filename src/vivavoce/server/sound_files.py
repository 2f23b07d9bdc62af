"""Uploaded sound to samples, and samples to the bytes of a sound file while they are being made."""

import io
import struct
from typing import Any, Literal

import numpy as np
import soundfile

from vivavoce.audio.files import SYNTHETIC, read_recording
from vivavoce.audio.pcm import to_int16
from vivavoce.runtime.model import RATE, Pcm

FileFormat = Literal["mp3", "opus", "flac", "wav", "pcm"]
MEDIA = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}


def read_upload(data: bytes, name: str, *, limit_seconds: float = 3600.0, allow_silent: bool = True) -> tuple[Pcm, str]:
    """An uploaded file as one channel at 24 kHz, and a warning when not all of it was there, or nothing.

    Raises AudioError that says what is wrong with it.
    """
    read = read_recording(data, RATE, name=name or "the file", allow_silent=allow_silent, limit_seconds=limit_seconds)
    return read.wave.numpy(), read.warning


class FileEncoder:
    """Bytes of a sound file, piece by piece; a WAV header says that the length is not known.

    FLAC comes as a whole at the end, because its header without a length is refused by many readers. All but bare
    samples say in a comment that they are synthetic.
    """

    def __init__(self, name: FileFormat) -> None:
        self._name = name
        self._memory = io.BytesIO()
        self._sent = 0
        self._started = False
        self._file: soundfile.SoundFile | None = None
        if name in _CODECS:
            container, codec = _CODECS[name]
            # at a constant rate readers know how long an MP3 is even without the header that comes last
            more: dict[str, Any] = {"bitrate_mode": "CONSTANT", "compression_level": 0.5} if name == "mp3" else {}
            self._file = soundfile.SoundFile(self._memory, "w", RATE, 1, subtype=codec, format=container, **more)
            self._file.comment = SYNTHETIC

    def __call__(self, pcm: Pcm) -> bytes:
        """What these samples add."""
        if self._file is not None:
            self._file.write(np.clip(pcm, -1, 1))
            return b"" if self._name == "flac" else self._fresh()
        head = b"" if self._started or self._name == "pcm" else _wav_header()
        self._started = True
        return head + to_int16(pcm).astype("<i2").tobytes()

    def finish(self) -> bytes:
        """The end of the file."""
        if self._file is None:
            return b"" if self._started or self._name == "pcm" else _wav_header()
        self._file.close()
        return self._fresh()

    def close(self) -> None:
        """Ends the file, whole or not: left to the interpreter it may be written to after its memory is gone."""
        if self._file is not None:
            self._file.close()

    def _fresh(self) -> bytes:
        with self._memory.getbuffer() as view:
            fresh = bytes(view[self._sent :])
        self._sent += len(fresh)
        return fresh


def _wav_header() -> bytes:
    """RIFF for a stream of unknown length, with the comment before the sound, where readers of streams see it."""
    comment = SYNTHETIC.encode() + b"\0" * (2 - len(SYNTHETIC) % 2)  # ends by a zero byte, chunks are of even length
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    head += struct.pack("<4sI4s4sI", b"LIST", 12 + len(comment), b"INFO", b"ICMT", len(comment)) + comment
    return head + struct.pack("<4sI", b"data", 0xFFFFFFFF)


def whole_file(pcm: Pcm, name: FileFormat) -> bytes:
    """A complete file with a true header, which says as `FileEncoder` does that it is synthetic."""
    if name == "pcm":
        return to_int16(pcm).astype("<i2").tobytes()
    container, codec = _CODECS.get(name, ("WAV", "PCM_16"))
    memory = io.BytesIO()
    with soundfile.SoundFile(memory, "w", RATE, 1, subtype=codec, format=container) as file:
        file.comment = SYNTHETIC
        file.write(np.clip(pcm, -1, 1))
    return memory.getvalue()
