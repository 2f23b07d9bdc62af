"""Pitch of the voice: short-time autocorrelation, and the smoothest path through its peaks.

P. Boersma, "Accurate short-term analysis of the fundamental frequency" (1993). Departs from it: sound is brought to 8
kHz first, and peaks are interpolated by parabolas. Frames stand where those of `audio.mel` stand, so a pitch and a
spectrum with the same index tell of the same moment.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from vivavoce.audio.resample import resample
from vivavoce.audio.stft import frames

_RATE = 8000
_SECONDS = 0.045  # three periods of the lowest pitch
_CANDIDATES = 5
_VOICING, _SILENCE, _OCTAVE, _JUMP, _SWITCH = 0.45, 0.03, 0.05, 0.5, 0.14


@dataclass(frozen=True, slots=True)
class Pitch:
    """Frequency per frame in Hz (0 where the voice is silent or noise)."""

    hz: Float[Tensor, " T"]

    @property
    def voiced(self) -> Bool[Tensor, " T"]:
        """Where there is a pitch."""
        return self.hz > 0

    def median(self) -> float:
        """Median over voiced frames in Hz; 0 when nothing is voiced."""
        return float(self.hz[self.voiced].median()) if bool(self.voiced.any()) else 0.0

    def spread(self) -> float:
        """How lively the melody is: standard deviation in octaves over voiced frames."""
        return float(self.hz[self.voiced].log2().std()) if int(self.voiced.sum()) > 1 else 0.0


def track_pitch(
    wave: Float[Tensor, " N"],
    sample_rate: int,
    *,
    hop_seconds: float = 0.01,
    centre_seconds: float = -0.01,
    low_hz: float = 65.0,
    high_hz: float = 500.0,
) -> Pitch:
    """Pitch of each hop; frame t is centred ``centre_seconds`` after its start (-0.01 fits the mel frames at 24
    kHz)."""
    n_frames = round(wave.numel() / sample_rate / hop_seconds - 1e-6)
    if n_frames == 0:
        return Pitch(torch.zeros(0))
    low = resample(wave.float(), sample_rate, _RATE)
    hop, size = round(hop_seconds * _RATE), round(_SECONDS * _RATE)
    before = size // 2 - round(centre_seconds * _RATE)
    windows = frames(pad(low, (before, size + hop))[None], size, hop)[0, :n_frames]
    strength, lag = _candidates(windows, low.abs().max(), low_hz, high_hz)
    hz = np.where(lag > 0, _RATE / np.maximum(lag, 1e-6), 0.0)
    return Pitch(torch.from_numpy(_path(strength, hz, hop_seconds).astype(np.float32)))


def _candidates(
    windows: Float[Tensor, "T W"], loudest: Float[Tensor, ""], low_hz: float, high_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """Strength and lag of the best peaks per frame; candidate 0 is "no pitch" with lag 0."""
    size = windows.shape[1]
    first, last = int(_RATE / high_hz), int(_RATE / low_hz) + 1
    centred = windows - windows.mean(dim=1, keepdim=True)
    shape = torch.hann_window(size, periodic=True)
    n_fft = 1 << (2 * size - 1).bit_length()
    power = torch.fft.rfft(centred * shape, n=n_fft).abs().square()
    own = torch.fft.irfft(torch.fft.rfft(shape, n=n_fft).abs().square(), n=n_fft)[: last + 2]
    curve = torch.fft.irfft(power, n=n_fft)[:, : last + 2]
    curve = curve / curve[:, :1].clamp(min=1e-10) / (own / own[0])
    middle, left, right = curve[:, first : last + 1], curve[:, first - 1 : last], curve[:, first + 1 : last + 2]
    peak = (middle > left) & (middle >= right)
    bend = (left - 2 * middle + right).clamp(max=-1e-9)
    offset = (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
    height = (middle - 0.25 * (left - right) * offset).clamp(max=1.0)
    lags = torch.arange(first, last + 1) + offset
    score = torch.where(peak, height - _OCTAVE * torch.log2(low_hz * lags / _RATE), -1.0)
    best, index = score.topk(_CANDIDATES, dim=1)
    level = centred.abs().amax(dim=1) / loudest.clamp(min=1e-9)
    silent = _VOICING + (2 - level / (_SILENCE / (1 + _VOICING))).clamp(min=0)
    strength = torch.cat((silent[:, None], torch.where(best > 0, best, -1.0)), dim=1)
    lag = torch.cat((torch.zeros(len(windows), 1), lags.gather(1, index)), dim=1)
    return strength.double().numpy(), lag.double().numpy()


def _path(strength: np.ndarray, hz: np.ndarray, hop_seconds: float) -> np.ndarray:
    """Viterbi: strong peaks, few octave jumps, few changes between voice and none."""
    scale = 0.01 / hop_seconds
    voiced = hz > 0
    octave = np.log2(np.where(voiced, hz, 1.0))
    total = strength[0].copy()
    back = np.zeros(strength.shape, dtype=np.int64)
    columns = np.arange(strength.shape[1])
    jumps = _JUMP * scale * np.abs(octave[:-1, :, None] - octave[1:, None, :])
    jumps = np.where(voiced[:-1, :, None] & voiced[1:, None, :], jumps, 0.0)
    jumps += _SWITCH * scale * (voiced[:-1, :, None] != voiced[1:, None, :])
    for t in range(1, len(strength)):
        reached = total[:, None] - jumps[t - 1]
        back[t] = reached.argmax(axis=0)
        total = reached[back[t], columns] + strength[t]
    chosen = np.empty(len(strength), dtype=np.int64)
    chosen[-1] = total.argmax()
    for t in range(len(strength) - 1, 0, -1):
        chosen[t - 1] = back[t, chosen[t]]
    return hz[np.arange(len(hz)), chosen]
