"""A layout says which streams follow each other on the lanes of a grid, and which stand beside each other.

A grid has R lanes and S columns; a model reads column s and predicts column s + 1. A `Segment` puts a stream on it, one
lane per book, each book begun as many columns later as ``delays`` say (MusicGen, arXiv:2306.05284 §2.2), all books of
a frame one after the other on one lane (``flat``; AudioLM, arXiv:2209.03143), or several frames of one book side by
side (``group``; VALL-E 2, arXiv:2406.05370 §3.1). `Beside` holds segments of one clock in parallel lanes (Moshi,
arXiv:2410.00037). A `Layout` is several of these blocks, one after the other::

    lane 0   <phones> HH AY <codes> 17 4 9 <end>
    lane 1   .        .  .  .       .  3 8  1     (delays (0, 1))

Each block begins with its mark on lane 0; a mark also ends the block before it, whose delayed lanes run on beside it.
What is not said is ``fill``, id 0 of every lane. `Layout.pack` makes a grid to learn from, `core.layout.cursor` reads
and writes one column by column.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Stream, Tokens
from vivavoce.core.vocab import Vocab

Items = Mapping[str, Int[Tensor, "_ _"]]
Role = Literal["given", "heard", "made"]
"""``given`` is known when writing begins, ``heard`` arrives meanwhile; only what is ``made`` is learnt and written."""
_FILL, _END = "fill", "end"


@dataclass(frozen=True, slots=True)
class Grid:
    """One utterance: ids, and where the loss is counted."""

    ids: Int[Tensor, "R S"]
    target: Bool[Tensor, "R S"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stream in a role; its name is the stream's. ``mark`` is the name of what begins it, the stream's if empty.

    ``group`` frames of a stream of one book share a column, a lane for each; only whole groups can be packed.
    """

    stream: Tokens
    role: Role = "made"
    delays: tuple[int, ...] = ()
    flat: bool = False
    group: int = 1
    mark: str = ""

    def __post_init__(self) -> None:
        """Refuses delays that do not fit the books, and groups of what has several."""
        if self.group < 1 or (self.group > 1 and (self.stream.books > 1 or self.delays or self.flat)):
            raise ConfigError(f"{self.stream.books} books of {self.stream.name!r} cannot be in groups of {self.group}")
        if self.delays and (len(self.delays) != self.stream.books or min(self.delays) < 0 or self.flat):
            raise ConfigError(f"{self.stream.books} books of {self.stream.name!r} cannot have the delays {self.delays}")

    @property
    def segments(self) -> tuple["Segment", ...]:
        """Itself."""
        return (self,)

    @property
    def lanes(self) -> tuple[tuple["Segment", int, int], ...]:
        """Of every lane: whose it is, the book and the delay; the one lane of a flat segment stands for all books, and
        of a group every lane is of the first book."""
        if self.flat or self.group > 1:
            return ((self, 0, 0),) * self.group
        return tuple((self, book, delay) for book, delay in enumerate(self.delays or (0,) * self.stream.books))

    def columns(self, frames: int) -> int:
        """Columns of so many frames. SpecError where the last group would not be whole."""
        if frames % self.group:
            raise SpecError(f"{frames} frames of {self.stream.name!r} are no whole groups of {self.group}; cut them")
        return frames * self.stream.books if self.flat else frames // self.group

    def whole(self, data: Int[Tensor, "K T"]) -> Int[Tensor, "K S"]:
        """Frames in whole groups: what is too much is left out at the beginning, where silence is (VALL-E 2 §3.1)."""
        return data[:, data.shape[1] % self.group :]

    def turns(self, book: int) -> range:
        """The books that take turns on the lane of ``book``."""
        return range(self.stream.books) if self.flat else range(book, book + 1)

    def alphabet(self, book: int) -> str:
        """The name of a book's ids in a lane's vocabulary."""
        return f"{self.stream.alphabet}:{self.stream.first_book + book}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Segments of one clock in parallel lanes, each frame of one beside the same frame of the others."""

    segments: tuple[Segment, ...]
    mark: str = ""

    def __post_init__(self) -> None:
        """Refuses what has no common clock."""
        if not self.segments or any(
            s.flat or s.group > 1 or s.stream.rate != self.segments[0].stream.rate for s in self.segments
        ):
            raise ConfigError(f"segments beside each other need one clock and lanes of their own, got {self.segments}")

    @property
    def lanes(self) -> tuple[tuple[Segment, int, int], ...]:
        """Of every lane: whose it is, the book and the delay."""
        return tuple(lane for segment in self.segments for lane in segment.lanes)

    def columns(self, frames: int) -> int:
        """Columns of so many frames."""
        return frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Blocks in order. ``endless``: nobody learns to end the last of them, and what is written does not.

    ``within`` is a layout that has all marks and alphabets of this one: ids are those of that one, so that one model
    reads both (the tasks of a speech language model).

    Laws, held by tests: a cursor reads back what `pack` packed; whatever is written under a cursor can be read; frames
    that a cursor calls final never change.
    """

    blocks: tuple[Segment | Beside, ...]
    endless: bool = False
    within: "Layout | None" = None

    def __post_init__(self) -> None:
        """Refuses names that occur twice, and blocks whose first lane is late (it is where blocks end)."""
        names = [segment.stream.name for segment in self.segments]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"the segments of a layout need different names, got {names}")
        late = [block.segments[0].stream.name for block in self.blocks if block.lanes[0][2]]
        if late:
            raise ConfigError(f"the first lane of {late[0]!r} is delayed; delays begin with 0")
        if self.within is not None:
            known, own = self.within.vocabs, replace(self, within=None)
            foreign = [mark for mark in own.marks if mark not in self.within.marks]
            foreign += [
                name
                for lane, vocab in enumerate(own.vocabs)
                for name, _ in vocab.parts[1:]
                if lane >= len(known) or name not in dict(known[lane].parts)
            ]
            if foreign:
                raise ConfigError(f"the layout that this one is part of has no {foreign[0]!r}")

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All of them, in order."""
        return tuple(segment for block in self.blocks for segment in block.segments)

    @property
    def marks(self) -> tuple[str, ...]:
        """Names of the marks of lane 0, in the order of their ids."""
        if self.within is not None:
            return self.within.marks
        return (_FILL, *dict.fromkeys(block.mark or block.segments[0].stream.name for block in self.blocks), _END)

    @property
    def vocabs(self) -> tuple[Vocab, ...]:
        """What ids mean on each lane: marks, then the alphabets that stand there, each once."""
        return _vocabs(self if self.within is None else self.within)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Ids of each lane."""
        return tuple(vocab.size for vocab in self.vocabs)

    def mark(self, block: int) -> int:
        """The id that begins a block, or the end after the last one."""
        if block == len(self.blocks):
            return self.marks.index(_END)
        return self.marks.index(self.blocks[block].mark or self.blocks[block].segments[0].stream.name)

    def lead(self, block: int) -> int:
        """Columns from a block's mark to its first frame: as long as delayed lanes of the block before run on."""
        return max((1, *(delay for _, _, delay in self.blocks[block - 1].lanes))) if block else 1

    def rows(self, streams: Mapping[str, Stream[Tokens]]) -> list[dict[str, Int[Tensor, "_ _"]]]:
        """Streams as the items of each row; SpecError for one that is of another alphabet than was learnt."""
        rows = 0
        for segment in self.segments:
            if (found := streams.get(segment.stream.name)) is not None:
                rows = len(found.expect(segment.stream).data)
        return [
            {name: stream.data[row, :, : int(stream.lengths[row])].cpu() for name, stream in streams.items()}
            for row in range(rows)
        ]

    def pack(self, items: Items) -> Grid:
        """Whole streams as a grid to learn from; the loss is counted on what is made, its end included."""
        vocabs, at, lead = self.vocabs, 0, 1
        placed: list[tuple[int, int, Tensor, bool]] = []  # lane, column, ids, whether they are learnt
        learnt = False
        for number, block in enumerate(self.blocks):
            placed.append((0, at, torch.tensor([self.mark(number)]), learnt))
            frames = {self.checked(segment, items).shape[1] for segment in block.segments}
            if len(frames) > 1:
                raise SpecError(f"streams beside each other have {sorted(frames)} frames; make them equally long")
            begin, length = at + lead, block.columns(frames.pop())
            for lane, (segment, book, delay) in enumerate(block.lanes):
                data, vocab = items[segment.stream.name], vocabs[lane]
                place = lane if segment.group > 1 else 0
                rows = [vocab.join(segment.alphabet(one), data[one]) for one in segment.turns(book)]
                ids = torch.stack(rows, dim=1).flatten()[place :: segment.group]
                placed.append((lane, begin + delay, ids, segment.role == "made"))
            at, lead, learnt = begin + length, self.lead(number + 1), block.segments[0].role == "made"
        placed.append((0, at, torch.tensor([self.mark(len(self.blocks))]), learnt and not self.endless))
        ids = torch.zeros(len(vocabs), at + lead, dtype=torch.long)
        target = torch.zeros_like(ids, dtype=torch.bool)
        for lane, column, row, counted in placed:
            ids[lane, column : column + len(row)] = row
            target[lane, column : column + len(row)] = counted
        return Grid(ids, target)

    def checked(self, segment: Segment, items: Items) -> Int[Tensor, "_ _"]:
        """The data of a segment; SpecError when it is missing or has other books or ids."""
        spec = segment.stream
        if spec.name not in items:
            raise SpecError(f"the layout needs a stream {spec.name!r}, got {', '.join(items) or 'none'}")
        data = items[spec.name]
        if data.shape[0] != spec.books:
            raise SpecError(f"the stream {spec.name!r} has {data.shape[0]} books, wanted {spec.books}")
        if data.numel() and not (int(data.min()) >= 0 and int(data.max()) < spec.size):
            found = f"{int(data.min())}..{int(data.max())}"
            raise SpecError(f"the stream {spec.name!r} has ids {found}, wanted 0..{spec.size - 1}")
        return data


@lru_cache(256)
def _vocabs(layout: Layout) -> tuple[Vocab, ...]:
    """Those of a layout that is part of no other, made once: every grid that is packed asks for them."""
    made = []
    for lane in range(max(len(block.lanes) for block in layout.blocks)):
        alphabets: dict[str, int] = {}
        for segment, book, _ in (block.lanes[lane] for block in layout.blocks if lane < len(block.lanes)):
            for one in segment.turns(book):
                alphabets[segment.alphabet(one)] = segment.stream.size
        made.append(Vocab((("mark", 1 if lane else len(layout.marks)), *alphabets.items())))
    return tuple(made)
