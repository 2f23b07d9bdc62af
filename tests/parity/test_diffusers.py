"""Walks along paths, step by step as diffusers' schedulers take them with the same net."""

import pytest
import torch
from diffusers.schedulers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
)

from vivavoce.generate.diffusion import denoiser, sample
from vivavoce.nn.diffusion import Edm, FlowMatching, ScaledLinear, karras

BETAS = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear"}


def _net(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Something that depends on place and time."""
    return torch.tanh(x.roll(1, -1) * (0.5 + 0.5 * t.view(-1, 1, 1))) + 0.1 * x


def _theirs(scheduler, x, times, net):
    """A walk by diffusers; ``times`` turn theirs into ours."""
    for t in scheduler.timesteps:
        given = net(scheduler.scale_model_input(x, t), times(t).expand(len(x)))
        x = scheduler.step(given, t, x).prev_sample
    return x


@pytest.mark.parametrize("of", ["noise", "clean", "velocity"])
def test_ddim(of):
    kind = {"noise": "epsilon", "clean": "sample", "velocity": "v_prediction"}[of]
    theirs = DDIMScheduler(**BETAS, prediction_type=kind, timestep_spacing="trailing", clip_sample=False)
    theirs.set_timesteps(10)
    x, schedule = torch.randn(2, 3, 8), ScaledLinear()
    found = sample(denoiser(_net, schedule, of), x / schedule.sigma(torch.ones(1)), schedule, 10)
    assert torch.allclose(found, _theirs(theirs, x, lambda t: (t + 1) / 1000, _net), rtol=1e-4, atol=1e-4)


def test_dpm_plus_plus():
    theirs = DPMSolverMultistepScheduler(**BETAS, timestep_spacing="trailing", final_sigmas_type="zero")
    theirs.set_timesteps(10)
    x, schedule = torch.randn(2, 3, 8), ScaledLinear()
    found = sample(denoiser(_net, schedule, "noise"), x / schedule.sigma(torch.ones(1)), schedule, 10, "dpm++")
    assert torch.allclose(found, _theirs(theirs, x, lambda t: (t + 1) / 1000, _net), rtol=1e-3, atol=1e-3)


def test_edm():
    theirs = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, rho=7.0)
    theirs.set_timesteps(10)
    x, schedule = torch.randn(2, 3, 8), Edm()
    assert torch.allclose(schedule.grid(10), theirs.sigmas, rtol=1e-5)
    found = sample(lambda x, t: schedule.denoise(_net, x, t), x, schedule, 10, "euler")
    assert torch.allclose(found, _theirs(theirs, 80 * x, lambda t: t, _net), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("solver", ["heun", "adpm2"])
def test_solvers_that_ask_twice(solver):
    """Theirs go along noise against clean, which is time for `Edm`."""
    schedule, twice = Edm(), torch.Generator().manual_seed(0)
    theirs = (HeunDiscreteScheduler if solver == "heun" else KDPM2AncestralDiscreteScheduler)(
        **BETAS, use_karras_sigmas=True
    )
    theirs.set_timesteps(8)
    sigmas = theirs.sigmas.unique().flip(0)
    x = torch.randn(1, 3, 8)
    y = sigmas[0] * x
    for t in theirs.timesteps:
        theirs.scale_model_input(y, t)
        middle = solver == "adpm2" and not theirs.state_in_first_order
        at = theirs.sigmas_interpol[theirs.step_index - 1] if middle else theirs.sigmas[theirs.step_index]
        draw = {"generator": twice} if solver == "adpm2" else {}
        y = theirs.step(_net(y, at[None]), t, y, **draw).prev_sample
    twice.manual_seed(0)

    def fresh(*form: int) -> torch.Tensor:
        return torch.randn(1, *form, generator=twice)

    found = sample(denoiser(_net, schedule, "noise"), x, schedule, 0, solver, times=sigmas, fresh=fresh)
    assert torch.allclose(found, y, rtol=1e-3, atol=1e-3)
    assert torch.allclose(sigmas, karras(schedule, 8, float(sigmas[-2]), float(sigmas[0])), rtol=1e-4)


def test_flow_matching():
    theirs = FlowMatchEulerDiscreteScheduler()
    theirs.set_timesteps(sigmas=torch.linspace(1, 0.1, 10).tolist())
    x, schedule = torch.randn(2, 3, 8), FlowMatching()
    found = sample(denoiser(_net, schedule, "velocity"), x, schedule, 10, "euler")
    y = x
    for t in theirs.timesteps:
        y = theirs.step(_net(y, (t / 1000).expand(2)), t, y).prev_sample
    assert torch.allclose(found, y, rtol=1e-4, atol=1e-4)
