"""SEANet: strided convolutions straight from samples to latents and back (SoundStream, arXiv:2107.03312 §3.2).

Per stage residual units and a strided convolution that doubles the channels; the decoder mirrors it. What EnCodec
(arXiv:2210.13438 §3.1), SpeechTokenizer, Mimi and DAC (arXiv:2306.06546) have made of it are values of one
configuration: memory at the bottleneck, edges, convolutions that look both ways, Snake. Causal ones stream by the
caller's state. Weight normalisation is folded into the weights when they are loaded.
"""

from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

from torch import nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.centred import CentredConv, CentredConvTranspose, Trim
from vivavoce.nn.chain import Chain, Residual, chain, residual
from vivavoce.nn.conv import ConvConfig
from vivavoce.nn.edges import Edge, EdgeConv
from vivavoce.nn.recurrent import ResidualBilstm, ResidualLstm
from vivavoce.nn.snake import Snake


@dataclass(frozen=True, slots=True, kw_only=True)
class SeanetConfig:
    """Strides in the encoder's order; the hop is their product. An encoder and its decoder may differ in the rest."""

    dim: int = 128
    channels: int = 32
    """Of the layer next to the samples."""
    strides: tuple[int, ...] = (2, 4, 5, 8)
    kernel: int = 7
    """Of the first layer."""
    last_kernel: int = 7
    residual_kernel: int = 3
    residuals: int = 1
    """Units per stage; the dilation of each is ``dilation_base`` times that of the one before."""
    dilation_base: int = 2
    compress: int = 2
    """A unit's channels are divided by this inside it."""
    skip: Literal["identity", "conv"] = "identity"
    activation: Literal["elu", "snake"] = "elu"
    memory: Literal["none", "lstm", "bilstm"] = "none"
    memory_layers: int = 2
    causal: bool = True
    edge: Edge = "zeros"
    """What stands before the first and after the last tick."""
    trim: Literal["right", "both", "even"] = "right"
    """Where a transposed convolution's output is cut: after it, on both sides, or on both sides alike, which loses a
    tick for odd strides (DAC). Causal only when it is cut after."""
    normed: bool = False
    """Every convolution is followed by a norm over all its output; for whole recordings only."""
    wave_channels: int = 1
    bounded: bool = False
    """The decoder's last layer is followed by a hyperbolic tangent."""

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return prod(self.strides)

    def encoder(self) -> Chain:
        """Samples to latents: Float[B, W, N] to Float[B, D, T]."""
        return chain(self.encoder_layers(), self.hop)

    def decoder(self) -> Chain:
        """Latents to samples: Float[B, D, T] to Float[B, W, N]."""
        return chain(self.decoder_layers())

    def encoder_layers(self) -> list[nn.Module]:
        """The encoder, layer by layer."""
        self._check()
        wide = self.channels
        layers: list[nn.Module] = [self.conv(self.wave_channels, wide, self.kernel)]
        for stride in self.strides:
            layers += [self.unit(wide, self.dilation_base**place) for place in range(self.residuals)]
            layers += [self.act(wide), self.conv(wide, 2 * wide, 2 * stride, stride)]
            wide *= 2
        layers += self._memory(wide)
        wide *= 2 if self.memory == "bilstm" else 1
        return [*layers, self.act(wide), self.conv(wide, self.dim, self.last_kernel)]

    def decoder_layers(self) -> list[nn.Module]:
        """The decoder, layer by layer."""
        self._check()
        if self.memory == "bilstm":
            raise ConfigError("a decoder with a memory that runs both ways is not known; give it an lstm")
        wide = self.channels * 2 ** len(self.strides)
        layers: list[nn.Module] = [self.conv(self.dim, wide, self.kernel), *self._memory(wide)]
        for stride in reversed(self.strides):
            layers += [self.act(wide), self._transposed(wide, wide // 2, stride)]
            wide //= 2
            layers += [self.unit(wide, self.dilation_base**place) for place in range(self.residuals)]
        layers += [self.act(wide), self.conv(wide, self.wave_channels, self.last_kernel)]
        return [*layers, nn.Tanh()] if self.bounded else layers

    def unit(self, channels: int, dilation: int) -> Residual:
        """Activation and a dilated convolution to fewer channels, activation and one back, added to the input."""
        inner = channels // self.compress
        narrow = self.conv(channels, inner, self.residual_kernel, dilation=dilation)
        block = chain([self.act(channels), narrow, self.act(inner), self.conv(inner, channels, 1)])
        shortcut = self.conv(channels, channels, 1) if self.skip == "conv" else None
        return residual(block, shortcut, channels, narrow.late if isinstance(narrow, EdgeConv) else 0)

    def act(self, channels: int) -> nn.Module:
        """One activation."""
        return Snake(channels) if self.activation == "snake" else nn.ELU()

    def conv(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Module:
        """One convolution, as causal and with such edges as all of them."""
        config = ConvConfig(inputs=inputs, outputs=outputs, kernel=kernel, stride=stride, dilation=dilation)
        if not self.causal:
            return CentredConv(config, self.edge, normed=self.normed)
        if self.edge == "zeros" or not config.past:
            return config.build()
        return EdgeConv(config, self.edge)

    def _transposed(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        config = ConvConfig(inputs=inputs, outputs=outputs, kernel=2 * stride, stride=stride)
        if self.trim == "right":
            return config.transposed()
        left = ceil(stride / 2)
        return CentredConvTranspose(
            config, Trim(left=left, right=left if self.trim == "even" else stride - left), normed=self.normed
        )

    def _memory(self, dim: int) -> list[nn.Module]:
        kinds = {"none": (), "lstm": (ResidualLstm,), "bilstm": (ResidualBilstm,)}
        return [kind(dim, self.memory_layers) for kind in kinds[self.memory]]

    def _check(self) -> None:
        if not self.strides or min(self.strides) < 2:
            raise ConfigError(f"strides of at least 2 are wanted, got {self.strides}")
        if self.causal and (self.normed or self.trim != "right"):
            raise ConfigError("norms over the whole output, or cutting its beginning, is not causal: set causal=False")
        if not self.causal and self.trim == "right":
            raise ConfigError("centred convolutions are cut on both sides: set trim='both'")
