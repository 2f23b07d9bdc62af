"""AudioPaLM from a folder: the part ``audiopalm``, its units, its chat text and an acoustic model; as ears and a voice.

As a mind, in which it answers what it hears, it is in `assistant.task_mind`.
"""

from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.audio.resample import resample
from vivavoce.core.errors import VoiceError
from vivavoce.core.parts import check_part, load_part
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.generate.samplers import Sample
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.stretches import StretchRecogniser
from vivavoce.hub.whisper import RATE
from vivavoce.systems.audiolm import AudioLM
from vivavoce.systems.audiopalm import AudioPaLM

PART = "audiopalm"
_LONGEST = 15.0
"""Seconds of a stretch, which also has to leave room for its text."""
_MOST = 200
DRAWN = Sample(temperature=0.7, top_k=50, top_p=0.8)
"""For units: the likeliest ones go round in circles."""


def is_audiopalm(choice: str | Path) -> bool:
    """Whether a choice is such a folder."""
    return bool(str(choice)) and (Path(choice) / f"{PART}.json").is_file()


def load_audiopalm(folder: Path) -> AudioPaLM:
    """The model of a run, with the acoustic model beside it where there is one; PartError when something of it is
    missing or damaged."""
    acoustic = AudioLM.load(folder) if (folder / "audiolm.json").is_file() else None
    return AudioPaLM(load_part(folder, PART), ChatText.load(folder), load_part(folder, "units"), acoustic)


class AudioPaLMRecogniser(StretchRecogniser):
    """Writes down what is said (the task ASR), as `hub.whisper.Whisper` does; in English."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet; PartError when the part is damaged."""
        check_part(folder, PART)
        super().__init__(folder)

    @cached_property
    def system(self) -> AudioPaLM:
        """The model, read when it is first needed."""
        return load_audiopalm(self.folder)

    @property
    def longest(self) -> float:
        """Seconds of a stretch."""
        return _LONGEST

    def write(self, wave: Float32[np.ndarray, " N"]) -> str:
        """A stretch."""
        rate = self.system.units.config.sample_rate
        heard = sound(resample(torch.from_numpy(wave), RATE, rate), rate)
        text = self.system.do(("ASR",), heard, most=_MOST)["ASR"]
        assert isinstance(text, str)
        return text


class AudioPaLMVoice:
    """Says texts in units (the task TTS), which sound in a clip's voice, or in one of the acoustic model's choice."""

    takes: Final[frozenset[Taken]] = frozenset({"clip"})
    sampler = DRAWN

    def __init__(self, system: AudioPaLM) -> None:
        """SpecError for a model without an acoustic model."""
        self.system, self.codec = system, system.sounding.codec

    @property
    def sample_rate(self) -> int:
        """Of its codec."""
        return self.codec.config.sample_rate

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """A sentence. VoiceError where it finds no units for it."""
        (units,) = self.system.do(("TTS",), sentence.text, sampler=self.sampler, seed=sentence.seed).values()
        assert isinstance(units, Stream)
        if not units.data.shape[2]:
            raise VoiceError(f"the model finds no units for {sentence.text!r}; try another --seed, or train it further")
        return self.system.sound(units, sentence.prompt, sentence.seed)


def speaker(folder: Path) -> AudioPaLMVoice:
    """What `vivavoce say --speaker` asks; SpecError without an acoustic model."""
    return AudioPaLMVoice(load_audiopalm(folder))
