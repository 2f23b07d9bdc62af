"""A language model with ears from a folder: the part ``salmonn``, its chat text, and its encoders below.

Where it grew from a language model that can be fetched, the part holds only what was learnt (`save_salmonn`): the
bridge and the small maps. The rest, and the text, are the published model's, by name and digest.

It also serves as a recogniser of open speech beside Whisper. Words are in lower case, as it learnt them; nothing tells
when each was said, so they share the time of their stretch by their letters.
"""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.core.errors import PartError
from vivavoce.core.parts import load_part, load_weights, save_part
from vivavoce.core.streams import sound
from vivavoce.hub.chat_model import file_of, names
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.stretches import transcribed
from vivavoce.hub.text_model import load_text_model
from vivavoce.hub.whisper import RATE, Transcribed, Wanted
from vivavoce.systems.salmonn import GrownFrom, Salmonn, SalmonnConfig, SalmonnModel

PART = "salmonn"
_MOST = 200
"""Words of a stretch."""


def is_salmonn(choice: str | Path) -> bool:
    """Whether a choice is such a folder."""
    return bool(str(choice)) and (Path(choice) / f"{PART}.json").is_file()


def grown_from(llm: str | Path) -> GrownFrom | None:
    """A language model of the catalogue and the digest of the file that it has here; None for any other."""
    if str(llm) not in names():
        return None
    return GrownFrom(name=str(llm), sha256=hashlib.sha256(file_of(str(llm)).read_bytes()).hexdigest())


def save_salmonn(folder: Path, model: SalmonnModel, text: ChatText, card: dict[str, Any]) -> None:
    """Writes the part, without the weights that can be fetched; with the text where all is written."""
    config, state = model.config, model.state_dict()
    if config.llm is None:
        text.save(folder)
    else:
        learnt = {name for name, weight in model.lm.named_parameters(prefix="lm") if weight.requires_grad}
        state = {name: value for name, value in state.items() if name in learnt or _own(name)}
    save_part(folder, PART, config, state, card, torch.float16)


def load_model(folder: Path) -> tuple[SalmonnModel, ChatText]:
    """The part of a run and its text. PartError when it is damaged or the language model is another version."""
    config, own = load_weights(folder, PART)
    if config.llm is None:
        return load_part(folder, PART), ChatText.load(folder)
    found = load_text_model(config.llm.name, config.trunk.window)
    if grown_from(config.llm.name) != config.llm:
        raise PartError(
            f"{folder} was learnt beside another version of {config.llm.name} than the one on this machine "
            f"({config.llm.sha256[:16]}); fetch that one: vivavoce models get {config.llm.name}"
        )
    model: SalmonnModel = config.build()
    model.read(found.lm)
    state = model.state_dict()
    if foreign := sorted(name for name in own if name not in state or state[name].shape != own[name].shape):
        raise PartError(f"the weights in {folder} do not fit its configuration: {foreign[0]}; make them again")
    if missing := sorted(name for name in state if _own(name) and name not in own):
        raise PartError(f"the weights in {folder} lack {missing[0]}; make them again")
    model.load_state_dict({**state, **own})
    if model.bridge.spelling is not None:
        model.bridge.spelling.begin(found.lm.embed)  # type: ignore[arg-type]
    return model.eval(), found.text


def _own(name: str) -> bool:
    """Whether a weight is the bridge's own."""
    return name.startswith("bridge.") and name != "bridge.spelling.table"


def load_salmonn(folder: Path, scale: float | None = None) -> Salmonn:
    """The model of a run; ``scale`` as in `Salmonn`. PartError when something of it is missing or damaged."""
    model, text = load_model(folder)
    second = None if model.config.bridge.second is None else load_part(folder / "second", "encoder")
    return Salmonn(model, text, load_part(folder / "first", "encoder"), second, scale=scale)


class SalmonnRecogniser:
    """Writes down what is said, as `hub.whisper.Whisper` does; in English."""

    languages = ("en",)
    multilingual = False

    def __init__(self, folder: Path) -> None:
        """Reads no language model yet; PartError when the part is damaged."""
        self.config: SalmonnConfig = load_weights(folder, PART)[0]
        self.folder, self.name = folder, folder.resolve().name

    @cached_property
    def system(self) -> Salmonn:
        """The model, read when it is first needed."""
        return load_salmonn(self.folder)

    def transcribe(
        self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None] = lambda: None
    ) -> Transcribed:
        """The words of a sound at 16 kHz; text before it and keywords are not taken into account."""
        return transcribed(wave, wanted, self.system.model.config.seconds - 1, self._written, between)

    def _written(self, wave: Float32[np.ndarray, " N"]) -> str:
        (written,) = self.system.transcripts([self.system.heard(sound(torch.from_numpy(wave), RATE))], most=_MOST)
        return written
