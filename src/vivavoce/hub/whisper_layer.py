"""What Whisper's encoder makes of sound, as features of units: the last layer, as CTranslate2 computes it.

Frames are means of ``stride`` frames at 50 Hz. All of the sound is seen, up to 30 seconds at once, so such units cannot
be streamed.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.streaming import Timing
from vivavoce.core.streams import Latents, Stream, Wave, alphabet_of
from vivavoce.hub.whisper import RATE, WINDOW_SECONDS, Whisper, whisper_of

_FRAME = 320
_MARGIN_SECONDS = 1.0
"""Silence that the encoder sees behind the sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperLayerConfig:
    """Which Whisper, and the digest of its weights: the ids of units mean nothing with others."""

    model: str
    weights: str
    dim: int = 512
    stride: int = 2
    fitted: bool = False
    """The window ends a second after the sound and not after 30: a tenth of the work for a short sound."""

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return RATE

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return _FRAME * self.stride

    def build(self) -> "WhisperLayer":
        """The module; PartError where the model is missing or another one."""
        return WhisperLayer(self, whisper_of(self.model))


def whisper_layer(model: str, stride: int = 2, *, fitted: bool = False) -> WhisperLayerConfig:
    """The configuration for a Whisper of this machine, by name or folder; PartError where it was not fetched."""
    whisper = whisper_of(model)
    dim = _encoded(whisper, np.zeros(RATE, np.float32), fitted=True).shape[1]
    return WhisperLayerConfig(model=model, weights=_digest(whisper.folder), dim=dim, stride=stride, fitted=fitted)


@lru_cache
def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()[:16]


def _encoded(whisper: Whisper, wave: np.ndarray, *, fitted: bool) -> np.ndarray:
    """Frames at 50 Hz of at most 30 seconds."""
    model: Any = whisper.plain()
    if fitted:
        enough = -(-len(wave) * 100 // RATE // 50) * 50 + int(100 * _MARGIN_SECONDS)
        model.how.frames = min(round(100 * WINDOW_SECONDS), enough)
    mel = model.feature_extractor(np.pad(wave, (0, int((WINDOW_SECONDS + _MARGIN_SECONDS) * RATE))))
    made = np.array(model.encode(mel[:, : round(100 * WINDOW_SECONDS)]))
    return made.reshape(-1, made.shape[-1])[: -(-len(wave) // _FRAME)]


@final
class WhisperLayer(nn.Module):
    """A front without weights of its own: they stay in Whisper's file."""

    def __init__(self, config: WhisperLayerConfig, whisper: Whisper) -> None:
        """PartError when the file's weights are not those that the configuration names."""
        super().__init__()
        if (found := _digest(whisper.folder)) != config.weights:
            raise PartError(
                f"{config.model} on this machine has the weights {found}, these units are of {config.weights}; "
                "fetch the model that they were made with, or make them again"
            )
        self.config, self._whisper = config, whisper

    @property
    def timing(self) -> Timing:
        """Raises ConfigError: there is none."""
        raise ConfigError("Whisper's encoder sees 30 seconds at once; its units cannot be streamed")

    @property
    def wave(self) -> Wave:
        """What it hears."""
        return Wave(sample_rate=RATE)

    def spec(self) -> Latents:
        """The frames that it gives."""
        c = self.config
        return Latents(name="whisper", alphabet=alphabet_of("whisper", dump(c)), dim=c.dim, rate=Fraction(RATE, c.hop))

    def encode(self, sound: Stream[Wave]) -> Stream[Latents]:
        """Sound to frames, row by row."""
        sound.expect(self.wave)
        rows = [
            self(row[None, :, :length])[0].T for row, length in zip(sound.data, sound.lengths.tolist(), strict=True)
        ]
        data = nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)
        return Stream(self.spec(), data, torch.tensor([len(row) for row in rows]))

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """Row by row, in windows of 28 seconds."""
        rows = []
        for row in wave[:, 0].numpy():
            pieces = np.split(row, range(28 * RATE, len(row), 28 * RATE))
            rows.append(np.concatenate([self._encoded(piece) for piece in pieces]))
        frames = torch.from_numpy(np.stack(rows)).float()
        short = -frames.shape[1] % self.config.stride
        frames = torch.cat((frames, frames[:, frames.shape[1] - 1 :].expand(-1, short, -1)), dim=1) if short else frames
        return frames.unflatten(1, (-1, self.config.stride)).mean(2).transpose(1, 2)

    def _encoded(self, wave: Float[np.ndarray, " N"]) -> Float[np.ndarray, "T D"]:
        return _encoded(self._whisper, np.ascontiguousarray(wave), fitted=self.config.fitted)
