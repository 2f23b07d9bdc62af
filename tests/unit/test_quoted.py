"""What somebody said, as calls are made of it: which tools it names, and what arguments are written from."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.declared import shared
from vivavoce.assistant.quoted import Quoted
from vivavoce.core.talk import Tool
from vivavoce.text import numbers
from vivavoce.text.named_numbers import named_numbers

ROOMS = [b'"kitchen"', b'"living_room"', b'"hall"']
OUT = -math.inf


@given(st.integers(0, 10**12 - 1), st.sampled_from((numbers.cardinal, numbers.ordinal)))
def test_numbers_in_words_are_read_as_they_are_said(number: int, said: object) -> None:
    words = said(number)  # type: ignore[operator]
    assert named_numbers(f"Give me the {' '.join(words)}, please") == [str(number)]
    assert named_numbers("-".join(words).capitalize()) == [str(number)]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("twenty-five percent, or 1,200.50", ["25", "1200.5"]),
        ("a hundred and twenty", ["120"]),
        ("A table for 4-6 at 7:30", ["4", "6", "7", "30"]),
        ("two point five", ["2.5"]),
        ("3 million people, three of them old", ["3000000", "3"]),
        ("four two zero", ["4", "2", "0"]),
        ("007", ["7"]),
        ("a point, and so on", []),
        ("Guten Abend, ¿qué? 你好", []),
        ("", []),
    ],
)
def test_numbers_that_a_text_names(said: str, named: list[str]) -> None:
    assert named_numbers(said) == named


@pytest.mark.parametrize(
    ("said", "favour"),
    [
        ("Light up the living room!", [OUT, 0.0, OUT]),
        ("The KITCHEN or the hall", [0.0, OUT, 0.0]),
        ("Turn the hole lights on", [0.0, 0.0, 6.0]),
        ("It is dark in here", [0.0, 0.0, 0.0]),
        ("Мне темно", [0.0, 0.0, 0.0]),
        ("", [0.0, 0.0, 0.0]),
    ],
)
def test_listed_values_that_were_said_go_before_others(said: str, favour: list[float]) -> None:
    assert Quoted(said).favour(ROOMS) == favour


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("Reserve a table 4-6.", (["6"], [])),
        ("Set the thermostat 223", (["223"], ["23"])),
        ("Table 412 people", (["412"], ["12"])),
        ("Forty people, 2 rooms", (["40", "2"], [])),
        ("A table 4.6, or 4.06", (["4.6", "4.06"], ["6"])),  # the first where a whole number is wanted
        ("from 10-12", (["10", "12"], [])),
    ],
)
def test_prepositions_that_were_heard_as_numbers(said: str, numbers: tuple[list[str], list[str]]) -> None:
    assert Quoted(said).numbers == numbers


def test_names_of_properties_are_no_values() -> None:
    assert Quoted("in the hall").favour([b', "hall": ', b"}"]) == [0.0, 0.0]


def tool(name: str, description: str, **properties: object) -> Tool:
    return Tool(name=name, description=description, parameters={"type": "object", "properties": properties})


TOOLS = (
    tool("play_music", "Plays music.", query={"type": "string"}),
    tool("set_volume", "Sets how loud the music is.", percent={"type": "integer"}),
    tool("translate", "Translates.", language={"enum": ["French", "German"]}),
    Tool(name="stop", parameters={"anyOf": [True, {"properties": None, "enum": None}]}),
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Playing some jazz", [1, 0, 0, 0]),
        ("The music, please", [0.5, 0.5, 0, 0]),
        ("Make it eleven", [0, 1, 0, 0]),
        ("Make it 40%", [0, 2, 0, 0]),  # a sign is read as the word that was said
        ("What is that in German?", [0, 0, 1, 0]),
        ("What is that in trench?", [0, 0, 1, 0]),  # sounds like a value that is listed
        ("Stop!", [0, 0, 0, 1]),
        ("What is that?", [0, 0, 0, 0]),
        ("", [0, 0, 0, 0]),
    ],
)
def test_tools_are_named_by_words_of_their_declarations(said: str, words: list[float]) -> None:
    assert shared(said, TOOLS) == words
