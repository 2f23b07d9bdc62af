"""No argument that nobody said: over schemas drawn at random, whatever their names, kinds and nesting are."""

import json
import random
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.evals.orders import default_orders
from vivavoce.systems.mini.foreign import Form
from vivavoce.systems.mini.spots import name_words, words_of
from vivavoce.text.json_text import written
from vivavoce.text.numbers import cardinal

SHEET = load_sheet()
NAMES = """
    drink size coffeeDrink milkAmount sugarAmount roast kind type cup_size extras notes name customer_name
    quantity city minutes is_hot temperature toppings sweetness milk_type milk_level has_sugar item product
    sizeOfCup label when where recipient text shots espressoShots table_number to_go decaf priority colour id
    options strength
""".split()
TOOLS = "place_order orderCoffee make_drink submit get_weather set_timer log_event do order_drink createOrder".split()
VALUES = [
    *SHEET.tool.slot("size").values, *SHEET.tool.slot("roast").values, *default_orders().items,
    "soy milk", "almond milk", "brown sugar", "red", "blue", "tea", "extra hot", "monday", "celsius", "none",
]  # fmt: skip
SPELLINGS = (str.upper, str.title, str.lower, lambda text: text.replace(" ", "_").upper())


def drawn(draw: random.Random, depth: int = 0) -> dict[str, Any]:
    """The schema of one property."""
    kind = draw.choice(["string", "string", "enum", "enum", "integer", "boolean", "list", "object", "objects", "null"])
    spelt = draw.choice(SPELLINGS)
    if kind == "enum":
        return {"type": "string", "enum": [spelt(value) for value in draw.sample(VALUES, draw.randint(2, 6))]}
    if kind == "list":
        items = draw.choice([{"type": "string"}, {"enum": [spelt(value) for value in draw.sample(VALUES, 4)]}])
        return {"type": "array", "items": items}
    if kind in ("object", "objects") and depth < 2:
        inner = thing(draw, depth + 1)
        return inner if kind == "object" else {"type": "array", "minItems": draw.randint(0, 1), "items": inner}
    if kind == "null":
        return {"anyOf": [drawn(draw, depth + 1), {"type": "null"}]}
    return {"type": kind if kind in ("integer", "boolean") else "string"}


def thing(draw: random.Random, depth: int = 0) -> dict[str, Any]:
    """The schema of an object."""
    names = draw.sample(NAMES, draw.randint(1, 6 if not depth else 3))
    required = [name for name in names if draw.random() < 0.35]
    return {"type": "object", "properties": {name: drawn(draw, depth) for name in names}, "required": required}


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, key)
    elif value is not None:
        yield key, value


def was_said(key: str, value: Any, words: list[str], slots: dict[str, str], alike: dict[str, set[str]]) -> bool:
    known = {*words, *(word.removesuffix("s") for word in words)}
    if isinstance(value, bool):
        name = {word.removesuffix("s") for word in name_words(key) if word not in ("is", "has")}
        own = {slot.name for slot in SHEET.tool.slots if name & set(slot.means)}
        return value is False or name <= known or bool(own & set(slots))
    if isinstance(value, int):
        numbers = [slot.numbers[slots[slot.name]] for slot in SHEET.tool.slots if slots.get(slot.name) in slot.numbers]
        counted = value == 1 and key == "quantity"  # one drink was asked for
        return counted or value in numbers or set(cardinal(value)) <= known
    said = {word.removesuffix("s") for word in words_of(value)} <= {
        w.removesuffix("s") for w in {*known, "and", "with"}
    }
    return said or any(value.lower() in alike.get(part, ()) for part in (*slots.values(), *words))


@pytest.mark.parametrize("seed", range(4))
def test_every_argument_was_said(seed: int) -> None:
    draw = random.Random(seed)
    alike = {
        value: {other.lower() for other in others} for slot in SHEET.tool.slots for value, others in slot.alike.items()
    }
    filled = whole = 0
    for number, order in enumerate(default_orders().orders(30, seed)):
        schema, name = thing(draw), draw.choice(TOOLS)
        form = Form(name, "", schema, SHEET)
        words = order.text.split()
        for understood in ([order.slots], []):
            made = form.fill(understood, [words])
            for key, value in leaves(made.arguments):
                assert was_said(key, value, words, dict(order.slots), alike), (key, value, order.text, schema)
                filled += 1
            if made.missing is None:
                whole += 1
                text = written(made.arguments)
                jsonschema_rs.validate(schema, json.loads(text))
        if number % 6 == 0 and (least := form.forced(made)) is not None:
            jsonschema_rs.validate(schema, json.loads(least))
    assert filled > 10 and whole > 10  # it is not right by saying nothing


@pytest.mark.parametrize("seed", range(2))
def test_an_order_that_was_written_is_read_back(seed: int) -> None:
    """What a schema can hold of an order comes back from its arguments, so that a change keeps it."""
    places = {slot.name: {"type": "string"} for slot in SHEET.tool.slots}
    schemas = [
        {"type": "object", "properties": places},
        {
            "type": "object",
            "properties": {"drink": {"type": "string"}, "size": {"type": "string"}, "extras": {"type": "string"}},
        },
        {"type": "object", "properties": {"order": {"type": "string"}}},
        {
            "type": "object",
            "properties": {"items": {"type": "array", "items": {"type": "object", "properties": places}}},
        },
    ]
    for order in default_orders().orders(25, seed):
        for schema in schemas:
            form = Form("place_order", "", schema, SHEET)
            made = form.fill([order.slots], [order.text.split()])
            back, _ = form.back(made.arguments)
            assert back == [dict(order.slots)] or set(back[0].items()) == set(order.slots.items()), (made, order)


def test_what_has_no_place_goes_with_the_item_as_it_is_said():
    porter, order = load_sheet(find_sheet("porter")), {"room": "suite", "arrival": "may fifth", "nights": "two nights"}
    form = Form("book_room", "", {"type": "object", "properties": {"room": {"type": "string"}}}, porter)
    assert form.slots.placed(order, [[]]) == {("room",): "suite from may fifth for two nights"}
