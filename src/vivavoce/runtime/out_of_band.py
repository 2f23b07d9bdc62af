"""Replies beside the conversation: made while it goes on, remembered by nobody, spoken on rows of their own."""

from collections.abc import Callable

from vivavoce.runtime.live_reply import LiveReply
from vivavoce.runtime.model_rows import ConversationRow
from vivavoce.runtime.rows import SpeakingRow


class OutOfBand:
    """Those that are made now."""

    def __init__(self, row: ConversationRow) -> None:
        """None; speaking rows come from where ``row`` does."""
        self._row = row
        self.live: list[LiveReply] = []

    def begin(self, speaks: bool, make: Callable[[SpeakingRow | None], LiveReply]) -> bool:
        """Begins one that ``make`` makes for a row; False where it ``speaks`` and no row is free."""
        speaker = self._row.spare_speaker() if speaks else None
        if speaks and speaker is None:
            return False
        self.live.append(make(speaker))
        return True

    def of_turn(self, turn: int | None) -> LiveReply | None:
        """The one that a turn is."""
        return next((live for live in self.live if live.reply.turn == turn), None)

    def over(self, live: LiveReply) -> None:
        """One has ended; its row is free again."""
        self.live.remove(live)
        if live.speaker:
            self._row.give_back(live.speaker)

    def close(self) -> None:
        """Stops all."""
        for live in list(self.live):
            live.drop()
            self.over(live)
