"""Named random streams: the same seed and names always give the same numbers, whatever else draws."""

import hashlib
from dataclasses import dataclass

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


@dataclass(slots=True)
class Uniforms:
    """Numbers in [0, 1), each a function of the seed and of how many came before: can be copied, kept and gone on with.

    A row of a batch owns one, so what is drawn for it depends on nothing else.
    """

    seed: int
    drawn: int = 0

    def __call__(self) -> float:
        """The next number."""
        self.drawn += 1
        return (_digest(self.seed, (self.drawn,)) >> 11) / (1 << 53)
