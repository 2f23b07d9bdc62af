"""The last layer of a vocoder: per frame a spectrum, and from spectra sound by overlap-add.

Vocos, arXiv:2306.00814 §3.3. Departures: frames are laid forward (frame t covers samples ``t * hop`` to ``t * hop +
window``), so that sample n needs frames up to ``n // hop`` only and the head streams with a constant delay; the window
envelope is constant for a Hann window at these hops and is divided out as a number.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.audio.stft import hann
from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import State, Timing
from vivavoce.nn.conv import settle
from vivavoce.nn.few import Linear

_LOUDEST = 6.0  # log magnitude of a full-scale tone in a window of 960 is about 5.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralHeadConfig:
    """Features to spectra of ``window`` samples every ``hop`` samples."""

    dim: int = 256
    window: int = 960
    hop: int = 240

    def build(self) -> "SpectralHead":
        """The module."""
        if self.window % (2 * self.hop):
            raise ConfigError(f"the window must hold an even number of hops, got {self.window} and {self.hop}")
        return SpectralHead(self)


@dataclass
class OverlapState(State):
    """Samples to which later frames will still be added."""

    tail: Float[Tensor, "B P"]


@final
class SpectralHead(nn.Module):
    """Log magnitude and phase per frame and bin, then inverse FFT and overlap-add, in float32."""

    window: Tensor

    def __init__(self, config: SpectralHeadConfig) -> None:
        """Begins with quiet spectra."""
        super().__init__()
        self.config = config
        bins = config.window // 2 + 1
        self.spectrum = Linear(config.dim, 2 * bins)
        with torch.no_grad():
            self.spectrum.bias[:bins] = -2.0
        self.register_buffer("window", hann(config.window) * 2 * config.hop / config.window, persistent=False)

    @property
    def timing(self) -> Timing:
        """Frame in, ``hop`` samples out."""
        return Timing(rate=Fraction(1))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B N"]:
        """Sound of ``T * hop`` samples; what the last frames would add after it is cut."""
        return self._overlap(x)[:, : x.shape[2] * self.config.hop]

    def init_state(self, rows: int) -> OverlapState:
        """Nothing begun."""
        return OverlapState(torch.zeros(rows, self.config.window - self.config.hop, device=self.window.device))

    def step(
        self, x: Float[Tensor, "B D T"], state: OverlapState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N"]:
        """The samples to which nothing will be added any more."""
        if x.shape[2] == 0:
            return state.tail.new_zeros(len(x), 0)
        made, ready = self._overlap(x), x.shape[2] * self.config.hop
        made[:, : state.tail.shape[1]] += state.tail
        settle(state.tail, made[:, ready:], active)
        return made[:, :ready]

    def _overlap(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B N"]:
        config = self.config
        with torch.autocast(x.device.type, enabled=False):
            raw = self.spectrum(x.transpose(1, 2).float())
            log_magnitude, phase = raw.chunk(2, dim=2)
            magnitude = log_magnitude.clamp(max=_LOUDEST).exp()
            spectra = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
            pieces = (torch.fft.irfft(spectra, n=config.window) * self.window).unflatten(2, (-1, config.hop))
            frames, overlaps = pieces.shape[1:3]
            laid = pieces.new_zeros(len(x), frames + overlaps - 1, config.hop)
            for place in (*range(1, overlaps), 0):
                laid[:, place : place + frames] += pieces[:, :, place]
            return laid.flatten(1)
