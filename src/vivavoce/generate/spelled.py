"""Writing under a grammar with other people's tokens: what is forced is read, what is free is written bit by bit."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch

from vivavoce.generate.constrained import choose
from vivavoce.generate.writer import Line
from vivavoce.text.grammar import Place

_LIKELIEST = 256
_FREE = 48
"""Tokens of one free piece before the shortest way to the end is taken."""
_STEPS = 600
_DIGITS = frozenset(b"0123456789")
_ENDS = (b",", b"}", b"]")
"""What stands behind a number."""


@runtime_checkable
class Quotes(Protocol):
    """Something that arguments are written from."""

    @property
    def copies(self) -> Sequence[str]:
        """Pieces that free places are filled with, closed as the grammar wants it."""
        ...

    @property
    def numbers(self) -> Sequence[Sequence[str]]:
        """Numbers in digits: of these lists the first is taken that has any that fit."""
        ...

    def favour(self, values: Sequence[bytes]) -> list[float]:
        """What is added to the log-probabilities of whole pieces; -inf rules one out."""
        ...


@torch.inference_mode()
def write_spelled(
    line: Line,
    place: Place,
    pieces: Sequence[bytes],
    encode: Callable[[str], list[int]],
    quotes: Quotes | None = None,
) -> bytes:
    """One text of the grammar, as the line's model would most likely write it; the line has read it.

    ``pieces`` are the bytes of every id (special ones have none), ``encode`` spells a text. ``quotes`` that fit are
    taken: copies where text is free, numbers where one is wanted.
    """
    text, free = b"", 0
    for _ in range(_STEPS):
        options = place.options()
        if options is not None:
            real = [option for option in options if option.text]
            if not real:
                return text
            spelled = [encode(option.text.decode()) for option in real]
            chosen = choose(line, spelled, quotes.favour([option.text for option in real]) if quotes else ())
            line.push(spelled[chosen])
            text, place, free = text + real[chosen].text, real[chosen].after, 0
            continue
        if not free and quotes and (fitting := _fitting(place, quotes)):
            spelled = [encode(copy.decode()) for copy, _ in fitting]
            chosen = choose(line, spelled)
            line.push(spelled[chosen])
            text, place = text + fitting[chosen][0], fitting[chosen][1]
            continue
        found = _likeliest(line, place, pieces) if free < _FREE else None
        if found is None:
            break
        id, place = found
        line.push([id])
        text, free = text + pieces[id], free + 1
        if place.done and not place.bytes_allowed:
            return text
    ending = place.shortest()
    if ending:
        line.push(encode(ending.decode(errors="replace")))
    return text + ending


def _fitting(place: Place, quotes: Quotes) -> list[tuple[bytes, Place]]:
    """The quotes that may stand at a place, each with the place behind it."""
    lists: list[list[bytes]] = []
    if place.free:
        lists = [[copy.encode() for copy in quotes.copies]]
    elif place.bytes_allowed & _DIGITS and place.bytes_allowed <= _DIGITS | {ord("-")}:
        lists = [[number.encode() + end for number in numbers for end in _ENDS] for numbers in quotes.numbers]
    fitting = ([(copy, after) for copy in copies if (after := place.advance(copy)) is not None] for copies in lists)
    return next(filter(None, fitting), [])


def _likeliest(line: Line, place: Place, pieces: Sequence[bytes]) -> tuple[int, Place] | None:
    """The likeliest id that the grammar allows, and the place after it."""
    scores = line.scores()
    for id in scores.topk(min(_LIKELIEST, len(scores))).indices.tolist():
        if id < len(pieces) and pieces[id] and (after := place.advance(pieces[id])) is not None:
            return id, after
    allowed = place.bytes_allowed
    fitting = [id for id, piece in enumerate(pieces) if piece and piece[0] in allowed]
    if not fitting:
        return None
    order = scores[torch.tensor(fitting)].argsort(descending=True).tolist()
    for number in order[:_LIKELIEST]:
        if (after := place.advance(pieces[fitting[number]])) is not None:
            return fitting[number], after
    return None
