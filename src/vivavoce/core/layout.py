"""Layouts: how streams of tokens become the grid of a language model, with a tested inverse.

A grid has R lanes and S columns; the model reads column s and predicts column s + 1. A layout is a value that knows
where each token goes (`pack`), what a prompt looks like (`prefix`), how a grid is read back (`unpack`), which ids a
lane may take (`legal`), and how many frames cannot change any more (`ready`). The model knows none of it.

Laws, held by tests: ``unpack(pack(x)) == x``, and every grid sampled under `legal` unpacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vivavoce.core.errors import SpecError

Items = Mapping[str, Int[Tensor, "_ _"]]
Legal = tuple[tuple[range, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """One utterance: ids, and where the loss is counted."""

    ids: Int[Tensor, "R S"]
    target: Bool[Tensor, "R S"]


@runtime_checkable
class Layout(Protocol):
    """See the laws above."""

    def pack(self, items: Items) -> Grid:
        """Whole streams as a grid to learn from."""
        ...

    def prefix(self, items: Items) -> Int[Tensor, "R S"]:
        """The columns that generation begins with."""
        ...

    def unpack(self, made: Int[Tensor, "R S"]) -> dict[str, Int[Tensor, "_ _"]]:
        """The streams in a grid; of a grid that breaks off, those frames that are whole."""
        ...

    def legal(self, column: int) -> Legal:
        """Ids that each lane may take in a column."""
        ...

    def ready(self, columns: int) -> int:
        """Frames that further columns can no longer change."""
        ...


def _take(items: Items, name: str, books: int, size: int) -> Int[Tensor, "_ _"]:
    """A stream of the expected shape and alphabet size."""
    if name not in items:
        raise SpecError(f"the layout needs a stream {name!r}, got {', '.join(items) or 'none'}")
    data = items[name]
    if data.shape[0] != books:
        raise SpecError(f"the stream {name!r} has {data.shape[0]} books, wanted {books}")
    if data.numel() and not (int(data.min()) >= 0 and int(data.max()) < size):
        raise SpecError(f"the stream {name!r} has ids {int(data.min())}..{int(data.max())}, wanted 0..{size - 1}")
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """One stream after the other on one lane: ``<first> … <second> … <end>`` (AudioPaLM, SpeechGPT, VALL-E's book 0).

    ``order`` names the streams with their sizes; each has one book. A mark per stream and the end have the first ids,
    then come the alphabets in order.
    """

    order: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """Ids of the lane."""
        return len(self.order) + 1 + sum(size for _, size in self.order)

    def _start(self, place: int) -> int:
        return len(self.order) + 1 + sum(size for _, size in self.order[:place])

    def _stream(self, items: Items, place: int) -> Int[Tensor, " S"]:
        name, size = self.order[place]
        data = _take(items, name, 1, size)[0]
        return torch.cat((torch.tensor([place]), data + self._start(place)))

    def pack(self, items: Items) -> Grid:
        """The loss is counted on the last stream and the end; the others are its prompt."""
        parts = [self._stream(items, place) for place in range(len(self.order))]
        ids = torch.cat((*parts, torch.tensor([len(self.order)])))[None]
        target = torch.zeros_like(ids, dtype=torch.bool)
        target[:, -len(parts[-1]) :] = True
        return Grid(ids, target)

    def prefix(self, items: Items) -> Int[Tensor, "R S"]:
        """All streams but the last (or what there is of it), and the last one's mark."""
        last = self.order[-1][0]
        known = {**items, last: items.get(last, torch.zeros(1, 0, dtype=torch.long))}
        return self.pack(known).ids[:, :-1]

    def unpack(self, made: Int[Tensor, "R S"]) -> dict[str, Int[Tensor, "_ _"]]:
        """The streams, up to the end or to where the grid breaks off."""
        found: dict[str, list[int]] = {name: [] for name, _ in self.order}
        place = -1
        for id in made[0].tolist():
            if id == len(self.order):
                break
            if id < len(self.order):
                if id <= place:
                    raise SpecError(f"the mark of {self.order[id][0]!r} comes after that of {self.order[place][0]!r}")
                place = id
                continue
            start = self._start(place)
            if place < 0 or not start <= id < start + self.order[place][1]:
                raise SpecError(
                    f"id {id} does not belong to {self.order[place][0]!r}" if place >= 0 else "no mark at the start"
                )
            found[self.order[place][0]].append(id - start)
        return {name: torch.tensor([ids], dtype=torch.long) for name, ids in found.items()}

    def legal(self, column: int) -> Legal:
        """After the prefix: ids of the last stream, or the end."""
        start = self._start(len(self.order) - 1)
        return ((range(start, start + self.order[-1][1]), range(len(self.order), len(self.order) + 1)),)

    def ready(self, columns: int) -> int:
        """At least so many ids of the last stream, if nothing but marks stands before it."""
        return max(columns - len(self.order), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """Codebook k begins ``delays[k]`` columns later (MusicGen, arXiv:2306.05284 §2.2); the rest holds ``size``."""

    name: str
    size: int
    delays: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuses delays that are not counted from 0."""
        if not self.delays or min(self.delays) != 0:
            raise SpecError(f"delays begin with 0 somewhere, got {self.delays}")

    @property
    def _longest(self) -> int:
        return max(self.delays)

    def pack(self, items: Items) -> Grid:
        """One column more than frames and delay: the first is all fill, so that frame 0 is predicted too."""
        data = _take(items, self.name, len(self.delays), self.size)
        ids = torch.full((len(self.delays), data.shape[1] + self._longest + 1), self.size, dtype=torch.long)
        target = torch.zeros_like(ids, dtype=torch.bool)
        for lane, delay in enumerate(self.delays):
            ids[lane, 1 + delay : 1 + delay + data.shape[1]] = data[lane]
            target[lane, 1 + delay : 1 + delay + data.shape[1]] = True
        return Grid(ids, target)

    def prefix(self, items: Items) -> Int[Tensor, "R S"]:
        """The fill column, and a prompt's frames as far as the columns go; later lanes make their last ones anew."""
        data = items.get(self.name, torch.zeros(len(self.delays), 0, dtype=torch.long))
        return self.pack({self.name: data}).ids[:, : data.shape[1] + 1]

    def unpack(self, made: Int[Tensor, "R S"]) -> dict[str, Int[Tensor, "_ _"]]:
        """Frames that are whole in all lanes."""
        frames = self.ready(made.shape[1])
        rows = [made[lane, 1 + delay : 1 + delay + frames] for lane, delay in enumerate(self.delays)]
        data = torch.stack(rows)
        return {self.name: _take({self.name: data}, self.name, len(self.delays), self.size)}

    def legal(self, column: int) -> Legal:
        """Fill before a lane begins, tokens after."""
        fill, tokens = (range(self.size, self.size + 1),), (range(self.size),)
        return tuple(tokens if column > delay else fill for delay in self.delays)

    def ready(self, columns: int) -> int:
        """Frames that every lane has."""
        return max(columns - 1 - self._longest, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interleaved:
    """All codebooks of a frame one after the other on one lane (AudioLM's fine stage); book k has ids of its own."""

    name: str
    size: int
    books: int

    @property
    def _start(self) -> int:
        return self.size * self.books

    def pack(self, items: Items) -> Grid:
        """A first id that starts, then frame by frame."""
        data = _take(items, self.name, self.books, self.size)
        offsets = torch.arange(self.books)[:, None] * self.size
        ids = torch.cat((torch.tensor([self._start]), (data + offsets).T.flatten()))[None]
        target = torch.ones_like(ids, dtype=torch.bool)
        target[:, 0] = False
        return Grid(ids, target)

    def prefix(self, items: Items) -> Int[Tensor, "R S"]:
        """The start and the frames of a prompt."""
        return self.pack({self.name: items.get(self.name, torch.zeros(self.books, 0, dtype=torch.long))}).ids

    def unpack(self, made: Int[Tensor, "R S"]) -> dict[str, Int[Tensor, "_ _"]]:
        """Whole frames."""
        frames = self.ready(made.shape[1])
        flat = made[0, 1 : 1 + frames * self.books].reshape(frames, self.books).T
        data = flat - torch.arange(self.books)[:, None] * self.size
        return {self.name: _take({self.name: data}, self.name, self.books, self.size)}

    def legal(self, column: int) -> Legal:
        """Ids of the book whose turn it is."""
        if column == 0:
            return ((range(self._start, self._start + 1),),)
        book = (column - 1) % self.books
        return ((range(book * self.size, (book + 1) * self.size),),)

    def ready(self, columns: int) -> int:
        """Whole frames."""
        return max(columns - 1, 0) // self.books


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBeside:
    """Text on the first lane beside delayed streams of codebooks, all on one clock (Moshi, arXiv:2410.00037).

    The text stream is as long as the audio: a text id where a word begins, ``blank`` (the id after the last text id)
    elsewhere. Each stream is a `Delayed` of its own; ``said`` names those that the model speaks, the others it hears.
    """

    text: str
    text_size: int
    streams: tuple[Delayed, ...]
    said: tuple[str, ...]

    @property
    def blank(self) -> int:
        """The text lane's id for: no new text here."""
        return self.text_size

    @property
    def _lanes(self) -> tuple[int, ...]:
        return (0, *(delay for stream in self.streams for delay in stream.delays))

    def pack(self, items: Items) -> Grid:
        """The loss is counted on text and on what is said."""
        text = _take(items, self.text, 1, self.text_size + 1)
        frames = text.shape[1]
        longest = max(self._lanes)
        rows = [_shifted(text[0], 0, longest, self.text_size + 1)]
        targets = [_between(1, 1 + frames, len(rows[0]))]
        for stream in self.streams:
            data = _take(items, stream.name, len(stream.delays), stream.size)
            if data.shape[1] != frames:
                raise SpecError(f"{stream.name!r} has {data.shape[1]} frames beside {frames} of {self.text!r}")
            for row, delay in zip(data, stream.delays, strict=True):
                rows.append(_shifted(row, delay, longest, stream.size))
                counted = frames if stream.name in self.said else 0
                targets.append(_between(1 + delay, 1 + delay + counted, len(rows[0])))
        return Grid(torch.stack(rows), torch.stack(targets))

    def prefix(self, items: Items) -> Int[Tensor, "R S"]:
        """The fill column, and the frames of a prompt."""
        empty = {self.text: torch.zeros(1, 0, dtype=torch.long)}
        empty |= {stream.name: torch.zeros(len(stream.delays), 0, dtype=torch.long) for stream in self.streams}
        known = {**empty, **items}
        return self.pack(known).ids[:, : known[self.text].shape[1] + 1]

    def unpack(self, made: Int[Tensor, "R S"]) -> dict[str, Int[Tensor, "_ _"]]:
        """Frames that are whole in all lanes."""
        frames = self.ready(made.shape[1])
        found = {self.text: _take({self.text: made[:1, 1 : 1 + frames]}, self.text, 1, self.text_size + 1)}
        lane = 1
        for stream in self.streams:
            rows = [made[lane + n, 1 + delay : 1 + delay + frames] for n, delay in enumerate(stream.delays)]
            found[stream.name] = _take({stream.name: torch.stack(rows)}, stream.name, len(rows), stream.size)
            lane += len(stream.delays)
        return found

    def legal(self, column: int) -> Legal:
        """Text or blank on the first lane; fill, then tokens on the others."""
        sizes = [self.text_size + 1, *(stream.size for stream in self.streams for _ in stream.delays)]
        pairs = zip(self._lanes, sizes, strict=True)
        return tuple((range(size),) if column > delay else (range(size, size + 1),) for delay, size in pairs)

    def ready(self, columns: int) -> int:
        """Frames that every lane has."""
        return max(columns - 1 - max(self._lanes), 0)


def _between(first: int, last: int, size: int) -> Bool[Tensor, " S"]:
    """True from one column up to another."""
    columns = torch.arange(size)
    return (columns >= first) & (columns < last)


def _shifted(row: Int[Tensor, " T"], delay: int, longest: int, fill: int) -> Int[Tensor, " S"]:
    """A lane that begins later, with fill around it."""
    lane = torch.full((len(row) + longest + 1,), fill, dtype=torch.long)
    lane[1 + delay : 1 + delay + len(row)] = row
    return lane
