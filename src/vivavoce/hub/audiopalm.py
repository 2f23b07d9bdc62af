"""AudioPaLM from a folder: the part ``audiopalm``, its units and its chat text; and as a recogniser of open speech."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.audio.resample import resample
from vivavoce.core.parts import check_part, load_part
from vivavoce.core.streams import sound
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.stretches import transcribed
from vivavoce.hub.whisper import RATE, Transcribed, Wanted
from vivavoce.systems.audiopalm import AudioPaLM

PART = "audiopalm"
_LONGEST = 15.0
"""Seconds of a stretch, which also has to leave room for its text."""
_MOST = 200


def is_audiopalm(choice: str | Path) -> bool:
    """Whether a choice is such a folder."""
    return bool(str(choice)) and (Path(choice) / f"{PART}.json").is_file()


def load_audiopalm(folder: Path) -> AudioPaLM:
    """The model of a run; PartError when something of it is missing or damaged."""
    return AudioPaLM(load_part(folder, PART), ChatText.load(folder), load_part(folder, "units"))


class AudioPaLMRecogniser:
    """Writes down what is said (the task ASR), as `hub.whisper.Whisper` does; in English."""

    languages = ("en",)
    multilingual = False

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet; PartError when the part is damaged."""
        check_part(folder, PART)
        self.folder, self.name = folder, folder.resolve().name

    @cached_property
    def system(self) -> AudioPaLM:
        """The model, read when it is first needed."""
        return load_audiopalm(self.folder)

    def transcribe(
        self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None] = lambda: None
    ) -> Transcribed:
        """The words of a sound at 16 kHz; text before it and keywords are not taken into account."""
        return transcribed(wave, wanted, _LONGEST, self._written, between)

    def _written(self, wave: Float32[np.ndarray, " N"]) -> str:
        rate = self.system.units.config.sample_rate
        heard = sound(resample(torch.from_numpy(wave), RATE, rate), rate)
        text = self.system.do(("ASR",), heard, most=_MOST)["ASR"]
        assert isinstance(text, str)
        return text
