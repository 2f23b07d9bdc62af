"""Paths from sound to noise and walks back: laws that hold for every schedule and solver."""

import pytest
import torch

from vivavoce.core.errors import ConfigError
from vivavoce.generate.diffusion import RowNoise, denoiser, guided, guided_by_two, rescaled, sample
from vivavoce.nn.diffusion import Edm, FlowMatching, NoiseSchedule, ScaledLinear, VariancePreserving, karras

SCHEDULES = [VariancePreserving(), ScaledLinear(), Edm(), FlowMatching()]
MEAN, SPREAD = torch.tensor([1.5, -0.5]), torch.tensor([0.3, 0.8])
"""A Gaussian of two independent numbers, whose denoiser is known."""
schedules = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: type(one).__name__)


def _times(schedule: NoiseSchedule, rows: int) -> torch.Tensor:
    return schedule.latest * (0.05 + 0.9 * torch.rand(rows))


def _times_of_noise(schedule: NoiseSchedule, steps: int) -> torch.Tensor:
    """Down to hardly any noise, so that the last step of all, to the mean of what is left, loses no spread."""
    last = torch.tensor([schedule.latest])
    return karras(schedule, steps, 0.01, min(60.0, float(schedule.sigma(last) / schedule.alpha(last))))


def _gaussian(schedule: NoiseSchedule):
    """The best guess of what is clean: the mean of a Gaussian's rest."""

    def denoise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        return MEAN + alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2) * (x - alpha * MEAN)

    return denoise


@schedules
@pytest.mark.parametrize("of", ["clean", "noise", "velocity"])
def test_a_prediction_gives_back_what_a_place_is_made_of(schedule, of):
    clean, noise, t = torch.randn(5, 2, 3), torch.randn(5, 2, 3), _times(schedule, 5)
    parts = schedule.parts(of, schedule.target(of, clean, noise, t), schedule.mix(clean, noise, t), t)
    size = schedule.latest  # noise of 80 leaves few digits for what is clean
    assert torch.allclose(parts.clean, clean, atol=2e-5 * size) and torch.allclose(parts.noise, noise, atol=2e-4)


@schedules
def test_speeds_are_derivatives_and_the_inverse_finds_the_time(schedule):
    t = (schedule.latest * torch.linspace(0.1, 0.9, 7, dtype=torch.float64)) + 0.00025
    on_clean, on_noise = schedule.speeds(t)
    low, high = t - 1e-5, t + 1e-5
    assert torch.allclose(on_clean, (schedule.alpha(high) - schedule.alpha(low)) / 2e-5, atol=1e-5)
    assert torch.allclose(on_noise, (schedule.sigma(high) - schedule.sigma(low)) / 2e-5, atol=1e-5)
    assert torch.allclose(schedule.when(schedule.sigma(t) / schedule.alpha(t)), t, atol=1e-7)


@schedules
def test_all_is_clean_at_time_0_and_noise_at_the_last(schedule):
    zero, last = torch.zeros(1), torch.tensor([schedule.latest])
    assert schedule.alpha(zero) == 1 and schedule.sigma(zero) == 0
    assert schedule.alpha(last) / schedule.sigma(last) < 0.08
    grid = schedule.grid(7)
    assert len(grid) == 8 and torch.isclose(grid[0], last[0]) and grid[-1] == 0 and bool((grid.diff() < 0).all())


@schedules
def test_times_to_learn_at_lie_on_the_path(schedule):
    t = schedule.draw(4000, torch.Generator().manual_seed(0))
    assert bool((t > 0).all())
    if isinstance(schedule, Edm):
        assert abs(float(t.log().mean()) + 1.2) < 0.1 and abs(float(t.log().std()) - 1.2) < 0.1
    else:
        assert float(t.max()) <= 1 and abs(float(t.mean()) - 0.5) < 0.03


@schedules
@pytest.mark.parametrize("solver", ["ddim", "euler", "heun", "dpm++", "adpm2"])
def test_every_solver_samples_a_known_gaussian(schedule, solver):
    steps, noise, points = 20 if solver in ("heun", "dpm++") else 50, RowNoise([3]), 2000
    times = _times_of_noise(schedule, steps)
    denoise = _gaussian(schedule)

    def one_row(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return denoise(x[0], t.expand(points))[None]

    found = sample(one_row, noise(points, 2), schedule, steps, solver, times=times, fresh=noise)[0]
    assert torch.allclose(found.mean(0), MEAN, atol=0.05)
    assert torch.allclose(found.std(0), SPREAD, rtol=0.08)


@pytest.mark.parametrize("solver", ["heun", "dpm++"])
@schedules
def test_solvers_of_second_order_err_less(schedule, solver):
    start, denoise = RowNoise([0])(500, 2)[0], _gaussian(schedule)
    times = _times_of_noise(schedule, 16)
    ratio = schedule.sigma(times[:1]) / schedule.alpha(times[:1])
    start_at = schedule.sigma(times[:1]) * start / schedule.alpha(times[:1])
    exact = MEAN + SPREAD * (start_at - MEAN) / (SPREAD**2 + ratio**2).sqrt()
    errors = {
        name: float((sample(denoise, start, schedule, 0, name, times=times) - exact).abs().mean())
        for name in ("ddim", solver)
    }
    assert errors[solver] < 0.5 * errors["ddim"], errors


def test_the_temperature_narrows_what_is_sampled():
    start, schedule = RowNoise([0])(2000, 2)[0], FlowMatching()
    spread = sample(_gaussian(schedule), start, schedule, 50, temperature=1 / 1.2).std(0)
    assert torch.allclose(spread, SPREAD / 1.2, rtol=0.05)


def test_a_walk_from_something_clean_stays_near_it():
    schedule, there = ScaledLinear(), torch.tensor([[3.0, -3.0]])
    late, early = (
        sample(_gaussian(schedule), torch.zeros(1, 2), schedule, 0, clean=there, times=torch.linspace(begin, 0, 30))
        for begin in (0.95, 0.02)
    )
    assert float((early - there).abs().max()) < 0.5 < float((late - there).abs().max())


def test_rows_have_noise_of_their_own():
    alone, beside = RowNoise([7]), RowNoise([5, 7])
    assert torch.equal(alone(3, 2)[0], beside(3, 2)[1]) and torch.equal(alone(2)[0], beside(2)[1])


def test_a_net_may_predict_anything():
    schedule, denoise = FlowMatching(), _gaussian(FlowMatching())
    start = RowNoise([0])(50, 2)[0]

    def net(x, t):
        clean = denoise(x, t)
        return schedule.target("velocity", clean, schedule.parts("clean", clean, x, t).noise, t)

    given = sample(denoiser(net, schedule, "velocity"), start, schedule, 10)
    assert torch.allclose(given, sample(denoise, start, schedule, 10), atol=1e-4)


def test_preconditioned_inputs_and_targets_have_unit_deviation():
    schedule = Edm(data=0.3)
    for sigma in (0.01, 0.5, 20.0):
        t = torch.full((4000,), sigma)
        clean, noise, seen = 0.3 * torch.randn(4000, 1), torch.randn(4000, 1), []
        x = schedule.mix(clean, noise, t)

        def net(given: torch.Tensor, level: torch.Tensor, seen: list = seen) -> torch.Tensor:
            seen.append(given.std())
            return torch.zeros_like(given)

        rest = clean - schedule.denoise(net, x, t)  # what the net is to give, times its share
        target = rest.std() * schedule.weight(t)[0].sqrt()
        assert abs(float(seen[0]) - 1) < 0.05 and abs(float(target) - 1) < 0.05


def test_guidance():
    with_it, without, rest = torch.randn(3, 2, 4, 5).unbind()
    assert torch.equal(guided(with_it, without, 0.0), without)
    assert torch.allclose(guided(with_it, without, 1.0), with_it, atol=1e-6)
    both = torch.randn(2, 4, 5)
    assert torch.equal(guided_by_two(both, with_it, without, rest, (0.0, 0.0)), both)
    by_hand = both + 3 * (with_it - rest) + 5 * (without - rest)
    assert torch.allclose(guided_by_two(both, with_it, without, rest, (3.0, 5.0)), by_hand, atol=1e-5)
    strong = guided(with_it, without, 5.0)
    assert torch.allclose(rescaled(strong, with_it, 1.0).std((1, 2)), with_it.std((1, 2)), atol=1e-5)
    assert torch.equal(rescaled(strong, with_it, 0.0), strong)


def test_walks_that_lead_nowhere_are_refused():
    schedule, start = FlowMatching(), torch.zeros(1, 2)
    with pytest.raises(ConfigError, match="0 steps lead nowhere"):
        sample(_gaussian(schedule), start, schedule, 0)
    with pytest.raises(ConfigError, match="must fall"):
        sample(_gaussian(schedule), start, schedule, 2, times=torch.tensor([1.0, 0.5, 0.1]))
    with pytest.raises(ConfigError, match="adds noise"):
        sample(_gaussian(schedule), start, schedule, 2, "adpm2")
    with pytest.raises(ConfigError, match="must grow"):
        VariancePreserving(least=2.0, most=1.0)
