"""Paths from sound to noise, and what a net may predict of a place on one: the mathematics that diffusion models share.

On every path a place is ``alpha(t) * clean + sigma(t) * noise``; time runs from 0, where all is clean, to ``latest``,
where all is noise. A schedule is a frozen value; how a path is walked back is `generate.diffusion`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core.errors import ConfigError

Prediction = Literal["clean", "noise", "velocity"]
Times = Float[Tensor, " B"]
Net = Callable[[Tensor, Times], Tensor]
"""A place and its time to a tensor of the same form."""


class Parts(NamedTuple):
    """What a place on a path is made of."""

    clean: Float[Tensor, "B *S"]
    noise: Float[Tensor, "B *S"]


def by_row(row: Times, like: Float[Tensor, "B *S"]) -> Tensor:
    """A number per row, as it multiplies a tensor of rows."""
    return row.view(-1, *(1,) * (like.ndim - 1))


class NoiseSchedule(ABC):
    """A path; see the file's text."""

    @property
    @abstractmethod
    def latest(self) -> float:
        """The time at which all is noise."""

    @abstractmethod
    def alpha(self, t: Times) -> Times:
        """How much of what is clean is left."""

    @abstractmethod
    def sigma(self, t: Times) -> Times:
        """How much noise there is."""

    @abstractmethod
    def speeds(self, t: Times) -> tuple[Times, Times]:
        """Derivatives of alpha and sigma."""

    @abstractmethod
    def when(self, ratio: Times) -> Times:
        """The time at which there is so many times more noise than what is clean: the inverse of ``sigma / alpha``."""

    @abstractmethod
    def draw(self, rows: int, generator: torch.Generator | None = None) -> Times:
        """Times to learn at."""

    @abstractmethod
    def grid(self, steps: int) -> Times:
        """The times of a walk back, from ``latest`` to 0: one more than steps."""

    def mix(self, clean: Float[Tensor, "B *S"], noise: Float[Tensor, "B *S"], t: Times) -> Float[Tensor, "B *S"]:
        """The place between these two."""
        return by_row(self.alpha(t), clean) * clean + by_row(self.sigma(t), clean) * noise

    def target(
        self, of: Prediction, clean: Float[Tensor, "B *S"], noise: Float[Tensor, "B *S"], t: Times
    ) -> Float[Tensor, "B *S"]:
        """What a net that predicts ``of`` is to give."""
        on_clean, on_noise = self.shares(of, t)
        return by_row(on_clean, clean) * clean + by_row(on_noise, clean) * noise

    def parts(self, of: Prediction, predicted: Float[Tensor, "B *S"], x: Float[Tensor, "B *S"], t: Times) -> Parts:
        """Clean and noise that a prediction at a place says it is made of.

        Noise cannot be told where there is none, nor what is clean from a prediction of the noise where there is
        nothing else.
        """
        on_clean, on_noise = (by_row(share, x) for share in self.shares(of, t))
        alpha, sigma = by_row(self.alpha(t), x), by_row(self.sigma(t), x)
        size = alpha * on_noise - sigma * on_clean
        return Parts((on_noise * x - sigma * predicted) / size, (alpha * predicted - on_clean * x) / size)

    def shares(self, of: Prediction, t: Times) -> tuple[Times, Times]:
        """How much of clean and noise is in a prediction."""
        none, one = torch.zeros_like(t), torch.ones_like(t)
        if of == "clean":
            return one, none
        return (none, one) if of == "noise" else self.velocity(t)

    def travelled(self, t: Times) -> Times:
        """How far along the path a time is, in the measure that velocity is a derivative by; 0 where all is clean."""
        return t

    def velocity(self, t: Times) -> tuple[Times, Times]:
        """What velocity is made of."""
        return self.speeds(t)


class _Circle(NoiseSchedule):
    """Paths on which the variance stays: ``alpha² + sigma² = 1``."""

    def travelled(self, t: Times) -> Times:
        """The angle."""
        return torch.atan2(self.sigma(t), self.alpha(t))

    def velocity(self, t: Times) -> tuple[Times, Times]:
        """The tangent (arXiv:2202.00512 §4)."""
        return -self.sigma(t), self.alpha(t)

    @property
    def latest(self) -> float:
        return 1.0

    @abstractmethod
    def decay(self, t: Times) -> Times:
        """``-2 log(alpha)``."""

    @abstractmethod
    def rate(self, t: Times) -> Times:
        """The derivative of the decay."""

    def alpha(self, t: Times) -> Times:
        return (-0.5 * self.decay(t)).exp()

    def sigma(self, t: Times) -> Times:
        return (-torch.expm1(-self.decay(t))).clamp(min=0).sqrt()

    def speeds(self, t: Times) -> tuple[Times, Times]:
        alpha, rate = self.alpha(t), self.rate(t)
        return -0.5 * rate * alpha, 0.5 * rate * alpha.square() / self.sigma(t)

    def grid(self, steps: int) -> Times:
        return torch.linspace(1, 0, steps + 1)


@dataclass(frozen=True, slots=True)
class VariancePreserving(_Circle):
    """Noise that comes in at a rate which grows linearly (arXiv:2011.13456 §3.4; NaturalSpeech 2).

    ``earliest`` is the time before which nothing is learnt.
    """

    least: float = 0.05
    most: float = 20.0
    earliest: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.least < self.most:
            raise ConfigError(f"noise that comes in from {self.least} to {self.most}; the rate must grow")

    def decay(self, t: Times) -> Times:
        """The integral of the rate."""
        return t * self.least + 0.5 * t.square() * (self.most - self.least)

    def rate(self, t: Times) -> Times:
        """Linear in time."""
        return self.least + t * (self.most - self.least)

    def when(self, ratio: Times) -> Times:
        """Solves the parabola of the decay."""
        more, decay = self.most - self.least, torch.log1p(ratio.square())
        return 2 * decay / (self.least + (self.least**2 + 2 * more * decay).sqrt())

    def draw(self, rows: int, generator: torch.Generator | None = None) -> Times:
        """Evenly."""
        return self.earliest + (1 - self.earliest) * torch.rand(rows, generator=generator)


@lru_cache
def _decays(first: float, last: float, steps: int) -> Tensor:
    """``-2 log(alpha)`` after each number of steps, from none on."""
    betas = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64).square()
    return torch.cat((torch.zeros(1, dtype=torch.float64), -torch.log1p(-betas).cumsum(0)))


@dataclass(frozen=True, slots=True)
class ScaledLinear(_Circle):
    """Discrete steps of noise whose deviation grows linearly (arXiv:2112.10752; AudioLDM's numbers).

    Step k, counted from 0 as elsewhere, is the time ``(k + 1) / steps``; between two steps the decay is linear.
    """

    first: float = 0.0015
    last: float = 0.0195
    steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.first < self.last < 1 or self.steps < 1:
            raise ConfigError(f"{self.steps} steps of noise from {self.first} to {self.last}; they must grow below 1")

    def _table(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The decay at each step, and by how much it grows in each."""
        table = _decays(self.first, self.last, self.steps).to(like.device)
        return table, table.diff()

    def decay(self, t: Times) -> Times:
        """Summed over the steps."""
        table, grown = self._table(t)
        place = t.double() * self.steps
        before = (place + 1e-4).long().clamp(0, self.steps - 1)  # a time in single precision may fall short of its step
        return (table[before] + (place - before) * grown[before]).to(t.dtype)

    def rate(self, t: Times) -> Times:
        """That of the step which leads to this time."""
        place = (t.double() * self.steps - 1e-4).long().clamp(0, self.steps - 1)
        return (self._table(t)[1][place] * self.steps).to(t.dtype)

    def when(self, ratio: Times) -> Times:
        """Between the two steps that it lies between."""
        table, grown = self._table(ratio)
        decay = torch.log1p(ratio.double().square())
        before = (torch.searchsorted(table, decay, right=True) - 1).clamp(0, self.steps - 1)
        return ((before + (decay - table[before]) / grown[before]) / self.steps).to(ratio.dtype)

    def draw(self, rows: int, generator: torch.Generator | None = None) -> Times:
        """One of the steps."""
        return (torch.randint(self.steps, (rows,), generator=generator) + 1) / self.steps


@dataclass(frozen=True, slots=True)
class Edm(NoiseSchedule):
    """Noise that is added to what stays as it is; time is its deviation (arXiv:2206.00364).

    ``data`` is the deviation of what is clean. Training draws logarithms of times about ``mean``; a walk goes from
    ``most`` to ``least`` and then to 0, denser towards the end by the exponent ``rho``.
    """

    data: float = 0.5
    mean: float = -1.2
    deviation: float = 1.2
    least: float = 0.002
    most: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        if not 0 < self.least < self.most or self.data <= 0:
            raise ConfigError(f"noise from {self.least} to {self.most} on data of {self.data}; all must be above 0")

    @property
    def latest(self) -> float:
        """``most``."""
        return self.most

    def alpha(self, t: Times) -> Times:
        """One."""
        return torch.ones_like(t)

    def sigma(self, t: Times) -> Times:
        """The time."""
        return t

    def speeds(self, t: Times) -> tuple[Times, Times]:
        """Only noise grows."""
        return torch.zeros_like(t), torch.ones_like(t)

    def when(self, ratio: Times) -> Times:
        """The ratio."""
        return ratio

    def draw(self, rows: int, generator: torch.Generator | None = None) -> Times:
        """Log-normal."""
        return (self.mean + self.deviation * torch.randn(rows, generator=generator)).exp()

    def grid(self, steps: int) -> Times:
        """See the class."""
        return karras(self, steps, self.least, self.most, self.rho)

    def denoise(self, net: Net, x: Float[Tensor, "B *S"], t: Times) -> Float[Tensor, "B *S"]:
        """What is clean at a place, by a net whose input and output have unit deviation at every time (§5)."""
        both = t.square() + self.data**2
        given = net(by_row(both.rsqrt(), x) * x, t.log() / 4)
        return by_row(self.data**2 / both, x) * x + by_row(t * self.data * both.rsqrt(), x) * given

    def weight(self, t: Times) -> Times:
        """What a squared distance to what is clean counts at a time, so that the net learns all of them alike."""
        return (t.square() + self.data**2) / (t * self.data).square()


@dataclass(frozen=True, slots=True)
class FlowMatching(NoiseSchedule):
    """Straight lines between clean and noise (arXiv:2210.02747, 2209.03003); velocity points to the noise.

    Times are drawn evenly, or with ``spread`` > 0 as the logistic function of a normal number (arXiv:2403.03206 §3.1).
    """

    spread: float = 0.0

    @property
    def latest(self) -> float:
        """One."""
        return 1.0

    def alpha(self, t: Times) -> Times:
        """What the line has left."""
        return 1 - t

    def sigma(self, t: Times) -> Times:
        """The time."""
        return t

    def speeds(self, t: Times) -> tuple[Times, Times]:
        """Both change evenly."""
        return -torch.ones_like(t), torch.ones_like(t)

    def when(self, ratio: Times) -> Times:
        """Where the line is so divided."""
        return ratio / (1 + ratio)

    def draw(self, rows: int, generator: torch.Generator | None = None) -> Times:
        """See the class."""
        if self.spread:
            return (self.spread * torch.randn(rows, generator=generator)).sigmoid()
        return torch.rand(rows, generator=generator)

    def grid(self, steps: int) -> Times:
        """Evenly."""
        return torch.linspace(1, 0, steps + 1)


def karras(schedule: NoiseSchedule, steps: int, least: float, most: float, rho: float = 7.0) -> Times:
    """Times at which noise against clean falls from ``most`` to ``least`` evenly in its rho-th root, then 0."""
    places = torch.linspace(most ** (1 / rho), least ** (1 / rho), steps, dtype=torch.float64) ** rho
    return torch.cat((schedule.when(places), torch.zeros(1, dtype=torch.float64))).float()
