"""The replies that are made or played now, and what history keeps of them: what was heard."""

from collections import deque
from collections.abc import Callable

from vivavoce.runtime.api import EntryTruncated, Output, Silenced, Why
from vivavoce.runtime.history import History
from vivavoce.runtime.playback import MOST_PLAYING, Playback
from vivavoce.runtime.reply import Reply


class Playout:
    """Follows replies from their beginning until nothing of them is played any more."""

    def __init__(
        self, playback: Playback, history: History, emit: Callable[[Output], None], end: Callable[[Why, int], None]
    ) -> None:
        """Nothing was said yet; ``end`` ends the reply that is being made, of which so many samples were heard."""
        self.playback, self._history, self._emit, self._end = playback, history, emit, end
        self._replies: deque[Reply] = deque(maxlen=MOST_PLAYING + 1)
        self._reported: set[int] = set()
        """The turn of which the client said last that it plays it."""

    def begin(self, reply: Reply) -> None:
        """A reply is made now; `playback` knows of it."""
        self._replies.append(reply)
        self.playback.grew(reply.turn, reply.samples)

    def of_turn(self, turn: int) -> Reply | None:
        """The reply that a turn is, as long as it is made or may be played."""
        return next((reply for reply in self._replies if reply.turn == turn), None)

    @property
    def playing(self) -> tuple[Reply, int] | None:
        """The reply that sounds at this moment and where in it, as far as we know."""
        now = self.playback.now if self.playback.sounding else None
        reply = self.of_turn(now.turn) if now else None
        return (reply, now.position) if now and reply else None

    def played_to(self, turn: int, samples: int) -> None:
        """The client has played this many samples of a turn."""
        self._reported = {turn}
        self.playback.played_to(turn, samples)

    def hush(self, plays_here: bool) -> None:
        """Nothing more is played; ``plays_here``: we own the playback and know what was."""
        for turn, heard in self.playback.to_be_played:
            self.playback.stopped(turn)
            self.silence(turn, heard, "client_cancelled", plays_here)

    def silence(self, turn: int, heard: int, why: Why, plays_here: bool) -> None:
        """Stops playing this turn; where it is known how much was played, history keeps only that."""
        reply = self.of_turn(turn)
        if reply and not reply.ended:
            self._end(why, heard)
        self._emit(Silenced(turn))
        # nothing was heard of answers that come after the one that the client reported
        reported = turn in self._reported or (not heard and any(earlier < turn for earlier in self._reported))
        message = reply.message if reply and (plays_here or reported) else None
        if message is not None and self._history.knows(message):
            spoken = self._history.find(message)
            if spoken.spoken:
                self._history.truncate(message, min(heard, spoken.samples))
                self._emit(EntryTruncated(message, min(heard, spoken.samples)))

    def truncate(self, entry: str, samples: int, plays_here: bool) -> None:
        """The client has stopped playing this entry, after so many samples. ProtocolError where that cannot be."""
        known = self._history.find(entry)
        reply = next((reply for reply in self._replies if reply.message == entry), None)
        made = known.samples if reply is None or reply.ended else reply.samples
        self._history.check_truncation(known, samples, made)
        if reply is not None:
            heard = dict(self.playback.to_be_played).get(reply.turn)
            if heard is not None:
                samples = min(samples, heard) if plays_here else samples
                self._emit(Silenced(reply.turn))
            if not reply.ended:
                self._end("client_cancelled", samples)
            self.playback.stopped(reply.turn)
        self._history.truncate(entry, samples)
        self._emit(EntryTruncated(entry, samples))
