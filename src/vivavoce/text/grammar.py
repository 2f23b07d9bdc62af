"""Regular languages of bytes with references, walked byte by byte or choice by choice.

A `Place` is where somebody stands who has written part of a text: which bytes may follow (`bytes_allowed`), which whole
pieces he may choose between (`options`), and the shortest way to the end (`shortest`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

_ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Lit:
    """Exactly these bytes."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Chars:
    """One byte of a set."""

    allowed: frozenset[int]


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of these."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """Between ``least`` and ``most`` times (None: without end)."""

    item: "Node"
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class FreeText:
    """Something to be written freely, such as the inside of a string; `Place.free` says that one stands in it."""

    item: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Ref:
    """A grammar that is made when it is needed, so that grammars can contain themselves."""

    make: Callable[[], "Node"]


Node = Lit | Chars | Seq | Alt | Rep | FreeText | Ref
Stack = tuple[Node, ...]
NOTHING = Seq(())


def seq(*items: Node) -> Node:
    """A sequence with neighbouring literals joined."""
    flat: list[Node] = []
    for item in items:
        for part in item.items if isinstance(item, Seq) else (item,):
            last = flat[-1] if flat else None
            if isinstance(part, Lit) and isinstance(last, Lit):
                flat[-1] = Lit(last.text + part.text)
            elif part != Lit(b""):
                flat.append(part)
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def alt(*options: Node) -> Node:
    """A choice; one option is itself."""
    kept = tuple(dict.fromkeys(options))
    return kept[0] if len(kept) == 1 else Alt(kept)


def _open(stack: Stack, seen: set[Stack], free: list[bool]) -> Iterator[Stack]:
    """The stacks with bytes on top (or empty) that a stack amounts to."""
    if stack in seen:
        return
    seen.add(stack)
    if not stack:
        yield stack
        return
    top, rest = stack[0], stack[1:]
    match top:
        case Lit(text=text):
            if text:
                yield stack
            else:
                yield from _open(rest, seen, free)
        case Chars():
            yield stack
        case Seq(items=items):
            yield from _open((*items, *rest), seen, free)
        case Alt(options=options):
            for option in options:
                yield from _open((option, *rest), seen, free)
        case Rep(item=item, least=least, most=most):
            if least == 0:
                yield from _open(rest, seen, free)
            if most is None or most > 0:
                again = Rep(item, max(least - 1, 0), None if most is None else most - 1)
                yield from _open((item, again, *rest), seen, free)
        case FreeText(item=item):
            free[0] = True
            yield from _open((item, *rest), seen, free)
        case Ref(make=make):
            yield from _open((make(), *rest), seen, free)


def shortest(node: Node) -> int:
    """The least number of bytes; at least a milliard where there is no finite text.

    What a `Ref` stands for is measured once and again until nothing gets shorter, so neither grammars that contain
    themselves nor many properties that may all be left out take long.
    """
    known: dict[Ref, int] = {}
    made: dict[Ref, Node] = {}

    def size(node: Node) -> int:
        match node:
            case Lit(text=text):
                return len(text)
            case Chars(allowed=allowed):
                return 1 if allowed else _ENDLESS
            case Seq(items=items):
                return sum(map(size, items))
            case Alt(options=options):
                return min(map(size, options), default=_ENDLESS)
            case Rep(item=item, least=least):
                return least * size(item) if least else 0
            case FreeText(item=item):
                return size(item)
            case Ref(make=make):
                if node not in known:
                    known[node], made[node] = _ENDLESS, make()
                return known[node]

    least, before = size(node), None
    while known != before:
        before = dict(known)
        for ref in reversed(list(made)):
            known[ref] = min(_ENDLESS, size(made[ref]))
        least = size(node)
    return least


@dataclass(frozen=True, slots=True)
class Option:
    """A piece that may come next, and the place after it; the end of the text is an empty piece."""

    text: bytes
    after: "Place"


@dataclass(frozen=True)
class Place:
    """Everything that can still follow."""

    stacks: tuple[Stack, ...]

    @cached_property
    def _opened(self) -> tuple[tuple[Stack, ...], bool]:
        seen: set[Stack] = set()
        free = [False]
        return tuple(made for stack in self.stacks for made in _open(stack, seen, free)), free[0]

    @property
    def done(self) -> bool:
        """Whether the text may end here."""
        return () in self._opened[0]

    @property
    def free(self) -> bool:
        """Whether something free begins or goes on here."""
        return self._opened[1]

    @property
    def bytes_allowed(self) -> frozenset[int]:
        """The bytes that may follow."""
        allowed: set[int] = set()
        for stack in self._opened[0]:
            if stack:
                top = stack[0]
                allowed |= {top.text[0]} if isinstance(top, Lit) else top.allowed if isinstance(top, Chars) else set()
        return frozenset(allowed)

    def options(self) -> tuple[Option, ...] | None:
        """The pieces to choose between, or None where single bytes have to be chosen."""
        stacks = self._opened[0]
        if any(stack and not isinstance(stack[0], Lit) for stack in stacks):
            return None
        merged: dict[bytes, list[Stack]] = {}
        for stack in stacks:
            text = stack[0].text if stack and isinstance(stack[0], Lit) else b""
            merged.setdefault(text, []).append(stack[1:])
        return tuple(Option(text, Place(tuple(rests))) for text, rests in merged.items())

    def advance(self, text: bytes) -> "Place | None":
        """The place after these bytes; None where they are not allowed."""
        place = self
        for byte in text:
            after: list[Stack] = []
            for stack in place._opened[0]:
                top = stack[0] if stack else None
                if isinstance(top, Lit) and top.text[0] == byte:
                    after.append((Lit(top.text[1:]), *stack[1:]) if len(top.text) > 1 else stack[1:])
                elif isinstance(top, Chars) and byte in top.allowed:
                    after.append(stack[1:])
            if not after:
                return None
            place = Place(tuple(dict.fromkeys(after)))
        return place

    def accepts(self, text: bytes) -> bool:
        """Whether exactly these bytes complete the text."""
        place = self.advance(text)
        return place is not None and place.done

    def shortest(self) -> bytes:
        """The shortest way to the end from here."""
        text = bytearray()
        stack: Stack = min(self._opened[0], key=lambda s: sum(shortest(node) for node in s))
        while stack:
            top = stack[0]
            if isinstance(top, Lit):
                text += top.text
                stack = stack[1:]
            elif isinstance(top, Chars):
                text.append(min(top.allowed, key=lambda byte: (not chr(byte).isalnum(), byte)))
                stack = stack[1:]
            else:
                stack = min(_open(stack, set(), [False]), key=lambda s: sum(shortest(node) for node in s))
        return bytes(text)


def start(node: Node) -> Place:
    """The place before the first byte."""
    return Place(((node,),))
