"""What a client has sent and what waits: inputs in their order, and recordings that have to be heard before others."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry, Heard
from vivavoce.runtime.api import (
    Add,
    AudioIn,
    Commit,
    Delete,
    Hush,
    Input,
    Played,
    Refused,
    ReplyOptions,
    Respond,
    Retrieve,
    Stop,
    Truncate,
)
from vivavoce.runtime.history import NO_ITEM
from vivavoce.runtime.model import FRAME

URGENT = (Stop, Hush, Played)
"""Inputs that are followed at once, before sound that waits to be heard: whoever wants silence wants it now, and
whether a voice is an interruption depends on what was played."""
NOWHERE: dict[type, tuple[str, str]] = {
    Add: ("item_create_invalid_previous_item_id", "previous_item_id"),
    Retrieve: ("item_retrieve_invalid_item_id", "item_id"),
    Truncate: ("item_truncate_invalid_item_id", "item_id"),
    Delete: ("item_delete_invalid_item_id", "item_id"),
}
"""What clients look for when an input names an entry that there is not."""
TAGGED = (Stop, Commit, Add, Delete, Truncate, Retrieve)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A reply that was asked for and cancelled before its turn came; then it begins and ends at once."""

    options: ReplyOptions


ASKING = (Respond, Cancelled)
"""What asks, or asked, for a reply."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """An input that waits until the recordings in it were heard; what comes after it waits too."""

    heard: tuple[Future[Heard], ...]
    then: Callable[[], None]
    event: Input


def with_words(entries: tuple[Entry | str, ...], heard: dict[int, Future[Heard]]) -> tuple[Entry | str, ...]:
    """The entries, those at the given places with the words of their sound."""
    found = list(entries)
    for place, words in heard.items():
        entry = entries[place]
        assert isinstance(entry, Entry)
        known = words.result().until(entry.samples)
        text = " ".join([entry.written, *(word.text for word in known.words)]).strip()
        found[place] = replace(entry, text=text, words=known.words)
    return tuple(found)


class Inbox:
    """Inputs from the client's thread to the clock's."""

    def __init__(self) -> None:
        """Nothing came."""
        self._came: deque[Input] = deque()
        self._queue: deque[Input | Cancelled] = deque()
        self._unheard: Unheard | None = None
        # written by one thread each: what the client sent, what the clock took
        self._sent = self._taken = 0

    @property
    def backlog(self) -> int:
        """What waits, as `weight` counts it."""
        return self._sent - self._taken

    def put(self, event: Input) -> None:
        """Something came; on any one thread."""
        self._sent += weight(event)
        self._came.append(event)

    def arrive(self) -> Input | None:
        """The next input that came, if it is urgent; others are queued. IndexError when nothing came.

        Between two calls the caller follows what it can of the queue, so that urgent inputs overtake only those that
        have to wait.
        """
        event = self._came.popleft()
        if isinstance(event, URGENT):
            self._taken += weight(event)
            return event
        self._queue.append(event)
        return None

    def __bool__(self) -> bool:
        """Whether something came that was not looked at."""
        return bool(self._came)

    def next(self) -> Input | Cancelled | None:
        """The next input in the order of the client; None while there is none, or while a recording is heard."""
        if not self._queue or self._unheard is not None:
            return None
        event = self._queue.popleft()
        self._taken += weight(event)
        return event

    def hold(self, unheard: Unheard) -> None:
        """Has all later inputs wait until the recordings of this one were heard."""
        self._unheard = unheard

    def heard(self) -> Unheard | None:
        """What was held, once its recordings are heard."""
        unheard = self._unheard
        if unheard is None or not all(words.done() for words in unheard.heard):
            return None
        self._unheard = None
        return unheard

    def cancel_replies(self, in_vain: Callable[[ReplyOptions], None]) -> bool:
        """Cancels the replies that were asked for and wait behind something; says whether there are any."""
        found = False
        for place, event in enumerate(self._queue):
            if isinstance(event, Respond) and not event.options.out_of_band:
                self._queue[place], found = Cancelled(event.options), True
        unheard = self._unheard
        if unheard and isinstance(unheard.event, Respond) and not unheard.event.options.out_of_band:
            options = unheard.event.options
            self._unheard, found = replace(unheard, heard=(), then=lambda: in_vain(options)), True
        return found


def weight(event: Input | Cancelled) -> int:
    """The size of an input for the backlog, in samples: those of its sound, one for each character, and a frame for the
    rest."""
    if isinstance(event, AudioIn):
        return len(event.pcm)
    given = (event.entry,) if isinstance(event, Add) else event.options.input if isinstance(event, ASKING) else None
    entries = [entry for entry in given or () if isinstance(entry, Entry)]
    return FRAME + sum(entry.samples + entry.characters for entry in entries)


def refusal(event: Input | Cancelled, error: ProtocolError) -> Refused:
    """The output that says why an input cannot be followed."""
    code, param = NOWHERE.get(type(event), (error.code, None)) if error.code == NO_ITEM else (error.code, None)
    tag = event.tag if isinstance(event, TAGGED) else event.options.tag if isinstance(event, ASKING) else None
    return Refused(code, str(error), param, tag)
