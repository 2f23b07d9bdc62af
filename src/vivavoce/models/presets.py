"""Voices that a part brings along: prints by name, kept as buffers."""

import torch
from torch import Tensor, nn

from vivavoce.core.errors import VoiceError
from vivavoce.nn.style import VoicePrint


class Presets(nn.Module):
    """A module with the prints of some voices."""

    voices_vector: Tensor
    voices_mean: Tensor
    voices_spread: Tensor
    voices_pitch: Tensor
    voices_liveliness: Tensor

    def __init__(self, voices: tuple[str, ...], vector: int, bins: int) -> None:
        """Names, and the sizes of a print's vector and spectrum; the prints are set by `bring`."""
        super().__init__()
        self.voices = voices
        shapes = {"vector": (vector,), "mean": (bins,), "spread": (bins,)}
        for name in ("vector", "mean", "spread", "pitch", "liveliness"):
            self.register_buffer(f"voices_{name}", torch.zeros(len(voices), *shapes.get(name, ())))

    def preset(self, name: str) -> VoicePrint:
        """A voice that is brought along; VoiceError names those that there are."""
        if name not in self.voices:
            raise VoiceError(f"there is no voice {name!r}; choose one of {', '.join(self.voices) or 'none'}")
        index = self.voices.index(name)
        prints = (self.voices_vector, self.voices_mean, self.voices_spread, self.voices_pitch, self.voices_liveliness)
        return VoicePrint(*(values[index] for values in prints))

    def bring(self, name: str, who: VoicePrint) -> None:
        """Sets a voice that the configuration names."""
        index = self.voices.index(name)
        self.voices_vector[index] = who.vector
        self.voices_mean[index] = who.mean
        self.voices_spread[index] = who.spread
        self.voices_pitch[index] = who.pitch
        self.voices_liveliness[index] = who.liveliness
