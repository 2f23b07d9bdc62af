"""Sentence templates: ``(this|that|)`` picks one, ``{name}`` is filled in."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

import numpy as np

from vivavoce.core.errors import ManifestError

_CHOICE: Final = re.compile(r"\(([^()]*)\)")
_NAME: Final = re.compile(r"\{(\w+)\}")


def check(template: str) -> None:
    """Raises ManifestError for brackets that do not close."""
    depth = 0
    for char in template:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            break
    if depth or template.count("{") != template.count("}"):
        raise ManifestError(f"the template {template!r} has a bracket too many or too few; close each ( and {{")


def every(template: str) -> list[str]:
    """All sentences of a template without names, in its order: "(may|june) (first|second)" are four."""
    return list(dict.fromkeys(_every(template)))


def _every(template: str) -> Iterator[str]:
    parts = [part.split("|") if place % 2 else [part] for place, part in enumerate(_CHOICE.split(template))]
    for chosen in product(*parts):
        text = " ".join("".join(chosen).split())
        yield from (_every(text) if _CHOICE.search(text) else [text])


def pick(options: list[str], draw: np.random.Generator) -> str:
    """One of several strings."""
    return options[int(draw.integers(len(options)))]


def fill(template: str, values: Mapping[str, str], draw: np.random.Generator) -> str:
    """One sentence of a template; ``{Name}`` is ``{name}`` with a capital first letter.

    Raises ManifestError for a name that has no value.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in values:
            return values[name]
        if name[0].isupper() and name[0].lower() + name[1:] in values:
            filled = values[name[0].lower() + name[1:]]
            return filled[:1].upper() + filled[1:]
        raise ManifestError(f"the template {template!r} asks for {{{name}}}; it can use {', '.join(sorted(values))}")

    text = template
    while (chosen := _CHOICE.sub(lambda found: pick(found[1].split("|"), draw), text)) != text:
        text = chosen
    return re.sub(r"\s+([,.?!:])", r"\1", " ".join(_NAME.sub(value, text).split()))
