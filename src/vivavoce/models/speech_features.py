"""What a speech encoder makes of sound, layer by layer, through which a gradient reaches the sound (StyleTTS 2 §3.2.3).

The encoder is a published or trained one (`models.encoder`: HuBERT, WavLM, wav2vec 2.0) or the trunk of a listener; a
judge of its features (`SpeechJudge`) tells recordings from made speech.
"""

from dataclasses import replace
from itertools import pairwise
from math import gcd
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from vivavoce.audio.polyphase import Rational, RationalConfig, RationalState
from vivavoce.models.encoder import Encoder
from vivavoce.models.listener import ListenerTrunk

_CHUNK = 2560
"""Samples that sound is filled up to, at the encoder's rate."""


@final
class SpeechFeatures(nn.Module):
    """All layers of a speech encoder, one above the other; nothing of it is learnt by whoever uses it so."""

    def __init__(self, encoder: Encoder | ListenerTrunk, sample_rate: int) -> None:
        """For sound at ``sample_rate``, which is brought to the encoder's."""
        super().__init__()
        if isinstance(encoder, Encoder) and encoder.config.front_gradient != 1.0:
            whole = replace(encoder.config, front_gradient=1.0).build()  # how it was trained is not how it judges
            whole.load_state_dict(encoder.state_dict())
            encoder = whole.eval()
        self.encoder = encoder
        heard = encoder.config.front.sample_rate if isinstance(encoder, Encoder) else encoder.mel.config.sample_rate
        common = gcd(heard, sample_rate)
        up, down = heard // common, sample_rate // common
        self.convert: Rational | None = None
        if up != down:
            self.convert = RationalConfig(rate=sample_rate, up=up, down=down).build()
            self._past = self.convert.filters.shape[2] - down

    @property
    def dim(self) -> int:
        """Width of the layers together."""
        trunk = self.encoder.config.trunk if isinstance(self.encoder, Encoder) else self.encoder.trunk.config
        return trunk.dim * (trunk.layers + 1)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B D T"]:
        """Features of whole recordings."""
        if self.convert is not None:
            wave = pad(wave, (0, -wave.shape[1] % self.convert.config.down))
            wave = self.convert.step(wave, RationalState(wave.new_zeros(len(wave), self._past)))
        if isinstance(self.encoder, Encoder):
            layers = self.encoder(wave).layers
        else:
            layers = self.encoder.layers(self.encoder.mel(pad(wave, (0, -wave.shape[1] % _CHUNK))))
        return torch.cat(layers, dim=2).transpose(1, 2)


@final
class SpeechJudge(nn.Module):
    """Convolutions over the features: a score per frame, high for recordings."""

    def __init__(self, inputs: int, channels: int = 64) -> None:
        """Widths double twice."""
        super().__init__()
        self.enter = nn.Conv1d(inputs, channels, 1)
        widths = (channels, 2 * channels, 4 * channels, 4 * channels)
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in pairwise(widths))
        self.score = nn.Conv1d(widths[-1], 1, 3, padding=1)

    def forward(self, features: Float[Tensor, "B D T"]) -> Float[Tensor, "B 1 T"]:
        """Scores."""
        x = self.enter(features)
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.1)
        return self.score(x)
