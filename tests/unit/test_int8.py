"""Matrices of whole numbers, as they are and in the processor's order."""

import pytest
import torch

from vivavoce.nn.int8 import Int8Linear, rounded

# Where the processor has no order of its own, `pack` does nothing, and there is nothing to compare.
packs = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="this processor has no order of its own"
)


def _linear(inputs: int, outputs: int, *, bias: bool = False) -> Int8Linear:
    made = Int8Linear(inputs, outputs, bias)
    made.whole, made.scale = rounded(torch.randn(outputs, inputs))
    if bias:
        made.bias = torch.randn(outputs)
    return made


@packs
@pytest.mark.parametrize("bias", [False, True])
def test_the_processors_order_changes_nothing(bias: bool) -> None:
    torch.manual_seed(0)
    linear = _linear(96, 40, bias=bias)
    x = torch.randn(2, 5, 96) * torch.logspace(-4, 4, 5)[:, None]
    x[0, 0, 3] = 50 * x[0, 0].abs().max()  # one that stands out leaves the others their digits
    assert linear.whole is not None
    wanted = x @ (linear.whole.float() * linear.scale[:, None]).T + (0.0 if linear.bias is None else linear.bias)
    linear.pack()
    allowed = wanted.abs().amax(-1, keepdim=True) / 500
    assert ((linear(x) - wanted).abs() <= allowed).all()
    assert linear.whole is None


@packs
def test_what_is_read_depends_on_no_other_position() -> None:
    torch.manual_seed(1)
    linear = _linear(96, 40)
    linear.pack()
    x = torch.randn(9, 96)
    x[4] *= 1e6
    assert torch.equal(linear(x)[2:3], linear(x[2:3]))


@packs
def test_silence_stays_silence() -> None:
    linear = _linear(8, 4)
    linear.pack()
    assert torch.equal(linear(torch.zeros(1, 8)), torch.zeros(1, 4))


def test_chosen_rows_of_a_table_are_a_map_of_their_own() -> None:
    table = _linear(64, 30)
    x, ids = torch.randn(5, 64), torch.tensor([7, 2, 29])
    wanted = x @ table.rows(ids).T
    assert ((table.chosen(ids)(x) - wanted).abs() <= wanted.abs().amax(-1, keepdim=True) / 500).all()


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_table_is_multiplied_as_it_is(count: int) -> None:
    torch.manual_seed(2)
    table = _linear(64, 30)
    assert table.whole is not None
    x = torch.randn(count, 64)
    wanted = x @ (table.whole.float() * table.scale[:, None]).T
    assert ((table(x) - wanted).abs() <= wanted.abs().amax(-1, keepdim=True) / 50).all()
    assert torch.equal(table.rows(torch.tensor([3])), table.whole[3:4].float() * table.scale[3])
