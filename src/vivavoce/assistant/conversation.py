"""A conversation by turns: recordings or text go in, and what happens comes out while it happens.

It drives the same abilities, replies and history as a live session (`runtime`), so there is one path from sound to
words and from words to sound; only the clock differs.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count

import numpy as np
import torch

from vivavoce.assistant.turn import Called, Finished, Happening, Partial, Saying, Sound, Transcript, Turn, Understood
from vivavoce.audio.pcm import to_int16
from vivavoce.core.errors import AudioError, MindError, TextError
from vivavoce.core.talk import Entry, Tool, Word
from vivavoce.core.voice import Voice
from vivavoce.runtime.api import AudioOut, EntryDone, Refused, SessionConfig, TextOut, ToolCall
from vivavoce.runtime.history import History
from vivavoce.runtime.model import FRAME, RATE, Abilities, Context
from vivavoce.runtime.reply import TROUBLE, Over, Reply, Request
from vivavoce.runtime.rows import SpeakingRow
from vivavoce.text.normalise import normalise

LONGEST_QUESTION_SECONDS = 120
_SILENT = 1e-3
_STEP = 4 * FRAME
_ON = torch.ones(1, dtype=torch.bool)


@dataclass(slots=True)
class _Answer:
    """A turn while it is answered: when the question ended, and the sound so far."""

    turn: Turn
    ended: float
    sound: list[np.ndarray] = field(default_factory=list)


class Conversation:
    """Keeps what was said; every `ask` is a turn that may refer to the ones before."""

    def __init__(
        self, model: Abilities, *, voice: Voice | None = None, tools: tuple[Tool, ...] = (), seed: int = 0
    ) -> None:
        """Begins with nothing said."""
        self.model = model
        self.voice = voice or Voice()
        self.tools = tools
        self.seed = seed
        self.history = History()
        self._numbers, self._names = count(1), count()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was said so far."""
        return self.history.entries

    def ask(
        self, question: np.ndarray | str, *, voice: Voice | None = None, speak: bool = True, live: bool = False
    ) -> Iterator[Happening]:
        """One turn: Float[N] at 24 kHz, or text. ``live`` takes the sound in at the speed of time.

        Raises AudioError for a question of more than two minutes, TextError for a text that is empty, too long or in
        another script.
        """
        speaking = self.voice = voice or self.voice
        turn = Turn()
        if isinstance(question, str):
            if not question.strip():
                raise TextError("the question is empty; give some words")
            normalise(question)  # says what cannot be read
            entry = Entry(id=self._new_id("user"), text=question.strip())
            turn.transcript = entry.text
            ended = time.perf_counter()
        else:
            if len(question) > LONGEST_QUESTION_SECONDS * RATE:
                raise AudioError(
                    f"the question lasts {len(question) / RATE:.0f} s, at most {LONGEST_QUESTION_SECONDS} s can be "
                    "answered; cut it, or use transcribe for long recordings"
                )
            heard, ended = yield from self._listen(question, live)
            turn.transcript, turn.words, turn.speech = heard.transcript, heard.words, heard.speech
            entry = Entry(
                id=self._new_id("user"), text=heard.transcript, spoken=True, audio=to_int16(question),
                samples=len(question), words=heard.words,
            )  # fmt: skip
        yield Understood(Transcript(turn.transcript, turn.words, turn.speech))
        self.history.add(entry)
        yield from self._answer(turn, speaking, speak, ended)

    def _listen(self, question: np.ndarray, live: bool) -> Iterator[Happening]:
        ears = self.model.hearing
        state = ears.init_state(1)
        pcm = torch.from_numpy(np.ascontiguousarray(question, dtype=np.float32))
        pcm = torch.nn.functional.pad(pcm, (0, -len(pcm) % FRAME))[None]
        begun, shown = time.perf_counter(), ""
        for place in range(0, pcm.shape[1], _STEP):
            piece = pcm[:, place : place + _STEP]
            if live:
                time.sleep(max(0.0, begun + (place + piece.shape[1]) / RATE - time.perf_counter()))
            heard = ears.step(piece, state, _ON)[0]
            text = " ".join(word.text for word in heard.words) if heard else ""
            if text != shown:
                shown = text
                yield Partial(text)
        ended = time.perf_counter()
        return Transcript.of(ears.finish(state, 0).until(len(question))), ended

    def _answer(self, turn: Turn, voice: Voice, speak: bool, ended: float) -> Iterator[Happening]:
        """The reply, driven by a loop: sound is made of each thought before the next one is waited for."""
        context = Context(entries=self.entries, tools=self.tools, voice=voice, seed=self.seed + len(self.history))
        config = SessionConfig(voice=voice, audio_out=speak, tools=self.tools, seed=self.seed)
        reply = Reply(Request(turn=next(self._numbers), config=config, context=context), self._new_id)
        speaking = self.model.speaking
        state = speaking.init_state(1) if speak else None
        speaker, answer = SpeakingRow(speaking, state, 0), _Answer(turn, ended)
        try:
            for piece in chain(self.model.thinking.respond(context), (Over(),)):
                reply.think(piece)
                yield from self._carry_out(reply, speaker, answer)
                while reply.wants_to_speak and (spoken := speaking.step(state, _ON)[0]) is not None:
                    reply.spoke(spoken)
                    yield from self._carry_out(reply, speaker, answer)
            reply.end("completed")
            yield from self._carry_out(reply, speaker, answer)
        finally:  # whoever stops listening, or a mind that breaks, leaves what was made so far
            reply.end("client_cancelled")
            for output in reply.outputs():
                self.history.keep(output)
        lead = len(turn.reply) - len(turn.reply.lstrip())
        turn.reply = turn.reply.strip()
        turn.reply_words = tuple(_moved(word, lead) for word in turn.reply_words)
        turn.audio = np.concatenate(answer.sound) if answer.sound else turn.audio
        turn.seconds = time.perf_counter() - ended
        if len(turn.audio):
            turn.rtf = turn.seconds / (len(turn.audio) / RATE)
        yield Finished(turn)

    def _carry_out(self, reply: Reply, speaker: SpeakingRow, answer: "_Answer") -> Iterator[Happening]:
        """What the reply wants done, and what of it the user sees."""
        turn = answer.turn
        self.voice = reply.restyled or self.voice
        for order in reply.orders():
            speaker.obey(order, self.seed)
        for output in reply.outputs():
            self.history.keep(output)
            match output:
                case TextOut(delta=text):
                    turn.reply += text
                    yield Saying(text)
                case AudioOut(pcm=pcm):
                    loud = np.abs(pcm) > _SILENT
                    if turn.first_audio_ms is None and loud.any():
                        turn.first_audio_ms = 1000 * (time.perf_counter() - answer.ended + int(np.argmax(loud)) / RATE)
                    answer.sound.append(pcm)
                    yield Sound(pcm)
                case ToolCall(name=name, arguments=arguments):
                    turn.calls.append({"name": name, "arguments": json.loads(arguments)})
                    yield Called(name, json.loads(arguments))
                case Refused(code, message):
                    if code == TROUBLE:
                        raise MindError(message)
                    turn.unsaid += (message,)
                case EntryDone(entry) if entry.kind == "message":
                    turn.reply_words = entry.words
                case _:
                    pass

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{next(self._names)}"

    def heard(self, samples: int) -> None:
        """Says that only so many samples of the last answer were played; the rest is forgotten."""
        last = next((entry for entry in reversed(self.entries) if entry.kind == "message"), None)
        if last and last.role == "assistant":
            self.history.put(replace(last.cut(samples), status="incomplete"))


def _moved(word: Word, lead: int) -> Word:
    """A word whose text begins so many characters later."""
    return replace(word, span=(word.span[0] - lead, word.span[1] - lead)) if word.span and lead else word
