"""Floats between -1 and 1 as 16-bit samples and back, for all of this package.

One is 32,768, as in libsndfile, FFmpeg and browsers: a power of two, so that every sample comes back as itself, here
and there. What would be +32,768 clips by one.
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int16

FULL_SCALE: Final = np.float32(32768)


def to_int16(wave: Float[np.ndarray, "*B N"]) -> Int16[np.ndarray, "*B N"]:
    """The nearest samples; what is beyond full scale is clipped."""
    return np.clip(np.rint(wave * FULL_SCALE), -32768, 32767).astype(np.int16)


def to_float(pcm: Int16[np.ndarray, "*B N"]) -> Float32[np.ndarray, "*B N"]:
    """The inverse of `to_int16`."""
    return pcm.astype(np.float32) / FULL_SCALE
