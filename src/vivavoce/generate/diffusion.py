"""From noise to what is clean: walks along the paths of `nn.diffusion`, and guidance by one and by two conditions.

A denoiser is asked for what is clean at a place and a time (`denoiser` makes one of a net that predicts something
else). Whoever walks owns the noise, a generator per row, so that a row does not depend on those beside it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.errors import ConfigError
from vivavoce.nn.diffusion import Net, NoiseSchedule, Prediction, Times, by_row

Solver = Literal["ddim", "euler", "heun", "dpm++", "adpm2"]
"""`ddim` (arXiv:2010.02502, without noise) is exact where the denoiser gives the same everywhere. `euler` goes along
the derivative by time, `heun` (arXiv:2206.00364, algorithm 1) along that by the way travelled, asking twice a step.
`dpm++` is the multistep solver of second order (arXiv:2211.01095, 2M). `adpm2` asks twice a step, the second time in
the middle of the logarithms, and adds fresh noise (arXiv:2206.00927, of second order, ancestral)."""
Place = Float[Tensor, "B *S"]


class RowNoise:
    """Normal numbers, each row's from a generator of its own."""

    def __init__(self, seeds: Sequence[int]) -> None:
        """A seed per row."""
        self._generators = [rng.torch_stream(seed, "noise") for seed in seeds]

    def __call__(self, *form: int) -> Tensor:
        """So many more for every row, in this form: Float[B, *form]."""
        return torch.stack([torch.randn(form, generator=generator) for generator in self._generators])


def denoiser(net: Net, schedule: NoiseSchedule, of: Prediction) -> Net:
    """What is clean, from a net that predicts ``of``."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return schedule.parts(of, net(x, t), x, t).clean

    return denoise


@torch.no_grad()
def sample(
    denoise: Net,
    start: Place,
    schedule: NoiseSchedule,
    steps: int,
    solver: Solver = "ddim",
    *,
    temperature: float = 1.0,
    times: Float[Tensor, " T"] | None = None,
    clean: Place | None = None,
    fresh: Callable[..., Tensor] | None = None,
) -> Place:
    """Walks from noise to what is clean in so many steps.

    ``start`` has unit deviation and is multiplied by ``temperature``. ``times`` take the place of the schedule's own
    grid; they fall, and end at 0. With ``clean`` the walk begins from it, at the first of the times (SDEdit,
    arXiv:2108.01073). ``fresh`` gives the noise of solvers that add some (`RowNoise`). Raises ConfigError for
    times that do not fall to 0 and for a solver that needs noise and was given none.
    """
    if times is None:
        if steps < 1:
            raise ConfigError(f"{steps} steps lead nowhere; take one or more")
        times = schedule.grid(steps)
    if len(times) < 2 or bool((times.diff() >= 0).any()) or float(times[-1]) != 0:
        raise ConfigError("the times of a walk must fall, from the noisiest to 0")
    if solver == "adpm2" and fresh is None:
        raise ConfigError("this solver adds noise; give it `fresh`, for example RowNoise(seeds)")
    times = times.to(start.device)
    walk = _Walk(denoise, schedule, fresh)
    first = times[:1].expand(len(start))
    noise = start * temperature
    x = by_row(schedule.sigma(first), start) * noise if clean is None else schedule.mix(clean, noise, first)
    for now, after in pairwise(times):
        x = walk.step(solver, x, now.expand(len(x)), after.expand(len(x)))
    return x


class _Walk:
    """Where a walk is, and what its last step knew."""

    def __init__(self, denoise: Net, schedule: NoiseSchedule, fresh: Callable[..., Tensor] | None) -> None:
        self.denoise, self.schedule, self.fresh = denoise, schedule, fresh
        self.before: tuple[Tensor, Tensor] | None = None

    def step(self, solver: Solver, x: Place, now: Times, after: Times) -> Place:
        """One step of a solver; the last of all goes to what is clean at once."""
        clean = self.denoise(x, now)
        if not after.any():
            return clean
        if solver == "ddim":
            return self.schedule.mix(clean, self._noise(clean, x, now), after)
        if solver == "dpm++":
            return self._multistep(clean, x, now, after)
        if solver == "adpm2":
            return self._ancestral(clean, x, now, after)
        if solver == "euler":
            return x + by_row(after - now, x) * self._along(self.schedule.speeds(now), clean, x, now)
        way = by_row(self.schedule.travelled(after) - self.schedule.travelled(now), x)
        slope = self._along(self.schedule.velocity(now), clean, x, now)
        ahead = x + way * slope
        there = self._along(self.schedule.velocity(after), self.denoise(ahead, after), ahead, after)
        return x + way * (slope + there) / 2

    def _noise(self, clean: Place, x: Place, t: Times) -> Place:
        return self.schedule.parts("clean", clean, x, t).noise

    def _along(self, shares: tuple[Times, Times], clean: Place, x: Place, t: Times) -> Place:
        """So much of what is clean and of the noise."""
        return by_row(shares[0], x) * clean + by_row(shares[1], x) * self._noise(clean, x, t)

    def _multistep(self, clean: Place, x: Place, now: Times, after: Times) -> Place:
        """A line through what the last two places said, over the logarithm of clean against noise."""
        alpha, sigma = self.schedule.alpha, self.schedule.sigma
        to_go = (alpha(after) / sigma(after)).log() - (alpha(now) / sigma(now)).log()
        aim = clean
        if self.before is not None:
            last, gone = self.before
            aim = clean + by_row(to_go / (2 * gone), x) * (clean - last)
        self.before = clean, to_go
        left = by_row(sigma(after) / sigma(now), x)
        return left * x + by_row(alpha(after) * -torch.expm1(-to_go), x) * aim

    def _ancestral(self, clean: Place, x: Place, now: Times, after: Times) -> Place:
        """Down past the wanted noise by a midpoint step, then up again with fresh noise."""
        assert self.fresh is not None
        schedule = self.schedule
        high, low = (schedule.sigma(t) / schedule.alpha(t) for t in (now, after))
        down = low.square() / high  # a difference of squares would be 0 where a step is long
        up = (low.square() - down.square()).clamp(min=0).sqrt()
        middle = (high * down).sqrt()
        y, half = x / by_row(schedule.alpha(now), x), schedule.when(middle)
        between = y + by_row((middle - high) / high, x) * (y - clean)
        there = self.denoise(between * by_row(schedule.alpha(half), x), half)
        y = y + by_row((down - high) / middle, x) * (between - there)
        return (y + by_row(up, x) * self.fresh(*x.shape[1:]).to(x.device)) * by_row(schedule.alpha(after), x)


def guided(with_it: Place, without: Place, weight: float) -> Place:
    """Away from what a net says without a condition (arXiv:2207.12598); weight 0 is without it, 1 is with it."""
    return without + weight * (with_it - without)


def guided_by_two(both: Place, first: Place, second: Place, neither: Place, weights: tuple[float, float]) -> Place:
    """By two conditions that are weighed apart (arXiv:2309.13664 §3.4); weights of 0 are both conditions as they are.

    ``first`` is a net's answer with the first condition alone.
    """
    return both + weights[0] * (first - neither) + weights[1] * (second - neither)


def rescaled(made: Place, with_it: Place, share: float) -> Place:
    """Takes back, by this share, what guidance added to a row's deviation (arXiv:2305.08891 §3.4)."""
    axes = tuple(range(1, made.ndim))
    size = with_it.std(axes, keepdim=True) / made.std(axes, keepdim=True)
    return made * (share * size + 1 - share)
