"""Which slot of the character's own tool fills which place of somebody else's."""

from collections.abc import Sequence
from typing import Final

from vivavoce.data.sheet import SheetTool, Slot
from vivavoce.systems.mini.spots import HEADLESS, Spot, SpotPath, alike, matches, name_words, words_of

OF_AMOUNT: Final = frozenset("amount level quantity much strength".split())
_PERSONAL: Final = frozenset("customer person user guest client recipient contact who whose owner first last".split())
_LEAST: Final = 2.0


def owners_of(spots: Sequence[Spot], tool: SheetTool) -> tuple[dict[SpotPath, str], set[SpotPath]]:
    """The slot of each place that has one, and the places whose own names do not say so.

    ``""`` stands for the place of whatever has none of its own.
    """
    owners: dict[SpotPath, str] = {}
    scored: list[tuple[float, int, str]] = []
    weak: set[SpotPath] = set()
    for number, spot in enumerate(spots):
        strong = False
        weak.add(spot.path)
        for slot in tool.slots:
            score, own = _score(spot, slot)
            strong |= own
            scored.append((score, -number, slot.name))
        if strong:
            weak.discard(spot.path)
        rest = 4.0 * any(alike(word, name) for word in spot.words for name in tool.rest)
        if spot.kind in ("string", "list") and not spot.options and not strong and rest:
            scored.append((rest, -number, ""))
    taken: dict[str, list[Spot]] = {}
    for score, number, name in sorted(scored, reverse=True):
        spot = spots[-number]
        if score < _LEAST or spot.path in owners:
            continue
        before = taken.setdefault(name, [])
        if any(not _beside(other, spot) for other in before):
            continue
        owners[spot.path] = name
        before.append(spot)
    return owners, weak


def _beside(one: Spot, other: Spot) -> bool:
    """Whether two places may tell different things of one slot."""
    amounts = [bool(OF_AMOUNT & set(spot.words)) for spot in (one, other)]
    return "boolean" in (one.kind, other.kind) or amounts[0] != amounts[1]


def _score(spot: Spot, slot: Slot) -> tuple[float, bool]:
    """How well a place fits a slot, and whether its own name says so."""
    own = 0.0
    for word in spot.words:
        if any(alike(word, mean) for mean in slot.means):
            own += 5.0 if word == spot.head else 3.0
    if name_words(slot.name) == spot.words:
        own += 10.0
    score = own
    if not own and any(alike(word, mean) for word in spot.words for mean in slot.may_mean):
        score += 2.0
        if _PERSONAL & set(spot.words) or _PERSONAL & spot.about or spot.head == "id":
            score -= 2.0
    if not own and spot.kind == "boolean":
        content = [word for word in spot.words if word not in HEADLESS]
        matching = [v for v in slot.values if content and set(content) <= set(words_of(v))]
        score += 4.0 * bool(matching)
    if spot.options and spot.kind != "boolean":
        fitting = sum(any(matches(o, v, slot, spot) for v in _facets(slot)) for o in spot.options)
        score += 6.0 * fitting / len(spot.options) if fitting > 1 or len(spot.options) < 3 else 0.0
        if not fitting:
            score -= 4.0
    if score:
        score += sum(any(alike(word, mean) for word in spot.about) for mean in slot.means[:2])
        score += 0.5 * any(alike(word, mean) for word in spot.parents for mean in slot.means)
    elif any(alike(word, mean) for word in spot.about for mean in slot.means) and not spot.options:
        score += 1.0
    if spot.kind in ("integer", "number") and not slot.numbers:
        score = 0.0
    return score, own > 0


def _facets(slot: Slot) -> list[str]:
    return [*slot.values, *slot.amounts, *slot.every()]
