"""Models that are known by name: what they are for, who publishes them, their licence, and every file's digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from vivavoce.core.errors import PartError
from vivavoce.hub.sources import Address, Source, source_of

Kind = Literal["ears", "mind", "speaker", "codec", "encoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """One file: its name in the model's folder, its size and digest, and where its publisher has it."""

    name: str
    bytes: int
    sha256: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model of the catalogue. ``family`` says how it is loaded, ``revision`` which state of the repository it is."""

    name: str
    kind: Kind
    family: str
    title: str
    repository: str
    revision: str
    licence: str
    credit: str
    files: tuple[KnownFile, ...]

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.bytes for file in self.files)


@cache
def catalogue() -> tuple[KnownModel, ...]:
    """All models that can be fetched by name."""
    text = resources.files("vivavoce.hub").joinpath("catalogue.json").read_text(encoding="utf-8")
    return tuple(_model(entry) for entry in json.loads(text))


def find(name: str) -> KnownModel:
    """The model of a name; PartError names those that are known."""
    for model in catalogue():
        if model.name == name:
            return model
    known = ", ".join(model.name for model in catalogue())
    raise PartError(f"there is no model {name!r} in the catalogue; known are {known}, or give hf:OWNER/NAME")


def licence_text(licence: str) -> str:
    """The text of a licence by its SPDX name; for one that the catalogue does not have, where to look."""
    text = resources.files("vivavoce.hub").joinpath("licences", f"{licence}.txt")
    if not text.is_file():
        return f"Licence: {licence}. Its publisher's page, named above, says what it allows.\n"
    return text.read_text(encoding="utf-8")


def _model(entry: Mapping[str, Any]) -> KnownModel:
    base = f"https://huggingface.co/{entry['repository']}/resolve/{entry['revision']}"
    files = tuple(
        KnownFile(
            name=file["name"],
            bytes=file["bytes"],
            sha256=file["sha256"],
            source=source_of(file["source"]) if "source" in file else Address(f"{base}/{file['name']}"),
        )
        for file in entry["files"]
    )
    return KnownModel(**{**entry, "files": files})
