"""Augmentation of log-mel features, a batch at a time.

Features are computed once; every pass over them hears another throat, tempo, microphone, room and noise. What is
additive in sound is added in the power domain (phases are not known, so powers add on average).
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

from vivavoce.audio.mel import FLOOR

_DB = math.log(10) / 20
"""Nepers of magnitude per decibel."""
_FLOOR = math.log(FLOOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How strongly; probabilities per utterance, levels in dB.

    ``noise`` is the probability of each kind of noise that may lie under speech; the other voices that make ``babble``,
    ``clatter``, ``rumble`` and ``recorded`` noise are drawn with their own probabilities times that.
    There are ``masks`` bands of bins, and of frames as many or one for ``mask_period`` frames, whichever is more.
    """

    warp: float = 0.15
    tempo: float = 0.2
    gain_db: float = 12.0
    tilt_db: float = 6.0
    room: float = 0.45
    room_seconds: float = 0.7
    noise: float = 0.75
    snr_db: tuple[float, float] = (0.0, 30.0)
    babble: float = 0.4
    babble_db: tuple[float, float] = (6.0, 36.0)
    clatter: float = 0.3
    rumble: float = 0.0
    recorded: float = 0.0
    narrow: float = 0.2
    masks: int = 2
    mask_bins: int = 14
    mask_frames: int = 18
    mask_period: int = 100
    frame_rate: int = 100

    def softened(self, strength: float) -> "AugmentConfig":
        """The same at ``strength`` (0 to 1): fewer rooms and noises, weaker ones, smaller masks and changes."""
        (low, high), (under, over) = self.snr_db, self.babble_db
        return replace(
            self,
            warp=self.warp * strength,
            tempo=self.tempo * strength,
            gain_db=self.gain_db * strength,
            tilt_db=self.tilt_db * strength,
            room=self.room * strength,
            noise=self.noise * strength,
            snr_db=(high - (high - low) * strength, high),
            babble_db=(over - (over - under) * strength, over),
            narrow=self.narrow * strength,
            mask_bins=round(self.mask_bins * strength),
            mask_frames=round(self.mask_frames * strength),
        )


def _uniform(rows: int, low: float, high: float, rng: Generator) -> Tensor:
    return low + (high - low) * torch.rand(rows, generator=rng, device=rng.device)


def _below(low: int, high: int, rows: int, rng: Generator) -> Tensor:
    return torch.randint(low, high, (rows,), generator=rng, device=rng.device)


def _some(rows: int, probability: float, rng: Generator) -> Tensor:
    return torch.rand(rows, generator=rng, device=rng.device) < probability


def warp_bins(mel: Float[Tensor, "B M T"], factor: Float[Tensor, " B"]) -> Float[Tensor, "B M T"]:
    """Vocal-tract length perturbation: bin m takes what was at ``m * factor``; the top bin is repeated."""
    bins = mel.shape[1]
    place = (torch.arange(bins, device=mel.device)[None] * factor[:, None]).clamp(max=bins - 1.001)
    low = place.floor().long()
    part = (place - low)[..., None]
    index = low[..., None].expand(-1, -1, mel.shape[2])
    return mel.gather(1, index) * (1 - part) + mel.gather(1, index + 1) * part


def stretched(
    frames: Float[Tensor, "N M"], begins: Int[Tensor, " B"], lengths: Int[Tensor, " B"], sizes: Int[Tensor, " B"]
) -> Float[Tensor, "B M T"]:
    """Utterances that lie end to end in ``frames``, each from ``lengths`` to ``sizes`` frames, padded with silence."""
    place = torch.arange(int(sizes.max()), device=frames.device)[None]
    at = ((place + 0.5) * (lengths / sizes)[:, None] - 0.5).clamp(min=0)
    at = torch.minimum(at, (lengths - 1)[:, None])
    low = at.long()
    high = torch.minimum(low + 1, (lengths - 1)[:, None])
    part = (at - low)[..., None]
    mel = frames[begins[:, None] + low] * (1 - part) + frames[begins[:, None] + high] * part
    return mel.masked_fill((place >= sizes[:, None])[..., None], _FLOOR).transpose(1, 2)


def level(mel: Float[Tensor, "B M T"], lengths: Tensor) -> Float[Tensor, " B"]:
    """Log magnitude of the loud half of each utterance."""
    inside = torch.arange(mel.shape[2], device=mel.device)[None] < lengths[:, None]
    power = (2 * mel).exp().mean(1).masked_fill(~inside, 0.0)
    loud = power > power.sum(1, keepdim=True) / lengths[:, None].clamp(min=1) * 0.5
    return 0.5 * ((power * loud).sum(1) / loud.sum(1).clamp(min=1) + 1e-12).log()


def reverberate(
    mel: Float[Tensor, "B M T"], seconds: Float[Tensor, " B"], wet: Float[Tensor, " B"], frame_rate: int
) -> Float[Tensor, "B M T"]:
    """Adds a decaying tail (60 dB in ``seconds``, ``wet`` times the direct power) in the power domain."""
    taps = torch.arange(1, int(0.5 * frame_rate) + 1, device=mel.device)
    decay = torch.exp(-6 * math.log(10) * taps[None] / (seconds[:, None] * frame_rate))
    tail = wet[:, None] * decay / decay.sum(1, keepdim=True)
    kernel = torch.cat((torch.ones_like(tail[:, :1]), tail), dim=1).flip(1)[:, None]
    power = F.pad((2 * mel).exp(), (kernel.shape[2] - 1, 0)).transpose(0, 1)
    return 0.5 * F.conv1d(power, kernel, groups=len(mel)).transpose(0, 1).clamp(min=FLOOR**2).log()


def hiss(rows: int, bins: int, length: int, rng: Generator) -> Float[Tensor, "B M T"]:
    """Coloured noise with slow changes: a random slope and hump over the bins, the grain of filtered noise."""
    axis = torch.linspace(-1, 1, bins, device=rng.device)[None]
    slope, hump, place = (_uniform(rows, *limits, rng)[:, None] for limits in ((-2.0, 0.8), (0.0, 1.5), (-1.0, 1.0)))
    shape = slope * axis + hump * torch.exp(-8 * (axis - place) ** 2)
    slow = F.interpolate(
        torch.randn(rows, 1, max(length // 40, 2), generator=rng, device=rng.device), size=length, mode="linear"
    )
    two = torch.rand(2, rows, bins, length, generator=rng, device=rng.device)
    grain = 0.5 * (-two.clamp(min=1e-6).log()).mean(0).log()
    return shape[..., None] + 0.3 * slow + grain


def clatter(rows: int, bins: int, length: int, rng: Generator) -> Float[Tensor, "B M T"]:
    """Cups and keys: short decaying bursts with a random, mostly bright colour."""
    chance, size = torch.rand(2, rows, 1, length, generator=rng, device=rng.device)
    onsets = (chance < 0.012) * size
    decay = torch.exp(-torch.arange(24, device=rng.device) / 5.0).flip(0)[None, None]
    power = F.conv1d(F.pad(onsets, (23, 0)), decay)
    axis = torch.linspace(-1, 1, bins, device=rng.device)[None]
    colour = _uniform(rows, -0.5, 2.0, rng)[:, None] * axis
    return (
        0.5 * (power + 1e-6).log()
        + colour[..., None]
        + 0.3 * torch.randn(rows, bins, 1, generator=rng, device=rng.device)
    )


def rumble(rows: int, bins: int, length: int, rng: Generator) -> Float[Tensor, "B M T"]:
    """Traffic, wind and machines: noise that falls steeply over the bins and swells slowly."""
    fall = _uniform(rows, 4.0, 12.0, rng)[:, None] * torch.linspace(0, 1, bins, device=rng.device)[None]
    slow = F.interpolate(
        torch.randn(rows, 1, max(length // 60, 2), generator=rng, device=rng.device), size=length, mode="linear"
    )
    two = torch.rand(2, rows, bins, length, generator=rng, device=rng.device)
    grain = 0.5 * (-two.clamp(min=1e-6).log()).mean(0).log()
    return grain - fall[..., None] + 0.4 * slow


def excerpts(recorded: Float[Tensor, "N M"], rows: int, length: int, rng: Generator) -> Float[Tensor, "B M T"]:
    """Pieces of recordings that lie end to end, from anywhere."""
    begin = _below(0, len(recorded), rows, rng)[:, None]
    place = (begin + torch.arange(length, device=rng.device)[None]) % len(recorded)
    return recorded[place].float().transpose(1, 2)


def add(mel: Float[Tensor, "B M T"], noise: Float[Tensor, "B M T"]) -> Float[Tensor, "B M T"]:
    """Sum of two sounds in the power domain."""
    return 0.5 * torch.logaddexp(2 * mel, 2 * noise)


def augment(
    mel: Float[Tensor, "B M T"],
    lengths: Tensor,
    config: AugmentConfig,
    rng: Generator,
    recorded: Float[Tensor, "N M"] | None = None,
) -> Float[Tensor, "B M T"]:
    """Another throat, room, microphone and noise for each utterance of the batch; lengths stay.

    All on the device of ``rng``. ``recorded`` is noise without speech, end to end.
    """
    rows, bins = mel.shape[:2]
    mel = warp_bins(mel, _uniform(rows, 1 - config.warp, 1 + config.warp, rng))
    room = _some(rows, config.room, rng)
    if room.any():
        seconds = _uniform(rows, 0.12, config.room_seconds, rng)
        wet = 10 ** (_uniform(rows, -12.0, 2.0, rng) / 10)
        mel = torch.where(room[:, None, None], reverberate(mel, seconds, wet, config.frame_rate), mel)
    mel = _noisy(mel, lengths, config, rng, recorded)
    axis = torch.linspace(0, math.pi, bins, device=mel.device)[None]
    curve = sum(
        _uniform(rows, -config.tilt_db, config.tilt_db, rng)[:, None] / order * torch.cos(order * axis)
        for order in (1, 2, 3)
    )
    gain = _uniform(rows, -config.gain_db, config.gain_db, rng)[:, None]
    mel = mel + (_DB * (curve + gain))[..., None]
    narrow = _some(rows, config.narrow, rng)
    top = torch.where(narrow, _below(int(bins * 0.68), bins, rows, rng), bins)
    bottom = torch.where(narrow, _below(0, max(bins // 12, 1), rows, rng), 0)
    place = torch.arange(bins, device=mel.device)[None]
    outside = (place >= top[:, None]) | (place < bottom[:, None])
    mel = torch.where(outside[..., None], mel - 5.0, mel).clamp(min=_FLOOR)
    return mask(mel, config, rng)


def _noisy(
    mel: Float[Tensor, "B M T"],
    lengths: Tensor,
    config: AugmentConfig,
    rng: Generator,
    recorded: Float[Tensor, "N M"] | None,
) -> Float[Tensor, "B M T"]:
    """Kinds of noise under the utterances, each for some of them at a level of its own."""
    rows, bins, length = mel.shape

    def voices() -> Float[Tensor, "B M T"]:
        other = mel.roll(1, 0)
        for second in (2, 3, 5):
            other = add(other, mel.roll(second, 0).roll(length // second, 2))
        return other

    kinds = [
        (config.noise, config.snr_db, lambda: hiss(rows, bins, length, rng)),
        (config.noise * config.babble, config.babble_db, voices),
        (config.noise * config.clatter, config.snr_db, lambda: clatter(rows, bins, length, rng)),
        (config.noise * config.rumble, config.snr_db, lambda: rumble(rows, bins, length, rng)),
    ]
    if recorded is not None:
        there = recorded
        kinds.append((config.noise * config.recorded, config.snr_db, lambda: excerpts(there, rows, length, rng)))
    loud, everything = level(mel, lengths), torch.full_like(lengths, length)
    noisy = mel
    for probability, snr_db, make in kinds:
        if not probability:
            continue
        noise = make()
        gain = loud - level(noise, everything) - _uniform(rows, *snr_db, rng) * _DB
        silent = torch.where(_some(rows, probability, rng), 0.0, -50.0)
        noisy = add(noisy, noise + (gain + silent)[:, None, None])
    return noisy


def mask(mel: Float[Tensor, "B M T"], config: AugmentConfig, rng: Generator) -> Float[Tensor, "B M T"]:
    """SpecAugment (arXiv:1904.08779): bands of bins and of frames are replaced by the utterance's mean."""
    rows, bins, length = mel.shape
    hidden = torch.zeros(rows, bins, length, dtype=torch.bool, device=mel.device)
    for size, limit, axis in ((bins, config.mask_bins, 1), (length, config.mask_frames, 2)):
        for _ in range(config.masks if axis == 1 else max(config.masks, length // config.mask_period)):
            width = _below(0, limit + 1, rows, rng)[:, None]
            begin = (torch.rand(rows, 1, generator=rng, device=rng.device) * (size - width).clamp(min=1)).long()
            place = torch.arange(size, device=mel.device)[None]
            band = (place >= begin) & (place < begin + width)
            hidden |= band[:, :, None] if axis == 1 else band[:, None, :]
    return torch.where(hidden, mel.mean((1, 2), keepdim=True), mel)
