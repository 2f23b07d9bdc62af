"""One conversation, without thread or socket: inputs and steps of the model go in, outputs come out.

The engine calls it in this order, again and again: `work` (inputs up to the next sound), `frame` and `noticed` (one
frame of the microphone, what the activity detector says of it), `to_hear` and `heard` (the words), `think`, and `spoke`
for each reply that is `speaking`. One reply at a time belongs to the conversation; replies out of band are made beside
it.
"""

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol, runtime_checkable

import numpy as np

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry, Heard
from vivavoce.runtime import turns as t
from vivavoce.runtime.api import (
    Add,
    AudioIn,
    Clear,
    Cleared,
    Commit,
    Committed,
    Configure,
    Configured,
    Delete,
    EntryAdded,
    EntryDeleted,
    EntryDone,
    EntryShown,
    EntryTruncated,
    Hush,
    IdleTimeout,
    Input,
    Output,
    Paused,
    Played,
    Refused,
    ReplyOptions,
    Respond,
    Resumed,
    Retrieve,
    SessionConfig,
    Silenced,
    Stop,
    TextIn,
    ToolResult,
    Truncate,
    UserSpeech,
    UserText,
    Why,
    Window,
)
from vivavoce.runtime.echo import Echo
from vivavoce.runtime.history import NO_ITEM, History
from vivavoce.runtime.listening import CHUNK, Microphone, StableWords, hums, meant
from vivavoce.runtime.model import FRAME, Context, HearingOptions, Pcm, Spoken
from vivavoce.runtime.replying import SILENT, Mouth, Reply, Thoughts, tokens_of, told

LONGEST_INPUT = 300 * 24_000
SHORTEST_INPUT = 100 * 24
MOST_APART = 8
MOST_ENTRIES = 4000
MOST_CHARACTERS = 4_000_000
"""What a client may add to a conversation; turns of the conversation itself are not counted against anybody."""
JITTER = 100 * 24
"""Reports of what was played are believed to be that inexact."""
URGENT = (Stop, Hush, Played)
"""Inputs that overtake sound which was not heard yet, and what waits behind it: whoever wants silence wants it now, and
what was played has to be known before somebody's voice is judged."""
NOWHERE: dict[type[Input], tuple[str, str]] = {
    Add: ("item_create_invalid_previous_item_id", "previous_item_id"),
    Retrieve: ("item_retrieve_invalid_item_id", "item_id"),
    Truncate: ("item_truncate_invalid_item_id", "item_id"),
    Delete: ("item_delete_invalid_item_id", "item_id"),
}
"""What clients look for when an input names an entry that there is not."""
TAGGED = (Stop, Commit, Add, Delete, Truncate, Retrieve)


@runtime_checkable
class Row(Mouth, Protocol):
    """What the engine lends a conversation: its row of the model's states."""

    @property
    def patient(self) -> bool:
        """Whether the ends of turns wait for the words, as these take longer than a silence."""
        ...

    def hear_anew(self, options: HearingOptions) -> None:
        """Makes the hearing row fresh, to hear like this."""
        ...

    def hear_more(self, pcm: Pcm) -> None:
        """Takes whole frames."""
        ...

    def hear_before(self, pcm: Pcm) -> None:
        """Takes what was said before all that was heard of this turn; it counts when the turn is heard as a whole."""
        ...

    def hear_rest(self) -> Heard:
        """The final words if nothing more comes."""
        ...

    def hear_whole(self) -> Future[Heard]:
        """The final words if nothing more comes; they are found while the steps go on."""
        ...

    def hear_sooner(self) -> Future[Heard] | None:
        """`hear_whole` at once and right in all but the words; None where that is as quick."""
        ...

    def hear_sound(self, sound: np.ndarray, options: HearingOptions) -> Future[Heard]:
        """The words of a recording (Int16[N]); they are found while the steps go on."""
        ...

    def spare_mouth(self) -> Mouth | None:
        """Another speaking row; None when all are in use."""
        ...

    def give_back(self, mouth: Mouth) -> None:
        """A spare mouth is not needed any more."""
        ...

    def ponder(self, context: Context, recite: str | None) -> Thoughts:
        """Begins to think of a reply, or to say a given text."""
        ...

    def answers(self, ready: bool) -> None:
        """Speech is answered now, with what was prepared or not."""
        ...


@dataclass(frozen=True, slots=True)
class _Cancelled:
    """A reply that was asked for and cancelled before its turn came; then it begins and ends at once."""

    options: ReplyOptions


@dataclass(frozen=True, slots=True)
class _Unheard:
    """An input that waits until the recordings in it were heard; what comes after it waits too."""

    heard: tuple[Future[Heard], ...]
    then: Callable[[], None]
    event: Input


def _with_words(entries: tuple[Entry | str, ...], heard: dict[int, Future[Heard]]) -> tuple[Entry | str, ...]:
    """The entries, those at the given places with the words of their sound."""
    found = list(entries)
    for place, words in heard.items():
        entry = entries[place]
        assert isinstance(entry, Entry)
        known = words.result().until(entry.samples)
        text = " ".join([entry.written, *(word.text for word in known.words)]).strip()
        found[place] = replace(entry, text=text, words=known.words)
    return tuple(found)


class Conversation:
    """The state of one conversation and everything that changes it."""

    def __init__(self, config: SessionConfig, row: Row, emit: Callable[[Output], None], new_id: Callable[[str], str]):
        """Nothing was said yet; ``new_id`` makes unique names such as ``item_1``."""
        self.config, self._row, self._emit, self._new_id = config, row, emit, new_id
        self._set_voice = config.voice
        self.history = History()
        self.microphone = Microphone()
        self._turns = t.Turns(config.turns, patient=row.patient)
        self._echo = Echo()
        self._words = StableWords()
        self._whole: Future[Heard] | None = None
        self._whole_is_new = False
        self._sooner: Future[Heard] | None = None
        self._inputs: deque[Input | _Cancelled] = deque()
        self._numbers = count(1)
        self._reply: Reply | None = None
        self._spoken: deque[Reply] = deque(maxlen=t.MOST_PLAYING)
        """Replies that are made and may still be played, oldest first."""
        self._apart: list[Reply] = []
        self._waiting: deque[tuple[ReplyOptions, SessionConfig]] = deque()
        """What waits for the reply before it, or for a mouth, and the settings that it was asked for with."""
        self._user_entry: str | None = None
        self._floor = False
        self._played: set[int] = set()
        self._oldest: str | None = None
        self._unheard: _Unheard | None = None
        self._reported = 0
        self._before: str | None = None
        self._withdrawn: set[str] = set()
        self._joined = False

    # ---- inputs ----

    def push(self, event: Input) -> None:
        """An input arrived; after `work`, so that urgent ones overtake only what has to wait."""
        if isinstance(event, URGENT):
            self._do(event)
        else:
            self._inputs.append(event)

    def work(self) -> None:
        """Follows the inputs up to the next sound that has to be heard first."""
        while self._inputs and self.microphone.waiting < FRAME and self._unheard is None:
            event = self._inputs.popleft()
            if isinstance(event, _Cancelled):
                self._respond_in_vain(event.options)
            elif not isinstance(event, AudioIn):
                self._do(event)
            elif len(event.pcm):
                self._hear_more(event.pcm)

    @property
    def backlog(self) -> int:
        """Samples and events that wait for their turn."""
        return self.microphone.waiting + sum(weight(e) for e in self._inputs if not isinstance(e, _Cancelled))

    def _hear_more(self, pcm: Pcm) -> None:
        mic = self.microphone
        if self.config.turns.kind == "none" and mic.length + len(pcm) > LONGEST_INPUT:
            return self._refuse(
                "input_audio_buffer_full", "The input holds 5 minutes already; commit or clear it first."
            )
        mic.push(pcm)
        if self.config.turns.kind == "none" and mic.heard_to is None:
            mic.attend(mic.now)
            self._begin_hearing()

    def _do(self, event: Input) -> None:
        tag = _tag(event)
        try:
            match event:
                case Configure(config):
                    self._configure(config)
                case Stop(turn):
                    self._stop(turn, tag)
                case Played(turn, samples):
                    self._played = {turn}
                    self._turn(t.PlayedTo(turn, samples))
                case Hush():
                    self._hush()
                case Clear():
                    self.microphone.drop_pushed()
                    self._forget_turn()
                    self._emit(Cleared())
                case Commit():
                    self._commit_by_hand(event, tag)
                case Add(entry, after):
                    self._once_heard((entry,), lambda heard: self._add(heard[0], after, entry), event)
                case TextIn(text):
                    self._add(Entry(id=self._new_id("item"), text=text))
                    self._answer_if_asked()
                case ToolResult(call, output):
                    self._add(Entry(id=self._new_id("item"), kind="result", call=call, output=output))
                    self._answer_if_asked()
                case Delete(entry):
                    self.history.delete(entry)
                    self._emit(EntryDeleted(entry))
                case Truncate(entry, samples) if entry in self._withdrawn:
                    # the client could not know that there is nothing left to shorten
                    self._emit(EntryTruncated(entry, samples))
                case Truncate(entry, samples):
                    self._truncate(entry, samples)
                case Retrieve(entry):
                    self._emit(EntryShown(self.history.find(entry)))
                case Respond(options) if options.input:
                    self._once_heard(options.input, lambda heard: self._respond(replace(options, input=heard)), event)
                case Respond(options):
                    self._respond(options)
                case _:
                    pass
        except ProtocolError as error:
            self._refuse_input(event, error)

    def _refuse(self, code: str, message: str, tag: object = None, param: str | None = None) -> None:
        self._emit(Refused(code, message, param, tag))

    def _refuse_input(self, event: Input, error: ProtocolError) -> None:
        code, param = NOWHERE.get(type(event), (error.code, None)) if error.code == NO_ITEM else (error.code, None)
        self._refuse(code, str(error), _tag(event), param)

    def _configure(self, config: SessionConfig) -> None:
        """New settings; a voice that was changed by what somebody said stays unless another one is set."""
        if config.voice == self._set_voice:
            config = replace(config, voice=self.config.voice)
        else:
            self._set_voice = config.voice
        old, self.config = self.config, config
        self._turns.config = config.turns
        if replace(old, turns=config.turns, tag=config.tag) != config:
            self._drop_prepared()
        if "none" in (old.turns.kind, config.turns.kind) and old.turns.kind != config.turns.kind:
            self._turn(t.InputTaken())
            self._floor = False
            if config.turns.kind != "none":
                self._user_entry, self.microphone.heard_to = None, None
        self._emit(Configured(config))

    def _once_heard(
        self, entries: tuple[Entry | str, ...], then: Callable[[tuple[Entry | str, ...]], None], event: Input
    ) -> None:
        """Goes on with the entries once those that came as sound alone have words."""
        heard = {
            place: self._row.hear_sound(entry.audio, self.config.hearing)
            for place, entry in enumerate(entries)
            if isinstance(entry, Entry) and entry.role == "user" and entry.audio is not None and not entry.said
        }
        if heard:
            self._unheard = _Unheard(tuple(heard.values()), lambda: then(_with_words(entries, heard)), event)
        else:
            then(entries)

    def _heard_recordings(self) -> bool:
        """Goes on where the recordings of an input were heard meanwhile; says whether they were."""
        unheard = self._unheard
        if unheard is None or not all(words.done() for words in unheard.heard):
            return False
        self._unheard = None
        try:
            unheard.then()
        except ProtocolError as error:
            self._refuse_input(unheard.event, error)
        return True

    def _add(self, entry: Entry | str, after: str | None = None, came: Entry | None = None) -> None:
        assert isinstance(entry, Entry)
        if len(self.history) >= MOST_ENTRIES or self.history.characters + entry.characters > MOST_CHARACTERS:
            raise ProtocolError(
                f"A conversation takes {MOST_ENTRIES} items and {MOST_CHARACTERS} characters; delete some first."
            )
        previous = self.history.add(entry, after)
        self._emit(EntryAdded(entry, previous))
        self._emit(EntryDone(entry, previous))
        if entry is not came and entry.spoken:
            self._emit(UserText(entry.id, entry.said, True, entry.said, entry.words, entry.samples))
        self._drop_prepared()

    def _answer_if_asked(self) -> None:
        if self.config.reply_to_text:
            self._end_reply("client_cancelled")
            self._start_reply(ReplyOptions(), self.config)

    # ---- the microphone ----

    def frame(self) -> Pcm | None:
        """The next frame for the activity detector, if there is one; with turn detection off, sound needs none."""
        mic = self.microphone
        if self.config.turns.kind == "none":
            whole = min(CHUNK, mic.waiting // FRAME * FRAME)
            if whole:
                mic.take(whole)
                self._turn(t.Gap(whole))
            return None
        return mic.take(FRAME) if mic.waiting >= FRAME else None

    def noticed(self, pcm: Pcm, speech: float) -> None:
        """What the activity detector says of that frame."""
        echo = 0.0
        if self.config.turns.kind == "semantic_vad":
            self._echo.listen(pcm, self._played_now())
            # looked at before it is speech: what fades in counts too
            if speech >= t.FAINT * self.config.turns.threshold:
                echo = self._echo.chance()
        level_db = 10 * math.log10(float(np.dot(pcm, pcm)) / len(pcm) + 1e-10)
        self._turn(t.Frame(speech, echo, level_db))
        if self.microphone.heard_to is None:
            keep = (self.config.turns.prefix_padding_ms + 200) * 24
            self.microphone.keep_from(self.microphone.now - keep)

    def _played_now(self) -> Pcm:
        """What the loudspeaker gives during this frame, as far as we know."""
        if self._turns.sounding:
            reply = self._reply_of(self._turns.playing)
            if reply is not None:
                return reply.sound_at(self._heard_at(self._turns.position))
        return np.zeros(FRAME, np.float32)

    def _heard_at(self, position: int) -> int:
        """The position without the jitter of a client's reports, which would look like a moving loudspeaker."""
        if abs(position - self._reported) > JITTER:
            self._reported = position
        here, self._reported = self._reported, self._reported + FRAME
        return here

    def gap(self, samples: int) -> None:
        """The microphone gave nothing for so long."""
        self._turn(t.Gap(samples))

    def to_hear(self) -> Pcm | None:
        """What the model should listen to next."""
        return self.microphone.unheard()

    def heard(self, heard: Heard) -> None:
        """What the turn sounds like now."""
        if self._floor and self._user_entry and not self._joined:
            shown = self._words.count
            delta = self._words.more(heard)
            if delta:
                self._emit(UserText(self._user_entry, delta, words=heard.words[shown : self._words.count]))
        self._turn(judged(heard))

    def _heard_whole(self) -> bool:
        """Takes what is made of the whole turn once it is there, and then its words; says whether they came."""
        came = self._judged_sooner()
        whole = self._whole
        if whole is None or not whole.done() or not self._whole_is_new:
            return came
        self._whole_is_new = False
        self._sooner = None
        if error := whole.exception():
            self._whole = None
            if self._row.patient:  # or the turn would wait for its words for ever
                self._whole = Future()
                self._whole.set_result(Heard())
                self._turn(t.Judged(1.0, 0, whole=True, speech=0.0))
            self.broke(told(error))
            return True
        self._turn(judged(whole.result(), whole=True))
        return True

    def _judged_sooner(self) -> bool:
        """Takes what is known of the whole turn before its words; says whether that came."""
        sooner = self._sooner
        if sooner is None or not sooner.done():
            return False
        self._sooner = None
        if not sooner.exception():  # else the words will say so
            self._turn(replace(judged(sooner.result(), whole=True), early=True))
        return True

    def _drop_heard(self) -> None:
        """What was heard as a whole is out of date; what has not begun to be heard need not be."""
        for found in (self._whole, self._sooner):
            if found is not None:
                found.cancel()
        self._whole = self._sooner = None

    def _final_words(self) -> Heard:
        """What was heard as a whole since the last voice, or is heard so now."""
        return self._row.hear_rest() if self._whole is None else self._whole.result()

    def _begin_hearing(self) -> None:
        self._row.hear_anew(self.config.hearing)
        self._drop_heard()
        self._words, self._joined = StableWords(), False

    def _forget_turn(self) -> None:
        self.microphone.forget()
        self._drop_heard()
        self._user_entry, self._floor = None, False
        self._turn(t.InputTaken())

    def _commit_by_hand(self, event: Input, tag: object) -> None:
        mic = self.microphone
        if mic.waiting:
            mic.take(mic.waiting)
        if mic.length < SHORTEST_INPUT:
            message = (
                f"The input holds {mic.length / 24:.0f} ms; at least 100 ms are needed. Append audio before you commit."
            )
            return self._refuse("input_audio_buffer_commit_empty", message, tag)
        if mic.heard_to is None:
            mic.attend(mic.start)
            self._begin_hearing()
        while (pcm := mic.unheard()) is not None:
            self._row.hear_more(pcm)
        if (rest := mic.rest()) is not None:
            self._row.hear_more(rest)
        whole = self._row.hear_whole()

        def commit() -> None:
            self._commit_input(whole.result())
            self._turn(t.InputTaken())

        if whole.done() or not self._row.patient:
            commit()
        else:
            self._unheard = _Unheard((whole,), commit, event)

    def _commit_input(self, heard: Heard) -> Entry:
        entry_id = self._user_entry or self._new_id("item")
        sound = self.microphone.sound()
        heard = heard.until(len(sound))
        text = " ".join(word.text for word in heard.words)
        entry = Entry(
            id=entry_id, text=text, spoken=True, audio=sound, samples=len(sound), words=heard.words, status="completed"
        )
        previous = self.history.add(entry)
        self._emit(Committed(entry_id, previous))
        self._emit(EntryAdded(entry, previous))
        self._emit(EntryDone(entry, previous))
        rest = self._words.rest(text)
        self._emit(UserText(entry_id, rest, True, text, heard.words, len(sound), heard.speech, heard.language))
        self.microphone.forget()
        self._user_entry, self._floor, self._whole, self._sooner = None, False, None, None
        self._before = entry_id
        return entry

    # ---- turns ----

    def _turn(self, event: t.Event) -> None:
        for action in self._turns.on(event, self.microphone.now):
            match action:
                case t.Attend(at):
                    self.microphone.attend(at)
                    self._begin_hearing()
                case t.SpeechStarted(at):
                    self._user_entry, self._floor = self._new_id("item"), True
                    self._emit(UserSpeech(True, at, self._user_entry))
                case t.SpeechStopped(at):
                    self._emit(UserSpeech(False, at, self._user_entry or ""))
                case t.Forget():
                    self.microphone.forget()
                    self._drop_heard()
                case t.Judge():
                    self._whole, self._whole_is_new = self._row.hear_whole(), True
                    self._sooner = self._row.hear_sooner()
                case t.Prepare():
                    self._prepare()
                case t.Discard():
                    self._drop_heard()
                    self._drop_prepared()
                case t.CommitInput():
                    self._commit_input(self._final_words())
                case t.Reply():
                    if not self.config.only_listen:
                        self._reply_to_speech()
                case t.Pause(turn):
                    self._emit(Paused(turn))
                case t.Resume(turn):
                    self._emit(Resumed(turn))
                case t.Cut(turn, heard):
                    self._cut(turn, heard)
                case t.Withdraw(turn, heard):
                    self._withdraw(turn, heard)
                case t.TimedOut(start, end):
                    self._user_entry = self._new_id("item")
                    self._begin_hearing()
                    self.microphone.forget()
                    self._emit(IdleTimeout(start, end, self._user_entry))

    def _hush(self) -> None:
        for turn, heard in self._turns.to_be_played:
            self._turn(t.ReplyStopped(turn))
            self._silence(turn, heard, "client_cancelled")

    def _truncate(self, entry: str, samples: int) -> None:
        """The client has stopped playing this entry, after so many samples."""
        known = self.history.find(entry)
        reply = next((each for each in (self._reply, *self._spoken) if each and each.message == entry), None)
        made = known.samples if reply is None or reply.ended else reply.samples
        self.history.check_truncation(known, samples, made)
        if reply is not None:
            heard = dict(self._turns.to_be_played).get(reply.turn)
            if heard is not None:
                samples = min(samples, heard) if self.config.plays_here else samples
                self._emit(Silenced(reply.turn))
            if reply is self._reply:
                self._end_reply("client_cancelled", samples)
            self._turn(t.ReplyStopped(reply.turn))
        self.history.truncate(entry, samples)
        self._emit(EntryTruncated(entry, samples))
        self._next_reply()

    def _cut(self, turn: int, heard: int) -> None:
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0].apart)
        self._silence(turn, heard, "turn_detected")

    def _withdraw(self, turn: int, heard: int) -> None:
        """The user speaks on: forgets the answer, and what it answered becomes the beginning of what is said now.

        A function that was called cannot be taken back; what is said then is said after it.
        """
        reply, first = self._reply_of(turn), self._before
        self._cut(turn, heard)
        if reply is None or first is None or not self.history.knows(first):
            return
        made = reply.entries.values()
        if self._user_entry is None or any(entry.kind == "call" for entry in made):
            return
        said = self.history.find(first)
        for known in (*(entry.id for entry in made), first):
            if self.history.knows(known):
                self.history.delete(known)
                self._withdrawn.add(known)
                self._emit(EntryDeleted(known))
        if isinstance(said.audio, np.ndarray):
            self.microphone.begin_with(said.audio)
            self._row.hear_before(said.audio.astype(np.float32) / 32767)
            self._joined = True

    def _silence(self, turn: int, heard: int, why: Why) -> None:
        """Nothing more of this turn is played, and where we know what was, history ends there too."""
        if self.busy and self._reply and self._reply.turn == turn:
            self._end_reply(why, heard)
        self._emit(Silenced(turn))
        reply = self._reply_of(turn)
        # of what follows the answer that the client said it is playing nothing was heard
        known = self.config.plays_here or turn in self._played or (not heard and any(p < turn for p in self._played))
        if reply is not None and known and reply.message is not None and self.history.knows(reply.message):
            spoken = self.history.find(reply.message)
            if spoken.spoken:
                self.history.truncate(spoken.id, min(heard, spoken.samples))
                self._emit(EntryTruncated(spoken.id, min(heard, spoken.samples)))
        self._next_reply()

    def _reply_of(self, turn: int | None) -> Reply | None:
        """The reply of the conversation that a turn is, as long as it is made or may be played."""
        return next((each for each in (self._reply, *self._spoken) if each and each.turn == turn), None)

    # ---- replies ----

    @property
    def speaking(self) -> list[Reply]:
        """The replies that the model should make sound for now."""
        return [reply for reply in self._replies if reply.wants_to_speak]

    def lead(self, reply: Reply) -> float:
        """Samples of a reply that are made and not played yet; endless where nobody listens yet and it has begun."""
        if reply is not self._reply or (reply.samples and not reply.released):
            return float("inf")
        return float(reply.samples - self._turns.position_of(reply.turn))

    @property
    def busy(self) -> bool:
        """Whether the reply of the conversation is being made."""
        return self._reply is not None and not self._reply.ended

    @property
    def _replies(self) -> list[Reply]:
        return ([self._reply] if self._reply else []) + self._apart

    def think(self) -> bool:
        """Takes what the mind has come up with and what was heard as a whole; says whether there was anything."""
        fresh = self._heard_whole() | self._heard_recordings() | self._next_reply()
        for reply in self._replies:
            if not reply.ended:
                try:
                    fresh |= reply.think()
                except Exception as error:  # ends this answer; those beside it go on
                    self.broke(told(error), reply)
                    fresh = True
                else:
                    self._after(reply)
        return fresh

    def spoke(self, reply: Reply, spoken: Spoken) -> None:
        """Takes sound of a reply that became ready."""
        if reply.ended:
            return
        reply.spoke(spoken)
        if reply is self._reply and reply.released:
            self._turn(t.ReplyGrew(reply.turn, reply.samples))
        reply.think()
        self._after(reply)

    def _after(self, reply: Reply) -> None:
        if reply.options.apart:
            if reply.ended:
                self._apart.remove(reply)
                self._row.give_back(reply.mouth)
                self._next_reply()
            return
        if reply.restyled and reply.released:
            self.config, reply.restyled = replace(self.config, voice=reply.restyled), None
        if not reply.ended or not reply.released:
            return
        self._turn(t.ReplyWhole(reply.turn))
        self._spoken.append(reply)
        self._reply = None
        self._next_reply()

    def _next_reply(self) -> bool:
        """Begins the replies that waited, as far as there is room; says whether there was some for any.

        Tried at every step too: a mouth may have been given back by another conversation.
        """
        begun = False
        for waiting in list(self._waiting):
            if self._begins(*waiting):
                self._waiting.remove(waiting)
                begun = True
        return begun

    def _begins(self, options: ReplyOptions, config: SessionConfig) -> bool:
        """Begins a reply unless it has to wait: for the reply before it, or for a mouth of its own."""
        if not options.apart:
            if self.busy:
                return False
            self._start_reply(options, config)
            return True
        mouth: Mouth | None = SILENT
        if options.over(config).audio_out:
            mouth = self._row.spare_mouth()
        if mouth is None:
            return False
        self._apart.append(self._make_reply(options, config, mouth, None))
        return True

    def _respond_in_vain(self, options: ReplyOptions) -> None:
        """A reply that was cancelled before it could begin."""
        before = self._reply
        try:
            self._respond(options)
        except ProtocolError as error:
            self._refuse_input(Respond(options), error)
        if self._reply is not before:
            self._end_reply("client_cancelled", 0)
            self._next_reply()

    def _respond(self, options: ReplyOptions) -> None:
        if self.config.only_listen:
            raise ProtocolError("A transcription session does not answer; open one of type 'realtime' for that.")
        for entry in options.input or ():
            if isinstance(entry, str):
                self.history.find(entry)
        if not options.apart:
            self._drop_prepared()
            if self.busy:
                return self._refuse(
                    "conversation_already_has_active_response",
                    "The conversation has an active response already; wait for response.done or cancel it.",
                    options.tag,
                )
            return self._start_reply(options, self.config)
        if len(self._waiting) + len(self._apart) >= MOST_APART:
            return self._refuse("too_many_responses", f"{MOST_APART} responses are being made already.", options.tag)
        if self._waiting or not self._begins(options, self.config):
            self._waiting.append((options, self.config))

    def _reply_to_speech(self) -> None:
        ready = self._reply
        if ready and not ready.released:
            if self._same_words(ready):
                self._row.answers(True)
                ready.release()
                self._begin_turn(ready)
                self._after(ready)
                return
            self._drop_prepared()
        self._row.answers(False)
        if self.busy:
            if len(self._waiting) < MOST_APART:
                self._waiting.append((ReplyOptions(), self.config))
        else:
            self._start_reply(ReplyOptions(), self.config)

    def _same_words(self, ready: Reply) -> bool:
        """Whether what was prepared for is what was said: the same history, and the same words at its end."""
        then, now = ready.context.entries, self._fitting(self.history.entries, self.config.window)
        if not then or len(then) != len(now):
            return False
        return all(a is b for a, b in zip(then[:-1], now[:-1], strict=True)) and then[-1].text == now[-1].text

    def _prepare(self) -> None:
        if self.busy or self.config.only_listen:
            return
        heard = self._final_words()
        text = " ".join(word.text for word in heard.words)
        samples = self.microphone.now - self.microphone.start
        likely = Entry(id="item_being_said", text=text, spoken=True, words=heard.words, samples=samples)
        self._start_reply(ReplyOptions(), self.config, likely)

    def _drop_prepared(self) -> None:
        if self._reply and not self._reply.released:
            self._reply.drop()
            self._reply = None

    def _start_reply(self, options: ReplyOptions, config: SessionConfig, likely: Entry | None = None) -> None:
        self._reply = self._make_reply(options, config, self._row, likely)
        if likely is None:
            self._begin_turn(self._reply)

    def _make_reply(self, options: ReplyOptions, config: SessionConfig, mouth: Mouth, likely: Entry | None) -> Reply:
        config = options.over(config)
        turn = next(self._numbers)
        entries = self._about(options, likely, config.window)
        context = Context(
            entries=entries,
            instructions=config.instructions,
            request=(options.instructions or "").removeprefix(self.config.instructions).strip(),
            tools=config.tools,
            tool_choice=config.tool_choice,
            voice=config.voice,
            seed=config.seed + turn,
        )
        return Reply(
            turn=turn,
            config=config,
            options=options,
            context=context,
            thoughts=self._row.ponder(context, options.recite),
            mouth=mouth,
            new_id=self._new_id,
            emit=self._reply_output,
            add=_nowhere if options.apart else self.history.add,
            released=likely is None,
        )

    def _about(self, options: ReplyOptions, likely: Entry | None, window: Window | None) -> tuple[Entry, ...]:
        """What a reply answers; ids of entries were checked when it was asked for."""
        if options.input is None:
            return self._fitting(self.history.entries + ((likely,) if likely else ()), window)
        known = (e for e in options.input if not isinstance(e, str) or self.history.knows(e))
        return tuple(self.history.find(e) if isinstance(e, str) else e for e in known)

    def _fitting(self, entries: tuple[Entry, ...], window: Window | None) -> tuple[Entry, ...]:
        """The entries without the oldest where they are more than the window; what is left out stays so."""
        if window is None:
            return entries
        first = next((place for place, entry in enumerate(entries) if entry.id == self._oldest), 0)
        sizes = [sum(tokens_of(entry)) for entry in entries]
        if sum(sizes[first:]) > window.tokens:
            while first < len(entries) - 1 and sum(sizes[first:]) > window.keep * window.tokens:
                first += 1
            self._oldest = entries[first].id
        return entries[first:]

    def _begin_turn(self, reply: Reply) -> None:
        self._turn(t.ReplyBegan(reply.turn))
        self._turn(t.ReplyGrew(reply.turn, reply.samples))

    def _reply_output(self, output: Output) -> None:
        if isinstance(output, EntryDone):
            if self.history.knows(output.entry.id):
                self.history.put(output.entry)
                output = replace(output, previous=self.history.previous(output.entry.id))
            else:
                output = replace(output, gone=True)
        self._emit(output)

    def _stop(self, turn: int | None, tag: object) -> None:
        self._drop_prepared()
        for reply in [reply for reply in self._apart if reply.turn == turn]:
            reply.end("client_cancelled")
            return self._after(reply)
        found = turn is None and self._cancel_asked()
        if self.busy and self._reply and turn in (None, self._reply.turn):
            # where we own the playback, what is made already is played until that is stopped too
            self._end_reply("client_cancelled", plays_on=self.config.plays_here)
            self._next_reply()
        elif not found:
            self._refuse("response_cancel_not_active", "Cancellation failed: no active response found.", tag)

    def _cancel_asked(self) -> bool:
        """Cancels the replies that were asked for and wait behind something; says whether there are any."""
        found = False
        for place, event in enumerate(self._inputs):
            if isinstance(event, Respond) and not event.options.apart:
                self._inputs[place], found = _Cancelled(event.options), True
        unheard = self._unheard
        if unheard and isinstance(unheard.event, Respond) and not unheard.event.options.apart:
            options = unheard.event.options
            self._unheard, found = replace(unheard, heard=(), then=lambda: self._respond_in_vain(options)), True
        return found

    def _end_reply(self, why: Why, heard: int | None = None, plays_on: bool = False) -> None:
        """Ends the reply of the conversation; ``plays_on``: what was made of it is still played."""
        self._drop_prepared()
        reply = self._reply
        if reply is None or reply.ended:
            return
        reply.end(why, self._turns.position_of(reply.turn) if heard is None else heard)
        self._turn(t.ReplyWhole(reply.turn) if plays_on else t.ReplyStopped(reply.turn))
        self._spoken.append(reply)
        self._reply = None

    def broke(self, message: str, reply: Reply | None = None) -> None:
        """The model failed on this row, or on this reply: that is over, the conversation is not."""
        if reply is not None and reply.options.apart:
            reply.end("failed", error=message)
            self._after(reply)
        elif self._reply:
            self._reply.error = message
            self._end_reply("failed")
            self._next_reply()
        self._refuse("server_error", message)

    def close(self) -> None:
        """Stops everything without a word."""
        for reply in self._replies:
            reply.drop()
            if reply.options.apart:
                self._row.give_back(reply.mouth)
        self._reply, self._apart = None, []

    def audio_bytes(self) -> int:
        """Memory that sound of this conversation takes."""
        kept = sum(e.audio.nbytes for e in self.history.entries if isinstance(e.audio, np.ndarray))
        return kept + 2 * self.microphone.length


def _tag(event: Input) -> object:
    """What a refusal of this input brings back."""
    return event.tag if isinstance(event, TAGGED) else event.options.tag if isinstance(event, Respond) else None


def weight(event: Input) -> int:
    """What an input weighs while it waits: its samples; characters and everything else count as samples too."""
    if isinstance(event, AudioIn):
        return len(event.pcm)
    given = (event.entry,) if isinstance(event, Add) else event.options.input if isinstance(event, Respond) else None
    entries = [entry for entry in given or () if isinstance(entry, Entry)]
    return FRAME + sum(entry.samples + entry.characters for entry in entries)


def judged(heard: Heard, whole: bool = False) -> t.Judged:
    """What is heard, as turn-taking wants to know it; where the model does not say what is an aside, words have to."""
    count, aside = meant(heard.words), heard.aside
    if aside is None:
        aside = 1.0 if hums(heard.words) else 0.5 if count < 2 else 0.0
    return t.Judged(heard.done, count, aside, whole, heard.speech)


def _nowhere(entry: Entry) -> str | None:
    """What is said out of band becomes no part of the conversation."""
    del entry
    return None
