"""Layouts: what is packed is read back, what is written under a cursor can be read, final frames never change."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.layout import Beside, Cursor, Layout, Segment, read
from vivavoce.core.streams import Stream, Tokens, whole
from vivavoce.core.vocab import Vocab

TEXT = Tokens(name="text", alphabet="bpe-1", size=7)
PHONES = Tokens(name="phones", alphabet="phones-1", size=5)
UNITS = Tokens(name="units", alphabet="units-1", size=6, rate=Fraction(25))
CODES = Tokens(name="codes", alphabet="codec-1", size=4, books=3, rate=Fraction(25))
LETTERS = Tokens(name="letters", alphabet="bpe-2", size=8, rate=Fraction(25))


def called(spec: Tokens, name: str, **changes: Any) -> Tokens:
    return replace(spec, name=name, **changes)


def chain(turns: int) -> Layout:
    """SpeechGPT's chain of modality: units heard, written down, answered, and said."""
    blocks: list[Segment] = []
    for turn in range(turns):
        parts = (("asked", UNITS, "given"), ("read", TEXT, "made"), ("answer", TEXT, "made"), ("said", UNITS, "made"))
        for name, spec, role in parts:
            blocks.append(Segment(stream=called(spec, f"{name} {turn}"), role=role, mark=name))  # type: ignore[arg-type]
    return Layout(blocks=tuple(blocks))


LAYOUTS: dict[str, Callable[[], Layout]] = {
    "AudioLM, semantic": lambda: Layout(blocks=(Segment(stream=UNITS),)),
    "AudioLM, coarse": lambda: Layout(blocks=(Segment(stream=UNITS, role="given"), Segment(stream=CODES, flat=True))),
    "AudioLM, fine": lambda: Layout(
        blocks=(
            Segment(stream=called(CODES, "coarse", books=2), role="given", flat=True),
            Segment(stream=called(CODES, "fine", first_book=2, books=2), flat=True),
        )
    ),
    "AudioPaLM": lambda: Layout(
        blocks=(
            Segment(stream=called(TEXT, "task"), role="given"),
            Segment(stream=UNITS, role="given"),
            Segment(stream=called(TEXT, "transcript")),
            Segment(stream=called(UNITS, "translation")),
        )
    ),
    "SpeechGPT": lambda: chain(2),
    "VALL-E": lambda: Layout(
        blocks=(Segment(stream=PHONES, role="given"), Segment(stream=called(CODES, "first", books=1)))
    ),
    "VALL-E 2": lambda: Layout(
        blocks=(Segment(stream=PHONES, role="given"), Segment(stream=called(CODES, "first", books=1), group=3))
    ),
    "groups in the middle": lambda: Layout(
        blocks=(Segment(stream=called(UNITS, "heard"), role="given", group=2), Segment(stream=CODES, delays=(0, 2, 1)))
    ),
    "Parler": lambda: Layout(
        blocks=(Segment(stream=TEXT, role="given"), Segment(stream=CODES, delays=(0, 1, 2)))
    ),
    "delays in the middle": lambda: Layout(
        blocks=(Segment(stream=CODES, delays=(0, 3, 1)), Segment(stream=called(CODES, "again"), delays=(0, 0, 2)))
    ),
    "Moshi": lambda: Layout(
        blocks=(
            Beside(
                segments=(
                    Segment(stream=LETTERS),
                    Segment(stream=called(CODES, "own"), delays=(0, 1, 1)),
                    Segment(stream=called(CODES, "theirs"), role="heard", delays=(0, 1, 1)),
                )
            ),
        ),
        endless=True,
    ),
    "beside, with an end": lambda: Layout(
        blocks=(
            Segment(stream=PHONES, role="given"),
            Beside(segments=(Segment(stream=LETTERS), Segment(stream=CODES, delays=(1, 2, 0)))),
            Segment(stream=TEXT),
        )
    ),
}  # fmt: skip
each = pytest.mark.parametrize("name", LAYOUTS)


def some(layout: Layout, frames: int, seed: int) -> dict[str, Tensor]:
    make = torch.Generator().manual_seed(seed)
    items = {}
    for place, block in enumerate(layout.blocks):
        for segment in block.segments:
            spec = segment.stream
            count = (frames + place) % 6 * segment.group  # whole groups
            items[spec.name] = torch.randint(spec.size, (spec.books, count), generator=make)
    return items


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def prompt(layout: Layout, items: dict[str, Tensor], kept: int) -> dict[str, Tensor]:
    """What is given, and a few frames of the last block."""
    last = {segment.stream.name: segment.group for segment in layout.blocks[-1].segments}
    chosen = {s.stream.name for s in layout.segments if s.role == "given"}
    return {n: d if n in chosen else d[:, : kept * last[n]] for n, d in items.items() if n in chosen or n in last}


def written(layout: Layout, cursor: Cursor, columns: int, seed: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Random ids under a cursor, and what was final after each column."""
    make = torch.Generator().manual_seed(seed)
    heard = [segment.stream for segment in layout.segments if segment.role == "heard"]
    made, finals = [], []
    while not cursor.over and len(made) < columns:
        for spec in heard:
            cursor.hear(spec.name, torch.randint(spec.size, (spec.books, 1), generator=make))
        column: list[int] = []
        for lane in range(cursor.lanes):
            slot = cursor.slot(lane, column)
            allowed = [slot] if isinstance(slot, int) else [id for ids in slot for id in ids]
            column.append(allowed[int(torch.randint(len(allowed), (1,), generator=make))])
        cursor.take(column)
        made.append(column)
        finals.append(cursor.final())
    return torch.tensor(made, dtype=torch.long).view(-1, cursor.lanes).T, finals


@each
@settings(deadline=None, max_examples=15)
@given(frames=st.integers(0, 5), seed=st.integers(0, 99))
def test_what_is_packed_is_read_back(name: str, frames: int, seed: int) -> None:
    layout = LAYOUTS[name]()
    items = some(layout, frames, seed)
    grid = layout.pack(items)
    assert grid.ids.shape == grid.target.shape == (len(layout.sizes), grid.ids.shape[1])
    assert all(int(row.max()) < size for row, size in zip(grid.ids, layout.sizes, strict=True))
    assert same(read(layout, grid.ids), items)


@each
@settings(deadline=None, max_examples=15)
@given(frames=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_cursor_that_knows_everything_writes_what_is_packed(name: str, frames: int, seed: int) -> None:
    layout = LAYOUTS[name]()
    grid = layout.pack(items := some(layout, frames, seed))
    cursor = Cursor(layout, items, whole=True)
    for column in grid.ids.T.tolist():
        assert [cursor.slot(lane, column[:lane]) for lane in range(len(column))] == column
        cursor.take(column)
    assert cursor.over and same(cursor.final(), items)


@each
@settings(deadline=None, max_examples=25)
@given(frames=st.integers(0, 5), kept=st.integers(0, 3), more=st.integers(0, 40), seed=st.integers(0, 99))
def test_what_is_written_can_be_read_and_final_frames_never_change(
    name: str, frames: int, kept: int, more: int, seed: int
) -> None:
    layout = LAYOUTS[name]()
    items = some(layout, frames, seed)
    begun = prompt(layout, items, kept)
    grid, finals = written(layout, cursor := Cursor(layout, begun), more, seed)
    found = read(layout, grid)
    assert same(found, cursor.final())
    for after in finals:
        for stream, data in after.items():
            assert torch.equal(found[stream][:, : data.shape[1]], data)
    if cursor.over:
        assert torch.equal(layout.pack(found).ids, grid)
        for stream, data in begun.items():
            assert torch.equal(found[stream][:, : data.shape[1]], data)
    assert not (layout.endless and cursor.over)


def test_every_frame_is_final_as_soon_as_its_last_book_is_there() -> None:
    """The law above would hold of a cursor that calls nothing final."""
    layout = LAYOUTS["Moshi"]()
    _, finals = written(layout, Cursor(layout, {}), 6, 0)
    assert [final["own"].shape[1] for final in finals] == [0, 0, 1, 2, 3, 4]
    assert [final["letters"].shape[1] for final in finals] == [0, 1, 2, 3, 4, 5]
    layout = LAYOUTS["VALL-E 2"]()
    grid = layout.pack({"phones": torch.tensor([[1]]), "first": torch.tensor([[0, 1, 2, 3, 2, 1]])})
    cursor, counts = Cursor(layout), []
    for column in grid.ids.T.tolist():
        cursor.take(column)
        counts.append(cursor.final()["first"].shape[1])
    assert counts == [0, 0, 0, 3, 6, 6] and cursor.frames("first", 2).tolist() == [[2, 3, 2, 1]]
    layout = LAYOUTS["AudioLM, fine"]()
    cursor = Cursor(layout, {"coarse": torch.zeros(2, 2, dtype=torch.long)})
    for column in layout.pack({"coarse": torch.zeros(2, 2).long(), "fine": torch.ones(2, 2).long()}).ids.T.tolist()[:9]:
        cursor.take(column)
    assert cursor.final()["fine"].tolist() == [[1], [1]]


def test_the_loss_is_counted_on_what_is_made() -> None:
    moshi = LAYOUTS["Moshi"]()
    assert moshi.pack(some(moshi, 4, 0)).target.sum(1).tolist() == [4, 4, 4, 4, 0, 0, 0]
    valle = LAYOUTS["VALL-E"]()
    grid = valle.pack({"phones": torch.tensor([[1, 2]]), "first": torch.tensor([[3]])})
    assert grid.target.tolist() == [[False] * 4 + [True] * 2]
    assert [valle.vocabs[0].name(id) for id in grid.ids[0].tolist()][1::2] == ["phones-1:0", "mark", "mark"]
    grouped = LAYOUTS["VALL-E 2"]()
    grid = grouped.pack({"phones": torch.tensor([[1, 2]]), "first": torch.tensor([[3, 0, 1]])})
    # one column of three codes, and the end on the first lane alone
    assert grid.target.tolist() == [[False] * 4 + [True] * 2] + [[False] * 4 + [True, False]] * 2
    assert [[int(lane[4]) - size + 4 for lane, size in zip(grid.ids, grouped.sizes, strict=True)]] == [[3, 0, 1]]


def test_a_turn_that_is_over_is_not_gone_on_with() -> None:
    layout, items = chain(2), some(chain(2), 3, 0)
    del items["read 1"], items["answer 1"], items["said 1"]
    grid, _ = written(layout, Cursor(layout, items), 200, 3)
    found = read(layout, grid)
    assert all(torch.equal(found[name], data) for name, data in items.items())


def test_streams_that_were_not_learnt_are_refused_with_both_sides_named() -> None:
    layout = LAYOUTS["VALL-E"]()
    phones = whole(PHONES, torch.zeros(2, 1, 3, dtype=torch.long))
    first = Stream(called(CODES, "x", books=1), torch.ones(2, 1, 4, dtype=torch.long), torch.tensor([4, 2]))
    rows = layout.rows({"phones": phones, "first": first})
    assert [row["first"].shape[1] for row in rows] == [4, 2]
    with pytest.raises(SpecError, match=r"codec-2.*wanted.*codec-1"):
        layout.rows({"phones": phones, "first": whole(replace(first.spec, alphabet="codec-2"), first.data)})


def test_what_does_not_fit_is_refused() -> None:
    layout = LAYOUTS["Parler"]()
    items = some(layout, 3, 0)
    with pytest.raises(SpecError, match="needs a stream 'codes'"):
        layout.pack({"text": items["text"]})
    with pytest.raises(SpecError, match="has 2 books, wanted 3"):
        layout.pack({**items, "codes": items["codes"][:2]})
    with pytest.raises(SpecError, match=r"wanted 0\.\.3"):
        layout.pack({**items, "codes": items["codes"] + 4})
    with pytest.raises(SpecError, match="equally long"):
        moshi = LAYOUTS["Moshi"]()
        moshi.pack({**some(moshi, 3, 0), "letters": torch.zeros(1, 9, dtype=torch.long)})
    cursor = Cursor(moshi, {})
    cursor.take([1, 0, 0, 0, 0, 0, 0])
    with pytest.raises(SpecError, match="'theirs' was not heard so far"):
        cursor.slot(4, [3, 1, 0, 0])
    with pytest.raises(SpecError, match="wants"):
        read(layout, layout.pack(items).ids.flip(1))
    with pytest.raises(ConfigError, match="different names"):
        Layout(blocks=(Segment(stream=TEXT), Segment(stream=TEXT)))
    with pytest.raises(ConfigError, match="delays"):
        Segment(stream=CODES, delays=(0, 1))
    with pytest.raises(SpecError, match="no whole groups of 3; cut them"):
        LAYOUTS["VALL-E 2"]().pack({"phones": torch.zeros(1, 2).long(), "first": torch.zeros(1, 4).long()})
    with pytest.raises(SpecError, match="no whole groups of 3"):
        Cursor(LAYOUTS["VALL-E 2"](), {"phones": torch.zeros(1, 2).long(), "first": torch.zeros(1, 4).long()})
    for broken in ({"stream": CODES, "group": 2}, {"stream": UNITS, "group": 0}):
        with pytest.raises(ConfigError, match="cannot be in groups"):
            Segment(**broken)
    with pytest.raises(ConfigError, match="one clock"):
        Beside(segments=(Segment(stream=UNITS, group=2),))
    with pytest.raises(ConfigError, match="begin with 0"):
        Layout(blocks=(Segment(stream=CODES, delays=(1, 0, 0)),))
    with pytest.raises(ConfigError, match="one clock"):
        Beside(segments=(Segment(stream=TEXT), Segment(stream=CODES)))


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
