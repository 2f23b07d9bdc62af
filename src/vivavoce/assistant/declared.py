"""Which tools a request names: words that it shares with what they are declared by.

Small models know how a call is written better than whom to call; that "volume" is in the request and in one tool's
name is evidence beside what they think.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vivavoce.core.talk import Tool
from vivavoce.text.named_numbers import named_numbers
from vivavoce.text.normalise import normalise
from vivavoce.text.pronounce import sounds_like
from vivavoce.text.written import STARTERS

_WORDS = re.compile(r"[^\W\d_]{3,}")
_PLAIN = re.compile(r"[a-z]{3,}")
_ENDINGS = frozenset(("", "s", "es", "d", "ed", "r", "er", "ing", "ping", "ting", "ning"))
_NUMBER = "#"
"""Stands for any number, and in a tool for an argument that is one."""


def shared(said: str, tools: Sequence[Tool]) -> list[float]:
    """For each tool how many words of a request it is declared by; a word that several tools have counts less.

    A request counts as written and as read: who hears "forty percent" may write "40%". A word that no tool is declared
    by counts where it sounds like one of the values that a tool lists.
    """
    read = " ".join(normalise(said)) if any(sign.isalnum() for sign in said) else ""
    words = _content(said) | _content(read) | ({_NUMBER} if named_numbers(said) else set())
    declared = [_declared(tool) for tool in tools]
    found = [[any(_akin(word, other) for other in own) for own in declared] for word in words]
    values = [{word for value in _values(tool.parameters) for word in _PLAIN.findall(value.lower())} for tool in tools]
    found += [
        [any(sounds_like([value], [word]) for value in own) for own in values]
        for word, hits in zip(words, found, strict=True)
        if not any(hits) and _PLAIN.fullmatch(word)
    ]
    return [sum((hits[place] / sum(hits) for hits in found if any(hits)), 0.0) for place in range(len(tools))]


def _content(text: str) -> set[str]:
    return set(_WORDS.findall(text.lower())) - STARTERS


def _declared(tool: Tool) -> set[str]:
    return _content(" ".join((tool.name, tool.description, *_texts(tool.parameters)))) | _numbers(tool.parameters)


def _values(schema: Any) -> Iterator[str]:
    """The strings that properties list."""
    for inner in _properties(schema).values() if isinstance(schema, Mapping) else ():
        yield from _values(inner)
        if isinstance(inner, Mapping):
            yield from (value for value in _listed(inner, "enum") if isinstance(value, str))


def _texts(schema: Any) -> Iterator[str]:
    """Names, descriptions and listed values of a schema."""
    if isinstance(schema, Mapping):
        yield str(schema.get("description", ""))
        for name, inner in _properties(schema).items():
            yield name
            yield from _texts(inner)
        for value in (*_listed(schema, "enum"), schema.get("const", "")):
            yield str(value)
        for keyword in ("items", "anyOf", "oneOf", "allOf"):
            for inner in _listed(schema, keyword) if keyword != "items" else (schema.get(keyword),):
                yield from _texts(inner)


def _numbers(schema: Any) -> set[str]:
    """Whether a number is among the arguments."""
    if not isinstance(schema, Mapping):
        return set()
    numeric = any(
        isinstance(inner, Mapping) and inner.get("type") in ("integer", "number")
        for inner in _properties(schema).values()
    )
    return {_NUMBER} if numeric else set()


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _listed(schema: Mapping[str, Any], keyword: str) -> Sequence[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else ()


def _akin(one: str, other: str) -> bool:
    """Whether two words are the same but for an ending."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long[len(short) :] in _ENDINGS
