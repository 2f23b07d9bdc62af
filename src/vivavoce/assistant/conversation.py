"""A conversation by turns: recordings or text go in, and what happens comes out while it happens.

It drives the same four abilities as a live session (`runtime.model`), so there is one path from sound to words and from
words to sound; only the clock differs.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vivavoce.assistant.turn import Called, Finished, Happening, Partial, Saying, Sound, Transcript, Turn, Understood
from vivavoce.core.errors import AudioError, MindError, TextError
from vivavoce.core.talk import Call, Entry, Restyle, Say, Tool, Trouble, Word
from vivavoce.core.voice import Voice
from vivavoce.runtime.model import FRAME, RATE, Context, Model
from vivavoce.text.normalise import normalise

LONGEST_QUESTION_SECONDS = 120
_SILENT = 1e-3
_STEP = 4 * FRAME
_ON = torch.ones(1, dtype=torch.bool)


class Conversation:
    """Keeps what was said; every `ask` is a turn that may refer to the ones before."""

    def __init__(
        self, model: Model, *, voice: Voice | None = None, tools: tuple[Tool, ...] = (), seed: int = 0
    ) -> None:
        """Begins with nothing said."""
        self.model = model
        self.voice = voice or Voice()
        self.tools = tools
        self.seed = seed
        self.entries: list[Entry] = []

    def ask(
        self, question: np.ndarray | str, *, voice: Voice | None = None, speak: bool = True, live: bool = False
    ) -> Iterator[Happening]:
        """One turn: Float[N] at 24 kHz, or text. ``live`` takes the sound in at the speed of time.

        Raises AudioError for a question of more than two minutes, TextError for a text that is empty, too long or in
        another script.
        """
        number = len(self.entries)
        speaking = self.voice = voice or self.voice
        turn = Turn()
        if isinstance(question, str):
            if not question.strip():
                raise TextError("the question is empty; give some words")
            normalise(question)  # says what cannot be read
            entry = Entry(id=f"user_{number}", text=question.strip())
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
                id=f"user_{number}", text=heard.transcript, spoken=True, audio=(question * 32767).astype(np.int16),
                samples=len(question), words=heard.words,
            )  # fmt: skip
        yield Understood(Transcript(turn.transcript, turn.words, turn.speech))
        self.entries.append(entry)
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
        mouth = self.model.speaking
        state = mouth.init_state(1) if speak else None
        if state is not None:
            mouth.begin(state, 0, voice, self.seed)
        context = Context(
            entries=tuple(self.entries), tools=self.tools, voice=voice, seed=self.seed + len(self.entries)
        )
        pieces: list[np.ndarray] = []
        words: list[Word] = []
        calls: list[Entry] = []

        def sound() -> Iterator[Happening]:
            while state is not None and (spoken := mouth.step(state, _ON)[0]) is not None:
                words.extend(spoken.words)
                turn.unsaid += (*spoken.unsaid, *([spoken.trouble] if spoken.trouble else []))
                if len(spoken.pcm):
                    pieces.append(spoken.pcm)
                    if turn.first_audio_ms is None and float(np.abs(spoken.pcm).max()) > _SILENT:
                        first = int(np.argmax(np.abs(spoken.pcm) > _SILENT))
                        turn.first_audio_ms = 1000 * (time.perf_counter() - ended + first / RATE)
                    yield Sound(spoken.pcm)
                if spoken.done:
                    break

        for thought in self.model.thinking.respond(context):
            if isinstance(thought, Call):
                arguments: dict[str, Any] = json.loads(thought.arguments)
                turn.calls.append({"name": thought.name, "arguments": arguments})
                name = f"call_{len(self.entries)}_{len(calls)}"
                calls.append(
                    Entry(
                        id=name,
                        kind="call",
                        role="assistant",
                        call=name,
                        name=thought.name,
                        arguments=thought.arguments,
                    )
                )
                yield Called(thought.name, arguments)
            elif isinstance(thought, Restyle):
                self.voice = thought.voice
                if state is not None and not turn.reply:
                    mouth.begin(state, 0, thought.voice, self.seed)
            elif isinstance(thought, Trouble):
                raise MindError(thought.reason)
            elif isinstance(thought, Say):
                turn.reply += thought.text
                yield Saying(thought.text)
                if state is not None:
                    mouth.feed(state, 0, thought.text, last=False)
                    yield from sound()
        if state is not None:
            mouth.feed(state, 0, "", last=True)
            yield from sound()
        lead = len(turn.reply) - len(turn.reply.lstrip())
        turn.reply = turn.reply.strip()
        turn.reply_words = tuple(_moved(word, lead) for word in words)
        turn.audio = np.concatenate(pieces) if pieces else turn.audio
        turn.seconds = time.perf_counter() - ended
        if len(turn.audio):
            turn.rtf = turn.seconds / (len(turn.audio) / RATE)
        self.entries += calls
        said = Entry(
            id=f"reply_{len(self.entries)}", role="assistant", text=turn.reply, spoken=speak, samples=len(turn.audio),
            words=turn.reply_words,
        )  # fmt: skip
        self.entries.append(said)
        yield Finished(turn)

    def heard(self, samples: int) -> None:
        """Says that only so many samples of the last answer were played; the rest is forgotten."""
        if self.entries and self.entries[-1].role == "assistant":
            self.entries[-1] = replace(self.entries[-1].cut(samples), status="incomplete")


def _moved(word: Word, lead: int) -> Word:
    """A word whose text begins so many characters later."""
    return replace(word, span=(word.span[0] - lead, word.span[1] - lead)) if word.span and lead else word
