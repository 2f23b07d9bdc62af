"""A language model with ears from a folder: the part ``salmonn``, its chat text, and its encoders below.

Where it grew from a language model that can be fetched, the part holds only what was learnt (`save_salmonn`): the
bridge and the small maps. The rest, and the text, are the published model's, by name and digest.

For use, such a language model is taken in the 8 bits in which it chats; for learning, in 32.

It also serves as a recogniser of open speech beside Whisper. Words are in lower case, as it learnt them; nothing tells
when each was said, so they share the time of their stretch by their letters.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.core.parts import copy_part, load_part, load_weights, save_part
from vivavoce.core.places import bundled_or_path
from vivavoce.core.streams import sound
from vivavoce.hub.catalogue import catalogue, find
from vivavoce.hub.chat_model import file_of, load_chat_lm, names
from vivavoce.hub.chat_text import CHAT_FILE, ChatText
from vivavoce.hub.fetch import place
from vivavoce.hub.stretches import StretchRecogniser
from vivavoce.hub.text_model import load_text_model, token_vectors
from vivavoce.hub.whisper import RATE
from vivavoce.hub.whisper_layer import WhisperLayerConfig
from vivavoce.systems.salmonn import GrownFrom, Salmonn, SalmonnConfig, SalmonnModel

PART = "salmonn"
_MOST = 200
"""Words of a stretch."""


def is_salmonn(choice: str | Path) -> bool:
    """Whether a choice is such a folder, or a bundled model that has the part."""
    return bool(str(choice)) and (bundled_or_path(choice) / f"{PART}.json").is_file()


def grown_from(llm: str | Path) -> GrownFrom | None:
    """A language model of the catalogue and the digest of the weights that it has here; None for any other."""
    if str(llm) not in names():
        return None
    path, whole = file_of(str(llm)), hashlib.sha256()
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        whole.update(file.read_bytes())
    return GrownFrom(name=str(llm), sha256=whole.hexdigest())


def stands_on(folder: Path) -> tuple[str, ...]:
    """The models of the catalogue over which what was learnt in a folder is kept: its encoders and language model.

    PartError when a part is missing or damaged.
    """
    config: SalmonnConfig = load_weights(folder, PART)[0]
    encoders = [load_weights(folder / name, "encoder")[0] for name in _encoders(folder)]
    chosen = [one.model for one in encoders if isinstance(one, WhisperLayerConfig)]
    chosen += [] if config.llm is None else [config.llm.name]
    known = {model.name for model in catalogue()}
    return tuple(dict.fromkeys(name for name in chosen if name in known))


def below(choices: Iterable[str]) -> list[str]:
    """Choices of ears and minds, in place of those of this kind the models that they stand on; each once."""
    found: list[str] = []
    for choice in choices:
        found += stands_on(bundled_or_path(choice)) if is_salmonn(choice) else [choice]
    return list(dict.fromkeys(found))


def save_salmonn(folder: Path, model: SalmonnModel, text: ChatText, card: dict[str, Any]) -> None:
    """Writes the part, without the weights that can be fetched; with the text where all is written."""
    config, state = model.config, model.state_dict()
    if config.llm is None:
        text.save(folder)
    else:
        learnt = {name for name, weight in model.lm.named_parameters(prefix="lm") if weight.requires_grad}
        if config.joint is not None and config.shown and not _maps_changed(state, learnt):
            learnt = set()  # the language model is used as it was published, and the small maps add nothing
        state = {name: value for name, value in state.items() if name in learnt or _own(name)}
    save_part(folder, PART, config, state, card, torch.float16)


def _maps_changed(state: Mapping[str, Tensor], learnt: set[str]) -> bool:
    return any(bool(state[name].any()) for name in learnt if ".up." in name)


def copy_beside(folder: Path, out: Path) -> None:
    """Puts what belongs to the part in a folder, but is not of it, into another: encoders, and the text if it is
    there."""
    for name in _encoders(folder):
        copy_part(folder / name, "encoder", out / name)
    if (folder / CHAT_FILE).is_file():
        ChatText.load(folder).save(out)


def _encoders(folder: Path) -> list[str]:
    return [name for name in ("first", "second") if (folder / name / "encoder.json").is_file()]


def load_model(folder: Path) -> tuple[SalmonnModel, ChatText]:
    """The part of a run and its text, in 32 bits. PartError when it is damaged or the language model is another
    version."""
    config, own = load_weights(folder, PART)
    if config.llm is None:
        return load_part(folder, PART), ChatText.load(folder)
    _same_version(folder, config.llm)
    found = load_text_model(config.llm.name, config.trunk.window)
    model: SalmonnModel = config.build()
    model.read(found.lm)
    _learnt(model, own, folder)
    if model.bridge.spelling is not None:
        model.bridge.spelling.begin(found.lm.embed)  # type: ignore[arg-type]
    return model.eval(), found.text


def load_narrow(folder: Path) -> tuple[SalmonnModel, ChatText]:
    """As `load_model`, to be used and not to learn: a language model of the catalogue is in 8 bits, as it chats.

    The bridge, and the table that it spells with, are as they were learnt.
    """
    config, own = load_weights(folder, PART)
    if config.llm is None:
        return load_model(folder)
    _same_version(folder, config.llm)
    lm, text = load_chat_lm(config.llm.name)
    model = SalmonnModel(config, lm)
    _learnt(model, own, folder)
    if model.bridge.spelling is not None:
        model.bridge.spelling.begin(token_vectors(config.llm.name, len(model.bridge.spelling.table)))
    return model.eval(), text


def _same_version(folder: Path, llm: GrownFrom) -> None:
    if grown_from(llm.name) != llm:
        raise PartError(
            f"{folder} was learnt beside another version of {llm.name} than the one on this machine "
            f"({llm.sha256[:16]}); fetch that one: vivavoce models get {llm.name}"
        )


def _learnt(model: SalmonnModel, own: dict[str, Tensor], folder: Path) -> None:
    """Gives a model what was learnt."""
    state = model.state_dict()
    if foreign := sorted(name for name in own if name not in state or state[name].shape != own[name].shape):
        raise PartError(f"the weights in {folder} do not fit its configuration: {foreign[0]}; make them again")
    if missing := sorted(name for name in state if _own(name) and name not in own):
        raise PartError(f"the weights in {folder} lack {missing[0]}; make them again")
    model.load_state_dict(own, strict=False)


def _own(name: str) -> bool:
    """Whether a weight is the bridge's own."""
    return name.startswith("bridge.") and name != "bridge.spelling.table"


def load_salmonn(folder: Path, scale: float | None = None) -> Salmonn:
    """The model of a run, to be used; ``scale`` as in `Salmonn`. PartError when something of it is missing or
    damaged."""
    model, text = load_narrow(folder)
    second = None if model.config.bridge.second is None else load_part(folder / "second", "encoder")
    return Salmonn(model, text, load_part(folder / "first", "encoder"), second, scale=scale)


class SalmonnRecogniser(StretchRecogniser):
    """Writes down what is said, as `hub.whisper.Whisper` does; in English."""

    def __init__(self, folder: Path) -> None:
        """Reads no language model yet; PartError when the part is damaged, or what it stands on was not fetched."""
        self.config: SalmonnConfig = load_weights(folder, PART)[0]
        for name in stands_on(folder):
            place(find(name))
        super().__init__(folder)

    @cached_property
    def system(self) -> Salmonn:
        """The model, read when it is first needed."""
        return load_salmonn(self.folder)

    @property
    def longest(self) -> float:
        """Seconds of a stretch."""
        return self.system.model.config.seconds - 1

    def write(self, wave: Float32[np.ndarray, " N"]) -> str:
        """A stretch."""
        (written,) = self.system.transcripts([self.system.heard(sound(torch.from_numpy(wave), RATE))], most=_MOST)
        return written
