"""Numbers within limits as a grammar."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vivavoce.core.errors import ToolError
from vivavoce.text.grammar import Alt, Chars, Lit, Node, Rep, alt, seq

FAR = 10**9
_DIGIT = Chars(frozenset(b"0123456789"))
_FRACTION = seq(Lit(b"."), Rep(_DIGIT, 0, 3), Chars(frozenset(b"123456789")))


def number_grammar(schema: Mapping[str, Any], whole: bool) -> Node:
    """Numbers within limits: integers, and for ``number`` also decimals with at most four places."""
    low, high = Decimal("-Infinity"), Decimal("Infinity")
    open_low = open_high = False
    for keyword, lower, strict in (
        ("minimum", True, False),
        ("exclusiveMinimum", True, True),
        ("maximum", False, False),
        ("exclusiveMaximum", False, True),
    ):
        if keyword not in schema:
            continue
        if isinstance(schema[keyword], bool) or not isinstance(schema[keyword], int | float):
            raise ToolError(f"{keyword!r} must be a number, got {schema[keyword]!r}")
        limit = Decimal(str(schema[keyword]))
        if lower and limit >= low:
            low, open_low = limit, strict or (open_low and limit == low)
        elif not lower and limit <= high:
            high, open_high = limit, strict or (open_high and limit == high)
    bounded_low = low if low.is_finite() else min(Decimal(-FAR), high - FAR if high.is_finite() else Decimal(-FAR))
    bounded_high = high if high.is_finite() else max(Decimal(FAR), bounded_low + 2 * FAR)
    first, last = math.ceil(bounded_low), math.floor(bounded_high)
    first += open_low and first == low
    last -= open_high and last == high
    options = _integers(first, last)
    if not whole:
        floor, ceiling = math.ceil(bounded_low), math.floor(bounded_high)
        options += [seq(part, _FRACTION) for part in _integers(max(floor, 0), ceiling - 1)]
        options += [seq(Lit(b"-"), part, _FRACTION) for part in _integers(max(-ceiling, 0), -floor - 1)]
        if not options and low < high:
            step = Decimal(1).scaleb(math.floor((high - low).log10()) - 1)
            inside = [(low // step + n) * step for n in range(202)]
            options = [
                Lit(str(v.normalize()).encode()) for v in inside if low < v < high and "E" not in str(v.normalize())
            ]
            options = options[:50]
    return alt(*options) if options else Alt(())


def _integers(low: int, high: int) -> list[Node]:
    """Grammars whose texts are exactly the integers of a range."""
    if low > high:
        return []
    if high < 0:
        return [seq(Lit(b"-"), part) for part in _integers(-high, -low)]
    if low < 0:
        return [*_integers(low, -1), *_integers(0, high)]
    found: list[Node] = []
    for size in range(len(str(low)), len(str(high)) + 1):
        a = max(low, 10 ** (size - 1) if size > 1 else 0)
        b = min(high, 10**size - 1)
        found.append(_between(str(a), str(b)))
    return found


def _between(a: str, b: str) -> Node:
    """Numbers of equal length from a to b."""
    if not a:
        return Lit(b"")
    if a == "0" * len(a) and b == "9" * len(b):
        return Rep(_DIGIT, len(a), len(a))
    if a[0] == b[0]:
        return seq(Lit(a[0].encode()), _between(a[1:], b[1:]))
    rest = len(a) - 1
    options = [seq(Lit(a[0].encode()), _between(a[1:], "9" * rest))]
    if int(b[0]) - int(a[0]) > 1:
        inner = Chars(frozenset(range(ord(a[0]) + 1, ord(b[0]))))
        options.append(seq(inner, Rep(_DIGIT, rest, rest)))
    options.append(seq(Lit(b[0].encode()), _between("0" * rest, b[1:])))
    return alt(*options)
