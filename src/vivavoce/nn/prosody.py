"""How something is said: length, melody and loudness of each phone, and the curves through them."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

ANCHORS = 2  # pitch points per phone: the middles of its halves
OUTPUTS = 1 + ANCHORS + 2
"""What is predicted per phone: log length, pitch points (octaves off the voice's own), voicing (logit), level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyPredictorConfig:
    """Two convolutions over phones."""

    inputs: int = 192
    voice: int = 130
    width: int = 192
    kernel: int = 3

    def build(self) -> "ProsodyPredictor":
        """The module."""
        return ProsodyPredictor(self)


@final
class ProsodyPredictor(nn.Module):
    """Encoded phones and a voice to raw prosody; see `OUTPUTS`."""

    def __init__(self, config: ProsodyPredictorConfig) -> None:
        """Random weights."""
        super().__init__()
        self.voice = nn.Linear(config.voice, config.inputs)
        self.convs = nn.ModuleList(
            nn.Conv1d(
                config.inputs if i == 0 else config.width, config.width, config.kernel, padding=config.kernel // 2
            )
            for i in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        self.out = nn.Linear(config.width, OUTPUTS)

    def forward(
        self, phones: Float[Tensor, "B P D"], voice: Float[Tensor, "B E"], mask: Float[Tensor, "B P 1"]
    ) -> Float[Tensor, "B P F"]:
        """Raw predictions."""
        x = (phones + self.voice(voice)[:, None]) * mask
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = torch.relu(conv(x.transpose(1, 2)).transpose(1, 2))
            x = torch.nn.functional.dropout(norm(y), 0.1, self.training) * mask
        return self.out(x)


def curve(
    points: Float[Tensor, "P K"], frames: Int[Tensor, " P"], length: int, weight: Float[Tensor, " P"] | None = None
) -> Float[Tensor, " T"]:
    """A line through the middles of each phone's K equal parts; phones of weight 0 (voiceless ones) are passed over."""
    count = points.shape[1]
    size = frames.double()
    starts = size.cumsum(0) - size
    places = starts[:, None] + size[:, None] * (torch.arange(count, dtype=torch.double) + 0.5) / count
    kept = frames > 0 if weight is None else (frames > 0) & (weight > 0)
    if not bool(kept.any()):
        return torch.zeros(length)
    x, y = places[kept].flatten(), points[kept].double().flatten()
    t = torch.arange(length, dtype=torch.double) + 0.5
    right = torch.searchsorted(x, t).clamp(1, max(1, len(x) - 1))
    if len(x) == 1:
        return y.float().expand(length).contiguous()
    part = ((t - x[right - 1]) / (x[right] - x[right - 1]).clamp(min=1e-6)).clamp(0, 1)
    return (y[right - 1] + part * (y[right] - y[right - 1])).float()


FEATURES = 9
"""Numbers per frame: place in the phone (4), pitch relative and absolute, voicing, level, whispering."""
LENGTH_CENTRE = 2.0  # logarithm of the frames of a middling phone
LATER_FRAMES = 8
PITCH_CENTRE = 7.2288  # log2 of 150 Hz


@dataclass(frozen=True, slots=True)
class FrameTable:
    """What is known of each frame before it is drawn: its phone, the phone a little later, `FEATURES`, its pitch."""

    phone: Int[Tensor, "*B T"]
    later: Int[Tensor, "*B T"]
    features: Float[Tensor, "*B T F"]
    octaves: Float[Tensor, "*B T"]


def frame_table(
    frames: Int[Tensor, " P"],
    octaves: Float[Tensor, " N"],
    own_pitch: float,
    voicing: Float[Tensor, " P"],
    level: Float[Tensor, " P"],
    begin: int,
    length: int,
    whisper: float = 0.0,
) -> FrameTable:
    """The frames [begin, begin + length) of a sentence; ``octaves`` is its melody. Beyond the end, all is held."""
    ends = frames.cumsum(0)
    total = int(ends[-1])
    at = torch.arange(begin, begin + length).clamp(max=total - 1)
    phone = torch.searchsorted(ends, at, right=True)
    later = torch.searchsorted(ends, (at + LATER_FRAMES).clamp(max=total - 1), right=True)
    size = frames[phone].float()
    since = (at - (ends - frames)[phone]).float()
    until = size - 1 - since
    pitch = octaves[at]
    voiced = voicing[phone] * (1 - whisper)
    loud = curve(level[:, None], frames, total)[at]
    numbers = (
        (since + 0.5) / size * 2 - 1,
        size.log() - LENGTH_CENTRE,
        torch.exp(-since / 3),
        torch.exp(-until / 3),
        2 * (pitch - own_pitch),
        2 * (pitch - PITCH_CENTRE),
        voiced,
        loud,
        torch.full_like(pitch, whisper),
    )
    return FrameTable(phone, later, torch.stack(numbers, dim=1), pitch)
