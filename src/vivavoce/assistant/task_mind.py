"""A mind that hears and answers by the tasks of a tag (`systems.audiopalm`): no recogniser before it, no speaker after.

A spoken question is written down, answered in writing and, where there is an acoustic model, in units that sound in a
voice of that model's choice; of these it does what it was taught. It keeps nothing of a conversation.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from vivavoce.audio.pcm import to_float
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError
from vivavoce.core.parts import read_card
from vivavoce.core.streams import Stream, Tokens, sound
from vivavoce.core.talk import Say, Thought, Trouble, Utter
from vivavoce.hub.audiopalm import DRAWN, PART, load_audiopalm
from vivavoce.runtime.model import RATE, Context
from vivavoce.systems.audiopalm import AudioPaLM

_ALOUD = (("ASR", "S2T", "S2S"), ("S2T", "S2S"))
_WRITTEN = (("ASR", "S2T"), ("S2T",))


def load_task_mind(folder: Path) -> "TaskMind":
    """From the parts of a run; ConfigError for a model that was not taught to answer."""
    system = load_audiopalm(folder)
    taught = {tuple(task.split()) for task in read_card(folder, PART).get("shares", {})}
    ways = [*(_ALOUD if system.acoustic is not None else ()), *_WRITTEN]
    tasks = next((way for way in ways if way in taught), None)
    if tasks is None:
        raise ConfigError(
            f"the model in {folder} was taught no answers, only {', '.join(' '.join(way) for way in sorted(taught))}; "
            "train it with questions and answers: --with pairs=FILE"
        )
    return TaskMind(system, tasks, folder.name)


class TaskMind:
    """Thinking for the runtime by a language model that does tasks."""

    tools = ()
    """It was taught none and calls none."""

    def __init__(self, model: AudioPaLM, tasks: tuple[str, ...], name: str) -> None:
        """``tasks`` end with an answer, S2T or S2S. Keeps nothing between replies."""
        self.model, self.tasks, self.name = model, tasks, name

    def respond(self, context: Context) -> Iterator[Thought]:
        """The answer to what was said last, once it is whole; empty pieces before, so that it can be stopped."""
        asked = next((e for e in reversed(context.entries) if e.kind == "message" and e.role == "user"), None)
        if asked is None or not asked.spoken or asked.audio is None or not len(asked.audio):
            yield Trouble("this mind answers what is said to it and reads nothing; ask aloud")
            return
        rate = self.model.units.config.sample_rate
        heard = sound(resample(torch.from_numpy(to_float(asked.audio)), RATE, rate), rate)
        writing = self.model.work(self.tasks, heard, sampler=DRAWN, seed=context.seed)
        while True:
            try:
                next(writing)
            except StopIteration as done:
                yield self.answer(done.value, context.seed)
                return
            yield Say("")

    def answer(self, found: Mapping[str, str | Stream[Tokens]], seed: int) -> Thought:
        """What came of the tasks as it is said: aloud where there are units, else in writing."""
        text, units = str(found["S2T"]), found.get("S2S")
        if isinstance(units, Stream) and units.data.shape[2]:
            made = self.model.sound(units, seed=seed)
            pcm = resample(made.data[0, 0, : int(made.lengths[0])], made.spec.sample_rate, RATE)
            return Utter(text or "…", pcm.numpy())
        return Say(text) if text else Trouble("the mind found no answer; ask again, or train it further")
