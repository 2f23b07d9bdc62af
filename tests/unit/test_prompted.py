"""Nets that take a prompt: a WaveNet that denoises, query tokens, predictors."""

from typing import Any

import pytest
import torch
from torch import nn

from vivavoce.core.errors import ConfigError
from vivavoce.models.predictors import PromptedPredictorConfig
from vivavoce.nn.query_tokens import QueryTokensConfig
from vivavoce.nn.wavenet import WaveNetConfig

WAVENET = WaveNetConfig(channels=3, frames=5, memory=6, width=8, layers=5, heads=2)
PREDICTOR = PromptedPredictorConfig(inputs=4, memory=6, width=8, layers=4, heads=2)
LENGTHS = torch.tensor([7, 11])
VALID = torch.arange(11) < LENGTHS[:, None]


def all_learn(module: nn.Module, loss: torch.Tensor) -> None:
    loss.backward()
    for name, parameter in module.named_parameters():
        grad = parameter.grad
        assert grad is not None and float(grad.abs().sum()) > 0, name


def test_rows_of_a_wavenet_are_as_if_alone_and_everything_learns() -> None:
    torch.manual_seed(1)
    net = WAVENET.build()
    x, frames, memory, time = torch.randn(2, 3, 11), torch.randn(2, 5, 11), torch.randn(2, 4, 6), torch.rand(2)
    made = net(x, time, frames, memory, VALID)
    for row, length in enumerate(LENGTHS.tolist()):
        one = slice(row, row + 1)
        alone = net(x[one, :, :length], time[one], frames[one, :, :length], memory[one])
        assert (alone - made[one, :, :length]).abs().max() < 1e-6
        assert not bool(made[row, :, length:].any())
    # the last layer's way onwards ends there
    last: Any = net.layers[-1]
    last.out.weight.register_hook(lambda grad: grad + 1e-9)
    all_learn(net, net(x, time, frames, memory, VALID).square().sum())


def test_a_wavenet_reaches_as_far_as_its_dilations() -> None:
    torch.manual_seed(1)
    net = WAVENET.build()
    x = torch.randn(1, 3, 41, requires_grad=True)
    net(x, torch.rand(1), torch.randn(1, 5, 41), torch.randn(1, 4, 6))[0, :, 20].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0).nonzero()[:, 0]
    assert (int(seen.min()), int(seen.max())) == (20 - 7, 20 + 7)  # 1 + 2 + 1 + 2 + 1


def test_query_tokens_are_as_many_for_any_prompt_and_see_what_is_valid_only() -> None:
    torch.manual_seed(1)
    tokens = QueryTokensConfig(tokens=4, dim=8, memory=6, heads=2).build()
    memory = torch.randn(2, 11, 6)
    made = tokens(memory, VALID)
    assert made.shape == (2, 4, 8)
    assert (tokens(memory[:1, :7]) - made[:1]).abs().max() < 1e-6
    order = torch.randperm(11)
    assert (tokens(memory[:, order])[1] - made[1]).abs().max() < 1e-6  # where something was cannot be told
    all_learn(tokens, made.square().sum())


def test_predictors_follow_the_prompt_and_rows_are_as_if_alone() -> None:
    torch.manual_seed(1)
    net = PREDICTOR.build().eval()
    x, prompt, places = torch.randn(2, 11, 4), torch.randn(2, 9, 6), torch.tensor([4, 9])
    heard = torch.arange(9) < places[:, None]
    made = net(x, VALID, prompt, heard)
    alone = net(x[:1, :7], VALID[:1, :7], prompt[:1, :4])
    assert (alone - made[:1, :7]).abs().max() < 1e-6 and not bool(made[0, 7:].any())
    assert (net(x, VALID, prompt + 1, heard) - made).abs().max() > 1e-4
    all_learn(net.train(), made.square().sum())
    assert not torch.equal(net(x, VALID, prompt, heard), net(x, VALID, prompt, heard))  # half of it is left out


@pytest.mark.parametrize(
    "wrong", [WaveNetConfig(channels=3, frames=5, memory=6, kernel=4), WaveNetConfig(channels=3, frames=5, memory=6,
    width=9), PromptedPredictorConfig(inputs=4, memory=6, kernel=2), QueryTokensConfig(dim=9)]
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(wrong: WaveNetConfig) -> None:
    with pytest.raises(ConfigError, match="got "):
        wrong.build()
