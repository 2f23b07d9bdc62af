"""The writer: a row's tokens depend on no other row, pauses and copies change nothing, what waits is read together."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.core.layout import Cursor, Layout, Segment, read
from vivavoce.core.rng import Uniforms
from vivavoce.core.streams import Tokens
from vivavoce.generate.samplers import GREEDY, Sample
from vivavoce.generate.writer import Line, Row, Writer
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig

PHONES = Tokens(name="phones", alphabet="phones-1", size=5)
CODES = Tokens(name="codes", alphabet="codec-1", size=6, books=3, rate=Fraction(25))
TRUNK = TransformerConfig(dim=16, layers=2, heads=2, kv_heads=1, hidden=16, window=40)
DEPTH = TransformerConfig(dim=8, layers=1, heads=2, kv_heads=1, hidden=8, window=3, rotary=False)


def layout() -> Layout:
    return Layout(blocks=(Segment(stream=PHONES, role="given"), Segment(stream=CODES, delays=(0, 1, 2))))


def model(depth: bool = True) -> StreamLM:
    torch.manual_seed(0)
    made = StreamLMConfig(trunk=TRUNK, lanes=layout().sizes, depth=DEPTH if depth else None).build().eval()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return made


def row(seed: int, most: int = 30, prompt: int = 0) -> Row:
    make = torch.Generator().manual_seed(seed)
    items = {"phones": torch.randint(5, (1, 1 + seed % 4), generator=make)}
    if prompt:
        items["codes"] = torch.randint(6, (3, prompt), generator=make)
    return Row(Cursor(layout(), items), Uniforms(seed), most=most)


def alone(writer: Writer, one: Row) -> Row:
    return next(writer.write([one], at_once=1))


@settings(deadline=None, max_examples=6)
@given(seeds=st.lists(st.integers(0, 50), min_size=1, max_size=5), at_once=st.integers(1, 4), depth=st.booleans())
def test_rows_do_not_see_each_other_and_make_room(seeds: list[int], at_once: int, depth: bool) -> None:
    writer = Writer(model(depth), Sample(temperature=0.9))
    rows = [row(seed, prompt=seed % 3) for seed in seeds]
    done = list(writer.write(rows, at_once=at_once))
    assert {id(one) for one in done} == {id(one) for one in rows}
    for seed, one in zip(seeds, rows, strict=True):
        assert one.written == alone(writer, row(seed, prompt=seed % 3)).written
        read(layout(), torch.tensor(one.written).T)


def test_prompts_are_kept_and_grids_end() -> None:
    writer = Writer(model(), Sample())
    one = row(5, most=200, prompt=4)
    prompt = row(5, prompt=4).cursor
    assert prompt is not None
    grid = torch.tensor(alone(writer, one).written).T
    found = read(layout(), grid)
    assert one.cursor is not None and one.cursor.over
    assert torch.equal(layout().pack(found).ids, grid)
    assert found["codes"].shape[1] >= 4


@settings(deadline=None, max_examples=6)
@given(turns=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=10))
def test_paused_rows_stay_and_copies_go_on_alike(turns: list[tuple[bool, bool]]) -> None:
    writer = Writer(model(), Sample())
    state = writer.init_state(2)
    for number in range(2):
        writer.begin(state, number, row(number + 3))
    for number, turn in enumerate(turns):
        if number == 2:
            copy = state.clone()
        before = [list(one.written) for one in state.rows_ if one is not None]
        writer.step(state, torch.tensor(turn))
        for on, was, one in zip(turn, before, state.rows_, strict=True):
            assert one is not None and (on or one.written == was)
    for turn in turns[2:]:
        writer.step(copy, torch.tensor(turn))
    for one, other in zip(state.rows_, copy.rows_, strict=True):
        assert one is not None and other is not None and one.written == other.written
    for number, one in enumerate(state.rows_):
        assert one is not None
        assert one.written == alone(writer, row(number + 3)).written[: len(one.written)]


def counted(lm: StreamLM) -> list[int]:
    """The numbers of columns that the model reads, pass by pass."""
    passes: list[int] = []
    inner = lm.read

    def reads(ids: Tensor, *rest: Any) -> Tensor:
        passes.append(ids.shape[2])
        return inner(ids, *rest)

    lm.read = reads  # type: ignore[method-assign]
    return passes


def test_rows_are_read_in_one_pass() -> None:
    lm = model()
    passes = counted(lm)
    writer = Writer(lm, Sample())
    state = writer.init_state(4)
    for number in range(4):
        writer.begin(state, number, row(4 * number, prompt=2))
    for _ in range(5):
        writer.step(state)
    assert len(passes) == 5


def test_lines_of_one_state_are_read_together_and_as_if_alone() -> None:
    torch.manual_seed(1)
    lm = StreamLMConfig(trunk=TRUNK, lanes=(9,)).build().eval()
    passes = counted(lm)
    writer = Writer(lm)
    state = writer.init_state(2)
    lines = [Line(writer, state, number) for number in range(2)]
    lines[0].push([1, 2, 3])
    lines[1].push([4, 5, 6])
    together = [line.scores() for line in lines]
    assert passes == [3]
    options = [[1, 2], [1, 3], [7]]
    for line, scores, ids in zip(lines, together, ([1, 2, 3], [4, 5, 6]), strict=True):
        single = Line(Writer(lm))
        single.push(ids)
        torch.testing.assert_close(single.scores(), scores, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(single.branches(options), line.branches(options), atol=1e-5, rtol=1e-5)
        other = line.copy()
        other.push([8])
        assert line.written == ids and other.written == [*ids, 8]
    assert lines[0].take(GREEDY, lambda: 0.5, torch.arange(9) == 4) == 4


def test_a_hook_changes_what_is_drawn() -> None:
    """Guidance from a second row: both draw from the mixed scores with the same numbers, so both write the same."""
    lm = model(depth=False)

    def guided(lane: int, scores: Tensor) -> Tensor:
        mixed = scores[1::2] + 2.0 * (scores[::2] - scores[1::2])
        return mixed.repeat_interleave(2, dim=0)

    writer = Writer(lm, Sample(temperature=4.0), hook=guided)
    state = writer.init_state(2)
    for number, phones in enumerate(([[1, 2, 3]], [[0, 0, 0]])):
        writer.begin(state, number, Row(Cursor(layout(), {"phones": torch.tensor(phones)}), Uniforms(8), most=25))
    for _ in range(25):
        writer.step(state)
    with_hint, without = (one.written for one in state.rows_ if one is not None)
    assert with_hint[5:] == without[5:] and with_hint[:5] != without[:5]
    plain = alone(
        Writer(lm, Sample(temperature=4.0)),
        replace(row(8), cursor=Cursor(layout(), {"phones": torch.tensor([[1, 2, 3]])})),
    )
    assert plain.written[5:] != with_hint[5:]


def test_each_row_looks_at_its_own_memory_however_long() -> None:
    torch.manual_seed(0)
    looking = StreamLMConfig(trunk=replace(TRUNK, memory=4), lanes=layout().sizes).build().eval()
    for weight in looking.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    valid = torch.arange(7) < torch.tensor([3, 7, 1])[:, None]
    both = looking.trunk.remember(torch.randn(3, 7, 4), valid)

    def looked(number: int) -> Row:
        one = row(5)
        one.memory = both.row(number)
        return one

    writer = Writer(looking, Sample(temperature=0.9))
    together = [looked(number) for number in range(3)]
    for _ in writer.write(together, at_once=2):
        pass
    assert [one.written for one in together] == [alone(writer, looked(number)).written for number in range(3)]
    assert len({str(one.written) for one in together}) == 3
    grid = torch.tensor([together[0].written]).transpose(1, 2)
    shorter = looking(grid, both.row(0))
    whole = looking(grid.expand(3, -1, -1), both)
    for one, of_all in zip(shorter, whole, strict=True):
        torch.testing.assert_close(one[0], of_all[0])
