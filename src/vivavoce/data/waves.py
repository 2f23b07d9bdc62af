"""Decoded sound in one memory-mapped file, so that training never decodes a clip twice.

Samples are 16-bit at one rate, clip after clip. The index beside them holds a digest of what they were made from
(paths, sizes, times, rate); a cache that no longer fits is made again.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import mono, read_audio
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import AudioError

_FULL_SCALE = 32767


@final
class WaveCache:
    """Clips by number: ``cache.samples(3, 0, 24000)``."""

    def __init__(self, path: Path, starts: Sequence[int]) -> None:
        """``starts`` has one entry more than there are clips; use `WaveCache.of`."""
        self._data = np.memmap(path, dtype=np.int16, mode="r")
        self._starts = np.asarray(starts, dtype=np.int64)

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        sample_rate: int,
        folder: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> "WaveCache":
        """The cache of these clips in ``folder``, made now unless it is there and fits.

        Raises AudioError for clips that cannot be read, and StorageError when the disk is full.
        """
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.exists()]
        if len(stats) < len(paths):
            raise AudioError(
                f"{len(paths) - len(stats)} of {len(paths)} clips are missing; check the manifest's folder"
            )
        digest = hashlib.sha256(json.dumps([sample_rate, stats]).encode()).hexdigest()
        sound, index = folder / f"waves-{sample_rate}.i16", folder / f"waves-{sample_rate}.json"
        if index.exists() and sound.exists():
            known = json.loads(index.read_text())
            if known["digest"] == digest and sound.stat().st_size == 2 * known["starts"][-1]:
                return cls(sound, known["starts"])
        starts = [0]
        with atomic_write(sound) as temporary, open(temporary, "wb") as file:
            for number, path in enumerate(paths):
                wave = mono(read_audio(path, sample_rate, allow_silent=True)[0])
                file.write((wave.clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16).numpy().tobytes())
                starts.append(starts[-1] + len(wave))
                if progress is not None:
                    progress(number + 1, len(paths))
        with atomic_write(index) as temporary:
            temporary.write_text(json.dumps({"digest": digest, "starts": starts}))
        return cls(sound, starts)

    def __len__(self) -> int:
        """Clips."""
        return len(self._starts) - 1

    def length(self, clip: int) -> int:
        """Samples in a clip."""
        return int(self._starts[clip + 1] - self._starts[clip])

    def samples(self, clip: int, start: int = 0, count: int | None = None) -> Float[Tensor, " N"]:
        """A piece of a clip in [-1, 1]; what lies beyond its end is left out."""
        first = int(self._starts[clip]) + start
        last = int(self._starts[clip + 1]) if count is None else min(first + count, int(self._starts[clip + 1]))
        return torch.from_numpy(self._data[first:last].astype(np.float32) / _FULL_SCALE)
