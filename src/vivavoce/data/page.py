"""What the web page has from a character: texts (page.yaml), colours (look.css) and signs (sign.svg, icon.svg).

All of it is optional: a character without a page is shown on a plain one, by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from vivavoce.core.errors import ManifestError
from vivavoce.data.sheet import Sheet

STATES: Final[Mapping[str, str]] = {
    "opening": "Connecting …",
    "open": "Listening",
    "quiet": "Reading along",
    "waiting": "The line broke; trying again …",
    "closed": "Not connected",
    "refused": "It cannot be reached",
}
_FILE: Final = "page.yaml"
_PLAIN: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3" fill="#3b4a8c"/></svg>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Texts and signs of the page; ``labels`` name arguments of the tool where their own names would not do."""

    name: str
    title: str = "somebody to talk to"
    motto: str = "Ask aloud; it answers aloud."
    states: Mapping[str, str] = field(default_factory=lambda: dict(STATES))
    """What it says of the connection, by `STATES`."""
    invitation: str = "Say something."
    text: str = "Press Talk and speak. Talk over the answer whenever you want; it stops and remembers what you heard."
    ideas: tuple[str, ...] = ("Hello, what can you do?", "What did you just say?")
    slips: str = "Calls"
    nothing: str = "Nothing called yet."
    labels: Mapping[str, str] = field(default_factory=dict)
    voice: str = "The voice"
    lane: str = "the answer"
    sign: str = _PLAIN
    icon: str = _PLAIN
    look: str = ""


GENERAL: Final = Page(
    name="Assistant",
    title="talk about anything",
    invitation="Talk about anything.",
    ideas=(
        "What is the capital of France?",
        "Why is the sky blue?",
        "Give me an idea for a simple dinner.",
        "What did you just say?",
    ),
)
"""The page of an assistant for everything."""


def load_page(sheet: Sheet, folder: Path) -> Page:
    """The page in a character's folder. Raises ManifestError that names the file and what is wrong in it."""
    name = sheet.name[:1].upper() + sheet.name[1:]
    said: dict[str, Any] = {"name": name, "motto": f"The {sheet.name} answers aloud."} | _said(folder / _FILE)
    files = {"sign": "sign.svg", "icon": "icon.svg", "look": "look.css"}
    there = {key: folder / file for key, file in files.items() if (folder / file).exists()}
    said |= {key: path.read_text(encoding="utf-8") for key, path in there.items()}
    return Page(**said)


def _said(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ManifestError(f"the page {path} cannot be read: {' '.join(str(error).split())}") from error
    known = [name for name in Page.__dataclass_fields__ if name not in ("sign", "icon", "look")]
    if not isinstance(data, dict):
        raise ManifestError(f"the page {path} says nothing; a page has {', '.join(known)}")
    if strange := sorted(map(str, data.keys() - set(known))):
        raise ManifestError(f"the page {path} says {strange[0]!r}, which is unknown; a page has {', '.join(known)}")
    for key, value in data.items():
        wanted = {"ideas": list, "labels": dict, "states": dict}.get(key, str)
        texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        if not isinstance(value, wanted) or not all(isinstance(text, str) for text in texts):
            raise ManifestError(f"the page {path} has {key} = {value!r}; write text, in quotes if need be")
    if strange := sorted(data.get("states", {}).keys() - STATES.keys()):
        raise ManifestError(f"the page {path} has words for {strange[0]!r}; its states are {', '.join(STATES)}")
    data["states"] = {**STATES, **data.get("states", {})}
    return data | {"ideas": tuple(data["ideas"])} if "ideas" in data else data
