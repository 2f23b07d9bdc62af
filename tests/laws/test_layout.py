"""Layouts: what is packed unpacks, and whatever is sampled under `legal` unpacks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.layout import Delayed, Flat, Interleaved, Layout, TextBeside
from vivavoce.core.vocab import Vocab

sizes = st.integers(1, 7)


# Layouts are made in the test and not while they are drawn: checks of shapes take random numbers, and drawing must not.


@st.composite
def delayed(draw: Any, name: str = "codes") -> Callable[[], Delayed]:
    rest = draw(st.lists(st.integers(0, 4), max_size=3))
    return partial(Delayed, name=name, size=draw(sizes), delays=(0, *rest))


@st.composite
def layouts(draw: Any) -> Callable[[], Layout]:
    kind = draw(st.sampled_from(["flat", "delayed", "interleaved", "beside"]))
    if kind == "flat":
        names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
        return partial(Flat, order=tuple((name, draw(sizes)) for name in names))
    if kind == "delayed":
        return draw(delayed())
    if kind == "interleaved":
        return partial(Interleaved, name="codes", size=draw(sizes), books=draw(st.integers(1, 4)))
    ours, theirs, size = draw(delayed("ours")), draw(delayed("theirs")), draw(sizes)
    return lambda: TextBeside(text="text", text_size=size, streams=(ours(), theirs()), said=("ours",))


def some_items(layout: Layout, frames: int, seed: int) -> dict[str, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)

    def ids(size: int, books: int, length: int) -> torch.Tensor:
        return torch.randint(size, (books, length), generator=make)

    match layout:
        case Flat(order=order):
            return {name: ids(size, 1, (frames + place) % 6) for place, (name, size) in enumerate(order)}
        case Delayed(name=name, size=size, delays=delays):
            return {name: ids(size, len(delays), frames)}
        case Interleaved(name=name, size=size, books=books):
            return {name: ids(size, books, frames)}
        case TextBeside():
            streams = {s.name: ids(s.size, len(s.delays), frames) for s in layout.streams}
            return {layout.text: ids(layout.text_size + 1, 1, frames), **streams}
    raise AssertionError


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@settings(deadline=None)
@given(drawn=layouts(), frames=st.integers(0, 9), seed=st.integers(0, 99))
def test_what_is_packed_unpacks(drawn: Callable[[], Layout], frames: int, seed: int) -> None:
    layout = drawn()
    items = some_items(layout, frames, seed)
    grid = layout.pack(items)
    assert grid.ids.shape == grid.target.shape
    assert same(layout.unpack(grid.ids), items)


def sampled(layout: Layout, made: torch.Tensor, columns: int, make: torch.Generator) -> torch.Tensor:
    """A grid that goes on with so many columns of ids that the layout allows."""
    for _ in range(columns):
        lanes = []
        for ranges in layout.legal(made.shape[1]):
            allowed = [id for ids in ranges for id in ids]
            lanes.append(allowed[int(torch.randint(len(allowed), (1,), generator=make))])
        made = torch.cat((made, torch.tensor(lanes)[:, None]), dim=1)
    return made


@settings(deadline=None)
@given(drawn=layouts(), frames=st.integers(0, 5), more=st.integers(0, 12), seed=st.integers(0, 99))
def test_what_is_sampled_under_legal_unpacks(drawn: Callable[[], Layout], frames: int, more: int, seed: int) -> None:
    layout = drawn()
    make = torch.Generator().manual_seed(seed)
    made = sampled(layout, layout.prefix(some_items(layout, frames, seed)), more, make)
    found = layout.unpack(made)
    if not isinstance(layout, Flat):  # a flat line ends where it likes; the others have frames
        assert all(data.shape[1] == layout.ready(made.shape[1]) for data in found.values())


@settings(deadline=None)
@given(drawn=layouts(), frames=st.integers(0, 5), more=st.integers(0, 12), seed=st.integers(0, 99))
def test_frames_that_are_final_never_change(drawn: Callable[[], Layout], frames: int, more: int, seed: int) -> None:
    """Played sound cannot be taken back: however a grid goes on, what was `ready` unpacks to the same."""
    layout = drawn()
    make = torch.Generator().manual_seed(seed)
    grid = layout.prefix(some_items(layout, frames, seed))
    final: dict[str, torch.Tensor] = {}
    ready = 0
    for _ in range(more):
        grid = sampled(layout, grid, 1, make)
        now = layout.unpack(grid)
        for name, data in final.items():
            assert torch.equal(now[name][:, :ready], data[:, :ready])
        final = now
        # how long the prompt's streams were is not in a flat line's count of columns: what is there is final
        ready = now[layout.order[-1][0]].shape[1] if isinstance(layout, Flat) else layout.ready(grid.shape[1])


@settings(deadline=None)
@given(drawn=layouts(), frames=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_packed_grid_is_legal_after_its_prefix(drawn: Callable[[], Layout], frames: int, seed: int) -> None:
    layout = drawn()
    items = some_items(layout, frames, seed)
    grid = layout.pack(items)
    # Flat prompts hold the earlier streams, and the fill at the end of a delayed grid is no sample.
    known = dict(list(items.items())[:-1]) if isinstance(layout, Flat) else {}
    begin = layout.prefix(known).shape[1]
    for column in range(begin, grid.ids.shape[1]):
        for lane, ranges in enumerate(layout.legal(column)):
            id = int(grid.ids[lane, column])
            assert any(id in ids for ids in ranges) or not grid.target[lane, column]
            if grid.target[lane, column]:
                assert any(id in ids for ids in ranges)


def test_the_loss_is_counted_on_what_is_said() -> None:
    beside = TextBeside(
        text="text",
        text_size=5,
        streams=(Delayed(name="ours", size=3, delays=(0, 1)), Delayed(name="theirs", size=3, delays=(0,))),
        said=("ours",),
    )
    grid = beside.pack(some_items(beside, 4, 0))
    assert grid.target.sum(1).tolist() == [4, 4, 4, 0]
    flat = Flat(order=(("a", 3), ("b", 3)))
    assert flat.pack({"a": torch.tensor([[1, 2]]), "b": torch.tensor([[0]])}).target.tolist() == [
        [False] * 4 + [True] * 2
    ]


def test_wrong_streams_are_refused() -> None:
    layout = Delayed(name="codes", size=4, delays=(0, 1))
    with pytest.raises(SpecError, match="needs a stream 'codes'"):
        layout.pack({"other": torch.zeros(2, 3, dtype=torch.long)})
    with pytest.raises(SpecError, match="has 3 books, wanted 2"):
        layout.pack({"codes": torch.zeros(3, 3, dtype=torch.long)})
    with pytest.raises(SpecError, match=r"wanted 0\.\.3"):
        layout.pack({"codes": torch.full((2, 3), 4)})
    with pytest.raises(SpecError, match="does not belong to 'a'"):
        Flat(order=(("a", 2), ("b", 2))).unpack(torch.tensor([[0, 5]]))
    with pytest.raises(SpecError, match="delays begin with 0"):
        Delayed(name="codes", size=4, delays=(1, 2))


@settings(deadline=None)
@given(parts=st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 9), min_size=1, max_size=4))
def test_vocabularies_split_what_they_join(parts: dict[str, int]) -> None:
    vocab = Vocab(tuple(parts.items()))
    seen: list[int] = []
    for name, size in parts.items():
        local = torch.arange(size)
        ids = vocab.join(name, local)
        assert torch.equal(vocab.split(name, ids), local)
        assert {vocab.name(id) for id in ids.tolist()} == {name}
        assert vocab.id(name, size - 1) == int(ids[-1])
        with pytest.raises(SpecError, match="which has"):
            vocab.join(name, local + 1)
        seen += ids.tolist()
    assert seen == list(range(vocab.size))


def test_foreign_ids_are_no_wrong_tokens() -> None:
    vocab = Vocab((("text", 4), ("units", 3)))
    with pytest.raises(SpecError, match=r"'units' has 4\.\.6"):
        vocab.split("units", torch.tensor([5, 3]))
    with pytest.raises(SpecError, match="no alphabet 'sound'"):
        vocab.range("sound")
    with pytest.raises(SpecError, match="outside"):
        vocab.name(7)
    with pytest.raises(ConfigError, match="different names"):
        Vocab((("text", 4), ("text", 3)))
