"""Characters for games, by name: how each sounds, and a line to hear it by."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Portrait:
    """A character's voice in words, which of the people whom they fit, and something that it would say."""

    description: str
    identity: int
    line: str


def _read() -> Mapping[str, Portrait]:
    lines = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return MappingProxyType({name: Portrait(words, int(identity), line) for name, words, identity, line in rows})


GALLERY: Mapping[str, Portrait] = _read()
