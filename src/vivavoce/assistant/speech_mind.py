"""A mind that hears and speaks in units (`systems.speechgpt`): no recogniser between the question and the answer.

What the ears understood is shown to people and told in later turns; the question itself goes to the model as it
sounds. Where the model has a vocoder it says its answers itself, else the speaker in use does.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from vivavoce.audio.pcm import to_float
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import sound
from vivavoce.core.talk import Entry, Say, Thought, Trouble, Utter
from vivavoce.hub.speechgpt import load_speechgpt
from vivavoce.runtime.model import RATE, Context
from vivavoce.systems.speechgpt import Chain, Form, SpeechGPT

ROOM = 256
"""Columns that are kept free for an answer."""


def load_speech_mind(folder: Path) -> "SpeechMind":
    """From the parts of a run; ConfigError for a model that holds no conversations."""
    system = load_speechgpt(folder)
    if (stage := system.model.config.stage) != 3:
        raise ConfigError(
            f"the model in {folder} is of stage {stage} and holds no conversations; train the next one: "
            f"vivavoce train speechgpt --stage {stage + 1} --from {folder}"
        )
    return SpeechMind(system, folder.name)


class SpeechMind:
    """Thinking for the runtime by a speech language model."""

    tools = ()
    """It was taught none and calls none."""

    def __init__(self, model: SpeechGPT, name: str) -> None:
        """Keeps nothing between replies."""
        self.model, self.name = model, name

    def respond(self, context: Context) -> Iterator[Thought]:
        """The answer, once it is whole; empty pieces before, so that it can be stopped."""
        messages = [{"role": "system", "content": context.instructions}] if context.instructions else []
        entries = [entry for entry in context.entries if entry.kind == "message"]
        asked = next((n for n in range(len(entries) - 1, -1, -1) if entries[n].role == "user"), None)
        if asked is None:
            yield Trouble("nobody has asked anything yet, and this mind only answers")
            return
        messages += [{"role": entry.role, "content": entry.text} for entry in entries[:asked] if entry.text]
        messages.append({"role": "user", "content": entries[asked].text})
        heard = self._heard(entries[asked])
        answered = "speech" if self.model.vocoder is not None else "text"
        form: Form = f"{'text' if heard is None else 'speech'} to {answered}"  # type: ignore[assignment]
        items = self.model.given(form, messages, heard, ROOM)
        found = Chain()
        for written in self.model.write(form, items, seed=context.seed):
            yield Say("")
            if written.row.done:
                found = written.chain
        if found.units is not None and self.model.codec is not None:
            made = self.model.sound(found.units)
            rate = made.spec.sample_rate
            pcm = resample(made.data[0, 0, : int(made.lengths[0])], rate, RATE)
            yield Utter(found.answer or "…", pcm.numpy())
        elif found.answer:
            yield Say(found.answer)
        else:
            yield Trouble("the mind found no answer; ask again, or train it further")

    def _heard(self, entry: Entry) -> torch.Tensor | None:
        """A spoken question as units; None for a written one."""
        if not entry.spoken or entry.audio is None or not len(entry.audio):
            return None
        rate = self.model.units.config.sample_rate
        return self.model.heard(sound(resample(torch.from_numpy(to_float(entry.audio)), RATE, rate), rate))
