"""Resampling for endless streams: any of a client's rates, a frame out for a frame in, with little delay.

What resamples files and replies (`formats`) holds back up to 70 ms to do so well; this holds back 3 ms.
"""

from fractions import Fraction

import numpy as np
import torch

from vivavoce.audio.polyphase import RationalConfig
from vivavoce.runtime.model import RATE, Pcm
from vivavoce.server.formats import Decoder, Encoder


class Resampler:
    """From one rate to another: ``up`` samples for every ``down``, and what is left over waits for the rest."""

    def __init__(self, rate: int, to: int) -> None:
        ratio = Fraction(to, rate)
        self._down = ratio.denominator
        self._convert = RationalConfig(rate=rate, up=ratio.numerator, down=ratio.denominator).build()
        self._state = self._convert.init_state(1)
        self._rest = np.zeros(0, np.float32)

    @torch.inference_mode()
    def __call__(self, pcm: Pcm) -> Pcm:
        """The samples that became ready."""
        pcm = np.concatenate((self._rest, pcm))
        whole = len(pcm) // self._down * self._down
        self._rest = pcm[whole:]
        return self._convert.step(torch.from_numpy(pcm[None, :whole]), self._state)[0].numpy()


class StreamDecoder:
    """Bytes of a client, cut anywhere, to samples at 24 kHz."""

    def __init__(self, name: str, rate: int) -> None:
        self._decode = Decoder(name, resampled=False)
        self._resample = None if rate == RATE else Resampler(rate, RATE)

    def __call__(self, data: bytes) -> Pcm:
        """The samples that became ready."""
        pcm = self._decode(data)
        return pcm if self._resample is None else self._resample(pcm)


class StreamEncoder:
    """Frames at 24 kHz to bytes for a client, equally many for each."""

    def __init__(self, name: str, rate: int) -> None:
        self._encode = Encoder(name, resampled=False)
        self._resample = None if rate == RATE else Resampler(RATE, rate)

    def __call__(self, pcm: Pcm) -> bytes:
        """The bytes of a frame."""
        return self._encode(pcm if self._resample is None else self._resample(pcm))
