"""The writer: everything that writes tokens with a language model, many rows at a time.

A row writes a grid under a cursor (`core.layout`): what the cursor forces is read together, what it leaves free is
drawn, lane by lane. Or it writes text piece by piece (`Line`), as a grammar or a schema wants it. Either way all rows
that have something to read are read in one pass, and a row's result depends on no other row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.core.layout import Cursor, Free
from vivavoce.core.rng import Uniforms
from vivavoce.core.streaming import State
from vivavoce.generate.samplers import GREEDY, Sampler
from vivavoce.models.lm import StreamLM
from vivavoce.nn.attention import Remembered, together
from vivavoce.nn.transformer import TransformerState

Draw = Callable[[], float]
"""Gives the next number in [0, 1)."""
LogitsHook = Callable[[int, Float[Tensor, "B V"]], Float[Tensor, "B V"]]
"""Changes the scores of a lane before anything is drawn: guidance mixes a row's with those of a second row."""
_HISTORY = 64
ROOM = 256
"""Windows that were begun small grow by so many positions."""


@dataclass
class Row:
    """What one row has written, and what of it the model has not read yet."""

    cursor: Cursor | None = None
    draw: Draw = field(default_factory=lambda: Uniforms(0))
    most: int | None = None
    """Columns after which it stops."""
    written: list[Sequence[int]] = field(default_factory=list)
    waiting: list[Sequence[int]] = field(default_factory=list)
    scores: Float[Tensor, " V"] | None = None
    """Those of lane 0 after everything that was read, where somebody has asked for them."""
    memory: Remembered | None = None
    """What the model looks at while it writes this row; rows of a batch all have one, or none of them."""

    @property
    def done(self) -> bool:
        """Nothing more comes by itself."""
        return self.cursor is None or self.cursor.over or len(self.written) == self.most

    def push(self, column: Sequence[int]) -> None:
        """Appends a column; it is read together with others."""
        self.written.append(column)
        self.waiting.append(column)


@dataclass
class WriterState(State):
    """The model's windows of all rows, its last vectors, and what the rows write."""

    lm: TransformerState
    hidden: Float[Tensor, "B D"]
    rows_: list[Row | None]

    def clone(self) -> "WriterState":
        """An independent copy, from which writing goes on in the same way."""
        return WriterState(self.lm.clone(), self.hidden.clone(), deepcopy(self.rows_))


@final
class Writer:
    """Writes with a model; one sampler for all lanes, or one for each."""

    def __init__(
        self, model: StreamLM, sampler: Sampler | Sequence[Sampler] = GREEDY, *, hook: LogitsHook | None = None
    ) -> None:
        """Keeps nothing between steps."""
        self.model = model
        lanes = len(model.config.scored)
        self.samplers = tuple(sampler) if isinstance(sampler, Sequence) else (sampler,) * lanes
        self.hook = hook

    @torch.inference_mode()
    def init_state(self, rows: int, room: int | None = None) -> WriterState:
        """Empty rows; ``room`` as in `Transformer.init_state`, for windows that are seldom full."""
        lm = self.model.init_state(rows, room)
        return WriterState(
            lm,
            torch.zeros(rows, self.model.config.trunk.dim).to(next(self.model.trunk.norm.parameters())),
            [None] * rows,
        )

    @torch.inference_mode()
    def begin(self, state: WriterState, row: int, writes: Row) -> None:
        """Gives a row something to write; what it wrote before is dropped."""
        chosen = torch.arange(len(state.rows_)) == row
        state.lm.reset(chosen)
        state.hidden[row] = 0
        state.rows_[row] = writes

    @torch.inference_mode()
    def step(self, state: WriterState, active: Bool[Tensor, " B"] | None = None) -> Bool[Tensor, " B"]:
        """The next column of every row that is active and not done, after all that its cursor forces.

        Tells which rows have written.
        """
        on = [True] * len(state.rows_) if active is None else active.tolist()
        chosen = [(n, row) for n, row in enumerate(state.rows_) if row is not None and not row.done and on[n]]
        moved = torch.zeros(len(state.rows_), dtype=torch.bool)
        for n, row in chosen:
            moved[n] = True
            while not row.done and (column := forced(row.cursor)) is not None:
                row.push(column)
                row.cursor.take(column)  # type: ignore[union-attr]  # a row without one is done
        going = [(n, row, row.cursor) for n, row in chosen if not row.done and row.cursor is not None]
        if not going:
            return moved
        numbers = [n for n, _, _ in going]
        self.read(state, numbers)
        columns: list[list[int]] = [[] for _ in going]
        hidden = state.hidden[numbers]
        for lane in range(going[0][2].lanes):
            slots = [cursor.slot(lane, column) for (_, _, cursor), column in zip(going, columns, strict=True)]
            if any(not isinstance(slot, int) for slot in slots):
                before = torch.tensor(columns, dtype=torch.long, device=hidden.device).view(len(going), lane)
                scores = self.model.scores(hidden, lane, before)
                scores = self.hook(lane, scores) if self.hook is not None else scores
                slots = self._drawn(lane, scores, slots, [row for _, row, _ in going], columns)
            for column, slot in zip(columns, slots, strict=True):
                assert isinstance(slot, int)
                column.append(slot)
        for (_, row, cursor), column in zip(going, columns, strict=True):
            row.push(column)
            cursor.take(column)
        return moved

    def write(self, rows: Iterable[Row], *, at_once: int = 8) -> Iterator[Row]:
        """Writes all of these to their ends, some at a time: a row that is done makes room for the next.

        Gives them as they become done, which is not the order in which they came.
        """
        coming = iter(rows)
        first = list(islice(coming, at_once))
        state = self.init_state(len(first))
        for n, row in enumerate(first):
            self.begin(state, n, row)
        while any(row is not None for row in state.rows_):
            self.step(state)
            for n, row in enumerate(state.rows_):
                if row is not None and row.done:
                    yield row
                    state.rows_[n] = None
                    if (following := next(coming, None)) is not None:
                        self.begin(state, n, following)

    def streams(self, rows: Sequence[Row], *, at_once: int | None = None) -> list[dict[str, Int[Tensor, "_ _"]]]:
        """What each of these has written under its cursor in the end, stream by stream; so many at once, or all."""
        for _ in self.write(rows, at_once=at_once or max(1, len(rows))):
            pass
        return [row.cursor.final() for row in rows if row.cursor is not None]

    @torch.inference_mode()
    def read(self, state: WriterState, rows: Sequence[int] | None = None) -> None:
        """Lets the model read what waits on these rows (or all), together as far as they have equally much."""
        numbers = range(len(state.rows_)) if rows is None else rows
        waiting = {n: row for n in numbers if (row := state.rows_[n]) is not None and row.waiting}
        lanes = len(self.model.config.lanes)
        while waiting:
            size = min(len(row.waiting) for row in waiting.values())
            last = int(state.lm.position.max()) + size
            state.lm.make_room(min(-(-last // ROOM) * ROOM, self.model.config.trunk.window))
            ids = torch.zeros(len(state.rows_), lanes, size, dtype=torch.long)
            for n, row in waiting.items():
                ids[n] = torch.tensor(row.waiting[:size]).T
                row.waiting, row.scores = row.waiting[size:], None
            device = state.hidden.device
            active = None
            if len(waiting) < len(state.rows_):
                active = torch.tensor([n in waiting for n in range(len(state.rows_))], device=device)
            hidden = self.model.read(ids.to(device), state.lm, active, _memory(state.rows_))
            state.hidden[list(waiting)] = hidden[list(waiting)]
            waiting = {n: row for n, row in waiting.items() if row.waiting}

    def _drawn(
        self,
        lane: int,
        scores: Float[Tensor, "B V"],
        slots: Sequence[int | Free],
        rows: Sequence[Row],
        columns: Sequence[Sequence[int]],
    ) -> list[int | Free]:
        """The slots with one id for each that was free; ``columns`` are what the lanes before hold."""
        allowed = torch.zeros(scores.shape, dtype=torch.bool)
        free = []
        for place, slot in enumerate(slots):
            if not isinstance(slot, int):
                free.append(place)
                for ids in slot:
                    allowed[place, ids.start : ids.stop] = True
        uniform = torch.tensor([rows[place].draw() for place in free], device=scores.device)
        history = torch.stack([self._before(rows[place], lane, columns[place]) for place in free]).to(scores.device)
        masked = scores.masked_fill(~allowed.to(scores.device), -torch.inf)[free]
        ids = self.samplers[lane](masked, uniform, history).tolist()
        found = list(slots)
        for place, id in zip(free, ids, strict=True):
            found[place] = id
        return found

    def _before(self, row: Row, lane: int, column: Sequence[int]) -> Int[Tensor, " H"]:
        """The last ids of a lane, or of a model of groups the last codes of all lanes, as this lane numbers them."""
        config = self.model.config
        if not config.group:
            return _history(row, lane)
        lead = config.ungrouped - 1  # lane 0 has so many ids more than the others before the codes
        groups = [one for one in row.written[-(_HISTORY // len(config.lanes)) :] if one[0] > lead]
        codes = [id - (0 if place else lead) for one in (*groups, column) for place, id in enumerate(one)]
        return _filled([code + (0 if lane else lead) for code in codes])


def _memory(rows: Sequence[Row | None]) -> Remembered | None:
    """What the rows of a batch look at; a row without anything to write looks at another's, to no effect."""
    known = [None if row is None else row.memory for row in rows]
    first = next((memory for memory in known if memory is not None), None)
    return None if first is None else together([memory or first for memory in known])


def forced(cursor: Cursor | None) -> list[int] | None:
    """The next column, if nothing in it is free."""
    column: list[int] = []
    for lane in range(cursor.lanes if cursor is not None else 0):
        slot = cursor.slot(lane, column)  # type: ignore[union-attr]
        if not isinstance(slot, int):
            return None
        column.append(slot)
    return column


def _history(row: Row, lane: int) -> Int[Tensor, " H"]:
    """The last ids of a lane, after -1 where there are fewer."""
    return _filled([column[lane] for column in row.written[-_HISTORY:]])


def _filled(ids: list[int]) -> Int[Tensor, " H"]:
    """The last of these, after -1 where there are fewer."""
    ids = ids[-_HISTORY:]
    return torch.tensor([-1] * (_HISTORY - len(ids)) + ids, dtype=torch.long)


class Line:
    """A text that is written on one row of a model with a single lane, a piece at a time.

    What is pushed is read when the next question is asked, so that forced pieces cost one pass together, and those of
    other rows with them.
    """

    def __init__(self, writer: Writer, state: WriterState | None = None, row: int = 0):
        """On a row of a state, or of one of its own."""
        self.writer = writer
        self.state = writer.init_state(1) if state is None else state
        self.number = row
        if self.state.rows_[row] is None:
            writer.begin(self.state, row, Row())

    @property
    def row(self) -> Row:
        """What the row holds."""
        row = self.state.rows_[self.number]
        assert row is not None
        return row

    @property
    def written(self) -> list[int]:
        """All ids so far."""
        return [column[0] for column in self.row.written]

    def copy(self) -> "Line":
        """An independent line that goes on from here."""
        return Line(self.writer, self.state.clone(), self.number)

    @torch.inference_mode()
    def back(self, count: int) -> None:
        """Takes back all but the first ``count`` ids; something has to be pushed before the next question is asked.

        Only for windows that have not been full yet.
        """
        row = self.row
        read = len(row.written) - len(row.waiting)
        row.written, row.waiting, row.scores = row.written[:count], row.waiting[: max(count - read, 0)], None
        self.state.lm.position[self.number] = min(read, count)

    def push(self, ids: Iterable[int]) -> None:
        """Appends these ids."""
        for id in ids:
            self.row.push((id,))

    @torch.inference_mode()
    def scores(self) -> Float[Tensor, " V"]:
        """Logits of the next id."""
        row = self.row
        if row.waiting:
            self.writer.read(self.state)
        if row.scores is None:
            hidden = self.state.hidden[self.number : self.number + 1]
            row.scores = self.writer.model.scores(hidden, 0, torch.zeros(1, 0, dtype=torch.long))[0]
        return row.scores

    @torch.inference_mode()
    def branches(self, options: Sequence[Sequence[int]]) -> Float[Tensor, " O"]:
        """Log-probabilities of whole continuations, from one pass over the tree that they make; the line stays."""
        first = self.scores().log_softmax(-1)
        nodes: dict[tuple[int, ...], int] = {}
        for option in options:
            for size in range(1, len(option)):
                nodes.setdefault(tuple(option[:size]), len(nodes))
        after = first[None]
        if nodes:
            among = torch.zeros(len(nodes), len(nodes), dtype=torch.bool)
            for path, node in nodes.items():
                for size in range(1, len(path) + 1):
                    among[node, nodes[path[:size]]] = True
            ids = torch.tensor([[[path[-1] for path in nodes]]])
            depth = torch.tensor([len(path) - 1 for path in nodes])
            lm = self.state.lm if len(self.state.rows_) == 1 else self.state.lm.rows([self.number])
            after = self.writer.model.look(ids, lm, depth, among)[0][0].log_softmax(-1)
        found = []
        for option in options:
            score = torch.zeros(())
            for size, id in enumerate(option):
                score = score + (first[id] if size == 0 else after[nodes[tuple(option[:size])], id])
            found.append(score)
        return torch.stack(found)

    def take(self, sampler: Sampler, uniforms: Draw, allowed: Bool[Tensor, " V"]) -> int:
        """Chooses the next of the allowed ids (a mask over the vocabulary) and pushes it."""
        scores = self.scores().masked_fill(~allowed, -torch.inf)[None]
        chosen = int(sampler(scores, torch.tensor([uniforms()]), _history(self.row, 0)[None]))
        self.push([chosen])
        return chosen
