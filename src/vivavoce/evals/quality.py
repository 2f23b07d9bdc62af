"""How well coded sound keeps what it was: intelligibility, quality and how evenly the tokens are used."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.resample import resample

_RATE = 16_000


def stoi(clean: Float[Tensor, " N"], coded: Float[Tensor, " N"], sample_rate: int) -> float:
    """Short-time objective intelligibility (Taal 2011), 0 to 1."""
    from pystoi import stoi as measure

    return float(measure(clean.numpy(), coded.numpy(), sample_rate))


def pesq(clean: Float[Tensor, " N"], coded: Float[Tensor, " N"], sample_rate: int) -> float:
    """PESQ wideband (ITU-T P.862.2) at 16 kHz, about 1 to 4.6."""
    from pesq import pesq as measure

    pair = [resample(wave, sample_rate, _RATE).numpy() for wave in (clean, coded)]
    return float(measure(_RATE, pair[0], pair[1], "wb"))


def dnsmos(wave: Float[Tensor, " N"], sample_rate: int) -> float:
    """Overall opinion as DNSMOS P.835 predicts it, 1 to 5."""
    from speechmos import dnsmos as measure

    sound = resample(wave, sample_rate, _RATE).clamp(-1, 1).numpy()
    found: Any = measure.run(sound, sr=_RATE)
    return float(found["ovrl_mos"])


def entropy(codes: Int[Tensor, " N"], size: int) -> float:
    """Bits that a token of one book carries on its own; log2 of ``size`` when all are used alike."""
    count = np.bincount(codes.numpy(), minlength=size).astype(float)
    share = count[count > 0] / count.sum()
    return float(-(share * np.log2(share)).sum())
