"""One answer in the making: thoughts come in, entries, text and sound go out, and at any moment it can be cut."""

import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np

from vivavoce.core.errors import VivavoceError
from vivavoce.core.talk import Call, Entry, Restyle, Say, Thought, Trouble, Word
from vivavoce.core.voice import Voice
from vivavoce.runtime.api import (
    AudioOut,
    EntryAdded,
    EntryDone,
    Output,
    Refused,
    ReplyOptions,
    SessionConfig,
    TextOut,
    ToolCall,
    TurnEnded,
    TurnStarted,
    Usage,
    Why,
)
from vivavoce.runtime.model import FRAME, Context, Pcm, Spoken, Thinking

log = logging.getLogger(__name__)
AHEAD_WHILE_PREPARING = 12_000
"""Samples that are made of an answer that is perhaps not wanted: enough to begin with."""


def text_tokens(text: str) -> int:
    """How text is counted in usage: one token per four bytes."""
    return -(-len(text.encode(errors="replace")) // 4)


def audio_tokens(samples: int) -> int:
    """How sound is counted in usage: one token per 40 ms."""
    return -(-samples // FRAME)


def tokens_of(entry: Entry) -> tuple[int, int]:
    """Text and audio tokens of an entry; what was said counts as sound."""
    written = entry.written if entry.spoken else entry.text + entry.arguments + entry.output
    return text_tokens(written), audio_tokens(entry.samples) if entry.spoken else 0


@dataclass(frozen=True, slots=True)
class Over:
    """There are no more thoughts; ``error`` says why, if something broke."""

    error: str = ""


@runtime_checkable
class Thoughts(Protocol):
    """Where the pieces of a reply come from."""

    def take(self) -> list[Thought | Over]:
        """What has come since the last time; never waits."""
        ...

    def cancel(self) -> None:
        """No more are wanted."""
        ...


def told(error: BaseException) -> str:
    """Writes into the log that the model broke, and gives the sentence for the client, without what only we need."""
    if isinstance(error, VivavoceError):
        log.warning("%s", error)
        return str(error)
    log.error("the model failed", exc_info=error)
    return f"The model failed ({type(error).__name__})."


class InlineThoughts:
    """Thinks one piece whenever it is asked; for simulations, where everything happens on one thread."""

    def __init__(self, thinking: Thinking, context: Context) -> None:
        """Begins."""
        self._pieces: Iterator[Thought] = thinking.respond(context)
        self._over = False

    def take(self) -> list[Thought | Over]:
        """The next piece."""
        if self._over:
            return []
        try:
            return [next(self._pieces)]
        except StopIteration:
            self._over = True
            return [Over()]
        except Exception as error:  # a broken model must not take the other conversations with it
            self._over = True
            return [Over(told(error))]

    def cancel(self) -> None:
        """Stops."""
        self._over = True


class ThreadThoughts:
    """Thinks on another thread, so that a long thought delays nobody's hearing."""

    def __init__(self, thinking: Thinking, context: Context, pool: Executor, wake: Callable[[], None]) -> None:
        """Begins; ``wake`` is called when there is something to take."""
        self._lock, self._box, self._cancelled, self._wake = Lock(), deque[Thought | Over](), False, wake
        self._future = pool.submit(self._run, thinking, context)

    def _run(self, thinking: Thinking, context: Context) -> None:
        over = Over()
        try:
            if not self._cancelled:
                for piece in thinking.respond(context):
                    if self._cancelled:
                        break
                    self._put(piece)
        except Exception as error:  # a broken model must not take the other conversations with it
            over = Over(told(error))
        self._put(over)

    def _put(self, piece: Thought | Over) -> None:
        with self._lock:
            self._box.append(piece)
        self._wake()

    def take(self) -> list[Thought | Over]:
        """What has come."""
        with self._lock:
            pieces = list(self._box)
            self._box.clear()
        return pieces

    def cancel(self) -> None:
        """Stops after the piece that is being thought."""
        self._cancelled = True
        self._future.cancel()


@runtime_checkable
class Mouth(Protocol):
    """A speaking row that is lent to a conversation."""

    @property
    def mouth(self) -> int:
        """Its number."""
        ...

    def begin(self, config: SessionConfig, seed: int) -> None:
        """A new reply in this conversation's voice."""
        ...

    def feed(self, text: str, last: bool) -> None:
        """More to say."""
        ...

    def stop(self) -> None:
        """Drops the rest."""
        ...


class Silent:
    """No mouth at all, for answers in writing."""

    mouth = -1

    def begin(self, config: SessionConfig, seed: int) -> None:
        """Nothing."""

    def feed(self, text: str, last: bool) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


SILENT = Silent()


class Reply:
    """An answer from its first thought to its end.

    As long as it is only prepared nobody hears of it: what it makes is held back until `release`.
    """

    def __init__(
        self,
        *,
        turn: int,
        config: SessionConfig,
        options: ReplyOptions,
        context: Context,
        thoughts: Thoughts,
        mouth: Mouth,
        new_id: Callable[[str], str],
        emit: Callable[[Output], None],
        add: Callable[[Entry], str | None],
        released: bool,
    ) -> None:
        """Begins to think; ``config`` already has the options in it."""
        self.turn, self.config, self.options, self.context, self.released = turn, config, options, context, released
        self._thoughts, self.mouth, self._new_id, self._emit_now, self._add = thoughts, mouth, new_id, emit, add
        self._held: list[Callable[[], None]] = []
        self._calls: list[Call] = []
        self._places = 0
        self._message: Entry | None = None
        self._place_of_message = 0
        self._text: list[str] = []
        self._sound: list[np.ndarray] = []
        self._words: list[Word] = []
        self.samples = 0
        self._thought_all = self._spoke_all = self.ended = False
        self._fed = self._called = False
        self.restyled: Voice | None = None
        self.error = ""
        self.entries: dict[int, Entry] = {}
        self._do(lambda: self._emit_now(TurnStarted(turn, options, config)))
        if config.audio_out:
            try:
                mouth.begin(config, context.seed)
            except Exception as error:  # a voice that cannot be had; the next `think` ends the answer
                self.error = told(error)

    # ---- held back or not ----

    def _do(self, act: Callable[[], None]) -> None:
        if self.released:
            act()
        else:
            self._held.append(act)

    def release(self) -> None:
        """It is wanted: everything it made goes out now."""
        self.released = True
        held, self._held = self._held, []
        for act in held:
            act()

    # ---- growing ----

    @property
    def wants_to_speak(self) -> bool:
        """Whether a speaking step makes sense now."""
        if self.ended or self._spoke_all or not self._fed:
            return False
        return self.released or self.samples < AHEAD_WHILE_PREPARING

    @property
    def message(self) -> str | None:
        """Id of the spoken or written message."""
        return self._message.id if self._message else None

    def think(self) -> bool:
        """Takes the thoughts that came; says whether there were any."""
        if self.error:
            self.end("failed")
            return True
        pieces = self._thoughts.take()
        for piece in pieces:
            match piece:
                case Say(text) if text:
                    self._say(text)
                case Call() if not (self.config.one_call and self._called):
                    self._called = True
                    if self._message is None:
                        self._call(piece)
                    else:
                        self._calls.append(piece)
                case Restyle(voice):
                    self.restyled = voice
                    if not self._fed:
                        self.config = replace(self.config, voice=voice)
                        if self.config.audio_out:
                            self.mouth.begin(self.config, self.context.seed)
                case Trouble(reason):
                    log.warning("%s", reason)
                    self._do(lambda reason=reason: self._emit_now(Refused("mind_failed", reason)))
                case Over(error):
                    self._thought_all, self.error = True, error
                    if self._fed:
                        self.mouth.feed("", True)
                case _:
                    pass
        if self.error:
            self.end("failed")
        elif self._too_long:
            self.end("max_output_tokens")
        elif self._thought_all and (self._spoke_all or not self._fed):
            self.end("completed")
        return bool(pieces)

    def spoke(self, spoken: Spoken) -> None:
        """Takes sound that became ready."""
        if self._message is None or self.ended:
            return
        entry, at = self._message.id, self.samples
        self._sound.append((np.clip(spoken.pcm, -1, 1) * 32767).astype(np.int16))
        self._words.extend(spoken.words)
        self.samples += len(spoken.pcm)
        if len(spoken.pcm):
            self._do(lambda: self._emit_now(AudioOut(self.turn, entry, spoken.pcm, at)))
        for why in spoken.unsaid:
            refused = Refused("unspeakable_text", why)
            self._do(lambda refused=refused: self._emit_now(refused))
        if spoken.trouble:
            log.warning("%s", spoken.trouble)
            self._do(lambda: self._emit_now(Refused("speaking_failed", spoken.trouble)))
        if spoken.done:
            self._spoke_all = True

    def sound_at(self, begin: int) -> Pcm:
        """One frame of what was made, from this sample on; silence where there is nothing yet or any more."""
        at, frame = 0, np.zeros(FRAME, np.float32)
        for piece in self._sound:
            if at + len(piece) > begin and at < begin + FRAME:
                first, last = max(begin, at), min(begin + FRAME, at + len(piece))
                frame[first - begin : last - begin] = piece[first - at : last - at] / np.float32(32767)
            at += len(piece)
        return frame

    @property
    def _too_long(self) -> bool:
        limit = self.config.max_output_tokens
        return limit is not None and text_tokens("".join(self._text)) + audio_tokens(self.samples) > limit

    def _say(self, text: str) -> None:
        if self._message is None:
            entry = Entry(
                id=self._new_id("item"),
                role="assistant",
                spoken=self.config.audio_out,
                status="in_progress",
                reply=self.turn,
            )
            self._message, self._place_of_message = entry, self._new_place(entry)
        self._text.append(text)
        entry_id = self._message.id
        self._do(lambda: self._emit_now(TextOut(self.turn, entry_id, text)))
        if self.config.audio_out:
            self._fed = True
            self.mouth.feed(text, False)

    def _call(self, call: Call) -> None:
        entry = Entry(
            id=self._new_id("item"), kind="call", role="assistant", status="in_progress", name=call.name,
            call=self._new_id("call"), arguments=call.arguments, reply=self.turn,
        )  # fmt: skip
        place = self._new_place(entry)
        event = ToolCall(self.turn, entry.id, entry.call, call.name, call.arguments)
        self._do(lambda: self._emit_now(event))
        self._done(place, replace(entry, status="completed"))

    def _new_place(self, entry: Entry) -> int:
        place, self._places = self._places, self._places + 1
        self.entries[place] = entry
        self._do(lambda: self._emit_now(EntryAdded(entry, self._add(entry), self.turn, place)))
        return place

    def _done(self, place: int, entry: Entry) -> None:
        self.entries[place] = entry
        self._do(lambda: self._emit_now(EntryDone(entry, None, self.turn, place)))

    # ---- the end ----

    def end(self, why: Why, heard: int | None = None, error: str = "") -> None:
        """Ends it, once: closes its entries and says so."""
        if self.ended:
            return
        self.ended = True
        self._thoughts.cancel()
        if why != "completed":
            self.mouth.stop()
        if self._message is not None:
            self._done(self._place_of_message, self._made(self._message, whole=why == "completed"))
        if why == "completed":
            for call in self._calls:
                self._call(call)
        ended = TurnEnded(self.turn, why, self.samples if heard is None else heard, self.usage, error or self.error)
        self._do(lambda: self._emit_now(ended))

    def _made(self, message: Entry, whole: bool) -> Entry:
        """The message as far as it was made; what was thought and never became sound is no part of it."""
        made = replace(
            message,
            text="".join(self._text),
            audio=np.concatenate(self._sound) if self._sound else None,
            samples=self.samples,
            words=tuple(self._words),
            status="completed" if whole else "incomplete",
        )
        if whole or not message.spoken:
            return made
        return replace(made, words=(*made.words, Word("", sys.maxsize, sys.maxsize))).cut(self.samples)

    def drop(self) -> None:
        """It was only prepared and is not wanted."""
        self.ended = True
        self._thoughts.cancel()
        self.mouth.stop()
        self._held.clear()

    @property
    def usage(self) -> Usage:
        """What it cost."""
        sizes = [tokens_of(entry) for entry in self.context.entries]
        calls = "".join(e.name + e.arguments for e in self.entries.values() if e.kind == "call")
        return Usage(
            input_text=text_tokens(self.context.instructions) + sum(text for text, _ in sizes),
            input_audio=sum(audio for _, audio in sizes),
            output_text=text_tokens("".join(self._text) + calls),
            output_audio=audio_tokens(self.samples),
        )
