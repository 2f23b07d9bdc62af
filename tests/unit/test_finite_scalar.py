"""Finite scalar quantisation beside vector-quantize-pytorch, its inverse, its gradients."""

import pytest
import torch

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.nn.finite_scalar import FiniteScalarConfig


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (3, 3), (4, 7, 6)])
def test_it_equals_vector_quantize_pytorch(levels: tuple[int, ...]):
    theirs_of = pytest.importorskip("vector_quantize_pytorch").FSQ
    ours, theirs = FiniteScalarConfig(dim=6, levels=levels).build(), theirs_of(list(levels), dim=6)
    x = 3 * torch.randn(2, 6, 30)
    with torch.no_grad():
        for mine, other in ((ours.into, theirs.project_in), (ours.out, theirs.project_out)):
            mine.weight.copy_(other.weight)
            mine.bias.copy_(other.bias)
        values, ids = theirs(x.transpose(1, 2))
        assert torch.equal(ours.encode(x)[:, 0], ids.long())
        assert torch.allclose(ours(x).values, values.transpose(1, 2), atol=1e-5)
        assert torch.allclose(ours.decode(ours.encode(x)), values.transpose(1, 2), atol=1e-5)


def test_every_id_is_reached_and_comes_back():
    config = FiniteScalarConfig(dim=3, levels=(4, 3, 5))
    quantizer = config.build()
    with torch.no_grad():
        quantizer.into.weight.copy_(torch.eye(3))
        quantizer.out.weight.copy_(torch.eye(3))
        quantizer.into.bias.zero_()
        quantizer.out.bias.zero_()
        ids = torch.arange(config.size)[None, None]
        levels = quantizer.decode(ids) * (quantizer.levels // 2)[:, None]
        inverse = quantizer.encode(20 * torch.rand(1, 3, 20000) - 10)
    assert inverse.unique().numel() == config.size == levels.flatten(1).T.reshape(3, -1).unique(dim=1).shape[1]


def test_gradients_pass_straight_through():
    quantizer = FiniteScalarConfig(dim=4, levels=(5, 5)).build()
    x = torch.randn(1, 4, 7, requires_grad=True)
    made = quantizer(x)
    made.values.sum().backward()
    assert x.grad is not None and float(x.grad.abs().min()) > 0 and float(made.commitment) == 0


def test_impossible_levels_and_books_are_refused():
    with pytest.raises(ConfigError, match="at least 2"):
        FiniteScalarConfig(dim=4, levels=(1, 5)).build()
    with pytest.raises(SpecError, match="the only one"):
        FiniteScalarConfig(dim=4).build().decode(torch.zeros(1, 2, 3, dtype=torch.long))
