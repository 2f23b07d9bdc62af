"""Mel and pitch of recordings, computed once and kept."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.pitch import track_pitch
from vivavoce.core.atomic import atomic_write
from vivavoce.data.manifest import Record

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Features:
    """Mel and pitch of many clips, end to end; ``starts`` has one entry more than there are clips."""

    mel: np.ndarray  # float16 [N, M], a memory map
    hz: np.ndarray  # float16 [N]
    starts: np.ndarray

    def __len__(self) -> int:
        """Clips."""
        return len(self.starts) - 1

    def mel_of(self, clip: int) -> Float[Tensor, "T M"]:
        """Log-mel of a clip."""
        return torch.from_numpy(self.mel[self.starts[clip] : self.starts[clip + 1]].astype(np.float32))

    def hz_of(self, clip: int) -> Float[Tensor, " T"]:
        """Pitch of a clip in Hz, 0 where there is none."""
        return torch.from_numpy(self.hz[self.starts[clip] : self.starts[clip + 1]].astype(np.float32))


def features(clips: Sequence[Record], folder: Path, config: LogMelConfig, progress: Progress | None = None) -> Features:
    """The features of these clips in ``folder``, made now unless they are there and fit the clips and the config."""
    digest = hashlib.sha256(json.dumps([asdict(config), [str(clip.file) for clip in clips]]).encode()).hexdigest()
    index = folder / "features.json"
    if not (index.exists() and json.loads(index.read_text())["digest"] == digest):
        logmel = config.build()
        starts = [0]
        with (
            atomic_write(folder / "mel.f16") as mel_path,
            atomic_write(folder / "pitch.f16") as hz_path,
            mel_path.open("wb") as mel_file,
            hz_path.open("wb") as hz_file,
        ):
            for number, clip in enumerate(clips):
                wave = read_audio(clip.file, config.sample_rate, allow_silent=True)[0]
                wave = wave[: len(wave) // config.hop * config.hop]
                mel = logmel(wave[None])[0].T
                hz = track_pitch(wave, config.sample_rate).hz
                mel_file.write(mel.numpy().astype(np.float16).tobytes())
                hz_file.write(hz[: len(mel)].numpy().astype(np.float16).tobytes())
                starts.append(starts[-1] + len(mel))
                if progress is not None:
                    progress("features", number + 1, len(clips))
        with atomic_write(index) as temporary:
            temporary.write_text(json.dumps({"digest": digest, "starts": starts}))
    starts = np.array(json.loads(index.read_text())["starts"])
    mel = np.memmap(folder / "mel.f16", dtype=np.float16, mode="r").reshape(-1, config.bins)
    return Features(mel, np.fromfile(folder / "pitch.f16", dtype=np.float16), starts)
