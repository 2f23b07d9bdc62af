"""A mind with ears of its own (`systems.salmonn`): the language model that answers has also found the words.

It writes down what was asked, its bridge beside it, and answers that as a chat model. What the ears in use understood
is shown to people; a question without sound is taken as it is written.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from vivavoce.assistant.chat import ChatMind
from vivavoce.audio.pcm import to_float
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError
from vivavoce.core.talk import Entry, Thought
from vivavoce.hub.chat_model import load_chat
from vivavoce.hub.salmonn import SalmonnRecogniser
from vivavoce.hub.whisper import RATE as HEARD
from vivavoce.hub.whisper import Wanted
from vivavoce.runtime.model import RATE, Context, Thinking


def load_heard_mind(folder: Path) -> "HeardMind":
    """From the part of a run; ConfigError for one whose language model cannot be fetched by name."""
    ears = SalmonnRecogniser(folder)
    llm = ears.config.llm
    if llm is None:
        raise ConfigError(
            f"the model in {folder} is not kept over a language model of the catalogue, so it only writes down what is "
            "said (--ears); train it with one: --with llm=smollm2-135m-instruct"
        )
    return HeardMind(ears, ChatMind(load_chat(llm.name)))


class HeardMind:
    """Thinking for the runtime by a language model with ears."""

    tools = ()
    """It was taught none; a session declares its own."""

    def __init__(self, ears: SalmonnRecogniser, chat: Thinking) -> None:
        """Keeps nothing between replies but what ``chat`` does."""
        self.ears, self.chat, self.name = ears, chat, ears.name

    def respond(self, context: Context) -> Iterator[Thought]:
        """The answer to what it heard last, word by word."""
        asked = [n for n, entry in enumerate(context.entries) if entry.kind == "message" and entry.role == "user"]
        if asked and (heard := self._heard(context.entries[asked[-1]])):
            entries = list(context.entries)
            entries[asked[-1]] = replace(entries[asked[-1]], text=heard, words=())
            context = replace(context, entries=tuple(entries))
        yield from self.chat.respond(context)

    def _heard(self, entry: Entry) -> str:
        """What it writes down of a spoken question; nothing of a written one."""
        if not entry.spoken or entry.audio is None or not len(entry.audio):
            return ""
        wave = resample(torch.from_numpy(to_float(entry.audio)), RATE, HEARD).numpy()
        found = self.ears.transcribe(wave, Wanted(clips=((0.0, len(wave) / HEARD),)))
        return " ".join(word.text for word in found.words)
