"""Configurations changed as somebody types it: ``steps=2000``, ``trunk.layers=4``, ``strides=2,4,8``, ``reader=true``.

What is typed is read as the kind of its field wants it, so that a bare word needs no quotes and a tuple no brackets;
JSON is read too. What does not fit is refused before anything is built.
"""

import dataclasses
import json
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from vivavoce.core.config import load, present_name
from vivavoce.core.errors import ConfigError

ConfigT = TypeVar("ConfigT")
_NAMES = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a word", "words"),
    bool: ("true or false", "of true and false"),
}


_Tree = dict[str, Any]
"""Names of fields with what was typed for them, or with a tree for what is in them."""


def edit(config: ConfigT, *changes: str) -> ConfigT:
    """A copy with values replaced, all at once: ``edit(config, "trunk.dim=128", "trunk.heads=4")``.

    Raises ConfigError for fields that are not there and for values of another kind.
    """
    tree: _Tree = {}
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"cannot read the change {change!r}; write it as path.to.field=value")
        *way, last = path.strip().split(".")
        place: Any = tree
        for name in way:
            place = place.setdefault(name, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or isinstance(place.get(last), dict):
            raise ConfigError(f"{path.strip()!r} is set as a whole and in parts; do one of them")
        place[last] = text.strip()
    return _edit(config, tree, "")


def _edit(config: Any, tree: _Tree, way: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else {}
    made: dict[str, Any] = {}
    for name, typed in tree.items():
        whole = f"{way}{name}"
        name = present_name(type(config), name)
        if name not in fields:
            raise ConfigError(f"no field {name!r} on the way to {whole!r}; there are {', '.join(fields) or 'none'}")
        old = getattr(config, name)
        if isinstance(typed, dict):
            made[name] = _edit(old, typed, f"{whole}.")
            continue
        kind = fields[name].type
        try:
            made[name] = _read(typed, kind)
        except ValueError as error:
            raise ConfigError(f"{whole} takes {_named(kind)}, as in {whole}={_typed(old)}; got {typed!r}") from error
    replace: Any = dataclasses.replace
    return replace(config, **made) if made else config


def _read(text: str, kind: Any) -> Any:
    """The value; ValueError when the text is none of that kind."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for option in sorted(inner, key=lambda option: option is not types.NoneType):  # "null" is a word as well
            try:
                return _read(text, option)
            except ValueError:
                continue
        raise ValueError(text)
    if origin is Literal:
        options = {str(option): option for option in inner}
        return options[text] if text in options else _none(text)
    if origin is tuple:
        pieces = _pieces(text)
        kinds = [inner[0]] * len(pieces) if inner[1:] == (...,) else inner
        return tuple(_read(piece, one) for piece, one in zip(pieces, kinds, strict=True))
    if kind is str:
        return json.loads(text) if text[:1] == text[-1:] == '"' and len(text) > 1 else text
    value = load(json.loads(text, parse_constant=_none))
    if kind is float and type(value) is int:
        return float(value)
    known = kind in _NAMES or kind is types.NoneType or dataclasses.is_dataclass(kind)
    return value if not known or type(value) is kind else _none(text)


def _none(text: str) -> Any:
    raise ValueError(text)


def _pieces(text: str) -> list[str]:
    """The items of a tuple: a JSON list, or what stands between commas, in brackets or not."""
    if text.startswith("["):
        return [json.dumps(item) for item in json.loads(text)]
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    pieces = [piece.strip() for piece in text.split(",")]
    return pieces[:-1] if pieces[-1] == "" else pieces


def _named(kind: Any) -> str:
    """What a field takes, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_named, inner))
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin is tuple and inner:
        many = _NAMES.get(inner[0], ("", "items"))[1] if len(set(inner) - {...}) == 1 else "items"
        return f"{many} with commas between" if inner[1:] == (...,) else f"{len(inner)} {many} with commas between"
    if kind is types.NoneType:
        return "null"
    return _NAMES[kind][0] if kind in _NAMES else f"a {getattr(kind, '__name__', kind)}"


def _typed(value: Any) -> str:
    """A value as it would be typed."""
    if isinstance(value, tuple) and not any(isinstance(item, tuple) for item in value):
        return ",".join(map(_typed, value)) or "[]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return str(value)
