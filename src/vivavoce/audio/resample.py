"""Changing the sample rate, through soxr: a whole wave at once, or chunk by chunk with the same result."""

from typing import final

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor


def resample(wave: Float[Tensor, "*C N"], rate: int, to: int, quality: str = "HQ") -> Float[Tensor, "*C M"]:
    """The same sound at another rate; the length is ``N * to / rate`` rounded."""
    if rate == to:
        return wave
    flat = wave.detach().cpu().to(torch.float32).reshape(wave.shape[:-1].numel(), wave.shape[-1]).numpy()
    made = soxr.resample(np.ascontiguousarray(flat.T), rate, to, quality=quality)
    return torch.from_numpy(np.ascontiguousarray(made.T)).reshape(*wave.shape[:-1], -1)


@final
class Resampler:
    """Resamples one channel as it arrives; soxr keeps the filter's memory, so there is one per conversation.

    Output lags the input by the filter's delay; ``flush`` gives what is left. The pieces joined equal `resample`.
    """

    def __init__(self, rate: int, to: int, quality: str = "HQ") -> None:
        """From ``rate`` to ``to`` samples per second."""
        self.rate, self.to = rate, to
        self._stream = None if rate == to else soxr.ResampleStream(rate, to, 1, dtype="float32", quality=quality)

    def step(self, wave: Float[Tensor, " N"]) -> Float[Tensor, " M"]:
        """What became ready with these samples; nothing in gives nothing out."""
        return self._run(wave, last=False)

    def flush(self) -> Float[Tensor, " M"]:
        """The rest; the resampler cannot be used afterwards."""
        return self._run(torch.zeros(0), last=True)

    def _run(self, wave: Float[Tensor, " N"], last: bool) -> Float[Tensor, " M"]:
        if self._stream is None or (wave.numel() == 0 and not last):
            return wave
        made = self._stream.resample_chunk(np.ascontiguousarray(wave.numpy(), dtype=np.float32), last=last)
        return torch.from_numpy(made)
