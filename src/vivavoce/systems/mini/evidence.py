"""What the user's words say for places that no slot of the character's fills."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vivavoce.systems.mini.grounding import numbers_in
from vivavoce.systems.mini.schema_places import NONE_LISTED, NOTHING
from vivavoce.systems.mini.spots import HEADLESS, NO, NUMBERED, STOPS, Spot, SpotPath, alike, cues, values_of, words_of
from vivavoce.systems.mini.unused_words import LONGEST, UnusedWords

_OF_NUMBER: Final = frozenset("quantity count qty many copies".split())


class Evidence:
    """Reads words for the places of one tool; ``words`` are those of the tool's own name, which say nothing."""

    def __init__(self, words: Sequence[str], spots: Sequence[Spot], owners: Mapping[SpotPath, str]) -> None:
        self.words, self.spots, self.owners = words, spots, owners

    def spoken_value(self, spot: Spot, left: UnusedWords, ordering: bool) -> tuple[Any, bool]:
        """What the user's words say for a place that no slot fills, and whether that is beyond doubt."""
        content = [word for word in spot.words if word not in HEADLESS]
        if spot.options and spot.kind in ("string", "list"):
            named = [
                o for o in spot.options if isinstance(o, str) and len(o) > 1 and left.find(words_of(o)) is not None
            ]
            named.sort(key=lambda o: -len(words_of(o)))
            if not named:
                return NOTHING, False
            if spot.kind == "list":
                return [option for option in named if left.take(words_of(option))][::-1], True
            left.take(words_of(named[0]))
            return named[0], True
        if spot.kind == "boolean":
            first = left.find(content)
            if first is None or not content:
                return NOTHING, False
            return not left.denied(first), True
        if spot.kind in ("integer", "number"):
            return self._number(spot, left, ordering)
        if spot.kind != "string":
            return NOTHING, False
        for cue, to_end, sure in cues(spot):
            if ordering and not sure and cue not in (("for",), ("under",)):
                continue
            span = left.after(cue, to_end)
            known = {*self.words, *spot.words, "some", "any", "something"}
            if not span or all(word in known for word in span):
                continue
            number = next(numbers_in(span), None)
            if number and number[0] == 0 and not NUMBERED & set(spot.words):
                continue
            left.take(span)
            return str(number[2]) if number and number[1] == len(span) else " ".join(span), sure
        for value in values_of(spot):
            if left.take(value.split()):
                return value, True
        return NOTHING, False

    def _number(self, spot: Spot, left: UnusedWords, ordering: bool) -> tuple[Any, bool]:
        found = list(numbers_in(left.words))
        own = set(spot.words)
        for first, last, number in found:
            unit = left.words[last] if last < len(left.words) else None
            near = left.words[max(first - 3, 0) : first]
            if any(alike(unit, word) for word in own) or any(alike(word, part) for word in near for part in own):
                left.words[first:last] = [None] * (last - first)
                return number, True
        others = [s for s in self.spots if s.kind in ("integer", "number") and s.path != spot.path]
        if self.counts(spot) and ordering:
            used = [entry for entry in found if entry[1] < len(left.words) and left.words[entry[1]] is None]
            return (used[0][2], True) if used else (NOTHING, False)
        if not ordering and not others and len(found) == 1:
            first, last, number = found[0]
            unit = left.words[last] if last < len(left.words) else None
            if unit is None or unit in STOPS or unit in ("percent", "degrees"):
                return number, False
        return NOTHING, False

    def answer(self, spot: Spot, words: Sequence[str]) -> Any:
        """What an answer to the question for a place says."""
        left = UnusedWords(words)
        if words and set(words) <= NO | STOPS and set(words) & NO:
            if spot.kind == "boolean":
                return False
            if spot.kind == "list":
                return []
            if spot.options:
                return next((o for o in spot.options if str(o).lower() in NONE_LISTED), NOTHING)
            return "none" if spot.kind == "string" else NOTHING
        value, _ = self.spoken_value(spot, left, False)
        if value is not NOTHING:
            return value
        if spot.kind == "boolean" and words and words[0] in ("yes", "yeah", "yep", "sure", "aye"):
            return True
        if spot.kind in ("integer", "number"):
            found = list(numbers_in(words))
            return found[0][2] if len(found) == 1 else NOTHING
        if spot.kind in ("string", "list") and not spot.options:
            kept = list(words)
            for opening in (
                "my name is",
                "it is",
                "it's",
                "i'm",
                "i am",
                "for",
                "the name is",
                "make it",
                "put",
                "just",
                "with",
            ):
                parts = opening.split()
                if kept[: len(parts)] == parts:
                    kept = kept[len(parts) :]
            while kept and kept[-1] in ("please", "thanks"):
                kept.pop()
            if 0 < len(kept) <= LONGEST and kept[0] not in (
                "what",
                "how",
                "who",
                "why",
                "where",
                "when",
                "can",
                "could",
            ):
                return [" ".join(kept)] if spot.kind == "list" else " ".join(kept)
        return NOTHING

    def counts(self, spot: Spot) -> bool:
        """Whether a place says how many of the same are wanted."""
        counting = bool(_OF_NUMBER & set(spot.words)) or spot.words[:1] == ("number",)
        return counting and spot.kind in ("integer", "number") and not self.owners.get(spot.path)
