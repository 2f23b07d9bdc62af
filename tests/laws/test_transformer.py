"""The transformer's streaming laws: whole equals chunked, rows are independent, paused rows stay, trees equal lines."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ConfigError
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.nn.transformer import Transformer, TransformerConfig

CONFIG = TransformerConfig(dim=16, layers=2, heads=4, kv_heads=2, hidden=24, window=7)


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    built = CONFIG.build().eval()
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return built


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=30)
@given(chunks=st.lists(st.integers(0, 11), min_size=1, max_size=8))
def test_chunked_equals_whole(model: Transformer, chunks: list[int]) -> None:
    x = noise(2, sum(chunks), 16)
    with torch.no_grad():
        whole = model(x)
        state = model.init_state(2)
        parts = [model.step(piece, state) for piece in x.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=20)
@given(turns=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=3, max_size=12))
def test_rows_are_independent_and_paused_rows_unchanged(model: Transformer, turns: list[tuple[bool, ...]]) -> None:
    state = model.init_state(3)
    alone = [model.init_state(1) for _ in range(3)]
    with torch.no_grad():
        for number, turn in enumerate(turns):
            x = noise(3, 1 + number % 3, 16, seed=number)
            y = model.step(x, state, torch.tensor(turn))
            for row in range(3):
                if turn[row]:
                    torch.testing.assert_close(
                        y[row : row + 1], model.step(x[row : row + 1], alone[row]), atol=1e-4, rtol=1e-4
                    )
                for now, then in zip(state.rows([row]).tensors(), alone[row].tensors(), strict=True):
                    torch.testing.assert_close(now, then, atol=1e-4, rtol=1e-4)


def test_nothing_in_nothing_out_and_zeros_are_fresh(model: Transformer) -> None:
    state = model.init_state(2)
    assert model.step(noise(2, 0, 16), state).shape == (2, 0, 16)
    assert all(not leaf.any() for leaf in state.tensors())
    with torch.no_grad():
        first = model.step(noise(2, 9, 16), state)
        state.reset()
        torch.testing.assert_close(model.step(noise(2, 9, 16), state), first)


@settings(deadline=None, max_examples=20)
@given(past=st.integers(0, 12), left=st.integers(1, 4), right=st.integers(1, 4))
def test_branches_of_a_tree_equal_lines(model: Transformer, past: int, left: int, right: int) -> None:
    x = noise(1, past + left + right, 16)
    before, a, b = x.split((past, left, right), dim=1)
    among = torch.block_diag(torch.ones(left, left).tril(), torch.ones(right, right).tril()).bool()
    depth = torch.cat((torch.arange(left), torch.arange(right)))
    with torch.no_grad():
        state = model.init_state(1)
        model.step(before, state)
        kept = state.clone()
        tree = model.look(torch.cat((a, b), dim=1), state, depth, among)
        for now, then in zip(state.tensors(), kept.tensors(), strict=True):
            assert torch.equal(now, then)
        lines = [model.step(branch, kept.clone()) for branch in (a, b)]
    torch.testing.assert_close(tree, torch.cat(lines, dim=1), atol=1e-4, rtol=1e-4)


def test_padding_at_the_end_changes_nothing_before_it() -> None:
    torch.manual_seed(1)
    for causal in (True, False):
        model = (
            TransformerConfig(dim=16, layers=2, heads=2, kv_heads=1, hidden=24, window=32, causal=causal).build().eval()
        )
        x = noise(2, 9, 16)
        valid = torch.arange(9) < torch.tensor([[9], [5]])
        changed = x.clone()
        changed[1, 5:] = 7.0
        with torch.no_grad():
            torch.testing.assert_close(model(x, valid)[1, :5], model(changed, valid)[1, :5])
            assert torch.isfinite(model(x, torch.zeros(2, 9, dtype=torch.bool))).all()


def test_bfloat16_follows_float32(model: Transformer) -> None:
    x = noise(1, 20, 16)
    low = CONFIG.build().eval()
    low.load_state_dict(model.state_dict())
    low = low.to(torch.bfloat16)
    with torch.no_grad():
        state = low.init_state(1)
        assert state.keys[0].dtype == torch.bfloat16
        y = torch.cat([low.step(piece, state) for piece in x.bfloat16().split(3, dim=1)], dim=1)
        assert y.dtype == torch.bfloat16
        assert (y.float() - model(x)).abs().mean() < 0.08


def test_numbers_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of twice the heads"):
        TransformerConfig(dim=10, layers=1, heads=4, kv_heads=2, hidden=8, window=4)
    both = TransformerConfig(dim=8, layers=1, heads=2, kv_heads=1, hidden=8, window=4, causal=False).build()
    with pytest.raises(ConfigError, match="cannot be stepped"):
        both.step(torch.zeros(1, 1, 8), both.init_state(1))


def test_lanes_of_different_sizes_share_a_column() -> None:
    for depth in (None, replace(CONFIG, rotary=False)):
        torch.manual_seed(2)
        model: StreamLM = StreamLMConfig(trunk=CONFIG, lanes=(5, 9, 4), tied=False, predicted=2, depth=depth).build()
        ids = torch.stack([torch.randint(size, (3, 12)) for size in (5, 9, 4)], dim=1)
        with torch.no_grad():
            whole = model.eval()(ids)
            assert [lane.shape for lane in whole] == [(3, 12, 5), (3, 12, 9)]
            state = model.init_state(3)
            for column in range(11):
                hidden = model.read(ids[:, :, column : column + 1], state)
                for lane, scores in enumerate(whole):
                    found = model.scores(hidden, lane, ids[:, :lane, column + 1])
                    torch.testing.assert_close(found, scores[:, column], atol=1e-4, rtol=1e-4)
            # only a depth model sees the lanes before
            other = model.scores(hidden, 1, 4 - ids[:, :1, 11])
            assert torch.equal(other, found) == (depth is None)


def test_norms_after_sublayers_and_conditions() -> None:
    torch.manual_seed(3)
    config = TransformerConfig(
        dim=16, layers=2, heads=2, kv_heads=2, hidden=24, window=7, norm="layer", post=True, gated=False, bias=True,
        rotary=False,
    )  # fmt: skip
    model, x = config.build().eval(), noise(2, 6, 16)
    with torch.no_grad():
        state = model.init_state(2)
        parts = torch.cat([model.step(piece, state) for piece in x.split(2, dim=1)], dim=1)
        torch.testing.assert_close(parts, model(x), atol=1e-5, rtol=1e-5)
        adapted = replace(config, post=False, causal=False, condition=3).build().eval()
        plain = adapted(x, condition=torch.zeros(2, 3))
        torch.testing.assert_close(plain, adapted(x, condition=torch.ones(2, 3)))  # begins without any effect
        for layer in adapted.layers:
            torch.nn.init.normal_(layer.before.adapt.weight)
        changed = adapted(x, condition=torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
        torch.testing.assert_close(changed[0], plain[0])
        assert (changed[1] - plain[1]).abs().max() > 1e-3
    with pytest.raises(ConfigError, match="give one to forward"):
        adapted(x)
