"""The demonstration: a whole conversation from recordings, with everything that it leaves on disk."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vivavoce.assistant.model import Model, recording_of
from vivavoce.assistant.picture import draw
from vivavoce.assistant.turn import Finished, Happening, Turn, timed
from vivavoce.audio.files import SYNTHETIC, write_audio
from vivavoce.core.atomic import atomic_write
from vivavoce.core.voice import Consent, Voice
from vivavoce.runtime.model import RATE

RECORDINGS = Path(__file__).parent / "recordings"
LINES = (
    ("1.ogg", "Hello there!"),
    ("2.ogg", "Can I get a large dark roast latte with a bit of almond milk and some sugar?"),
    ("3.ogg", "Actually, make that small."),
    ("4.ogg", "How do I sound?"),
    ("5.ogg", "What did you just say?"),
)
"""The customer's recordings and what is said in them."""
_GAP_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Line:
    """A recorded line of the customer and the voice in which the clerk is to answer."""

    file: str
    says: str
    voice: Voice


def script() -> tuple[Line, ...]:
    """The customer's lines, made by `recipes.demo` with voices that no training heard, and the voices that answer."""
    innkeeper = Voice.described("a gruff old innkeeper, slow and low")
    girl = Voice.described("a lively young woman, high and fast")
    cloned = Voice.like(RECORDINGS / "clip.ogg", consent=Consent("made by a synthesis program; nobody is imitated"))
    voices = (innkeeper, innkeeper, girl, girl, cloned)
    return tuple(Line(file, says, voice) for (file, says), voice in zip(LINES, voices, strict=True))


def demonstrate(
    model: Model, out: Path, *, fast: bool = False, tell: Callable[[int, Line, Happening], None] = lambda *_: None
) -> list[Turn]:
    """Holds the conversation, calls ``tell`` for everything that happens, and writes what came of it into ``out``.

    Writes ``reply-1.wav`` and so on, ``conversation.wav`` (customer left, clerk right), ``conversation.json`` and
    ``conversation.png``. Raises StorageError when they cannot be written.
    """
    lines = script()
    for _ in model.say("Hello.", voice=lines[0].voice):
        pass  # the first use of everything is slower; what is measured is a clerk who is awake
    conversation = model.conversation(voice=lines[0].voice)
    turns: list[Turn] = []
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    entries = []
    at = 0
    for number, line in enumerate(lines, 1):
        question = recording_of(RECORDINGS / line.file).wave.numpy()
        for happening in conversation.ask(question, voice=line.voice, live=not fast):
            tell(number, line, happening)
            if isinstance(happening, Finished):
                turns.append(happening.turn)
        turn = turns[-1]
        write_audio(out / f"reply-{number}.wav", torch.from_numpy(turn.audio), RATE, comment=SYNTHETIC)
        wait = np.zeros(round((turn.first_audio_ms or 0) / 1000 * RATE), np.float32)
        gap = np.zeros(round(_GAP_SECONDS * RATE), np.float32)
        left += [question, np.zeros(len(wait) + len(turn.audio), np.float32), gap]
        right += [np.zeros(len(question), np.float32), wait, turn.audio, gap]
        entries.append(
            turn.json(
                said=line.says, recording=line.file, audio=f"reply-{number}.wav", starts=round(at / RATE, 3),
                reply_starts=round((at + len(question) + len(wait)) / RATE, 3),
                reply_words=[timed(word) for word in turn.reply_words],
            )
        )  # fmt: skip
        at += len(question) + len(wait) + len(turn.audio) + len(gap)
    both = np.stack((np.concatenate(left), np.concatenate(right)))
    write_audio(out / "conversation.wav", torch.from_numpy(both), RATE, comment=SYNTHETIC)
    with atomic_write(out / "conversation.json") as path:
        path.write_text(json.dumps({"sample_rate": RATE, "turns": entries}, indent=1) + "\n")
    draw(both, entries, out / "conversation.png")
    return turns
