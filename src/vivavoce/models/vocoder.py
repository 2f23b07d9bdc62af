"""Vocoders: log-mel frames to sound, by one of three generators that are trained against judges.

`HifiganConfig` and `IstftnetConfig` see frames on both sides and make whole recordings; `VocosConfig` looks only
backwards. Systems that draw mel frames say with `Vocoder.mel` which frames it was trained on.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.audio.mel import LogMel, LogMelConfig
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import Latents, Stream, Wave, alphabet_of
from vivavoce.nn.conv import ConvConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.hifigan import InverseHead, Upsampler, UpsamplerConfig, WaveHead
from vivavoce.nn.spectral import SpectralHeadConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HifiganConfig:
    """HiFi-GAN (arXiv:2010.05646): transposed convolutions down to samples."""

    up: UpsamplerConfig = UpsamplerConfig()

    @property
    def inputs(self) -> int:
        """Mel bins."""
        return self.up.inputs

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.up.stride

    def build(self) -> "UpsampledWave":
        """The module."""
        return UpsampledWave(self.up, WaveHead(self.up.outputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class IstftnetConfig:
    """iSTFTNet (arXiv:2203.02395): fewer of them, and an inverse transform for the last factor."""

    up: UpsamplerConfig = UpsamplerConfig(strides=(10, 6), kernels=(20, 12))
    window: int = 20
    last_hop: int = 5

    @property
    def inputs(self) -> int:
        """Mel bins."""
        return self.up.inputs

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.up.stride * self.last_hop

    def build(self) -> "UpsampledWave":
        """The module."""
        return UpsampledWave(self.up, InverseHead(self.up.outputs, self.window, self.last_hop))


@dataclass(frozen=True, slots=True, kw_only=True)
class VocosConfig:
    """Vocos (arXiv:2306.00814), causal: a stack at one frame rate, and an inverse transform for all of it."""

    inputs: int = 80
    trunk: ConvNeXtConfig = ConvNeXtConfig(dim=512, depth=8)
    window: int = 1200
    hop: int = 300

    def build(self) -> "VocosNet":
        """The module."""
        return VocosNet(self)


@final
class UpsampledWave(nn.Module):
    """An upsampler and what makes samples of its last stage."""

    def __init__(self, up: UpsamplerConfig, head: WaveHead | InverseHead) -> None:
        """Fresh weights."""
        super().__init__()
        self.up: Upsampler = up.build()
        self.head = head

    def forward(
        self,
        x: Float[Tensor, "B D T"],
        style: Float[Tensor, "B C"] | None = None,
        source: Float[Tensor, "B E U"] | None = None,
    ) -> Float[Tensor, "B N"]:
        """Frames to samples; see `Upsampler` for style and source."""
        return self.head(self.up(x, style, source))


@final
class VocosNet(nn.Module):
    """A convolution, ConvNeXt blocks, a spectrum per frame."""

    def __init__(self, config: VocosConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.enter = ConvConfig(inputs=config.inputs, outputs=config.trunk.dim, kernel=7).build()
        self.trunk = config.trunk.build()
        self.head = SpectralHeadConfig(dim=config.trunk.dim, window=config.window, hop=config.hop).build()

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B N"]:
        """Frames to samples."""
        return self.head(self.trunk(self.enter(x)))


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderConfig:
    """The frames that come in, and the generator."""

    mel: LogMelConfig = LogMelConfig(bins=80, hop=300, window=1200, n_fft=2048)
    net: HifiganConfig | IstftnetConfig | VocosConfig = HifiganConfig()

    @property
    def sample_rate(self) -> int:
        """Of the sound."""
        return self.mel.sample_rate

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.mel.hop

    @property
    def frames(self) -> Latents:
        """What it takes."""
        return Latents(name="mel", alphabet=alphabet_of("mel", dump(self.mel)), dim=self.mel.bins, rate=self.mel.rate)

    @property
    def wave(self) -> Wave:
        """What it gives."""
        return Wave(sample_rate=self.mel.sample_rate)

    def build(self) -> "Vocoder":
        """The module with fresh weights; ConfigError where generator and frames do not fit."""
        if (self.net.inputs, self.net.hop) != (self.mel.bins, self.mel.hop):
            raise ConfigError(
                f"the generator takes {self.net.inputs} bins and makes {self.net.hop} samples of a frame, the frames "
                f"have {self.mel.bins} and {self.mel.hop}; make them equal"
            )
        return Vocoder(self)


@final
class Vocoder(nn.Module):
    """The part ``vocoder``."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        """Frames are brought to zero mean and unit deviation by buffers, which a recipe measures (`level`)."""
        super().__init__()
        self.config = config
        self.mel: LogMel = config.mel.build()
        self.net = config.net.build()
        self.register_buffer("mean", torch.full((config.mel.bins,), -5.0))
        self.register_buffer("deviation", torch.full((config.mel.bins,), 2.5))

    def forward(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B N"]:
        """Log-mel frames to ``T * hop`` samples."""
        return self.net((mel - self.mean[:, None]) / self.deviation[:, None])

    @torch.no_grad()
    def level(self, mel: Float[Tensor, "B M T"]) -> None:
        """Takes mean and deviation of every bin from some frames."""
        self.mean.copy_(mel.mean((0, 2)))
        self.deviation.copy_(mel.std((0, 2)).clamp(min=0.1))

    @torch.no_grad()
    def speak(self, frames: Stream[Latents]) -> Stream[Wave]:
        """Frames to sound. SpecError for frames of another kind."""
        frames = frames.expect(self.config.frames)
        return Stream(self.config.wave, self(frames.data)[:, None], frames.lengths * self.config.hop)
