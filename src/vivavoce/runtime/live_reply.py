"""A reply that is driven by a clock: thoughts come when they come, and a lent row of the speaker makes it sound."""

import logging
from collections.abc import Callable

from vivavoce.core.talk import Trouble
from vivavoce.runtime.api import Output, Why
from vivavoce.runtime.failures import explained, log_failure
from vivavoce.runtime.model import Spoken
from vivavoce.runtime.reply import Over, Reply
from vivavoce.runtime.rows import SpeakingRow
from vivavoce.runtime.thoughts import Thoughts

log = logging.getLogger(__name__)


class LiveReply:
    """Carries out what a `Reply` wants done."""

    def __init__(
        self, reply: Reply, thoughts: Thoughts, speaker: SpeakingRow | None, publish: Callable[[Output], None]
    ) -> None:
        """Begins; without ``speaker`` it is a reply in writing."""
        self.reply, self.speaker = reply, speaker
        self._thoughts, self._publish = thoughts, publish
        try:
            self._carry_out()
        except Exception as error:  # a voice that cannot be had; the next `think` ends the answer
            log_failure(error)
            reply.error = explained(error)

    def think(self) -> bool:
        """Takes the thoughts that came; says whether there were any."""
        reply = self.reply
        if reply.error:
            self.end("failed")
            return True
        pieces = self._thoughts.take()
        for piece in pieces:
            if isinstance(piece, Over) and piece.error:
                log_failure(piece.error)
                reply.error = explained(piece.error)
            elif isinstance(piece, Trouble):
                log.warning("%s", piece.reason)
            reply.think(piece)
            self._carry_out()
        self._settle()
        return bool(pieces)

    def spoke(self, spoken: Spoken) -> None:
        """Takes sound that became ready."""
        if spoken.trouble:
            log.warning("%s", spoken.trouble)
        self.reply.spoke(spoken)
        self._carry_out()

    def release(self) -> None:
        """A prepared reply is wanted: outputs that were held back go out now."""
        self.reply.release()
        self._carry_out()

    def end(self, why: Why, heard: int | None = None, error: str = "") -> None:
        """Ends it, once."""
        self.reply.end(why, heard, error)
        self._over()

    def drop(self) -> None:
        """A prepared reply is not wanted: it ends without any output."""
        self.reply.drop()
        self._over()

    def _settle(self) -> None:
        self.reply.settle()
        if self.reply.ended:
            self._over()

    def _over(self) -> None:
        self._thoughts.cancel()
        self._carry_out()

    def _carry_out(self) -> None:
        for output in self.reply.outputs():
            self._publish(output)
        for order in self.reply.orders():
            if self.speaker:
                self.speaker.obey(order, self.reply.request.context.seed)
