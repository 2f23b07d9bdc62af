"""A scripted model that is real in every other way: it speaks and hears in tones, one for each character.

It needs no weights and is always the same, so tests and examples can hold whole conversations with it: what it says
can be decoded from its sound, and what is cut from its sound is missing in the text. `utter` makes a user's speech
for it.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vivavoce.core.streaming import State
from vivavoce.core.talk import Call, Heard, Restyle, Say, Thought, Word
from vivavoce.core.voice import Voice
from vivavoce.data.sheet import load_sheet
from vivavoce.runtime.activity import Loudness
from vivavoce.runtime.model import RATE, Abilities, Context, HearingOptions, Pcm, Spoken

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 .,?!'-:"
TONE, REST = 1440, 480
SYMBOL = TONE + REST
HOP = 240
LEVEL = 0.2
_SPECTRUM = 1024


def _frequency(symbol: int) -> float:
    return 400.0 + 64 * symbol


def utter(text: str, pause_ms: int = 0) -> Pcm:
    """Tones that say this text: 80 ms a character, then a silence."""
    ramp = np.minimum(1, np.minimum(np.arange(TONE), np.arange(TONE)[::-1]) / 60)
    pieces = []
    for character in text.lower():
        symbol = ALPHABET.find(character)
        wave = np.zeros(SYMBOL, np.float32)
        if symbol >= 0:
            wave[:TONE] = LEVEL * ramp * np.sin(2 * np.pi * _frequency(symbol) / RATE * np.arange(TONE))
        pieces.append(wave)
    pieces.append(np.zeros(pause_ms * RATE // 1000, np.float32))
    return np.concatenate(pieces)


def _loud(pcm: np.ndarray) -> np.ndarray:
    frames = pcm[: len(pcm) // HOP * HOP].reshape(-1, HOP)
    return np.sqrt((frames**2).mean(axis=1)) > LEVEL / 5


@cache
def _hann(length: int) -> np.ndarray:
    return np.hanning(length).astype(np.float32)


def _symbol(piece: np.ndarray) -> int:
    """The tone of a sound, by its strongest frequency; only the first 43 ms are looked at."""
    piece = piece[:_SPECTRUM]
    strength = np.abs(np.fft.rfft(piece * _hann(len(piece)), _SPECTRUM))
    return round((int(np.argmax(strength)) * RATE / _SPECTRUM - 400) / 64)


def read_tones(pcm: np.ndarray) -> list[tuple[str, int, int]]:
    """The characters in a sound, with begin and end."""
    pcm = np.asarray(pcm, np.float32)
    found, begin = [], None
    for index, on in enumerate([*_loud(pcm), False]):
        if on and begin is None:
            begin = index
        elif not on and begin is not None:
            piece = pcm[begin * HOP : index * HOP]
            if len(piece) >= 4 * HOP:
                symbol = _symbol(piece)
                if 0 <= symbol < len(ALPHABET):
                    found.append((ALPHABET[symbol], begin * HOP, index * HOP))
            begin = None
    return found


def decode(pcm: np.ndarray) -> str:
    """The text that a sound says."""
    return "".join(character for character, _, _ in read_tones(pcm)).strip()


def words_of(symbols: list[tuple[str, int, int]]) -> tuple[Word, ...]:
    """Characters to words."""
    words: list[Word] = []
    current: list[tuple[str, int, int]] = []
    for symbol in [*symbols, (" ", 0, 0)]:
        if symbol[0] != " ":
            current.append(symbol)
        elif current:
            words.append(Word("".join(c for c, _, _ in current), current[0][1], current[-1][2]))
            current = []
    return tuple(words)


@dataclass
class ToneState(State):
    """What each row has heard so far; kept beside the tensors because it has no fixed length."""

    seats: Float[Tensor, " B"]
    found: list[list[tuple[str, int, int]]] = field(default_factory=list)
    rest: list[np.ndarray] = field(default_factory=list)
    offset: list[int] = field(default_factory=list)

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Forgets."""
        for row in range(len(self.found)):
            if rows is None or bool(rows[row]):
                self.found[row], self.rest[row], self.offset[row] = [], np.zeros(0, np.float32), 0


class ToneHearing:
    """Reads tones; sure that the speaker is done after a full stop, unsure after a comma."""

    def init_state(self, rows: int) -> ToneState:
        """Fresh rows."""
        nothing = [np.zeros(0, np.float32) for _ in range(rows)]
        return ToneState(torch.zeros(rows), [[] for _ in range(rows)], nothing, [0] * rows)

    def begin(self, state: ToneState, row: int, options: HearingOptions) -> None:
        """Tones are the same in all languages."""

    def step(self, pcm: Float[Tensor, "B N"], state: ToneState, active: Bool[Tensor, " B"]) -> list[Heard | None]:
        """The words so far."""
        return [self._listen(state, row, pcm[row].numpy()) if on else None for row, on in enumerate(active.tolist())]

    def _listen(self, state: ToneState, row: int, pcm: np.ndarray) -> Heard:
        state.rest[row] = np.concatenate([state.rest[row], pcm])
        found = self._open(state, row)
        if not _loud(state.rest[row][-HOP:]).any():
            # between two tones: what came before does not change any more
            state.found[row] += found
            state.offset[row] += len(state.rest[row])
            state.rest[row], found = np.zeros(0, np.float32), []
        return self._guessed(state.found[row] + found)

    def _open(self, state: ToneState, row: int) -> list[tuple[str, int, int]]:
        at = state.offset[row]
        return [(symbol, begin + at, end + at) for symbol, begin, end in read_tones(state.rest[row])]

    def precede(self, state: ToneState, row: int, pcm: Pcm) -> None:
        """What was said first."""
        state.found[row] = read_tones(pcm) + [(s, b + len(pcm), e + len(pcm)) for s, b, e in state.found[row]]
        state.offset[row] += len(pcm)

    def finish(self, state: ToneState, row: int) -> Heard:
        """The words if nothing more comes."""
        return self.later(state, row)()

    def later(self, state: ToneState, row: int) -> Callable[[], Heard]:
        """The same, on another thread."""
        found = state.found[row] + self._open(state, row)
        return partial(self._guessed, found)

    def sooner(self, state: ToneState, row: int) -> None:
        """None: nothing of a turn is known sooner than its words."""

    def _guessed(self, found: list[tuple[str, int, int]]) -> Heard:
        words = words_of(found)
        last = words[-1].text[-1] if words else ""
        done = 0.95 if last in (".", "?", "!") else 0.1 if last in (",", "-") else 0.6
        return Heard(words, done if words else 0.0)


class ScriptedMind:
    """A character of a few rules; `answer` can be any other function from the context to thoughts."""

    def __init__(self, answer: Callable[[Context], Iterator[Thought]] | None = None) -> None:
        """Without an answer, `scripted`."""
        self._answer = answer or scripted

    def respond(self, context: Context) -> Iterator[Thought]:
        """The reply."""
        return self._answer(context)


def _order(words: str) -> dict[str, str]:
    """The values of the default character's tool that are said, the longest of each slot; nothing without its item."""
    tool, found = load_sheet().tool, {}
    for slot in (tool.slot(tool.item), *tool.slots):
        said = [value for value in slot.values if re.search(rf"\b{value}\b", words)]
        if said:
            found[slot.name] = max(said, key=len)
    return found if tool.item in found else {}


def scripted(context: Context) -> Iterator[Thought]:
    """Orders become calls, questions about the past are answered from history, the rest is repeated."""
    last = context.entries[-1] if context.entries else None
    if last is not None and last.kind == "result":
        yield Say(f"the tool says {last.output.lower()}.")
        return
    said = [e.text for e in context.entries if e.role == "assistant" and e.kind == "message" and e.text.strip()]
    users = [e for e in context.entries if e.role == "user" and e.kind == "message"]
    words = users[-1].text.lower().strip() if users and last is users[-1] else ""
    forced = next((t for t in context.tools if t.name == context.tool_choice), None)
    if forced is None and context.tool_choice == "required" and context.tools:
        forced = context.tools[0]
    known = next((t for t in context.tools if t.name == load_sheet().tool.name), None)
    order = _order(words)
    if forced is None and known and context.tool_choice != "none" and order:
        forced = known
    if forced is not None:
        yield Call(forced.name, json.dumps(order if forced is known else {}))
        said = sorted(order.values(), key=words.find)
        yield Say(f"one {' '.join(said)} coming." if order else "one moment.")
    elif "what did you just say" in words:
        yield Say(f"i said: {said[-1].strip()}" if said else "i said nothing yet.")
    elif "slower" in words:
        yield Restyle(Voice.described("slow"))
        yield Say("is this better?")
    elif words:
        yield Say("you said: ")
        yield Say(words if words[-1] in ".?!" else f"{words}.")
    else:
        yield Say("how can i help you?")


@dataclass
class BeepState(State):
    """The characters that each row has still to say."""

    seats: Float[Tensor, " B"]
    todo: list[deque[str]] = field(default_factory=list)
    last: list[bool] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    word: list[str] = field(default_factory=list)


class Beeping:
    """Says text in tones, two characters a step."""

    def init_state(self, rows: int) -> BeepState:
        """Fresh rows."""
        return BeepState(
            torch.zeros(rows), [deque() for _ in range(rows)], [False] * rows, [0] * rows, [""] * rows
        )  # fmt: skip

    def begin(self, state: BeepState, row: int, voice: Voice, seed: int) -> None:
        """A new reply."""
        state.todo[row], state.last[row], state.made[row], state.word[row] = deque(), False, 0, ""

    def feed(self, state: BeepState, row: int, text: str, last: bool) -> None:
        """More text."""
        state.todo[row].extend(text.lower())
        state.last[row] = last

    def step(self, state: BeepState, active: Bool[Tensor, " B"]) -> list[Spoken | None]:
        """The next two characters."""
        return [self._speak(state, row) if on else None for row, on in enumerate(active.tolist())]

    def _speak(self, state: BeepState, row: int) -> Spoken | None:
        todo = state.todo[row]
        if not todo and not state.last[row]:
            return None
        text = "".join(todo.popleft() for _ in range(min(2, len(todo))))
        words, at = [], state.made[row]
        for character in text:
            if character == " ":
                words += self._finish_word(state, row, at)
            else:
                state.word[row] += character
            at += SYMBOL
        done = not todo and state.last[row]
        if done:
            words += self._finish_word(state, row, at)
        pcm = utter(text)
        state.made[row] += len(pcm)
        return Spoken(pcm, tuple(words), done)

    def _finish_word(self, state: BeepState, row: int, end: int) -> list[Word]:
        word, state.word[row] = state.word[row], ""
        span = end // SYMBOL - len(word), end // SYMBOL
        return [Word(word, end - len(word) * SYMBOL, end, span=span)] if word else []

    def stop(self, state: BeepState, row: int) -> None:
        """Drops the rest."""
        state.todo[row].clear()


def fake_model(answer: Callable[[Context], Iterator[Thought]] | None = None) -> Abilities:
    """The scripted model."""
    return Abilities(
        activity=Loudness(), hearing=ToneHearing(), thinking=ScriptedMind(answer), speaking=Beeping(), name="fake"
    )


def silence(ms: int) -> Pcm:
    """Nothing, for so long."""
    return np.zeros(ms * RATE // 1000, np.float32)
