"""One row of a speaker's states, as a reply has it."""

from typing import Any

from vivavoce.runtime.model import Speaking
from vivavoce.runtime.reply import Begin, Feed, Halt, SpeakerOrder


class SpeakingRow:
    """A row that is lent."""

    def __init__(self, speaking: Speaking[Any], state: Any, number: int) -> None:
        """Lends it."""
        self._speaking, self._state, self.number = speaking, state, number

    def stop(self) -> None:
        """Stops speaking; what is left of the text is dropped."""
        self._speaking.stop(self._state, self.number)

    def obey(self, order: SpeakerOrder, seed: int) -> None:
        """Does what a reply wants done."""
        match order:
            case Begin(voice):
                self._speaking.begin(self._state, self.number, voice, seed)
            case Feed(text, last):
                self._speaking.feed(self._state, self.number, text, last)
            case Halt():
                self.stop()
