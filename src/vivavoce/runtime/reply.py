"""One reply, as a pure state machine: thoughts and sound go in, outputs and orders to the speaker come out.

It knows no clock, model or history. Whoever drives it, a live conversation (`live_reply`) or the loop of a question and
its answer (`assistant.conversation`), takes `outputs` and `orders` after each step and carries them out.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.core.talk import Call, Entry, Restyle, Say, Thought, Trouble, Utter, Word
from vivavoce.core.voice import Voice
from vivavoce.runtime import api
from vivavoce.runtime.model import FRAME, Context, Pcm, Spoken
from vivavoce.runtime.usage import audio_tokens, text_tokens, tokens_of

AHEAD_WHILE_PREPARING = 12_000
"""Samples that are made of an answer that is perhaps not wanted: enough to begin with."""
TROUBLE = "mind_failed"
"""Code of the Refused output that stands for a `Trouble` of the mind."""


@dataclass(frozen=True, slots=True)
class Over:
    """There are no more thoughts; ``error`` says why, if something broke."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """A new reply in this voice."""

    voice: Voice


@dataclass(frozen=True, slots=True)
class Feed:
    """More to say; ``last``: nothing follows."""

    text: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop speaking now; what is left of the text is dropped."""


SpeakerOrder = Begin | Feed | Halt
"""What the speaker is to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be answered, and how; ``config`` has the options in it already."""

    turn: int
    config: api.SessionConfig
    context: Context
    options: api.ReplyOptions = api.ReplyOptions()


@dataclass(slots=True)
class _Message:
    """The message of a reply while it is written and spoken."""

    entry: Entry
    place: int
    text: list[str] = field(default_factory=list)
    sound: list[np.ndarray] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    fed: bool = False
    """Some of the text is the speaker's to say; what the mind utters itself has its sound at once."""

    def made(self, samples: int, whole: bool) -> Entry:
        """The message as far as it was made; what was thought and never became sound is no part of it."""
        made = replace(
            self.entry,
            text="".join(self.text),
            audio=np.concatenate(self.sound) if self.sound else None,
            samples=samples,
            words=tuple(self.words),
            status="completed" if whole else "incomplete",
        )
        if whole or not made.spoken or not self.fed:
            return made
        return replace(made, words=(*made.words, Word("", sys.maxsize, sys.maxsize))).cut(samples)


class Reply:
    """An answer from its first thought to its end.

    As long as it is only prepared nobody hears of it: `outputs` are held back until `release`.
    """

    def __init__(self, request: Request, new_id: Callable[[str], str], *, prepared: bool = False) -> None:
        """Begins; ``new_id`` makes unique names such as ``item_1``."""
        self.request, self.released, self._new_id = request, not prepared, new_id
        self.speaks = request.config.audio_out
        self.samples = 0
        self.ended = False
        self.error = ""
        self.restyled: Voice | None = None
        """The voice that was asked for in this reply; taken by whoever keeps it for the next."""
        self.entries: list[Entry] = []
        """What it made, in the order of their places."""
        self._message: _Message | None = None
        self._calls: list[Call] = []
        self._fed = self._called = self._thought_all = self._spoke_all = False
        self._outputs: list[api.Output] = [api.TurnStarted(request.turn, request.options, request.config)]
        self._orders: list[SpeakerOrder] = [Begin(request.config.voice)] if self.speaks else []

    # ---- what there is to do ----

    def outputs(self) -> list[api.Output]:
        """What happened since the last time; nothing while it is only prepared."""
        if not self.released:
            return []
        outputs, self._outputs = self._outputs, []
        return outputs

    def orders(self) -> list[SpeakerOrder]:
        """What the speaker has to do now."""
        orders, self._orders = self._orders, []
        return orders

    @property
    def wants_to_speak(self) -> bool:
        """Whether a speaking step makes sense now."""
        if self.ended or self._spoke_all or not self._fed:
            return False
        return self.released or self.samples < AHEAD_WHILE_PREPARING

    @property
    def turn(self) -> int:
        """Its number."""
        return self.request.turn

    @property
    def message(self) -> str | None:
        """Id of the spoken or written message."""
        return self._message.entry.id if self._message else None

    # ---- what happens ----

    def release(self) -> None:
        """A prepared reply is wanted: outputs that were held back go out now."""
        self.released = True

    def think(self, piece: Thought | Over) -> None:
        """Takes the next piece that the mind gave, or that there are no more."""
        match piece:
            case Say(text) if text:
                self._say(text)
            case Utter(text, pcm):
                self._utter(text, pcm)
            case Call() if not (self.request.config.one_call and self._called):
                self._called = True
                if self._message is None:
                    self._call(piece)
                else:
                    self._calls.append(piece)
            case Restyle(voice):
                self.restyled = voice
                if not self._fed and self.speaks:
                    self._orders.append(Begin(voice))
            case Trouble(reason):
                self._outputs.append(api.Refused(TROUBLE, reason))
            case Over():
                self._thought_all = True
                if self._fed:
                    self._orders.append(Feed("", last=True))
            case _:
                pass

    def spoke(self, spoken: Spoken) -> None:
        """Takes sound that became ready."""
        message = self._message
        if message is None or self.ended:
            return
        message.sound.append(to_int16(spoken.pcm))
        message.words.extend(spoken.words)
        if len(spoken.pcm):
            self._outputs.append(api.AudioOut(self.turn, message.entry.id, spoken.pcm, self.samples))
        self.samples += len(spoken.pcm)
        self._outputs += [api.Refused("unspeakable_text", why) for why in spoken.unsaid]
        if spoken.trouble:
            self._outputs.append(api.Refused("speaking_failed", spoken.trouble))
        self._spoke_all |= spoken.done

    def settle(self) -> None:
        """Ends the reply once the mind has finished and all sound is there."""
        if self.error:
            self.end("failed")
        elif self._too_long:
            self.end("max_output_tokens")
        elif self._thought_all and (self._spoke_all or not self._fed):
            self.end("completed")

    def open_message(self) -> None:
        """Something is said from now on, whether or not its text is known yet."""
        if self._message is None:
            entry = Entry(
                id=self._new_id("item"), role="assistant", spoken=self.speaks, status="in_progress", reply=self.turn
            )
            self._message = _Message(entry, self._place(entry))

    def end(self, why: api.Why, heard: int | None = None, error: str = "") -> None:
        """Ends it, once: closes its entries and says so; ``heard``: samples that were played, if not all."""
        if self.ended:
            return
        self.ended = True
        whole = why == "completed"
        if not whole and self.speaks:
            self._orders.append(Halt())
        if self._message is not None:
            self._done(self._message.place, self._message.made(self.samples, whole))
        for call in self._calls if whole else ():
            self._call(call)
        heard = self.samples if heard is None else heard
        self._outputs.append(api.TurnEnded(self.turn, why, heard, self._usage, error or self.error))

    def drop(self) -> None:
        """A prepared reply is not wanted: it ends without any output."""
        self.ended = True
        self._outputs.clear()
        self._orders = [Halt()] if self.speaks else []

    def sound_at(self, begin: int) -> Pcm:
        """One frame of what was made, from this sample on; silence where there is nothing yet or any more."""
        at, frame = 0, np.zeros(FRAME, np.float32)
        for piece in self._message.sound if self._message else ():
            if at + len(piece) > begin and at < begin + FRAME:
                first, last = max(begin, at), min(begin + FRAME, at + len(piece))
                frame[first - begin : last - begin] = to_float(piece[first - at : last - at])
            at += len(piece)
        return frame

    # ---- steps ----

    @property
    def _text(self) -> str:
        return "".join(self._message.text) if self._message else ""

    @property
    def _too_long(self) -> bool:
        limit = self.request.config.max_output_tokens
        return limit is not None and text_tokens(self._text) + audio_tokens(self.samples) > limit

    def _say(self, text: str) -> None:
        self.open_message()
        assert self._message is not None
        self._message.text.append(text)
        self._outputs.append(api.TextOut(self.turn, self._message.entry.id, text))
        if self.speaks:
            self._fed = self._message.fed = True
            self._orders.append(Feed(text))

    def _utter(self, text: str, pcm: Pcm) -> None:
        """Sound that needs no speaker."""
        self.open_message()
        assert self._message is not None
        self._message.text.append(text)
        self._outputs.append(api.TextOut(self.turn, self._message.entry.id, text))
        if self.speaks:
            self.spoke(Spoken(pcm))

    def _call(self, call: Call) -> None:
        entry = Entry(
            id=self._new_id("item"), kind="call", role="assistant", status="in_progress", name=call.name,
            call=self._new_id("call"), arguments=call.arguments, reply=self.turn,
        )  # fmt: skip
        place = self._place(entry)
        self._outputs.append(api.ToolCall(self.turn, entry.id, entry.call, call.name, call.arguments))
        self._done(place, replace(entry, status="completed"))

    def _place(self, entry: Entry) -> int:
        self.entries.append(entry)
        place = len(self.entries) - 1
        self._outputs.append(api.EntryAdded(entry, None, self.turn, place))
        return place

    def _done(self, place: int, entry: Entry) -> None:
        self.entries[place] = entry
        self._outputs.append(api.EntryDone(entry, None, self.turn, place))

    @property
    def _usage(self) -> api.Usage:
        """What it cost."""
        context = self.request.context
        sizes = [tokens_of(entry) for entry in context.entries]
        calls = "".join(e.name + e.arguments for e in self.entries if e.kind == "call")
        return api.Usage(
            input_text=text_tokens(context.instructions) + sum(text for text, _ in sizes),
            input_audio=sum(audio for _, audio in sizes),
            output_text=text_tokens(self._text + calls),
            output_audio=audio_tokens(self.samples),
        )
