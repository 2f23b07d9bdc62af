"""Folders with a model that hears and speaks at the same time (`systems.moshi`), and what it can be used for."""

from pathlib import Path

import torch

from vivavoce.core.errors import ConfigError
from vivavoce.core.parts import load_part
from vivavoce.systems.moshi import Moshi


def is_duplex(choice: str | Path) -> bool:
    """Whether a choice is a folder with a duplex model."""
    return bool(str(choice)) and (Path(choice) / "moshi.json").exists()


def load_duplex(folder: Path, threads: int = 1) -> Moshi:
    """From the parts ``moshi`` and ``codec`` of a run; PartError when one is missing. ``threads`` as in `load`."""
    if threads:
        torch.set_num_threads(threads)
    return Moshi(load_part(folder, "moshi"), load_part(folder, "codec"))


def refuse_duplex(choice: str | Path) -> None:
    """Raises ConfigError for a duplex model where turns are taken, with what it is for."""
    if is_duplex(choice):
        raise ConfigError(
            f"the model in {choice} hears and speaks at once and takes no turns; serve it, "
            f"and connect to /v1/live: vivavoce serve --model {choice}"
        )
