"""SpeechGPT from a folder: the part ``speechgpt``, its units, its chat text and a vocoder; as ears and as a voice.

As a mind, in which it answers what it hears, it is in `assistant.speech_mind`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError, VoiceError
from vivavoce.core.parts import load_part, load_weights
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.generate.samplers import GREEDY
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.stretches import StretchRecogniser
from vivavoce.hub.whisper import RATE
from vivavoce.systems.speechgpt import SpeechGPT

PART = "speechgpt"
_LONGEST = 15.0
"""Seconds of a stretch, which also has to leave room for its text."""
_MOST, _LEAST = 400, 64
"""Columns of a text at most, and that have to be free for it."""
_UNITS = 1000
"""Of a sentence at most."""


def is_speechgpt(choice: str | Path) -> bool:
    """Whether a choice is a folder with a language model that hears and speaks in units."""
    return bool(str(choice)) and (Path(choice) / f"{PART}.json").is_file()


def load_speechgpt(folder: Path) -> SpeechGPT:
    """From the parts of a run, of whatever stage; PartError when one is missing."""
    sounding: dict[str, Any] = {}
    if (folder / "vocoder.json").exists():
        sounding = {"vocoder": load_part(folder, "vocoder"), "codec": load_part(folder, "codec")}
    return SpeechGPT(load_part(folder, PART), ChatText.load(folder), load_part(folder, "units"), **sounding)


def check_stage(stage: int, folder: Path) -> None:
    """ConfigError for a model of the first stage, which knows no text."""
    if stage == 1:
        raise ConfigError(
            f"the model in {folder} is of stage 1 and knows units alone, no text; train the next one: "
            f"vivavoce train speechgpt --stage 2 --from {folder}"
        )


class SpeechGPTRecogniser(StretchRecogniser):
    """Writes down what is said, from units alone, as `hub.whisper.Whisper` does; in English."""

    def __init__(self, folder: Path) -> None:
        """Builds nothing yet; PartError when the part is damaged, ConfigError when it writes no text."""
        check_stage(load_weights(folder, PART)[0].stage, folder)
        super().__init__(folder)

    @cached_property
    def system(self) -> SpeechGPT:
        """The model, built when it is first needed."""
        return load_speechgpt(self.folder)

    @property
    def longest(self) -> float:
        """Seconds of a stretch."""
        return _LONGEST

    def write(self, wave: Float32[np.ndarray, " N"]) -> str:
        """A stretch."""
        rate = self.system.units.config.sample_rate
        heard = self.system.heard(sound(resample(torch.from_numpy(wave), RATE, rate), rate))
        given = self.system.given("recognise", [{"role": "user", "content": ""}], heard, _LEAST)
        (chain,) = self.system.replies("recognise", [given], sampler=GREEDY, most=_MOST)
        return chain.question


class SpeechGPTVoice:
    """Says texts in units, which sound in its vocoder's usual voice (`core.sentence`)."""

    takes: Final[frozenset[Taken]] = frozenset()

    def __init__(self, system: SpeechGPT) -> None:
        """SpecError for a model without a vocoder."""
        self.system, self.codec = system, system.sounding[1]

    @property
    def sample_rate(self) -> int:
        """Of its codec."""
        return self.codec.config.sample_rate

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """A sentence. VoiceError where it finds no units for it."""
        given = self.system.given("synthesise", [{"role": "user", "content": sentence.text}])
        (chain,) = self.system.replies("synthesise", [given], seed=sentence.seed, most=_UNITS)
        if chain.units is None:
            raise VoiceError(f"the model finds no units for {sentence.text!r}; try another --seed, or train it further")
        return self.system.sound(chain.units)


def speaker(folder: Path) -> SpeechGPTVoice:
    """What `vivavoce say --speaker` asks; ConfigError for a model that knows no text, SpecError without a vocoder."""
    system = load_speechgpt(folder)
    check_stage(system.model.config.stage, folder)
    return SpeechGPTVoice(system)
