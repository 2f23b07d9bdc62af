"""Schemas as grammars: what is written under them is valid, listed values are whole choices, the rest is refused."""

import json
import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ToolError
from vivavoce.text.grammar import Place, start
from vivavoce.text.json_schema import arguments_place, schema_grammar
from vivavoce.text.json_text import written

AMOUNT = "(a bit of |some )?(milk|cream)"
ORDER = {
    "type": "object",
    "properties": {
        "coffeeDrink": {"type": "string", "enum": ["latte", "mocha", "iced mocha"]},
        "size": {"enum": ["small", "large"]},
        "milkAmount": {"type": "string", "pattern": f"^{AMOUNT}$"},
    },
    "required": ["coffeeDrink"],
    "additionalProperties": False,
}

numbers = st.integers(-250, 250)
leaves = st.one_of(
    st.builds(
        lambda a, b: {"type": "string", "minLength": min(a, b), "maxLength": max(a, b)},
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    st.builds(
        lambda values: {"enum": values}, st.lists(st.one_of(st.text(max_size=5), numbers, st.none()), min_size=1)
    ),
    st.builds(lambda a, b: {"type": "integer", "minimum": min(a, b), "maximum": max(a, b)}, numbers, numbers),
    st.builds(
        lambda a, b: {"type": "number", "exclusiveMinimum": min(a, b), "maximum": max(a, b) + 0.5}, numbers, numbers
    ),
    st.sampled_from([{"type": "boolean"}, {"type": ["null", "integer"]}, {}, {"type": "number"}, {"type": "string"}]),
    st.sampled_from(
        [r"^\d{4}-\d\d$", r"^(red|green)( light)?$", r"^[A-Z][a-z]+$", "x", r'^[^a-y"]$', r"^\w+@\w+\.(com|org)$"]
    ).map(lambda pattern: {"type": "string", "pattern": pattern}),
)


def deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least, "maxItems": least + 2},
            inner,
            st.integers(0, 2),
        ),
        st.builds(
            lambda fields, flags: {
                "type": "object",
                "properties": fields,
                "required": [name for name, flag in zip(fields, flags, strict=False) if flag],
            },
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
            st.lists(st.booleans(), max_size=3),
        ),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
    )


schemas = st.recursive(leaves, deeper, max_leaves=5)


def walk(place: Place, random: random.Random, limit: int = 30) -> bytes:
    """Somebody who writes at random and hurries to the end after a while."""
    text = b""
    for _ in range(limit):
        options = place.options()
        if options is not None:
            option = random.choice(options)
            text += option.text
            if not option.text:
                return text
            place = option.after
        else:
            if place.done and random.random() < 0.3:
                return text
            byte = bytes([random.choice(sorted(place.bytes_allowed))])
            text += byte
            after = place.advance(byte)
            assert after is not None
            place = after
    return text + place.shortest()


@settings(deadline=None, max_examples=100)
@given(schema=schemas, seed=st.integers(0, 2**16))
def test_whatever_is_written_is_valid(schema: dict[str, Any], seed: int) -> None:
    place = start(schema_grammar(schema))
    text = walk(place, random.Random(seed))
    assert place.accepts(text)
    value = json.loads(text)
    jsonschema_rs.validate(schema, value)
    assert place.accepts(place.shortest())


@settings(deadline=None, max_examples=80)
@given(a=st.integers(-3000, 3000), b=st.integers(-3000, 3000), n=st.integers(-3500, 3500))
def test_integer_limits_are_exact(a: int, b: int, n: int) -> None:
    low, high = min(a, b), max(a, b)
    place = start(schema_grammar({"type": "integer", "minimum": low, "maximum": high}))
    assert place.accepts(str(n).encode()) == (low <= n <= high)


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=8))
def test_any_string_can_be_written(text: str) -> None:
    assume(not any(0xD800 <= ord(c) < 0xE000 or ord(c) < 32 or ord(c) == 127 for c in text))
    assert start(schema_grammar({"type": "string"})).accepts(written(text))


def test_an_order_is_a_chain_of_choices() -> None:
    place = arguments_place(ORDER)
    (opening,) = place.options() or pytest.fail("no options")
    assert opening.text == b'{"coffeeDrink": '
    drinks = opening.after.options() or pytest.fail("no options")
    assert [option.text for option in drinks] == [b'"latte"', b'"mocha"', b'"iced mocha"']
    after = drinks[0].after.options() or pytest.fail("no options")
    assert [option.text for option in after] == [b', "size": ', b', "milkAmount": "', b"}"]
    assert place.accepts(b'{"coffeeDrink": "latte", "milkAmount": "a bit of milk"}')
    assert not place.accepts(b'{"coffeeDrink": "late"}')
    assert not place.accepts(b'{"size": "small"}')
    assert not place.accepts(b'{"coffeeDrink": "latte", "size": "small", "size": "small"}')


def test_free_strings_are_known_as_such() -> None:
    place = arguments_place({"properties": {"city": {"type": "string"}}, "required": ["city"]})
    inside = place.advance(b'{"city": "')
    assert inside is not None
    assert inside.free
    assert inside.options() is None
    assert inside.accepts(b'Paris"}')


def test_schemas_can_contain_themselves() -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"const": "x"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name"],
    }
    place = start(schema_grammar(tree))
    assert place.accepts(b'{"name": "x", "children": [{"name": "x"}, {"name": "x", "children": []}]}')
    assert place.shortest() == b'{"name": "x"}'
    node = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/b"}]}, "b": {"enum": [1, 2]}},
    }
    assert start(schema_grammar(node)).accepts(b"2")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "multipleOf": 3}, "multipleOf"),
        ({"type": "string", "not": {"const": "a"}}, "'not' cannot"),
        ({"properties": {"s_a": {}}, "patternProperties": {"^s_": {}}}, "say it once"),
        ({"patternProperties": {"(": {}}}, "no pattern"),
        ({"required": ["Ab"], "propertyNames": {"pattern": "^[a-z]+$"}}, "no finite value"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"type": "string", "pattern": "a", "minLength": 3}, "together with a length"),
        ({"type": "text"}, "does not exist"),
        ({"$ref": "#/$defs/nowhere"}, "not in it"),
        ({"enum": []}, "no finite value"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no finite value"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no finite value"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "may overlap"),
        ({"type": "integer", "minimum": "1"}, "must be a number"),
        (3, "is an object"),
    ],
)
def test_what_cannot_be_enforced_is_refused(schema: Any, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        schema_grammar(schema)


def test_many_properties_that_may_be_left_out_are_no_riddle():
    place = arguments_place(
        {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(40)}}
    )
    assert place.accepts(b'{"p3": "x", "p17": "y"}') and not place.accepts(b'{"p17": "y", "p3": "x"}')


FIELD = {
    "type": "string",
    "title": "Drink",
    "description": "what to drink",
    "default": None,
    "examples": ["latte"],
    "format": "email",
    "pattern": r"^(?!\.)(?!.*\.\.)[a-z.]+@[a-z]+$",  # as zod spells the format out
    "deprecated": False,
    "x-order": 1,
    "x-ui": {"widget": "select"},
    "errorMessage": "pick one",
}
NOTED = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$anchor": "order",
    "type": "object",
    "strict": True,
    "discriminator": {"propertyName": "drink"},
    "externalDocs": {"url": "https://example.com"},
    "properties": {"drink": FIELD, "extras": {"type": "object", "propertyNames": {"type": "string"}}},
    "patternProperties": {"^x-": {"type": "string"}},
    "required": ["drink"],
    "additionalProperties": False,
}


def test_what_constrains_nothing_is_ignored():
    place = arguments_place(NOTED)
    assert place.accepts(b'{"drink": "latte", "extras": {}}') and not place.accepts(b'{"extras": {}}')
    named = {"properties": {"a": {"const": 1}, "B": {"const": 1}}, "propertyNames": {"pattern": "^[a-z]$"}}
    assert arguments_place(named).accepts(b'{"a": 1}') and not arguments_place(named).accepts(b'{"B": 1}')
