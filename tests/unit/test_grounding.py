"""What was said weighs in where a call is written."""

import math

import pytest

from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.systems.mini.grounding import CallBias, Forms, spelled_in
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
    evidence = CallBias(words.split(), schema, known=False)
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

    def weights(*values: str, earlier: tuple[tuple[str, str], ...] = ()) -> list[float]:
        place = arguments_place(schema)
        evidence = CallBias(words, schema, known=True, earlier=earlier)
        return evidence.weigh(b'{"coffeeDrink": "latte", "milkAmount": ', [(f'"{v}"'.encode(), place) for v in values])

    assert weights("a little bit of milk", "milk", "soy milk", "lots of milk") == [0, 0, 0, 0]
    assert all(weight < 0 for weight in weights("a lot of milk", "a bit of milk"))
    assert weights("a lot of milk", earlier=(("milkAmount", "a lot of milk"),)) == [0]
    assert weights("lots of milk", earlier=(("sugarAmount", "lots of sugar"),))[0] < 0


def test_a_key_with_the_beginning_of_its_value_is_no_whole_string():
    """Pieces like ``"to": "`` begin and end with a quotation mark where a value is free text."""
    place = arguments_place(TRIP).advance(b"{")
    assert place is not None
    pieces = [(option.text, option.after) for option in place.options() or ()]
    assert any(piece.startswith(b'"') and piece.endswith(b': "') for piece, _ in pieces), pieces
    assert CallBias(["from", "rome"], TRIP, known=True).weigh(b"{", pieces) == [0.0] * len(pieces)


def test_spelled_words_and_double_letters():
    assert list(spelled_in("under abbott a b b o t t please".split())) == ["abbott"]
    assert list(spelled_in("a double room for m i double l s".split())) == ["mills"]
    assert list(spelled_in("m i l s no m i l l s".split())) == ["mils", "mills"]
    assert not list(spelled_in("i want a room can i a".split()))
    assert list(spelled_in("under baker b a k e r k thirteen".split())) == ["baker"]
    assert list(spelled_in("powell p o w e l".split())) == ["powell"]
    assert list(spelled_in("stevens s t e p h e n s".split())) == ["stephens"]


def test_a_value_is_known_by_what_people_say_for_it_and_a_word_by_its_letters():
    tool = load_sheet(find_sheet("porter")).tool
    words = "from the fifth of may under smyth s m i t h".split()
    evidence = CallBias(words, tool.schema(), known=True, forms=Forms.of(tool))
    place = arguments_place(tool.schema())
    texts = [b'"may fifth"', b'"may fifteenth"', b'"june fifth"']
    weights = evidence.weigh(b'{"arrival": ', [(text, place) for text in texts])
    assert weights[0] > 5 and weights[1] == weights[2] == 0
    assert b'smith"' in evidence.candidates()
    weights = evidence.weigh(b'{"name": "', [(text, place) for text in (b'smith"', b'smyth"')])
    assert weights[0] > 5 and weights[1] == 0


def test_no_argument_is_made_up_and_none_that_was_spelled_is_passed_over():
    tool = load_sheet(find_sheet("porter")).tool
    text = b'{"room": "suite", "arrival": "may first", "nights": "one night"'

    def weights(words: str, *earlier: tuple[str, str]) -> dict[str, float]:
        evidence = CallBias(words.split(), tool.schema(), known=True, earlier=earlier, forms=Forms.of(tool))
        place = arguments_place(tool.schema()).advance(text)
        assert place is not None
        pieces = [(option.text, option.after) for option in place.options() or ()]
        found = evidence.weigh(text, pieces)
        return {piece.decode().strip('{, ":'): weight for (piece, _), weight in zip(pieces, found, strict=True)}

    said, no = "a suite from may first for one night", -math.inf
    assert weights(said) == {"meals": no, "name": no, "}": 0.0}
    assert weights(f"{said} with half board") == {"meals": 0.0, "name": no, "}": 0.0}
    assert weights(f"{said} under webb w e b b") == {"meals": no, "name": 0.0, "}": no}
    assert weights(said, ("name", "webb"), ("meals", "half board")) == {"meals": 0.0, "name": 0.0, "}": 0.0}
