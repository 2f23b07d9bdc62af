"""Configurations are frozen dataclasses of plain values; this file turns them into JSON trees and back.

A dumped configuration carries the address of its class and is *resolved*: every field is there. Loading accepts only
frozen dataclasses defined in vivavoce itself, so that a file can never run code.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Protocol, runtime_checkable

from vivavoce.core.errors import ConfigError

_ROOT = "vivavoce."
_CLASS = "class"


@runtime_checkable
class Migrating(Protocol):
    """A configuration that can still be read in the form it had earlier."""

    @staticmethod
    def of_earlier(fields: Mapping[str, Any]) -> Any:
        """Its present form; ``fields`` are those of a file that have not all the present names."""
        ...


@runtime_checkable
class Renamed(Protocol):
    """A configuration some of whose fields had other names, by which files and ``--set`` may still call them."""

    earlier_names: ClassVar[tuple[tuple[str, str], ...]]
    """Pairs of what a field was called and what it is called now."""


def present_name(kind: type, name: str) -> str:
    """What a field that had this name, or has it, is called now."""
    return dict(kind.earlier_names).get(name, name) if isinstance(kind, Renamed) else name


def dump(config: object) -> Any:
    """A configuration (or a tuple of them, or a plain value) as a tree that JSON can hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        kind = type(config)
        fields = {f.name: dump(getattr(config, f.name)) for f in dataclasses.fields(config)}
        return {_CLASS: f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(config, Fraction):
        return {"fraction": [config.numerator, config.denominator]}
    if isinstance(config, tuple | list):
        return [dump(item) for item in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    raise ConfigError(
        f"a configuration holds {type(config).__name__}; numbers, strings, tuples and configs are allowed"
    )


def _class(address: str) -> type:
    module, _, name = address.partition(":")
    if not module.startswith(_ROOT):
        raise ConfigError(f"the configuration names {address!r}; only classes of vivavoce can be loaded")
    try:
        kind: Any = importlib.import_module(module)
        for piece in name.split("."):
            kind = getattr(kind, piece)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the configuration names {address!r}, which does not exist in this version") from error
    parameters = getattr(kind, "__dataclass_params__", None)
    if not isinstance(kind, type) or parameters is None or not parameters.frozen:
        raise ConfigError(f"{address!r} is not a frozen dataclass and cannot be loaded")
    return kind


def load(data: Any) -> Any:
    """The inverse of `dump`.

    Raises ConfigError for foreign classes, unknown fields and missing ones.
    """
    if isinstance(data, dict) and _CLASS in data:
        kind = _class(str(data[_CLASS]))
        given = {present_name(kind, key): load(value) for key, value in data.items() if key != _CLASS}
        known = {f.name for f in dataclasses.fields(kind)}
        if foreign := sorted(set(given) - known):
            if isinstance(kind, Migrating):
                return _migrated(kind, given)
            raise ConfigError(f"{kind.__name__} has no field {foreign[0]!r}; it has {', '.join(sorted(known))}")
        try:
            return kind(**given)
        except TypeError as error:
            raise ConfigError(f"{kind.__name__} cannot be built from the file: {error}") from error
    if isinstance(data, dict) and set(data) == {"fraction"}:
        return Fraction(*data["fraction"])
    if isinstance(data, dict):
        raise ConfigError(f"expected a configuration with a {_CLASS!r} entry, got the keys {sorted(data)}")
    if isinstance(data, list):
        return tuple(load(item) for item in data)
    return data


def _migrated(kind: Migrating, given: Mapping[str, Any]) -> Any:
    try:
        return kind.of_earlier(given)
    except TypeError as error:
        raise ConfigError(f"the configuration is neither of this version nor of an earlier one: {error}") from error
