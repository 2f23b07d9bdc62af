"""Keywords of JSON schemas, and schemas put together of others: ``allOf``, ``anyOf``, ``oneOf``."""

from collections.abc import Mapping, Sequence
from typing import Any

from vivavoce.core.errors import ToolError
from vivavoce.text.json_text import written

TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
_ENFORCED = """
    type enum const properties required additionalProperties items prefixItems minItems maxItems uniqueItems
    minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum anyOf oneOf allOf $ref
    minProperties maxProperties propertyNames patternProperties
"""
KNOWN = frozenset(_ENFORCED.split())
_CONSTRAINING = """
    not if then else dependencies dependentRequired dependentSchemas contains minContains maxContains multipleOf
    unevaluatedItems $dynamicRef $recursiveRef
"""
CANNOT = frozenset(_CONSTRAINING.split())
"""Keywords of the standard that narrow what is valid and that a grammar of ours does not know."""


def options_of(schema: Mapping[str, Any], keyword: str) -> list[dict[str, Any]]:
    """The schemas of which one has to hold, each with what stands around ``keyword``; a single one for ``allOf``.

    Raises ToolError where they contradict each other, and for ``oneOf`` where more than one could hold.
    """
    rest = {key: value for key, value in schema.items() if key != keyword}
    merged: list[dict[str, Any]] = []
    for option in schema[keyword]:
        option = {} if option is True else option
        if not isinstance(option, Mapping):
            raise ToolError(f"{keyword} holds {option!r} instead of a schema")
        both = [key for key in set(rest) & set(option) & KNOWN if rest[key] != option[key]]
        if both:
            raise ToolError(f"{both[0]!r} stands beside {keyword} and within it; write it in one place")
        merged.append({**rest, **option})
    if keyword == "allOf":
        if len(merged) == 1:
            return merged
        whole: dict[str, Any] = {}
        for option in merged:
            for key, value in option.items():
                if key in ("properties",):
                    value = {**whole.get(key, {}), **value}
                elif key == "required":
                    value = [*whole.get(key, []), *value]
                elif key in whole and whole[key] != value and key in KNOWN:
                    raise ToolError(f"two parts of allOf both say {key!r}; write it in one place")
                whole[key] = value
        return [whole]
    if keyword == "oneOf" and not exclusive(merged):
        raise ToolError("the options of oneOf may overlap; give them different types or constants, or use anyOf")
    return merged


def exclusive(options: Sequence[Mapping[str, Any]]) -> bool:
    """Whether at most one of these schemas can hold, as far as types and constants tell."""

    def values(option: Mapping[str, Any]) -> list[bytes] | None:
        if "const" in option:
            return [written(option["const"])]
        return [written(value) for value in option["enum"]] if "enum" in option else None

    def two(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
        listed = values(a), values(b)
        if listed[0] is not None and listed[1] is not None:
            return not set(listed[0]) & set(listed[1])
        kinds = [{x} if isinstance(x, str) else set(x or TYPES) for x in (a.get("type"), b.get("type"))]
        if {"number", "integer"} & kinds[0] and {"number", "integer"} & kinds[1]:
            return False
        if not kinds[0] & kinds[1]:
            return True
        fields = [option.get("properties", {}) for option in (a, b)]
        shared = [n for n in fields[0] if n in fields[1] and n in a.get("required", ()) and n in b.get("required", ())]
        return any(
            two(fields[0][name], fields[1][name])
            for name in shared
            if "const" in fields[0][name] or "enum" in fields[0][name]
        )

    return all(two(a, b) for place, a in enumerate(options) for b in options[place + 1 :])
