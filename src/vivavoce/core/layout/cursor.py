"""A cursor walks along the columns of one grid: it says what each lane may hold next, and reads what was written.

One automaton reads and writes: with the given streams at hand it forces them, without any it takes whatever the layout
could have packed. A column is asked for lane by lane, since whether a block ends is decided on lane 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor

from vivavoce.core.errors import SpecError
from vivavoce.core.layout.segments import Items, Layout, Segment

Free = tuple[range, ...]
"""Ids that a lane may take."""
Slot = int | Free
"""What a lane may hold in a column: one id, or several."""


@dataclass
class _Lane:
    """The ids of one lane of one block, in order; the books of a flat segment take turns in it."""

    segment: Segment
    book: int
    delay: int
    ids: tuple[range, ...]
    """Where the ids of its books are in the lane's vocabulary."""
    known: list[int] = field(default_factory=list)
    """What is forced."""
    written: list[int] = field(default_factory=list)


class Cursor:
    """One row's way through a layout.

    ``items`` are the streams that are given, and as much of the others as is there already: a prompt, or all of it
    where something of a later block is there too. With ``whole``, all of them are all there is; without any, the cursor
    reads. ``frames`` are how many some of the streams are to have, by name, ``most`` how many others may have. Raises
    SpecError when a given stream is missing.
    """

    def __init__(
        self,
        layout: Layout,
        items: Items | None = None,
        *,
        whole: bool = False,
        frames: Mapping[str, int] | None = None,
        most: Mapping[str, int] | None = None,
    ) -> None:
        """Stands before the first column."""
        self.layout, self._wanted, self._most = layout, frames or {}, most or {}
        self.columns = 0
        """Columns taken so far."""
        self.over = False
        self.lanes = len(vocabs := layout.vocabs)
        self._reading = items is None
        self._at, self._column = 0, 0  # the block, and the column in it, its mark's being 0
        self._marks = [layout.mark(block) for block in range(len(layout.blocks) + 1)]
        self._leads = [layout.lead(block) for block in range(len(layout.blocks) + 1)]
        self._blocks = [
            [
                _Lane(s, book, delay, tuple(vocabs[lane].range(s.alphabet(one)) for one in s.turns(book)))
                for lane, (s, book, delay) in enumerate(block.lanes)
            ]
            for block in layout.blocks
        ]
        known = [block.segments[0].stream.name in (items or {}) for block in layout.blocks]
        given = [block.segments[0].role == "given" for block in layout.blocks]
        self._whole = [  # blocks that end where what is known of their first lane ends
            not self._reading and (whole or given[n] or (known[n] and any(known[n + 1 :]))) for n in range(len(known))
        ]
        for segment in layout.segments:
            if items is not None and (whole or segment.role == "given" or segment.stream.name in items):
                self.hear(segment.stream.name, layout.checked(segment, items))

    def hear(self, name: str, frames: Int[Tensor, "K T"]) -> None:
        """More frames of a stream, which are to stand in the grid as they are."""
        lanes = [lane for block in self._blocks for lane in block if lane.segment.stream.name == name]
        for place, lane in enumerate(lanes):
            data = self.layout.checked(lane.segment, {name: frames})
            lane.segment.columns(data.shape[1])  # whole groups
            books = lane.segment.turns(lane.book)
            rows = [data[book] + ids.start for book, ids in zip(books, lane.ids, strict=True)]
            begin = place if lane.segment.group > 1 else 0
            lane.known += torch.stack(rows, dim=1).flatten()[begin :: lane.segment.group].tolist()

    def slot(self, lane: int, before: Sequence[int]) -> Slot:
        """What a lane may hold in the next column, where the lanes before it hold ``before``.

        Raises SpecError when a heard stream has not come that far, or when the grid is over.
        """
        if self.over:
            raise SpecError("the grid is over; nothing follows its end")
        block, column = (self._at + 1, 0) if lane and self._ends(before[0]) else (self._at, self._column)
        lead = self._leads[block]
        if column >= lead:
            lanes = self._blocks[block]
            return self._frame(block, lane, column - lead - lanes[lane].delay) if lane < len(lanes) else 0
        if not lane:  # only the first mark is asked for here: the others end the block before them
            return 0 if column else self._marks[block]
        if not block or lane >= len(self._blocks[block - 1]):
            return 0
        ended = self._blocks[block - 1]  # its delayed lanes run on beside the mark
        late = column < ended[lane].delay
        return self._frame(block - 1, lane, len(ended[0].written) + column - ended[lane].delay) if late else 0

    def take(self, column: Sequence[int]) -> None:
        """Goes on by a column; SpecError when it holds what a slot does not allow."""
        for lane, id in enumerate(column):
            slot = self.slot(lane, column[:lane])
            if id != slot if isinstance(slot, int) else not any(id in ids for ids in slot):
                wanted = slot if isinstance(slot, int) else " or ".join(f"{ids.start}..{ids.stop - 1}" for ids in slot)
                raise SpecError(f"column {self.columns} holds {id} on lane {lane}, where the layout wants {wanted}")
        if self._ends(column[0]):
            self._at, self._column = self._at + 1, 0
        running = self._column < self._leads[self._at]
        block, since = (self._at - 1, 0) if running else (self._at, self._column - self._leads[self._at])
        for id, lane in zip(column, self._blocks[block] if block >= 0 else (), strict=False):
            if running:
                since = len(self._blocks[block][0].written) + self._column if self._column < lane.delay else -1
            if since >= lane.delay:
                lane.written.append(id)
        self._column += 1
        self.columns += 1
        self.over = self._at == len(self._blocks) and self._column >= self._leads[self._at]

    def final(self) -> dict[str, Int[Tensor, "_ _"]]:
        """The frames of every stream that can no longer change."""
        return {segment.stream.name: self.frames(segment.stream.name) for segment in self.layout.segments}

    def frames(self, name: str, begin: int = 0) -> Int[Tensor, "K T"]:
        """The frames of one stream from ``begin`` on that can no longer change."""
        lanes = [lane for block in self._blocks for lane in block if lane.segment.stream.name == name]
        if lanes[0].segment.group > 1:  # whole ones are final
            columns = zip(*(lane.written for lane in lanes), strict=False)
            ids = [id - lane.ids[0].start for column in columns for id, lane in zip(column, lanes, strict=True)]
            return torch.tensor([ids[begin:]], dtype=torch.long)
        turns = len(lanes[0].ids)
        end = min(len(lane.written) for lane in lanes) // turns
        books = [lane.written[begin * turns + turn : end * turns : turns] for lane in lanes for turn in range(turns)]
        starts = torch.tensor([ids.start for lane in lanes for ids in lane.ids])
        data = torch.tensor(books, dtype=torch.long).view(len(books), max(end - begin, 0))
        return data - starts[:, None]

    def _ends(self, first: int) -> bool:
        """Whether this id on lane 0 ends the block that is being written."""
        inside = self._at < len(self._blocks) and self._column >= self._leads[self._at]
        return inside and first == self._marks[self._at + 1]

    def _frame(self, block: int, lane: int, place: int) -> Slot:
        """A frame's id on a lane (fill before the first), or on lane 0 what ends the block."""
        this, after = self._blocks[block][lane], self._marks[block + 1]
        if place < 0:
            return 0
        if place < len(this.known):
            return this.known[place]
        if lane == 0 and self._whole[block]:
            return after
        if this.segment.role == "heard" and not self._reading:
            raise SpecError(
                f"{this.segment.stream.name!r} was not heard so far; give its frames before the next column"
            )
        turn = place % len(this.ids)
        wanted = self._wanted.get(this.segment.stream.name)
        if lane == 0 and wanted is not None:
            return after if place >= this.segment.columns(wanted) else (this.ids[turn],)
        most = self._most.get(this.segment.stream.name)
        if lane == 0 and most is not None and place >= this.segment.columns(most - most % this.segment.group):
            return after
        endless = self.layout.endless and block + 1 == len(self._blocks) and not self._reading
        return (this.ids[turn],) if lane or turn or endless else (this.ids[0], range(after, after + 1))


def read(layout: Layout, made: Int[Tensor, "R S"]) -> dict[str, Int[Tensor, "_ _"]]:
    """The streams of a grid, the inverse of `Layout.pack`; of one that breaks off, the frames that are whole.

    Raises SpecError for a grid that no cursor could have written.
    """
    cursor = Cursor(layout)
    for column in made.T.tolist():
        if not cursor.over:
            cursor.take(column)
    return cursor.final()
