"""Writing under a grammar: whole pieces are scored together, forced ones are free, single bytes come last."""

import math
from collections.abc import Callable, Sequence

import torch

from vivavoce.generate.writer import Line
from vivavoce.text.grammar import Place

Spell = Callable[[bytes, bytes], list[int]]
"""Ids that a model reads for a piece of text after what stands before it."""
Weigh = Callable[[bytes, Sequence[tuple[bytes, Place]]], list[float]]
"""What is added to the log-probabilities of pieces (each with the place after it) behind a text; -inf rules one out."""
_SURE = 0.98
_LITTLE = 4.0
_UNLIKELY = -6.0
_BYTES = 24
_STEPS = 400


def choose(line: Line, options: Sequence[Sequence[int]], favour: Sequence[float] = ()) -> int:
    """The likeliest of several continuations, by the probability of all its ids; the line stays where it is.

    ``favour`` is added to their log-probabilities; -inf rules one out, but never all of them. Continuations must not be
    empty. Where the first id decides almost
    surely, only its continuations are looked at. Where much is added, what the model thinks is taken by the id and
    bounded: a long name is no worse than a short one, and a bracket that it never saw not out of the question.
    """
    if -math.inf in favour and (allowed := [n for n, added in enumerate(favour) if added > -math.inf]):
        return allowed[choose(line, [options[n] for n in allowed], [favour[n] for n in allowed])]
    if len(options) == 1:
        return 0
    added = torch.tensor(favour or [0.0] * len(options))
    if float(added.max() - added.min()) > _LITTLE:
        sizes = torch.tensor([len(option) for option in options])
        return int(((line.branches(options) / sizes).clamp(min=_UNLIKELY) + added).argmax())
    firsts = sorted({option[0] for option in options})
    chances = line.scores()[firsts].softmax(-1)
    best = firsts[int(chances.argmax())]
    left = [n for n, option in enumerate(options) if option[0] == best or float(chances.max()) < _SURE]
    if len(left) == 1:
        return left[0]
    return left[int((line.branches([options[n] for n in left]) + added[left]).argmax())]


def write(
    line: Line, place: Place, spell: Spell, candidates: Sequence[bytes] = (), weigh: Weigh | None = None
) -> bytes:
    """Writes one text of the grammar and gives its bytes; the line has read them as ``spell`` spells them.

    ``candidates`` are pieces that free places may be filled with (words that somebody said, closed as the grammar wants
    it); where none fits, single bytes are chosen, and after a while the shortest way to the end is taken.
    """
    text = b""
    free_bytes = 0
    for _ in range(_STEPS):
        options = place.options()
        if options is None:
            fitting = [(piece, place.advance(piece)) for piece in candidates] if not free_bytes else []
            pieces = [(piece, after) for piece, after in fitting if after is not None]
        else:
            pieces = [(option.text, option.after) for option in options]
            if not any(piece for piece, _ in pieces):
                return text
            pieces = [(piece, after) for piece, after in pieces if piece]
            free_bytes = 0
        if pieces:
            spelled = [spell(text, piece) for piece, _ in pieces]
            chosen = choose(line, spelled, weigh(text, pieces) if weigh and len(pieces) > 1 else ())
            line.push(spelled[chosen])
            text += pieces[chosen][0]
            place = pieces[chosen][1]
            continue
        if free_bytes >= _BYTES:
            break
        allowed = sorted(place.bytes_allowed)
        byte = bytes([allowed[int(line.scores()[torch.tensor(allowed)].argmax())]])
        line.push(list(byte))
        text += byte
        free_bytes += 1
        after = place.advance(byte)
        assert after is not None
        place = after
    ending = place.shortest()
    line.push(spell(text, ending) if ending else [])
    return text + ending
