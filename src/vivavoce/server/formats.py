"""Sound on the wire: 16-bit PCM at 24 kHz and G.711 telephone sound at 8 kHz, both ways, piece by piece."""

import numpy as np
import soxr

from vivavoce.audio.pcm import FULL_SCALE, to_float, to_int16
from vivavoce.core.errors import ProtocolError
from vivavoce.runtime.model import RATE, Pcm

PHONE_RATE = 8000


def _mulaw_table() -> np.ndarray:
    """All 256 codes of G.711 mu-law as 16-bit samples."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    size = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_table() -> np.ndarray:
    """All 256 codes of G.711 A-law as 16-bit samples."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _coder(table: np.ndarray) -> np.ndarray:
    """The nearest code for each of the 65,536 samples."""
    order = np.argsort(table, kind="stable")
    values = table[order].astype(np.int32)
    samples = np.arange(-FULL_SCALE, FULL_SCALE)
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, samples)
    return order[nearest].astype(np.uint8)


TABLES: dict[str, np.ndarray] = {"audio/pcmu": _mulaw_table(), "audio/pcma": _alaw_table()}
CODERS: dict[str, np.ndarray] = {name: _coder(table) for name, table in TABLES.items()}


def rate_of(name: str) -> int:
    """The rate of a format where a client names none."""
    return RATE if name == "audio/pcm" else PHONE_RATE


class Decoder:
    """Bytes of a client to samples at 24 kHz; one for each stream, because resampling remembers."""

    def __init__(self, name: str, *, resampled: bool = True) -> None:
        """Without ``resampled`` the samples stay at the client's rate."""
        self.name = name
        phone = name != "audio/pcm" and resampled
        self._resample = soxr.ResampleStream(PHONE_RATE, RATE, 1, dtype="float32") if phone else None
        self._half = b""
        """The first byte of a sample whose second one is still to come."""

    def __call__(self, data: bytes, last: bool = False) -> Pcm:
        """The samples that became ready, with ``last`` all of them; ProtocolError when the last one is but half."""
        if self.name == "audio/pcm":
            if last and (len(self._half) + len(data)) % 2:
                message = "The sound ends with half of a 16-bit sample; append the byte that is missing, or clear it."
                raise ProtocolError(message)
            data = self._half + data
            whole = len(data) // 2 * 2
            data, self._half = data[:whole], data[whole:]
            return to_float(np.frombuffer(data, "<i2"))
        low = to_float(TABLES[self.name][np.frombuffer(data, np.uint8)])
        return low if self._resample is None else self._resample.resample_chunk(low, last=last)


class Encoder:
    """Samples at 24 kHz to bytes for a client; one for each reply."""

    def __init__(self, name: str, *, resampled: bool = True) -> None:
        """Without ``resampled`` the samples are at the client's rate already."""
        self.name = name
        phone = name != "audio/pcm" and resampled
        self._resample = soxr.ResampleStream(RATE, PHONE_RATE, 1, dtype="float32") if phone else None

    def __call__(self, pcm: Pcm, last: bool = False) -> bytes:
        """The bytes that became ready; with ``last`` everything."""
        if self._resample is not None:
            pcm = self._resample.resample_chunk(np.ascontiguousarray(pcm, np.float32), last=last)
        whole = to_int16(pcm)
        if self.name == "audio/pcm":
            return whole.astype("<i2").tobytes()
        return CODERS[self.name][whole.astype(np.int32) + int(FULL_SCALE)].tobytes()
