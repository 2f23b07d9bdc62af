"""Is the user done? How long a silence ends a turn."""

from vivavoce.runtime.settings import TurnConfig
from vivavoce.runtime.stretch import MS, Judgement

LONGEST_WAIT_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
SHORTEST_WAIT_MS = {"low": 480, "medium": 320, "auto": 320, "high": 200}
SURELY_DONE = 0.85


def wait_ms(done: float, eagerness: str) -> int:
    """How long a silence ends a turn, when the speaker is done with this probability."""
    shortest, longest = SHORTEST_WAIT_MS[eagerness], LONGEST_WAIT_MS[eagerness]
    doubt = max(0.0, 1 - done / SURELY_DONE)
    return round(shortest * (longest / shortest) ** doubt)


def silence_that_ends(config: TurnConfig, judgement: Judgement) -> int:
    """The silence that ends the turn, in samples."""
    if config.kind == "semantic_vad":
        # whoever made a noise has nothing to add to it
        return wait_ms(1.0 if judgement.noise else judgement.done, config.eagerness) * MS
    return config.silence_duration_ms * MS
