"""What a reply is asked: from the session's settings, its own options and what was said so far to a `Request`."""

import secrets
from dataclasses import replace
from itertools import count

from vivavoce.core.talk import Entry
from vivavoce.runtime.api import ReplyOptions, SessionConfig
from vivavoce.runtime.history import History
from vivavoce.runtime.model import Context
from vivavoce.runtime.reply import Request
from vivavoce.runtime.usage import Fitting


class Requests:
    """The requests of one conversation, numbered."""

    def __init__(self, history: History) -> None:
        """Nothing was asked for yet."""
        self._history = history
        self._numbers = count(1)
        self._name = secrets.token_hex(8)
        self._fitting = Fitting()

    def new(self, options: ReplyOptions, session: SessionConfig, likely: Entry | None = None) -> Request:
        """The next one; ``likely`` is what the user is taken to have said, of which history does not know yet."""
        config = options.over(session)
        turn = next(self._numbers)
        context = replace(
            self._context(config),
            entries=self._about(options, likely, config),
            request=(options.instructions or "").removeprefix(session.instructions).strip(),
            seed=config.seed + turn,
        )
        return Request(turn=turn, config=config, context=context, options=options)

    def ahead(self, session: SessionConfig) -> Context:
        """What the request after the user's next turn begins with: what is told, and what was said so far."""
        return replace(self._context(session), entries=self._about(ReplyOptions(), None, session))

    def still_fits(self, ready: Request, session: SessionConfig) -> bool:
        """Whether what was likely is what was said: the same history, and the same words at its end."""
        then, now = ready.context.entries, self._fitting.fit(self._history.entries, session.window)
        if not then or len(then) != len(now):
            return False
        return all(a is b for a, b in zip(then[:-1], now[:-1], strict=True)) and then[-1].text == now[-1].text

    def _context(self, config: SessionConfig) -> Context:
        """What all replies with these settings depend on."""
        return Context(
            entries=(),
            instructions=config.instructions,
            tools=config.tools,
            tool_choice=config.tool_choice,
            voice=config.voice,
            conversation=self._name,
            mind=config.mind,
        )

    def _about(self, options: ReplyOptions, likely: Entry | None, config: SessionConfig) -> tuple[Entry, ...]:
        """What a reply answers; ids of entries were checked when it was asked for."""
        if options.input is None:
            return self._fitting.fit(self._history.entries + ((likely,) if likely else ()), config.window)
        known = (e for e in options.input if not isinstance(e, str) or self._history.knows(e))
        return tuple(self._history.find(e) if isinstance(e, str) else e for e in known)
