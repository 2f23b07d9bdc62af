"""A user's words as a listener might recognise them."""

from typing import Final

import numpy as np

from vivavoce.data.character.turns import ScriptedTurn
from vivavoce.data.misheard import misheard
from vivavoce.data.sentences import LETTERS
from vivavoce.data.sheet import Sheet

_TURNING: Final = frozenset("no not without don't never wait instead sorry mean actually and with".split())


class Recognised:
    """Mishears the words of turns, but none that carries what a sheet's tool takes."""

    def __init__(self, sheet: Sheet) -> None:
        """Looks up which words those are."""
        slots = sheet.tool.slots
        values = [value for slot in slots if not slot.spelled for value in slot.every()]
        self.kept = {part for value in values for part in value.split()} | _TURNING
        self.kept |= set(LETTERS) if any(slot.spelled for slot in slots) else set()

    def words(self, turn: ScriptedTurn, draw: np.random.Generator) -> list[str]:
        """The words of a turn; half the time as they were said."""
        words = turn.user.split()
        if draw.random() < 0.5:
            return words
        rate = draw.uniform(0.02, 0.25)
        if turn.kind in {"repeat", "role"} or (turn.style or "").startswith("like "):
            return words  # what is to be copied is copied, right or wrong
        return misheard(words, draw, rate=rate, kept=self.kept)
