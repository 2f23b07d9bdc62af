"""Log-mel spectrograms that stream: frame t ends with sample (t + 1) * hop and sees nothing after it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.audio.stft import frames, hann, mel_filters
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing

FLOOR = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelConfig:
    """Log-mel features; the window (samples) may be shorter than the transform, which then is zero-padded."""

    sample_rate: int = 24000
    bins: int = 100
    hop: int = 240
    window: int = 960
    n_fft: int = 1024
    fmin: float = 0.0
    fmax: float = 12000.0

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.sample_rate, self.hop)

    def build(self) -> "LogMel":
        """The module."""
        if not (self.hop <= self.window <= self.n_fft and 0 <= self.fmin < self.fmax <= self.sample_rate / 2):
            raise ConfigError(f"wanted hop <= window <= n_fft and fmin < fmax <= half the sample rate, got {self}")
        return LogMel(self)


@dataclass
class LogMelState(State):
    """The samples that the next frame still sees."""

    past: Float[Tensor, "B P"]


@final
class LogMel(nn.Module):
    """Natural logarithm of mel magnitudes, at least ``log(1e-5)``; causal, computed in float32."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: LogMelConfig) -> None:
        """Window and filters follow from the configuration and are not saved with the weights."""
        super().__init__()
        self.config = config
        filters = mel_filters(config.sample_rate, config.n_fft, config.bins, config.fmin, config.fmax)
        self.register_buffer("window", hann(config.window), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    @property
    def timing(self) -> Timing:
        """One frame per hop, no look-ahead."""
        return Timing(rate=Fraction(self.config.sample_rate), hop=self.config.hop)

    def forward(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B M T"]:
        """Waveform in [-1, 1] to ``N // hop`` frames; before the first sample there is silence."""
        return self._frames(pad(wave, (self.config.window - self.config.hop, 0)))

    def init_state(self, rows: int) -> LogMelState:
        """Silence before the first sample."""
        past = self.config.window - self.config.hop
        return LogMelState(torch.zeros(rows, past, device=self.window.device))

    def step(
        self, x: Float[Tensor, "B N"], state: LogMelState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B M T"]:
        """The frames that end within these samples; N must be a multiple of the hop (SpecError)."""
        if x.shape[1] % self.config.hop:
            raise SpecError(f"got {x.shape[1]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        joined = torch.cat((state.past, x), dim=1)
        before = state.clone() if active is not None else state
        state.past.copy_(joined[:, joined.shape[1] - state.past.shape[1] :])
        state.keep(before, active)
        return self._frames(joined)

    def _frames(self, joined: Float[Tensor, "B N"]) -> Float[Tensor, "B M T"]:
        config = self.config
        if joined.shape[1] < config.window:
            return joined.new_zeros(len(joined), config.bins, 0)
        with torch.autocast(joined.device.type, enabled=False):
            windowed = frames(joined.float(), config.window, config.hop) * self.window
            magnitudes = torch.fft.rfft(windowed, n=config.n_fft).abs()
            return (magnitudes @ self.filters.T).clamp(min=FLOOR).log().transpose(1, 2)
