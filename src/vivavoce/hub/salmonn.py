"""A language model with ears from a folder: the part ``salmonn``, its chat text, and its encoders below."""

from pathlib import Path

from vivavoce.core.parts import load_part
from vivavoce.hub.chat_text import ChatText
from vivavoce.systems.salmonn import Salmonn

PART = "salmonn"


def is_salmonn(choice: str | Path) -> bool:
    """Whether a choice is such a folder."""
    return bool(str(choice)) and (Path(choice) / f"{PART}.json").is_file()


def load_salmonn(folder: Path, scale: float | None = None) -> Salmonn:
    """The model of a run; ``scale`` as in `Salmonn`. PartError when something of it is missing or damaged."""
    model = load_part(folder, PART)
    second = None if model.config.bridge.second is None else load_part(folder / "second", "encoder")
    return Salmonn(model, ChatText.load(folder), load_part(folder / "first", "encoder"), second, scale=scale)
