"""A tool's schema read as places, and arguments put together from what was found for them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from vivavoce.systems.mini.spots import EACH, Spot, SpotPath, name_words

NOTHING: Final = object()
"""Stands for a value that was not said."""
NONE_LISTED: Final = ("none", "no", "nothing", "false", "off")
_DEEPEST: Final = 8


class SchemaPlaces:
    """The places of a schema; ``wanted`` says of which arrays it is not enough that they are empty."""

    def __init__(self, root: Mapping[str, Any], wanted: Callable[[SpotPath], bool]) -> None:
        self.root, self._wanted = root, wanted
        self.spots = list(self._spots(root, (), (), True, 0))

    def resolved(self, schema: Any) -> Mapping[str, Any]:
        """A schema without references, and of alternatives the first that is not null, with what stands around it."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                return {}
            if "$ref" in schema:
                target: Any = self.root
                for key in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
                    target = target.get(key.replace("~1", "/").replace("~0", "~"), {}) if key else target
                schema = {**{key: inner for key, inner in schema.items() if key != "$ref"}, **target}
                continue
            keyword = next((key for key in ("anyOf", "oneOf", "allOf") if key in schema), None)
            if keyword is None:
                return schema
            around = {key: inner for key, inner in schema.items() if key != keyword}
            options = [option for option in schema[keyword] if isinstance(option, Mapping)]
            real = [
                option for option in options if option.get("type") != "null" and option.get("const", "") is not None
            ]
            null = {"nullable": True} if len(real) < len(options) else {}
            listed = [
                value for option in real for value in option.get("enum", [option["const"]] if "const" in option else [])
            ]
            if keyword != "allOf" and len(real) > 1 and all({"enum", "const"} & set(option) for option in real):
                schema = {**around, **null, "enum": listed}
            elif keyword == "allOf":
                merged: dict[str, Any] = dict(around)
                for option in options:
                    option = self.resolved(option)
                    both = {**merged.get("properties", {}), **option.get("properties", {})}
                    required = [*merged.get("required", ()), *option.get("required", ())]
                    merged |= {**option, **({"properties": both, "required": required} if both else {})}
                schema = merged
            else:
                schema = {**around, **null, **(real[0] if real else {"type": "null"})}
        return schema if isinstance(schema, Mapping) else {}

    def _spots(
        self, schema: Any, path: SpotPath, parents: tuple[str, ...], required: bool, depth: int
    ) -> Iterator[Spot]:
        schema = self.resolved(schema)
        kinds = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "string")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        nullable = "null" in kinds or schema.get("nullable") is True or None in schema.get("enum", ())
        kind = next((kind for kind in kinds if kind != "null"), "null")
        words = name_words(path[-1]) if path and path[-1] != EACH else ()
        if depth > _DEEPEST:
            return
        if kind == "object":
            own = parents if not path or path[-1] == EACH else (*parents, *words)
            for name, inner in dict(schema.get("properties", {})).items():
                inside = required and not nullable and name in schema.get("required", ())
                yield from self._spots(inner, (*path, str(name)), own, inside, depth + 1)
            return
        options = tuple(
            value for value in schema.get("enum", [schema["const"]] if "const" in schema else []) if value is not None
        )
        if kind == "array":
            items = self.resolved(schema.get("items", {}))
            if items.get("type") == "object" or "properties" in items:
                inside = required and not nullable
                yield from self._spots(items, (*path, EACH), (*parents, *words), inside, depth + 1)
                return
            options = tuple(items.get("enum", ()))
            if items.get("type", "string") != "string":
                return
            kind = "list"
        if kind in ("null", "object"):
            return
        if options and all(isinstance(option, str) for option in options) and kind != "list":
            kind = "string"
        about = f"{schema.get('description', '')} {schema.get('title', '')}"
        yield Spot(
            path=path, kind=kind, options=options, required=required, nullable=nullable, words=words, parents=parents,
            about=frozenset(name_words(about)),
        )  # fmt: skip

    def built(self, schema: Any, path: SpotPath, values: Sequence[Mapping[SpotPath, Any]], missing: list[Spot]) -> Any:
        """The value at a path, or `NOTHING`; the places for which something required was not said go to ``missing``."""
        resolved = self.resolved(schema)
        below = [spot for spot in self.spots if spot.path[: len(path)] == path]
        if path and path[-1] != EACH and any(spot.path == path for spot in below):
            return values[0].get(path, NOTHING)
        if resolved.get("type") == "array" or "items" in resolved:
            each = (*path, EACH)
            held = [entry for entry in values if any(place[: len(each)] == each for place in entry)]
            return [self.built(resolved.get("items", {}), each, [entry], missing) for entry in held] or NOTHING
        made: dict[str, Any] = {}
        for name, inner in dict(resolved.get("properties", {})).items():
            place = (*path, str(name))
            required = name in resolved.get("required", ())
            lacking: list[Spot] = []
            value = self.built(inner, place, values, lacking)
            if value is NOTHING and required:
                value = self._absent(inner, place, lacking)
            elif (
                value is not NOTHING
                and lacking
                and not required
                and not any(p[: len(place)] == place for v in values for p in v)
            ):
                value, lacking = NOTHING, []
            missing += lacking
            if value is not NOTHING:
                made[str(name)] = value
        if path and path[-1] != EACH and not made and not resolved.get("required"):
            return NOTHING
        return made

    def _absent(self, schema: Any, path: SpotPath, missing: list[Spot]) -> Any:
        """A required value for which nothing was said: null, a default or an empty list where the schema has them."""
        kinds = schema.get("type") if isinstance(schema, Mapping) else None
        resolved = self.resolved(schema)
        if resolved.get("nullable") is True or "null" in (kinds if isinstance(kinds, list) else [kinds]):
            return None
        if None in resolved.get("enum", ()):
            return None
        if "default" in resolved:
            return resolved["default"]
        if "const" in resolved or len(resolved.get("enum", ())) == 1:
            return resolved.get("const", resolved.get("enum", [None])[0])
        if resolved.get("type") == "array" and not resolved.get("minItems") and not self._wanted(path):
            return []
        if not missing:
            below = [spot for spot in self.spots if spot.path[: len(path)] == path]
            missing += below[:1] or [Spot(path=path, kind="string", words=name_words(path[-1]))]
        return NOTHING

    def least(self, schema: Any, value: Any) -> Any:
        """A value in which all that is required stands, as empty as the schema allows."""
        resolved = self.resolved(schema)
        if value is NOTHING or value is None:
            if resolved.get("enum"):
                empty = (o for o in resolved["enum"] if str(o).lower() in (*NONE_LISTED, "", "other", "unknown", "any"))
                return next(empty, resolved["enum"][0])
            kind = resolved.get("type", "object" if "properties" in resolved else "string")
            plain = {"string": "", "boolean": False, "array": [], "object": {}, "null": None}
            value = plain.get(kind, resolved.get("minimum", 0)) if isinstance(kind, str) else ""
        if isinstance(value, dict):
            inner = dict(resolved.get("properties", {}))
            names = [name for name in inner if name in value or name in resolved.get("required", ())]
            return {
                name: self.least(inner[name], value[name])
                if value.get(name) is not None
                else value.get(name, self.least(inner[name], NOTHING))
                for name in names
            }
        return value
