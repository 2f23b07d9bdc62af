"""Matrices read in 16 bits: the same product, only where nothing is lost by it."""

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vivavoce.nn import few
from vivavoce.nn.conv import ConvConfig
from vivavoce.nn.edges import Edge, EdgeConv, edged
from vivavoce.nn.few import FEW, Linear

# Elsewhere nothing is packed and PyTorch's own product is used: there is nothing to compare.
packs = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="this processor has no order of its own"
)


def whole_numbers(weight: Tensor) -> Tensor:
    """Rows as a part of 8 bits has them."""
    scale = weight.flatten(1).abs().amax(1) / 127
    shaped = scale.view(-1, *[1] * (weight.dim() - 1))
    return (weight / shaped).round() * shaped


def linear(kind: str) -> Linear:
    made = Linear(48, 80, bias=kind != "without bias").eval()
    with torch.no_grad():
        made.weight.copy_(made.weight.half().float() if kind == "16 bits" else whole_numbers(made.weight))
    return made


def packed(module: Any) -> bool:
    kept = module._halved._kept
    return kept is not None and kept.packed is not None


@packs
@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "without bias"])
@pytest.mark.parametrize("rows", [1, 7, FEW])
def test_the_product_is_the_same(kind: str, rows: int) -> None:
    made, x = linear(kind), torch.randn(1, rows, 48)
    with torch.no_grad():
        wanted, found = F.linear(x, made.weight, made.bias), made(x)
        assert packed(made)
        assert (found - wanted).abs().max() <= 2e-6 * wanted.abs().max()


def test_what_would_lose_something_is_left_as_it_is() -> None:
    made, x = Linear(48, 80).eval(), torch.randn(3, 48)
    with torch.no_grad():
        assert torch.equal(made(x), F.linear(x, made.weight, made.bias)) and not packed(made)


@packs
def test_a_weight_that_is_changed_is_followed() -> None:
    made, x = linear("8 bits"), torch.randn(3, 48)
    with torch.no_grad():
        before = made(x)
        made.weight.mul_(2)
        twice = made(x) - made.bias
        assert torch.allclose(twice, 2 * (before - made.bias), atol=1e-5)
        made.weight.data = whole_numbers(torch.randn(80, 48))
        assert torch.allclose(made(x), F.linear(x, made.weight, made.bias), atol=1e-5) and packed(made)
        made.weight[0, 0] = 0.1234567
        assert torch.equal(made(x), F.linear(x, made.weight, made.bias)) and not packed(made)


@packs
def test_gradients_copies_and_many_vectors_go_the_usual_way() -> None:
    made = linear("8 bits")
    made(torch.randn(3, 48)).sum().backward()
    assert made.weight.grad is not None and made._halved._kept is None
    with torch.no_grad():
        made(torch.randn(FEW + 1, 48))
        assert made._halved._kept is None
        made(torch.randn(FEW, 48))
    assert packed(made)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other._halved._kept is None and torch.equal(other.weight, made.weight)


@packs
def test_a_stepped_convolution_reads_its_matrix_so_too() -> None:
    conv = ConvConfig(inputs=16, outputs=24, kernel=3).build().eval()
    x = torch.randn(2, 16, 6)
    with torch.no_grad():
        conv.weight.copy_(whole_numbers(conv.weight))
        whole, state = conv(torch.cat((x, torch.zeros(2, 16, 30)), dim=2))[:, :, :6], conv.init_state(2)
        stepped = torch.cat([conv.step(piece, state) for piece in x.split(2, dim=2)], dim=2)
    assert packed(conv) and torch.allclose(stepped, whole, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 5, 64, 65])
@pytest.mark.parametrize(
    "config",
    [
        ConvConfig(inputs=6, outputs=4, kernel=8, stride=4),
        ConvConfig(inputs=6, outputs=4, kernel=6, stride=2),
        ConvConfig(inputs=6, outputs=4, kernel=5, stride=2),
        ConvConfig(inputs=6, outputs=6, kernel=4, stride=2, groups=6),
        ConvConfig(inputs=6, outputs=6, kernel=4, stride=2, groups=2),
    ],
)
def test_few_frames_are_spread_as_many_are(config: ConvConfig, frames: int) -> None:
    made, x = config.transposed().eval(), torch.randn(2, 6, frames)
    with torch.no_grad():
        wanted = F.conv_transpose1d(x, made.weight, made.bias, config.stride, groups=config.groups)
        assert torch.allclose(made(x), wanted[:, :, : frames * config.stride], atol=1e-6)
        state = made.init_state(2)
        first, rest = made.step(x, state), made.step(torch.zeros(2, 6, 4), state)
        assert torch.allclose(torch.cat((first, rest), dim=2)[:, :, : wanted.shape[2]], wanted, atol=1e-6)


@pytest.mark.parametrize("frames", [2, 40])
@pytest.mark.parametrize("edge", ["reflect", "replicate"])
def test_few_frames_with_an_edge(edge: Edge, frames: int) -> None:
    config = ConvConfig(inputs=5, outputs=4, kernel=4, stride=2)
    made, x = EdgeConv(config, edge).eval(), torch.randn(2, 5, frames)
    with torch.no_grad():
        wanted = F.conv1d(edged(x, config.past, 0, edge), made.weight, made.bias, config.stride)
        assert torch.allclose(made(x), wanted, atol=1e-6)


def test_no_fast_product_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "_narrow", lambda rows: None)
    made, x = linear("8 bits"), torch.randn(2, 48)
    with torch.no_grad():
        assert torch.equal(made(x), F.linear(x, made.weight, made.bias))
