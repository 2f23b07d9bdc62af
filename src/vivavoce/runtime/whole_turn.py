"""The user's turn heard once more as a whole, beside the clock."""

from concurrent.futures import Future

from vivavoce.core.talk import Heard
from vivavoce.runtime.model_rows import ConversationRow


class WholeTurn:
    """What is made of one row's turn as a whole, from when it is asked for until speech goes on or the turn is over."""

    def __init__(self, row: ConversationRow) -> None:
        """Nothing was asked for yet."""
        self._row = row
        self._words: Future[Heard] | None = None
        self._unread = False
        """Whether nobody has asked for the words since they were begun to be found."""
        self._sooner: Future[Heard] | None = None

    def hear(self) -> None:
        """Begins to hear the turn as it is now."""
        self._words, self._unread = self._row.hear_whole(), True
        self._sooner = self._row.hear_sooner()

    def drop(self) -> None:
        """Speech goes on: what was heard is not all; what has not begun to be heard need not be."""
        for found in (self._words, self._sooner):
            if found is not None:
                found.cancel()
        self._words = self._sooner = None

    def sooner(self) -> Heard | None:
        """What is known of the turn before its words, once, when it is there."""
        sooner = self._sooner
        if sooner is None or not sooner.done():
            return None
        self._sooner = None
        return None if sooner.exception() else sooner.result()  # the words will say what broke

    def words(self) -> Heard | None:
        """The words, once, when they are there; what broke while they were found is raised."""
        words = self._words
        if words is None or not words.done() or not self._unread:
            return None
        self._unread, self._sooner = False, None
        if words.exception():
            self._words = None
            if self._row.patient:
                self._words = Future()
                self._words.set_result(Heard())
        return words.result()

    def final(self) -> Heard:
        """The words that were found since the last voice, or are found now."""
        return self._row.hear_rest() if self._words is None else self._words.result()
