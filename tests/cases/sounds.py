"""Recordings in every format that people bring, made here: by libsndfile, by PyAV, and byte by byte."""

import io
import struct
from functools import cache
from typing import Any

import numpy as np
import pytest
import soundfile

SECONDS = 2.0
_OF_SOUNDFILE: dict[str, tuple[Any, ...]] = {
    "wav": ("WAV", "PCM_16"), "wav-u8": ("WAV", "PCM_U8", 8000), "wav-24": ("WAV", "PCM_24", 48000, 2),
    "wav-float": ("WAV", "FLOAT"), "wav-double": ("WAV", "DOUBLE"), "wav-ulaw": ("WAV", "ULAW", 8000),
    "wav-alaw": ("WAV", "ALAW", 8000), "wav-ima": ("WAV", "IMA_ADPCM"), "wav-ms": ("WAV", "MS_ADPCM"),
    "wav-gsm": ("WAV", "GSM610", 8000), "wav-g721": ("WAV", "G721_32", 8000), "wavex": ("WAVEX", "PCM_24", 44100, 6),
    "rifx": ("WAV", "PCM_16", 16000, 1, "BIG"), "rf64": ("RF64", "PCM_16"), "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"), "aifc-ima": ("AIFF", "IMA_ADPCM"), "au": ("AU", "PCM_16"),
    "au-ulaw": ("AU", "ULAW", 8000), "caf": ("CAF", "PCM_16"), "caf-alac": ("CAF", "ALAC_16"),
    "flac": ("FLAC", "PCM_16"), "flac-24": ("FLAC", "PCM_24", 96000, 2), "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS", 24000), "mp3": ("MP3", "MPEG_LAYER_III"), "mp3-stereo": ("MP3", "MPEG_LAYER_III", 44100, 2),
    "nist": ("NIST", "PCM_16"), "voc": ("VOC", "PCM_16"), "svx": ("SVX", "PCM_16"), "ircam": ("IRCAM", "PCM_16"),
    "paf": ("PAF", "PCM_16"), "pvf": ("PVF", "PCM_16"), "avr": ("AVR", "PCM_16"), "htk": ("HTK", "PCM_16"),
    "wve": ("WVE", "ALAW", 8000),
}  # fmt: skip
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_OF_PYAV: dict[str, tuple[Any, ...]] = {
    "webm": ("webm", "libopus"), "webm-live": ("webm", "libopus", 48000, True, {"live": "1"}),
    "mkv-pcm": ("matroska", "pcm_s16le"), "mkv-flac": ("matroska", "flac"), "m4a": ("ipod", "aac", 44100),
    "mp4-live": ("mp4", "aac", 48000, True, _FRAGMENTS), "mov-alac": ("mov", "alac", 44100),
    "mp4-opus": ("mp4", "libopus"),
    "aac": ("adts", "aac", 44100), "caf-of-ios": ("caf", "alac", 44100), "3gp": ("3gp", "amr_nb", 8000),
    "amr": ("amr", "amr_nb", 8000), "ac3": ("ac3", "ac3"), "avi": ("avi", "pcm_s16le", 44100),
    "flv": ("flv", "aac", 44100),
    "mpegts": ("mpegts", "aac"), "wavpack": ("wv", "wavpack", 44100), "tta": ("tta", "tta", 44100),
    "ogg-flac": ("ogg", "flac"), "wav-pipe": ("wav", "pcm_s16le", 16000, True),
    "flac-pipe": ("flac", "flac", 16000, True),
    "mp3-tagged": ("mp3", "libmp3lame", 44100), "wav-mp3": ("wav", "libmp3lame", 44100),
}  # fmt: skip
NEEDS_PYAV = frozenset(_OF_PYAV) - {"wav-pipe", "flac-pipe", "mp3-tagged", "wav-mp3"}
"""What only PyAV reads."""
FORMATS = (*_OF_SOUNDFILE, *_OF_PYAV)


def tone(rate: int = 16000, seconds: float = SECONDS, channels: int = 1) -> np.ndarray:
    """A voice-like hum, Float[N, C]."""
    time = np.arange(int(rate * seconds)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    return np.stack([wave] * channels, axis=1).astype(np.float32)


@cache
def sound(name: str, seconds: float = SECONDS) -> bytes:
    """The file of that kind; the test is skipped when the program that makes it is missing."""
    if name in _OF_SOUNDFILE:
        return written(*_OF_SOUNDFILE[name], seconds=seconds)
    pytest.importorskip("av", reason="PyAV (the extra 'serve') makes and reads this format")
    return encoded(*_OF_PYAV[name], seconds=seconds)


class _Forwards(soundfile.SoundFile):
    """Written front to end, which codecs that cannot seek want."""

    def seekable(self) -> bool:
        return False


def written(
    container: str, codec: str, rate: int = 16000, channels: int = 1, endian: str = "FILE", seconds: float = SECONDS
) -> bytes:
    """A file of libsndfile's."""
    memory = io.BytesIO()
    with _Forwards(memory, "w", rate, channels, format=container, subtype=codec, endian=endian) as file:
        file.write(tone(rate, seconds, channels))
    return memory.getvalue()


class _Pipe(io.RawIOBase):
    """What cannot seek back to write how long it became."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def encoded(
    container: str, codec: str, rate: int = 48000, piped: bool = False, options: dict[str, str] | None = None,
    seconds: float = SECONDS, wave: np.ndarray | None = None,
) -> bytes:  # fmt: skip
    """A file of FFmpeg's."""
    import av

    memory: Any = _Pipe() if piped else io.BytesIO()
    with av.open(memory, "w", format=container, options=options or {}) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout="mono")
        samples = ((tone(rate, seconds) if wave is None else wave).T * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return bytes(memory.data) if piped else memory.getvalue()


def patched(data: bytes, after: bytes, layout: str, value: int, skip: int = 0) -> bytes:
    """The same bytes with another number behind a mark."""
    place = data.index(after) + len(after) + skip
    return data[:place] + struct.pack(layout, value) + data[place + struct.calcsize(layout) :]


def wav(samples: np.ndarray, rate: int, subtype: str = "FLOAT") -> bytes:
    """A WAV of these samples."""
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format="WAV", subtype=subtype)
    return memory.getvalue()


def tagged(data: bytes, picture: int = 100_000) -> bytes:
    """With ID3 tags and a picture in front, and a tag of the first kind behind."""
    frame = (
        b"APIC"
        + bytes([picture >> shift & 127 for shift in (21, 14, 7, 0)])
        + b"\0\0"
        + b"\xff\xfb\x90" * (picture // 3 + 1)
    )
    body = frame[: 10 + picture]
    size = bytes([len(body) >> shift & 127 for shift in (21, 14, 7, 0)])
    return b"ID3\4\0\0" + size + body + data + b"TAG" + b"A title".ljust(125, b"\0")


def top_level(data: bytes) -> dict[str, bytes]:
    """The boxes of an MP4 by name."""
    found, place = {}, 0
    while place + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[place : place + 8])
        found[name.decode()] = data[place : place + size]
        place += size
    return found
