"""Named random streams: the same seed and names always give the same numbers, whatever else draws."""

import hashlib

import numpy as np
import torch


def _digest(seed: int, names: tuple[object, ...]) -> int:
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def stream(seed: int, *names: object) -> np.random.Generator:
    """NumPy generator of the stream ``seed/names…``."""
    return np.random.default_rng(_digest(seed, names))


def torch_stream(seed: int, *names: object, device: str = "cpu") -> torch.Generator:
    """Torch generator of the stream ``seed/names…`` on a device."""
    return torch.Generator(device).manual_seed(_digest(seed, names) % (1 << 63))
