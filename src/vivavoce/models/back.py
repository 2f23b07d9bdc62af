"""Backs of a codec: one vector per token frame to sound, streaming.

A back takes Float[B, D, T] and gives Float[B, 1, N], ``config.hop`` samples per frame, late by ``config.delay``.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, final, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.core.streaming import State, Timing
from vivavoce.nn.chain import Chain, OverTime, chain
from vivavoce.nn.conv import ConvConfig, ConvState
from vivavoce.nn.convnext import ConvNeXtConfig, ConvNeXtState
from vivavoce.nn.few import Linear
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.spectral import OverlapState, SpectralHeadConfig
from vivavoce.nn.transformer import TransformerConfig


@runtime_checkable
class BackConfig(Protocol):
    """What a codec asks of a back before it is built."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    @property
    def hop(self) -> int:
        """Samples per vector."""
        ...

    @property
    def delay(self) -> int:
        """Samples by which the sound lags that which was encoded."""
        ...

    def build(self) -> Any:
        """The module: ``forward``, ``init_state`` and ``step``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralBackConfig:
    """A coarse ConvNeXt trunk, a fine one, and an inverse FFT every ``frame`` samples (Vocos, arXiv:2306.00814)."""

    dim: int = 256
    stride: int = 4
    coarse: ConvNeXtConfig = ConvNeXtConfig(dim=288, depth=2)
    fine: ConvNeXtConfig = ConvNeXtConfig(dim=256, depth=3)
    window: int = 960
    frame: int = 240

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.frame * self.stride

    @property
    def delay(self) -> int:
        """One token frame, which is all the look-ahead there is."""
        return self.hop

    def build(self) -> "SpectralBack":
        """The module."""
        return SpectralBack(self)


@dataclass
class SpectralBackState(State):
    """What the back still sees, and sound not yet complete."""

    coarse: ConvNeXtState
    enter: ConvState
    fine: ConvNeXtState
    head: OverlapState


@final
class SpectralBack(nn.Module):
    """The mel front mirrored, with spectra at the end."""

    def __init__(self, config: SpectralBackConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        outer = config.fine.dim
        self.enter = ConvConfig(inputs=config.dim, outputs=config.coarse.dim, kernel=3).build()
        self.coarse = config.coarse.build()
        self.up = Linear(config.coarse.dim, outer * config.stride)
        self.fine = config.fine.build()
        self.norm = nn.LayerNorm(outer)
        self.head = SpectralHeadConfig(dim=outer, window=config.window, hop=config.frame).build()

    @property
    def timing(self) -> Timing:
        """Frame in, ``config.hop`` samples out."""
        return Timing(rate=Fraction(1))

    def forward(self, latents: Float[Tensor, "B D T"]) -> Float[Tensor, "B 1 N"]:
        """All frames at once."""
        x = self._raise(self.coarse(self.enter(latents)))
        return self.head(self._final(self.fine(x)))[:, None]

    def init_state(self, rows: int) -> SpectralBackState:
        """Nothing said yet."""
        return SpectralBackState(
            self.coarse.init_state(rows),
            self.enter.init_state(rows),
            self.fine.init_state(rows),
            self.head.init_state(rows),
        )

    def step(
        self, latents: Float[Tensor, "B D T"], state: SpectralBackState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B 1 N"]:
        """The samples of these frames."""
        if latents.shape[2] == 0:
            return state.head.tail.new_zeros(len(latents), 1, 0)
        x = self.enter.step(latents, state.enter, active)
        x = self._raise(self.coarse.step(x, state.coarse, active))
        x = self.fine.step(x, state.fine, active)
        return self.head.step(self._final(x), state.head, active)[:, None]

    def _final(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)

    def _raise(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B E S"]:
        """One coarse frame to ``stride`` fine ones."""
        wide = self.up(x.transpose(1, 2))
        return wide.unflatten(2, (self.config.stride, -1)).flatten(1, 2).transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeanetBackConfig:
    """SEANet's decoder, straight to samples (SoundStream, EnCodec).

    A convolution that makes ``stride`` vectors of one, number by number, and a transformer may stand before it (Mimi).
    """

    net: SeanetConfig = SeanetConfig()
    trunk: TransformerConfig | None = None
    stride: int = 1

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.net.dim

    @property
    def hop(self) -> int:
        """Samples per vector."""
        return self.net.hop * self.stride

    @property
    def delay(self) -> int:
        """None: a frame's samples are whole when the frame is there."""
        return 0

    def build(self) -> Chain:
        """The module; it streams if the net is causal."""
        layers: list[nn.Module] = []
        if self.stride > 1:
            fine = ConvConfig(
                inputs=self.dim, outputs=self.dim, kernel=2 * self.stride, stride=self.stride, groups=self.dim,
                bias=False,
            )  # fmt: skip
            layers.append(fine.transposed())
        if self.trunk is not None:
            layers.append(OverTime(self.trunk))
        return chain(layers + self.net.decoder_layers())
