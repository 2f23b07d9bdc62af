"""The user's turn of one conversation: from the microphone to words, and from words to an entry."""

import math
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from vivavoce.audio.pcm import to_float
from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry, Heard
from vivavoce.runtime import turn_events as t
from vivavoce.runtime.api import Committed, EntryAdded, EntryDone, Output, TurnConfig, UserSpeech, UserText
from vivavoce.runtime.echo import Echo
from vivavoce.runtime.history import History
from vivavoce.runtime.interruptions import FAINT
from vivavoce.runtime.listening import CHUNK, Microphone, StableWords, content_words, only_backchannels
from vivavoce.runtime.model import FRAME, HearingOptions, Pcm
from vivavoce.runtime.model_rows import ConversationRow
from vivavoce.runtime.reply import Reply
from vivavoce.runtime.whole_turn import WholeTurn

LONGEST_INPUT = 300 * 24_000
SHORTEST_INPUT = 100 * 24
JITTER = 100 * 24
"""A report of what was played may be off by so much; smaller differences to our own count are ignored."""


class UserTurn:
    """What the user is saying, or said last."""

    def __init__(
        self,
        options: HearingOptions,
        row: ConversationRow,
        history: History,
        emit: Callable[[Output], None],
        new_id: Callable[[str], str],
    ) -> None:
        """Nobody has said anything; ``options``: how the user is to be heard, from the next turn on."""
        self.options = options
        self._row, self._history, self._emit, self._new_id = row, history, emit, new_id
        self.microphone = Microphone()
        self.entry: str | None = None
        """What the turn will be called, once it is known to be one."""
        self.last: str | None = None
        """Id of the turn before."""
        self._speaks = False
        self._words = StableWords()
        self.whole = WholeTurn(row)
        """The turn heard once more as a whole."""
        self._joined = False
        self._echo = Echo()
        self._playing_at = 0

    # ---- sound ----

    def push(self, pcm: Pcm, by_hand: bool) -> None:
        """More of the microphone; ``by_hand``: turns end when the client says so. ProtocolError for too much of it."""
        mic = self.microphone
        if by_hand and mic.length + len(pcm) > LONGEST_INPUT:
            message = "The input holds 5 minutes already; commit or clear it first."
            raise ProtocolError(message, "input_audio_buffer_full")
        mic.push(pcm)
        if by_hand and mic.heard_to is None:
            self.attend(mic.now)

    def skip(self) -> int:
        """Takes sound for which nobody needs to know whether it is speech; gives how much."""
        whole = min(CHUNK, self.microphone.waiting // FRAME * FRAME)
        if whole:
            self.microphone.take(whole)
        return whole

    def measured(self, pcm: Pcm, speech: float, config: TurnConfig, playing: tuple[Reply, int] | None) -> t.MicFrame:
        """A frame with what turn-taking needs to know of it; ``playing``: the reply that sounds now, and the sample it
        is at."""
        echo = 0.0
        if config.kind == "semantic_vad":
            self._echo.listen(pcm, self._played(playing))
            # looked at before it is speech: what fades in counts too
            if speech >= FAINT * config.threshold:
                echo = self._echo.chance()
        return t.MicFrame(speech, echo, 10 * math.log10(float(np.dot(pcm, pcm)) / len(pcm) + 1e-10))

    def _played(self, playing: tuple[Reply, int] | None) -> Pcm:
        """What is played in this frame, without the jitter of a client's reports, which would look like a moving
        loudspeaker."""
        if playing is None:
            return np.zeros(FRAME, np.float32)
        reply, position = playing
        if abs(position - self._playing_at) > JITTER:
            self._playing_at = position
        here, self._playing_at = self._playing_at, self._playing_at + FRAME
        return reply.sound_at(here)

    def forget_old(self, prefix_padding_ms: int) -> None:
        """Outside a turn only what may be its beginning is kept."""
        if self.microphone.heard_to is None:
            self.microphone.keep_from(self.microphone.now - (prefix_padding_ms + 200) * 24)

    # ---- words ----

    def attend(self, at: int) -> None:
        """Words are listened for from this sample on."""
        self.microphone.attend(at)
        self._hear_anew()

    def _hear_anew(self) -> None:
        self._row.hear_anew(self.options)
        self.whole.drop()
        self._words, self._joined = StableWords(), False

    def heard(self, heard: Heard) -> t.Judged:
        """What the turn sounds like now, as turn-taking wants to know it; words that are certain are shown."""
        if self._speaks and self.entry and not self._joined:
            shown = self._words.count
            if delta := self._words.more(heard):
                self._emit(UserText(self.entry, delta, words=heard.words[shown : self._words.count]))
        return judged(heard)

    def likely(self) -> Entry:
        """The entry that the turn becomes if nothing more is said."""
        heard = self.whole.final()
        text = " ".join(word.text for word in heard.words)
        samples = self.microphone.now - self.microphone.start
        return Entry(id="item_being_said", text=text, spoken=True, words=heard.words, samples=samples)

    # ---- beginning and end ----

    def begin(self, at: int) -> None:
        """The user has the floor."""
        self.entry, self._speaks = self._new_id("item"), True
        self._emit(UserSpeech(True, at, self.entry))

    def begin_empty(self) -> str:
        """A turn in which nothing is said; gives its name."""
        self.entry = self._new_id("item")
        self._hear_anew()
        self.microphone.forget()
        return self.entry

    def begin_with(self, said: Entry) -> None:
        """What was said just before belongs to this turn."""
        if isinstance(said.audio, np.ndarray):
            self.microphone.begin_with(said.audio)
            self._row.hear_before(to_float(said.audio))
            self._joined = True

    def forget_sound(self) -> None:
        """Forgets the turn's sound: it was no speech."""
        self.microphone.forget()
        self.whole.drop()

    def forget(self) -> None:
        """What was heard is to be forgotten, and what was sent and not yet heard."""
        self.microphone.drop_pushed()
        self.whole.drop()
        self.entry, self._speaks = None, False

    def switched(self, by_hand: bool) -> None:
        """The client took over who says when turns end, or left it to us."""
        self._speaks = False
        if not by_hand:
            self.entry, self.microphone.heard_to = None, None

    def hear_all(self) -> Future[Heard]:
        """The words of all that was sent. ProtocolError if it is too short for a turn."""
        mic = self.microphone
        if mic.waiting:
            mic.take(mic.waiting)
        if mic.length < SHORTEST_INPUT:
            message = (
                f"The input holds {mic.length / 24:.0f} ms; at least 100 ms are needed. Append audio before you commit."
            )
            raise ProtocolError(message, "input_audio_buffer_commit_empty")
        if mic.heard_to is None:
            self.attend(mic.start)
        while (pcm := mic.unheard()) is not None:
            self._row.hear_more(pcm)
        if (rest := mic.rest()) is not None:
            self._row.hear_more(rest)
        return self._row.hear_whole()

    def commit(self, heard: Heard | None = None) -> None:
        """Makes an entry of the turn, with these words, or else those that were heard while it was said."""
        heard = self.whole.final() if heard is None else heard
        name = self.entry or self._new_id("item")
        sound = self.microphone.sound()
        heard = heard.until(len(sound))
        text = " ".join(word.text for word in heard.words)
        entry = Entry(id=name, text=text, spoken=True, audio=sound, samples=len(sound), words=heard.words)
        previous = self._history.add(entry)
        self._emit(Committed(name, previous))
        self._emit(EntryAdded(entry, previous))
        self._emit(EntryDone(entry, previous))
        self._emit(
            UserText(name, self._words.rest(text), True, text, heard.words, len(sound), heard.speech, heard.language)
        )
        self.microphone.forget()
        self.entry, self._speaks, self.whole = None, False, WholeTurn(self._row)
        self.last = name


def judged(heard: Heard, whole: bool = False) -> t.Judged:
    """What is heard, as turn-taking wants to know it; where the model does not say how likely it is a backchannel,
    words have to."""
    count, backchannel = content_words(heard.words), heard.backchannel
    if backchannel is None:
        backchannel = 1.0 if only_backchannels(heard.words) else 0.5 if count < 2 else 0.0
    return t.Judged(heard.done, count, backchannel, whole, heard.speech)
