"""Who is speaking, judged by classic statistics that share nothing with our models.

Cepstra of the audible parts, a Gaussian mixture of all speakers, its means adapted to each recording (Reynolds 2000),
and a linear discriminant between the training speakers (as for i-vectors). It learns in half a minute from the training
speakers; how well it tells real people apart is reported beside every number it gives.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.mel import mel_filters
from vivavoce.audio.resample import resample
from vivavoce.audio.stft import frames
from vivavoce.core import rng

_RATE = 16_000
_WINDOW, _HOP = 400, 160
_BANDS, _CEPSTRA = 26, 20
_MIXTURES = 64
_RELEVANCE = 8.0
_DIMS = 60

Vector = Float[np.ndarray, " D"]


def cepstra(wave: Float[Tensor, " N"], sample_rate: int) -> Float[np.ndarray, "T D"]:
    """Cepstra (without the level) and their slopes for the audible 10 ms frames, bands to 5.5 kHz."""
    sound = resample(wave, sample_rate, _RATE)
    if len(sound) < _WINDOW * 4:
        return np.zeros((0, 2 * _CEPSTRA))
    cut = frames(sound[None], _WINDOW, _HOP)[0]
    power = cut.square().mean(1)
    spectrum = torch.fft.rfft(cut * torch.hann_window(_WINDOW), 512).abs() ** 2
    bands = (spectrum @ mel_filters(_RATE, 512, _BANDS, 80.0, 5500.0).float().T + 1e-8).log()
    order = torch.arange(1, _CEPSTRA + 1)[:, None] * (torch.arange(_BANDS)[None] + 0.5) * torch.pi / _BANDS
    still = (bands @ order.cos().T).numpy()
    padded = np.pad(still, ((2, 2), (0, 0)), mode="edge")
    slope = (2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]) / 10
    return np.concatenate([still, slope], axis=1)[(power > power.max() * 1e-3).numpy()]


@final
class SpeakerSpace:
    """Vectors whose cosine says how alike two voices are."""

    def __init__(self, people: Sequence[tuple[str, Float[np.ndarray, "T D"]]], seed: int = 0) -> None:
        """Learns from recordings of many people, given as (who, cepstra of 3 to 10 seconds)."""
        draw = rng.stream(seed, "speakers")
        everything = np.concatenate([part for _, part in people])
        chosen = everything[draw.choice(len(everything), min(len(everything), 60_000), replace=False)]
        self._fit(chosen, draw)
        labels = np.array([who for who, _ in people])
        raw = np.stack([self._adapted(part) for _, part in people])
        self._centre = raw.mean(0)
        _, values, basis = np.linalg.svd(raw - self._centre, full_matrices=False)
        kept = min(200, int((values > 1e-6).sum()))
        self._basis = basis[:kept].T
        self._turn = _discriminant((raw - self._centre) @ self._basis, labels)

    def _fit(self, data: np.ndarray, draw: np.random.Generator) -> None:
        """Diagonal Gaussians by expectation maximisation."""
        self._means = data[draw.choice(len(data), _MIXTURES, replace=False)]
        self._vars = np.tile(data.var(0), (_MIXTURES, 1))
        self._weights = np.full(_MIXTURES, 1 / _MIXTURES)
        for _ in range(15):
            share = self._posterior(data)
            count = share.sum(0) + 1e-6
            self._weights = count / count.sum()
            self._means = share.T @ data / count[:, None]
            self._vars = np.maximum(share.T @ data**2 / count[:, None] - self._means**2, 0.01 * data.var(0))

    def _posterior(self, data: np.ndarray) -> np.ndarray:
        precise = 1 / self._vars
        score = data**2 @ precise.T * -0.5 + data @ (self._means * precise).T
        score += np.log(self._weights) - 0.5 * (self._means**2 * precise + np.log(self._vars)).sum(1)
        score = np.exp(score - score.max(1, keepdims=True))
        return score / score.sum(1, keepdims=True)

    def _adapted(self, part: np.ndarray) -> np.ndarray:
        share = self._posterior(part)
        count = share.sum(0)
        shift = (share.T @ part - count[:, None] * self._means) / (count + _RELEVANCE)[:, None]
        return (shift / np.sqrt(self._vars) * np.sqrt(self._weights)[:, None]).ravel()

    def vector(self, wave: Float[Tensor, " N"], sample_rate: int) -> Vector:
        """The voice of a recording as a unit vector."""
        made = (self._adapted(cepstra(wave, sample_rate)) - self._centre) @ self._basis @ self._turn
        return made / max(float(np.linalg.norm(made)), 1e-9)


def _discriminant(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Directions in which people differ from each other more than from themselves."""
    within = np.zeros((vectors.shape[1],) * 2)
    between = np.zeros_like(within)
    for who in np.unique(labels):
        own = vectors[labels == who]
        within += (own - own.mean(0)).T @ (own - own.mean(0))
        between += len(own) * np.outer(own.mean(0), own.mean(0))
    within += 0.1 * np.trace(within) / len(within) * np.eye(len(within))
    values, basis = np.linalg.eigh(within)
    white = basis / np.sqrt(values)
    _, turned = np.linalg.eigh(white.T @ between @ white)
    return white @ turned[:, ::-1][:, :_DIMS]


def nearest(vectors: dict[str, Vector], heard: Vector) -> str:
    """Whose vector is closest."""
    return max(vectors, key=lambda who: float(vectors[who] @ heard))
