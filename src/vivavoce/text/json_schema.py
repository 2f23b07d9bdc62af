"""A JSON schema as a grammar, so that what a model writes under it is always valid.

One spelling per value: properties in the schema's order, ``", "`` and ``": "`` between things. Properties that the
schema does not name are never written. Annotations and whatever else constrains nothing (``title``, ``format``,
``x-order`` …) are ignored as the standard says; keywords that would have to be enforced and cannot be are refused when
the tool is declared.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from vivavoce.core.errors import ToolError
from vivavoce.text.grammar import Alt, FreeText, Lit, Node, Place, Ref, Rep, Seq, alt, seq, shortest, start
from vivavoce.text.json_text import written
from vivavoce.text.number_grammar import FAR, number_grammar
from vivavoce.text.pattern import ANY, pattern_grammar
from vivavoce.text.schema_options import CANNOT, KNOWN, TYPES, options_of

_ITEMS = 16
_MAX_NESTING = 64


def schema_grammar(schema: Any) -> Node:
    """The grammar of all JSON texts that the schema accepts (in our spelling).

    Raises ToolError for keywords that cannot be enforced and for schemas that nothing satisfies.
    """
    root = {} if schema is True else schema
    if not isinstance(root, Mapping):
        raise ToolError(f"a JSON schema is an object, got {type(schema).__name__}")
    node = _Maker(root).value(root)
    if shortest(node) >= FAR:
        raise ToolError("no finite value satisfies the tool's schema; check its enums, limits and references")
    return node


def arguments_place(parameters: Mapping[str, Any]) -> Place:
    """Where the arguments of a tool begin; an empty schema is a tool without arguments."""
    schema = dict(parameters) if parameters else {}
    schema.setdefault("type", "object")
    if schema["type"] != "object":
        raise ToolError(f"a tool's parameters are a schema of an object, got type {schema['type']!r}")
    return start(schema_grammar(schema))


class _Maker:
    """Builds grammars for one root schema."""

    def __init__(self, root: Mapping[str, Any]):
        self.root = root
        self.refs: dict[str, Ref] = {}
        self.made: dict[str, Node] = {}
        self.depth = 0

    def value(self, schema: Any) -> Node:
        """Any schema."""
        self.depth += 1
        try:
            if self.depth > _MAX_NESTING:
                raise ToolError(f"the tool's schema is nested more than {_MAX_NESTING} deep; make it flatter")
            return self._value(schema)
        finally:
            self.depth -= 1

    def _value(self, schema: Any) -> Node:
        if schema is True:
            schema = {}
        if schema is False:
            return Alt(())
        if not isinstance(schema, Mapping):
            raise ToolError(f"a JSON schema is an object or a boolean, got {schema!r}")
        if foreign := sorted(set(map(str, schema)) & CANNOT):
            raise ToolError(
                f"the schema keyword {foreign[0]!r} cannot be enforced; leave it out or use {sorted(KNOWN)}"
            )
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        for keyword in ("allOf", "anyOf", "oneOf"):
            if keyword in schema:
                return self._combined(schema, keyword)
        if "const" in schema or "enum" in schema:
            return self._listed(schema)
        kinds = schema.get("type")
        if kinds is None:
            kinds = self._guess(schema)
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if schema.get("nullable") is True and "null" not in kinds:
            kinds.append("null")
        for kind in kinds:
            if kind not in TYPES:
                raise ToolError(f"the schema type {kind!r} does not exist; there are {', '.join(TYPES)}")
        return alt(*(self._typed(kind, schema) for kind in kinds))

    @staticmethod
    def _guess(schema: Mapping[str, Any]) -> tuple[str, ...]:
        if {"properties", "required", "minProperties", "propertyNames", "patternProperties"} & set(schema):
            return ("object",)
        if {"items", "prefixItems", "minItems"} & set(schema):
            return ("array",)
        return ("string", "number", "boolean", "null")

    def _reference(self, address: str) -> Node:
        if address not in self.refs:
            target: Any = self.root
            for key in address.removeprefix("#").strip("/").split("/"):
                key = key.replace("~1", "/").replace("~0", "~")
                if address != "#" and (
                    not address.startswith("#/") or not isinstance(target, Mapping) or key not in target
                ):
                    raise ToolError(f"the schema refers to {address!r}, which is not in it")
                target = target[key] if key else target
            self.refs[address] = Ref(partial(self._resolved, address, target))
            self._check_once(address, target)
        return self.refs[address]

    def _check_once(self, address: str, target: Any) -> None:
        if address not in self.made:
            self.made[address] = Alt(())  # while it is being made; a reference to itself goes through the Ref
            self.made[address] = self.value(target)

    def _resolved(self, address: str, target: Any) -> Node:
        return self.made[address]

    def _combined(self, schema: Mapping[str, Any], keyword: str) -> Node:
        options = options_of(schema, keyword)
        return self.value(options[0]) if keyword == "allOf" else alt(*(self.value(option) for option in options))

    def _listed(self, schema: Mapping[str, Any]) -> Node:
        values = [schema["const"]] if "const" in schema else list(schema["enum"])
        if "const" in schema and "enum" in schema and schema["const"] not in schema["enum"]:
            values = []
        rest = {key: value for key, value in schema.items() if key not in ("const", "enum")}
        if set(rest) & KNOWN:
            place = start(self.value(rest))
            kinds = rest.get("type")
            # A listed string of type string is the usual case; others are held against the rest of the schema.
            simple = kinds == "string" and not {"pattern", "minLength", "maxLength"} & set(rest)
            values = [v for v in values if (isinstance(v, str) if simple else place.accepts(written(v)))]
        return Alt(tuple(Lit(written(value)) for value in values))

    def _typed(self, kind: str, schema: Mapping[str, Any]) -> Node:
        match kind:
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return number_grammar(schema, whole=kind == "integer")
            case "boolean":
                return Alt((Lit(b"true"), Lit(b"false")))
            case "null":
                return Lit(b"null")
            case "array":
                return self._array(schema)
            case _:
                return self._object(schema)

    @staticmethod
    def _string(schema: Mapping[str, Any]) -> Node:
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        if "pattern" in schema:
            if least or most is not None:
                raise ToolError("'pattern' together with a length cannot be enforced; put the length into the pattern")
            try:
                inner = pattern_grammar(str(schema["pattern"]))
            except ToolError:
                if "format" not in schema:
                    raise
                inner = Rep(ANY)  # the pattern only spells the format out, and a format is an annotation
        else:
            inner = Rep(ANY, least, None if most is None else int(most))
        closed = seq(inner, Lit(b'"'))
        return seq(Lit(b'"'), closed if _of_pieces(inner) else FreeText(closed))

    def _array(self, schema: Mapping[str, Any]) -> Node:
        first = [self.value(item) for item in schema.get("prefixItems", ())]
        rest = schema.get("items", True)
        least, most = (
            int(schema.get("minItems", 0)),
            int(schema.get("maxItems", max(_ITEMS, int(schema.get("minItems", 0))))),
        )
        if schema.get("uniqueItems"):
            if least > 1:
                raise ToolError("'uniqueItems' with more than one item cannot be enforced; leave one of them out")
            most = min(most, 1)
        if rest is False:
            most = min(most, len(first))
        item = None if rest is False else self.value(rest)

        def tail(done: int) -> Node:
            options: list[Node] = []
            if done >= least:
                options.append(Lit(b"]"))
            if done < most:
                now = first[done] if done < len(first) else item
                if now is not None:
                    options.append(seq(Lit(b", " if done else b""), now, Ref(partial(tail, done + 1))))
            return alt(*options) if options else Alt(())

        return seq(Lit(b"["), tail(0))

    @staticmethod
    def _check_patterns(patterns: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
        """Says no where they constrain a property that is written; all others are names that never are."""
        for pattern in patterns:
            try:
                found = next(filter(re.compile(pattern).search, properties), None)
            except re.error as error:
                raise ToolError(f"{pattern!r} in patternProperties is no pattern: {error}") from error
            if found is not None:
                raise ToolError(f"{found!r} is a property and matches {pattern!r} in patternProperties; say it once")

    def _object(self, schema: Mapping[str, Any]) -> Node:
        properties = dict(schema.get("properties", {}))
        required = list(dict.fromkeys(schema.get("required", ())))
        for name in required:
            properties.setdefault(name, schema.get("additionalProperties", True))
        self._check_patterns(schema.get("patternProperties", {}), properties)
        if "propertyNames" in schema:
            place = start(self.value(schema["propertyNames"]))
            wrong = [name for name in properties if not place.accepts(written(name))]
            if set(wrong) & set(required):
                return Alt(())
            properties = {name: value for name, value in properties.items() if name not in wrong}
        least, most = int(schema.get("minProperties", 0)), int(schema.get("maxProperties", len(properties)))
        for name in properties:
            if len(required) < least and name not in required:
                required.append(name)
        if len(required) < least or len(required) > most:
            raise ToolError(f"the schema wants {least} to {most} properties, but names {len(properties)}")
        optional = [name for name in properties if name not in required][: most - len(required)]
        names = [name for name in properties if name in required or name in optional]
        nodes = {name: self.value(properties[name]) for name in names}
        made: dict[tuple[int, bool], Node] = {}

        def tail(index: int, first: bool) -> Node:
            if (index, first) not in made:
                options: list[Node] = []
                for place in range(index, len(names)):
                    name = names[place]
                    key = Lit((b"" if first else b", ") + written(name) + b": ")
                    options.append(seq(key, nodes[name], Ref(partial(tail, place + 1, False))))
                    if name in required:
                        break
                else:
                    options.append(Lit(b"}"))
                made[index, first] = alt(*options)
            return made[index, first]

        return seq(Lit(b"{"), tail(0, True))


def _of_pieces(node: Node) -> bool:
    """Whether a text of this grammar is put together from a few whole pieces, such as the words of an alternation."""
    match node:
        case Lit():
            return True
        case Seq(items=parts) | Alt(options=parts):
            return all(map(_of_pieces, parts))
        case Rep(item=item, most=most):
            return most is not None and most <= 1 and _of_pieces(item)
        case _:
            return False
