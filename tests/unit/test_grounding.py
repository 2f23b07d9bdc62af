"""What was said weighs in where a call is written."""

import pytest

from vivavoce.data.sheet import load_sheet
from vivavoce.systems.mini.grounding import Evidence
from vivavoce.text.json_schema import arguments_place

LIGHT = {
    "properties": {
        "room": {"enum": ["kitchen", "living room"]},
        "brightness": {"type": "integer", "minimum": 0, "maximum": 100},
        "colours": {"type": "array", "items": {"enum": ["red", "blue", "warm white"]}, "maxItems": 3},
    },
    "required": ["room"],
}
TIMER = {
    "properties": {
        "length": {
            "type": "object",
            "properties": {"hours": {"type": "integer", "minimum": 0}, "minutes": {"type": "integer", "minimum": 0}},
            "required": ["minutes"],
        },
        "label": {"type": "string"},
    },
    "required": ["length"],
}
TRIP = {"properties": {"from": {"type": "string"}, "to": {"type": "string"}}, "required": ["from", "to"]}


def best(words: str, schema: dict, text: str) -> str:
    """The piece with the greatest weight after a text."""
    evidence = Evidence(words.split(), schema, known=False)
    place = arguments_place(schema).advance(text.encode())
    assert place is not None
    options = place.options()
    if options is None:
        pieces = [(c, after) for c in evidence.candidates() if (after := place.advance(c)) is not None]
    else:
        pieces = [(option.text, option.after) for option in options]
    weights = evidence.weigh(text.encode(), pieces)
    top = max(weights)
    assert weights.count(top) == 1, (pieces, weights)
    return pieces[weights.index(top)][0].decode()


@pytest.mark.parametrize(
    ("words", "schema", "text", "piece"),
    [
        ("turn on the living room light", LIGHT, '{"room": ', '"living room"'),
        ("the kitchen at forty percent please", LIGHT, '{"room": "kitchen"', ', "brightness": '),
        ("the kitchen please", LIGHT, '{"room": "kitchen"', "}"),
        ("the kitchen in blue and red", LIGHT, '{"room": "kitchen", "colours": [', '"blue"'),
        ("the kitchen in blue and red", LIGHT, '{"room": "kitchen", "colours": ["blue"', ", "),
        ("the kitchen in blue and red", LIGHT, '{"room": "kitchen", "colours": ["blue", "red"', "]"),
        ("one hour and thirty five minutes", TIMER, '{"length": {', '"hours": '),
        ("one hour and thirty five minutes", TIMER, '{"length": {"minutes": ', "35}"),
        ("set a timer of ten minutes", TIMER, '{"length": {"hours": 1, "minutes": ', "10}"),
        ("from new york to rome", TRIP, '{"from": "', 'new york"'),
        ("from new york to rome", TRIP, '{"from": "new york", "to": "', 'rome"'),
        ("", TRIP, '{"from": "', '"'),
    ],
)
def test_what_was_said_decides_for_tools_that_nobody_taught(words: str, schema: dict, text: str, piece: str):
    assert best(words, schema, text) == piece


def test_for_a_tool_that_is_known_only_values_said_apart_are_unlikely():
    schema = load_sheet().tool.schema()
    words = "a latte with a lot of brown sugar and a little um bit of milk".split()

    def weights(*values: str, earlier: tuple[str, ...] = ()) -> list[float]:
        place = arguments_place(schema)
        evidence = Evidence(words, schema, known=True, earlier=earlier)
        return evidence.weigh(b'{"coffeeDrink": "latte", "milkAmount": ', [(f'"{v}"'.encode(), place) for v in values])

    assert weights("a little bit of milk", "milk", "soy milk", "lots of milk") == [0, 0, 0, 0]
    assert all(weight < 0 for weight in weights("a lot of milk", "a bit of milk"))
    assert weights("a lot of milk", earlier=("a lot of milk",)) == [0]
    assert weights("lots of milk", earlier=("lots of sugar",))[0] < 0


def test_a_key_with_the_beginning_of_its_value_is_no_whole_string():
    """Pieces like ``"to": "`` begin and end with a quotation mark where a value is free text."""
    place = arguments_place(TRIP).advance(b"{")
    assert place is not None
    pieces = [(option.text, option.after) for option in place.options() or ()]
    assert any(piece.startswith(b'"') and piece.endswith(b': "') for piece, _ in pieces), pieces
    assert Evidence(["from", "rome"], TRIP, known=True).weigh(b"{", pieces) == [0.0] * len(pieces)
