"""``model.json``: what a model is made of: its system and parts, who hears, thinks and speaks, its character and page.

A folder of parts is a model of its own; a model may also take parts of another one (``"parts": "mini"``, or one by one)
and other people's models by name (``"ears": "whisper-base"``). A folder without the file is of the system ``mini``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import PartError
from vivavoce.core.parts import check_part
from vivavoce.core.places import WEIGHTS, bundled_or_path
from vivavoce.data.sheet import Sheet, find_sheet, load_sheet

FILE: Final = "model.json"
SYSTEMS: Final[Mapping[str, tuple[str, ...]]] = {"mini": ("listener", "words", "mind", "speaker", "codec")}
"""The parts of each system."""
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """What a model's file says; ``folder`` is where it lies.

    ``ears``, ``mind`` and ``speaker`` are ``mini`` for the system's own parts, or whatever ``--ears``, ``--mind`` and
    ``--speaker`` take.
    """

    folder: Path
    name: str
    system: str = "mini"
    parts: Mapping[str, str] = field(default_factory=dict)
    """Where parts lie that are not in the folder: a bundled model's name, or a folder as seen from this one."""
    ears: str = "mini"
    mind: str = "mini"
    speaker: str = "mini"
    character: str = "innkeeper"
    """A name, or the path of a sheet as seen from the folder."""
    tools: tuple[Mapping[str, Any], ...] | None = None
    """Functions to declare, each with name, description and parameters; those of the character where left out."""
    voice: str = ""
    """How it sounds, in words; as the character where empty."""
    page: str = ""
    """The character whose page is shown; its own where empty."""

    def at(self, part: str) -> Path:
        """The folder of a part."""
        where = self.parts.get(part, "")
        return find_folder(where, self.folder) if where else self.folder

    @property
    def sheet(self) -> Sheet:
        """The character. Raises ManifestError when there is none, or a fault in its sheet."""
        return load_sheet(find_sheet(self.character, self.folder))

    def check(self) -> None:
        """Raises PartError when a part is missing or damaged."""
        for part in SYSTEMS[self.system]:
            check_part(self.at(part), part)

    def write(self) -> Path:
        """Writes the file into the folder and gives its path."""
        said = {"format": _FORMAT, **asdict(self)}
        del said["folder"]
        optional = {"parts": {}, "tools": None, "voice": "", "page": ""}
        said = {key: value for key, value in said.items() if key not in optional or value != optional[key]}
        with atomic_write(self.folder / FILE) as path:
            path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
        return self.folder / FILE


def find_folder(model: str | Path, beside: Path | None = None) -> Path:
    """The folder of a model: the name of a bundled one, or a path (perhaps as seen from ``beside``)."""
    named = bundled_or_path(model)
    for path in (*([beside / model] if beside and named == Path(model) else []), named):
        if path.is_dir():
            return path
    names = ", ".join(sorted(path.name for path in WEIGHTS.iterdir() if path.is_dir()))
    raise PartError(f"there is no model in {model}; give a folder with parts, or a bundled model: {names}")


def read_model(model: str | Path) -> ModelFile:
    """What a bundled model's name, or a folder, stands for. Raises PartError that says what is wrong with the file."""
    folder = find_folder(model)
    path = folder / FILE
    if not path.exists():
        return ModelFile(folder=folder, name=folder.name)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PartError(f"{path} cannot be read ({error}); export the model again") from error
    if not isinstance(said, dict) or said.pop("format", None) != _FORMAT:
        raise PartError(f"{path} is no description of a model of format {_FORMAT}; export the model again")
    return _checked(said, path)


def _checked(said: dict[str, Any], path: Path) -> ModelFile:
    known = {name for name in ModelFile.__dataclass_fields__ if name != "folder"}
    if strange := sorted(said.keys() - known):
        raise PartError(f"{path} says {strange[0]!r}, which is unknown; a model has {', '.join(sorted(known))}")
    system = said.get("system", "mini")
    if system not in SYSTEMS:
        raise PartError(f"{path} names the system {system!r}; there is {', '.join(SYSTEMS)}")
    parts = said.get("parts", {})
    if isinstance(parts, str):
        parts = dict.fromkeys(SYSTEMS[system], parts)
    if not isinstance(parts, dict) or not all(isinstance(where, str) for where in parts.values()):
        raise PartError(f"the parts of {path} are a model's name, or for each part the folder where it lies")
    if strange := sorted(parts.keys() - set(SYSTEMS[system])):
        raise PartError(f"{path} names the part {strange[0]!r}; {system} has {', '.join(SYSTEMS[system])}")
    tools = said.pop("tools", None)
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, dict) and isinstance(tool.get("name"), str) for tool in tools)
    ):
        raise PartError(f"the tools of {path} are a list of functions, each with name, description and parameters")
    for key, value in said.items():
        if key != "parts" and not isinstance(value, str):
            raise PartError(f"{path} has {key} = {value!r}; write a text")
    made = ModelFile(folder=path.parent, **{"name": path.parent.name, **said, "parts": parts})
    return made if tools is None else replace(made, tools=tuple(tools))
