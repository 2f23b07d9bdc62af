"""Annotations are executed: what functions are given and give is checked, once for every kind of call.

jaxtyping with beartype takes milliseconds to prepare a function and from 50 microseconds on for each call, which was
half of the suite's time. Whether a call fits is decided by types, element types and shapes alone (by the values too,
where a `Literal` is among the annotations), so a call whose like has passed passes. What this does not describe, long
lists for example, is checked every time. A function is prepared when it is first called. To look at values costs more
than many a function does, so of a function whose last thousand calls were of known kinds, every sixteenth is looked at.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection
from functools import partial, wraps
from types import CodeType, FunctionType
from typing import Any

import jaxtyping
import numpy as np
from torch import Tensor

_FEW = 16
"""Items of a container; longer ones are no kind of their own."""
_SETTLED, _ONE_IN = 1000, 16
"""After so many calls without a new kind, one in so many is looked at."""
_KINDS = 500
"""Of one function; one that is told by its values may see a new kind with every call."""
_checking = jaxtyping.jaxtyped
Kind = Any
"""Hashable; equal for values that every annotation takes or refuses alike."""


def _decorated(fn: Any = None, *, typechecker: Any) -> Any:
    """Takes the place of ``jaxtyping.jaxtyped`` for functions and dataclasses."""
    if fn is None:
        return partial(_decorated, typechecker=typechecker)
    check = partial(_checked, typechecker=typechecker)
    if not inspect.isclass(fn):
        return remembering(fn, check)
    if dataclasses.is_dataclass(fn) and not hasattr(fn.__init__, "_remembers"):
        fn.__init__ = remembering(fn.__init__, check)
    return fn


def _checked(fn: Any, typechecker: Callable[[Any], Any]) -> Any:
    """The function that checks every call; what has no arrays among its annotations needs no sizes of axes."""
    annotations = getattr(fn, "__annotations__", {}).values()
    sized = any(isinstance(one, str) or "jaxtyping" in repr(one) or "ForwardRef" in repr(one) for one in annotations)
    return _checking(fn, typechecker=typechecker) if sized else typechecker(fn)


class _Seen:
    """The kinds of calls of a function that have passed, each with the kinds of what came out."""

    def __init__(self, fn: Any) -> None:
        annotations = getattr(fn, "__annotations__", {}).values()
        # what stands in quotes might be anything
        self.by_value = any(isinstance(one, str) or "Literal" in repr(one) for one in annotations)
        self.calls: dict[Kind, set[Kind]] = {}
        self.known = 0  # calls since the last one that was of a new kind


_SEEN: dict[tuple[str, str, CodeType], _Seen] = {}
"""By code, since a function inside another one is a new one each time; by name and module too, since the code that
builds dataclasses of the same fields is equal, whatever the types of the fields."""


def remembering(fn: Any, check: Callable[[Any], Any]) -> Any:
    """The function, checked by what ``check`` makes of it whenever a kind of call comes that has not passed yet."""
    checked: Any = None
    seen: _Seen | None = None

    @wraps(fn)
    def called(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked, seen
        if seen is None:
            place = fn.__module__, fn.__qualname__, fn.__code__
            seen = _SEEN.get(place) or _SEEN.setdefault(place, _Seen(fn))
        seen.known += 1
        if seen.known > _SETTLED and seen.known % _ONE_IN:
            return fn(*args, **kwargs)
        try:
            key = tuple([_kind(value, seen.by_value) for value in args])
            if kwargs:
                key = key, tuple([(name, _kind(value, seen.by_value)) for name, value in kwargs.items()])
        except (_Undescribed, RecursionError):  # too deep is of no kind either
            key = None
        results = None if key is None else seen.calls.get(key)
        if results is not None:
            made = fn(*args, **kwargs)
            kind = _result(made, seen.by_value)
            if kind is None or kind not in results:
                seen.known = 0
                _known_result(fn, made, check)(*args, **kwargs)
        else:
            seen.known = 0
            if checked is None:
                checked = check(fn)
            made = checked(*args, **kwargs)
            kind = _result(made, seen.by_value)
            if len(seen.calls) == _KINDS:
                seen.calls.clear()
            results = set() if key is None else seen.calls.setdefault(key, set())
        if kind is not None:
            results.add(kind)
        return made

    vars(called)["_remembers"] = True
    return called


def _known_result(fn: Any, made: Any, check: Callable[[Any], Any]) -> Any:
    """A function with the same annotations that gives what is already known."""

    def known(*args: Any, **kwargs: Any) -> Any:
        return made

    same = FunctionType(known.__code__, fn.__globals__, fn.__name__, None, known.__closure__)
    return check(wraps(fn)(same))


class _Undescribed(Exception):
    """A value of no kind."""


def _result(made: Any, by_value: bool) -> Kind | None:
    try:
        return _kind(made, by_value)
    except (_Undescribed, RecursionError):
        return None


def _kind(value: Any, by_value: bool) -> Kind:
    of = type(value)
    form = _FORMS.get(of)
    if form is None:
        form = _FORMS[of] = _form(of)
    return of if form is _by_type else form(value, by_value)


def _form(of: type) -> Callable[[Any, bool], Kind]:
    """How values of a type are described."""
    if issubclass(of, Tensor | np.ndarray):
        return lambda value, by_value: (of, value.dtype, value.shape)
    if issubclass(of, int | str | bytes):
        return lambda value, by_value: (of, value) if by_value else of
    if issubclass(of, tuple | list):
        return _items
    if issubclass(of, dict):
        return lambda value, by_value: _items([*value.items()], by_value, of)
    if issubclass(of, set | frozenset):
        return lambda value, by_value: (of, frozenset(_items([*value], by_value)))
    if issubclass(of, type):
        return lambda value, by_value: value
    return _undescribed if issubclass(of, Collection) else _by_type


def _by_type(value: Any, by_value: bool) -> Kind:
    return type(value)


def _undescribed(value: Any, by_value: bool) -> Kind:
    raise _Undescribed


def _items(value: Any, by_value: bool, of: Any = None) -> Kind:
    if len(value) > _FEW:
        raise _Undescribed
    return (of or type(value), *[_kind(item, by_value) for item in value])


_FORMS: dict[type, Callable[[Any, bool], Kind]] = {}
jaxtyping.jaxtyped = _decorated  # which the import hook puts before every function and class
