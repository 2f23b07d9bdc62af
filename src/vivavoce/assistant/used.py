"""Whose models are in use, in the words of those who published them."""

import json
import urllib.parse
from pathlib import Path
from typing import Final, Literal

from vivavoce.assistant.described import ModelFile
from vivavoce.assistant.remote import is_address
from vivavoce.runtime.model import Used

Role = Literal["ears", "mind", "speaker"]
_OURS: Final = "Apache-2.0"


def used_by(model: ModelFile) -> tuple[Used, ...]:
    """Who hears, thinks and speaks for a model."""
    return (
        used_of("ears", model.ears, model.parts.get("listener", model.name)),
        used_of("mind", model.mind, model.parts.get("mind", model.name)),
        used_of("speaker", model.speaker, model.parts.get("speaker", model.name)),
    )


def used_of(role: Role, choice: str | Path, own: str) -> Used:
    """Who takes a role: what was chosen for it, or else the parts of the model named ``own``."""
    name = str(choice)
    if name in ("", "mini"):
        return Used(role=role, name=f"vivavoce {own}", licence=_OURS, credit="the vivavoce project", own=True)
    if is_address(name):
        place = urllib.parse.urlsplit(name)
        model = place.fragment or "a model"
        return Used(role=role, name=f"{model} at {place.hostname}", credit="under the terms of whoever runs it")
    from vivavoce.hub.catalogue import find
    from vivavoce.hub.fetch import DESCRIPTION, folder_of
    from vivavoce.hub.salmonn import below, is_salmonn

    if is_salmonn(name):
        under = [find(one) for one in below([name])]
        return Used(
            role=role,
            name=Path(name).name + (f" over {' and '.join(one.name for one in under)}" if under else ""),
            licence=", ".join(dict.fromkeys([_OURS, *(one.licence for one in under)])),
            credit="; ".join(one.credit for one in under),
        )
    for folder in (Path(choice), folder_of(name)):
        try:
            said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            return Used(role=role, name=str(said["name"]), licence=str(said["licence"]), credit=str(said["credit"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return Used(role=role, name=Path(name).name)
